"""Sign-ins with Entra ID that have begun and not ended yet."""

from storage.migrations.operations import execute, isolation

revision = "0032"
down_revision = "0031"
branch_labels = None
depends_on = None

TABLE = """
CREATE TABLE IF NOT EXISTS sign_in_flow (
    flow_hash bytea PRIMARY KEY,
    flow jsonb NOT NULL,
    goes_to text NOT NULL,
    expires_at timestamptz NOT NULL,
    CONSTRAINT flow_hash_is_sha256 CHECK (octet_length(flow_hash) = 32)
);
COMMENT ON TABLE sign_in_flow IS 'sign-ins with Entra ID that have begun; each is used once';
COMMENT ON COLUMN sign_in_flow.flow_hash IS 'SHA-256 of the token in the cookie of the browser that began it';
COMMENT ON COLUMN sign_in_flow.flow IS 'state, nonce and the verifier of PKCE';
COMMENT ON COLUMN sign_in_flow.goes_to IS 'the page that the person asked for'
"""


def upgrade() -> None:
    execute(TABLE)
    execute(f"{isolation('sign_in_flow')} GRANT SELECT, INSERT, DELETE ON sign_in_flow TO tenant_inventory_worker")
