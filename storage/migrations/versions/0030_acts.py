"""Audit records of everything that people do on the web page, not only of signing in.

The table came with 0029 and holds a row for each sign-in, so building its indexes here locks it for a moment only.
"""

from storage.migrations.operations import execute

revision = "0030"
down_revision = "0029"
branch_labels = None
depends_on = None

COLUMNS = """
ALTER TABLE audit_record
    ADD COLUMN IF NOT EXISTS person_id text,
    ADD COLUMN IF NOT EXISTS tenant_id uuid,
    ADD COLUMN IF NOT EXISTS subject text,
    ADD COLUMN IF NOT EXISTS reason text,
    ADD COLUMN IF NOT EXISTS request_id uuid;
ALTER TABLE audit_record DROP CONSTRAINT IF EXISTS action_known;
ALTER TABLE audit_record ADD CONSTRAINT action_known CHECK (action IN (
    'signed_in', 'signed_out', 'sync_requested', 'sync_cancelled', 'deep_read_requested', 'schedule_changed',
    'schedule_deleted', 'decided', 'decision_withdrawn', 'baseline_set', 'baseline_removed', 'pinned', 'unpinned',
    'exported', 'access_changed'
));
CREATE UNIQUE INDEX IF NOT EXISTS audit_record_once ON audit_record (tenant_id, request_id) NULLS NOT DISTINCT
    WHERE request_id IS NOT NULL;
CREATE INDEX IF NOT EXISTS audit_record_recent ON audit_record (at, audit_id);
CREATE INDEX IF NOT EXISTS audit_record_of_person ON audit_record (person_id, at, audit_id);
CREATE INDEX IF NOT EXISTS audit_record_of_tenant ON audit_record (tenant_id, at, audit_id);
ALTER TABLE sign_in_link ADD COLUMN IF NOT EXISTS person_id text;
ALTER TABLE web_session ADD COLUMN IF NOT EXISTS person_id text;
COMMENT ON COLUMN audit_record.person_id IS 'of the directory that the person signed in with';
COMMENT ON COLUMN audit_record.tenant_id IS 'null where the act is about no single tenant';
COMMENT ON COLUMN audit_record.subject IS 'what the act was done to';
COMMENT ON COLUMN audit_record.reason IS 'as the person gave it';
COMMENT ON COLUMN audit_record.request_id IS 'of the form; one that is sent twice does its act once'
"""

TRUNCATION = """
CREATE OR REPLACE TRIGGER audit_record_is_not_emptied BEFORE TRUNCATE ON audit_record
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_audit_change()
"""

# An act and its record share a transaction, which may be bound to a tenant.
POLICY = """
DROP POLICY IF EXISTS no_tenant ON audit_record;
DROP POLICY IF EXISTS no_tenant_or_one ON audit_record;
CREATE POLICY no_tenant_or_one ON audit_record
    USING ((current_tenant() IS NULL OR tenant_id = current_tenant()) AND NOT reads_all_tenants())
    WITH CHECK ((current_tenant() IS NULL OR tenant_id = current_tenant()) AND NOT reads_all_tenants())
"""


def upgrade() -> None:
    execute(COLUMNS)
    execute(TRUNCATION)
    execute(POLICY)
