"""Runs of `watch`, which are told from full runs, and how far each tenant's audit logs have been followed."""

from storage.migrations.operations import execute, isolate

revision = "0036"
down_revision = "0035"
branch_labels = None
depends_on = None

KIND = """
ALTER TABLE sync_run ADD COLUMN IF NOT EXISTS kind text NOT NULL DEFAULT 'sync'
    CONSTRAINT kind_known CHECK (kind IN ('sync', 'watch'));
COMMENT ON COLUMN sync_run.kind IS
    'a full run of its selection, or a run of watch, which reads single objects and covers no collection'
"""

TABLE = """
CREATE TABLE IF NOT EXISTS audit_log_position (
    tenant_id uuid NOT NULL DEFAULT current_tenant() REFERENCES tenant (tenant_id),
    type_key text NOT NULL,
    tried_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    read_at timestamptz,
    handled text[] NOT NULL DEFAULT '{}',
    unknown_events bigint NOT NULL DEFAULT 0,
    error_code text,
    PRIMARY KEY (tenant_id, type_key)
);
COMMENT ON TABLE audit_log_position IS 'how far watch has followed the audit logs of a tenant';
COMMENT ON COLUMN audit_log_position.type_key IS 'the collection of the audit log';
COMMENT ON COLUMN audit_log_position.tried_at IS 'when the log was last asked for';
COMMENT ON COLUMN audit_log_position.read_at IS 'when the log was last read; null if it never was';
COMMENT ON COLUMN audit_log_position.handled IS 'events that the next look may meet again and that need nothing more';
COMMENT ON COLUMN audit_log_position.unknown_events IS
    'events so far that named no item that watch can read: full runs see what they changed';
COMMENT ON COLUMN audit_log_position.error_code IS 'why the log could not be read; null if it was'
"""


def upgrade() -> None:
    execute(KIND)
    execute(TABLE)
    isolate("audit_log_position")
