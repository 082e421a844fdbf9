"""The receipt of a purged tenant, in the audit record of the purge."""

from storage.migrations.operations import execute

revision = "0038"
down_revision = "0037"
branch_labels = None
depends_on = None

RECEIPT = """
ALTER TABLE audit_record ADD COLUMN IF NOT EXISTS receipt jsonb;
COMMENT ON COLUMN audit_record.receipt IS 'of a purged tenant: what was deleted, and how much of it';
ALTER TABLE audit_record DROP CONSTRAINT IF EXISTS action_known;
ALTER TABLE audit_record ADD CONSTRAINT action_known CHECK (action IN (
    'signed_in', 'signed_out', 'sync_requested', 'sync_cancelled', 'deep_read_requested', 'schedule_changed',
    'schedule_deleted', 'decided', 'decision_withdrawn', 'baseline_set', 'baseline_removed', 'pinned', 'unpinned',
    'exported', 'access_changed', 'tenant_purged'
))
"""


def upgrade() -> None:
    execute(RECEIPT)
