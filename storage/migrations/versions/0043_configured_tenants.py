"""The table of tenants, for installations that keep them in the database and not in a file."""

from storage.migrations.operations import execute, isolation

revision = "0043"
down_revision = "0042"
branch_labels = None
depends_on = None

TABLE = """
CREATE TABLE IF NOT EXISTS configured_tenant (
    tenant_id uuid PRIMARY KEY,
    entry jsonb NOT NULL,
    changed_by text NOT NULL,
    changed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT entry_is_of_the_tenant CHECK (entry ->> 'id' = tenant_id::text)
);
COMMENT ON TABLE configured_tenant IS 'the tenants to read, where TENANTS_FROM is table';
COMMENT ON COLUMN configured_tenant.entry IS 'the keys of an entry of the tenants file; no secret'
"""

AUDIT = """
ALTER TABLE audit_record DROP CONSTRAINT IF EXISTS action_known;
ALTER TABLE audit_record ADD CONSTRAINT action_known CHECK (action IN (
    'signed_in', 'signed_out', 'sync_requested', 'sync_cancelled', 'deep_read_requested', 'schedule_changed',
    'schedule_deleted', 'decided', 'decision_withdrawn', 'baseline_set', 'baseline_removed', 'pinned', 'unpinned',
    'exported', 'access_changed', 'tenant_purged', 'plan_created', 'plan_approved', 'plan_approval_refused',
    'plan_rejected', 'reference_mapped', 'reference_unmapped', 'tenant_configured', 'tenant_removed'
))
"""


def upgrade() -> None:
    execute(TABLE)
    execute(
        f"{isolation('configured_tenant')} GRANT SELECT, INSERT, UPDATE, DELETE ON configured_tenant"
        " TO tenant_inventory_worker"
    )
    execute(AUDIT)
