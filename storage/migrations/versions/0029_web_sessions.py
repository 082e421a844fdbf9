"""Sign-in links and sessions of the web page, and the audit records of what people did there."""

from storage.migrations.operations import execute, isolation

revision = "0029"
down_revision = "0028"
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE IF NOT EXISTS sign_in_link (
    link_hash bytea PRIMARY KEY,
    person text NOT NULL,
    role text NOT NULL,
    expires_at timestamptz NOT NULL,
    CONSTRAINT link_hash_is_sha256 CHECK (octet_length(link_hash) = 32),
    CONSTRAINT role_known CHECK (role IN ('reader', 'operator', 'approver', 'admin'))
);
CREATE TABLE IF NOT EXISTS web_session (
    session_hash bytea PRIMARY KEY,
    person text NOT NULL,
    role text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    expires_at timestamptz NOT NULL,
    CONSTRAINT session_hash_is_sha256 CHECK (octet_length(session_hash) = 32),
    CONSTRAINT role_known CHECK (role IN ('reader', 'operator', 'approver', 'admin'))
);
CREATE TABLE IF NOT EXISTS audit_record (
    audit_id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    person text NOT NULL,
    role text NOT NULL,
    action text NOT NULL,
    CONSTRAINT action_known CHECK (action IN ('signed_in', 'signed_out'))
);
COMMENT ON TABLE sign_in_link IS 'one-time links that sign a person in; a used one is deleted';
COMMENT ON COLUMN sign_in_link.link_hash IS 'SHA-256 of the token in the link';
COMMENT ON TABLE web_session IS 'who is signed in on the web page';
COMMENT ON COLUMN web_session.session_hash IS 'SHA-256 of the token in the cookie';
COMMENT ON TABLE audit_record IS 'what people did on the web page; rows are only added';
"""

# Privileges cannot keep the owner from changing a row, and under one role the owner does all the work.
APPEND_ONLY = """
CREATE OR REPLACE FUNCTION refuse_audit_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'audit records are only added' USING ERRCODE = 'insufficient_privilege';
END
$$;
CREATE OR REPLACE TRIGGER audit_record_is_append_only BEFORE UPDATE OR DELETE ON audit_record
    FOR EACH ROW EXECUTE FUNCTION refuse_audit_change();
"""

PRIVILEGES = {
    "sign_in_link": "SELECT, INSERT, DELETE",
    "web_session": "SELECT, INSERT, DELETE",
    "audit_record": "SELECT, INSERT",
}


def upgrade() -> None:
    execute(TABLES + APPEND_ONLY)
    for table, privileges in PRIVILEGES.items():
        execute(f"{isolation(table)} GRANT {privileges} ON {table} TO tenant_inventory_worker")
