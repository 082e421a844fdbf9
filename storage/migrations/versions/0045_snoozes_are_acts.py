"""Snoozes of notifications, begun and ended on the web page, have audit records."""

from storage.migrations.operations import execute

revision = "0045"
down_revision = "0044"
branch_labels = None
depends_on = None

AUDIT = """
ALTER TABLE audit_record DROP CONSTRAINT IF EXISTS action_known;
ALTER TABLE audit_record ADD CONSTRAINT action_known CHECK (action IN (
    'signed_in', 'signed_out', 'sync_requested', 'sync_cancelled', 'deep_read_requested', 'schedule_changed',
    'schedule_deleted', 'decided', 'decision_withdrawn', 'baseline_set', 'baseline_removed', 'pinned', 'unpinned',
    'exported', 'access_changed', 'tenant_purged', 'plan_created', 'plan_approved', 'plan_approval_refused',
    'plan_rejected', 'reference_mapped', 'reference_unmapped', 'tenant_configured', 'tenant_removed', 'snoozed',
    'snooze_ended'
))
"""


def upgrade() -> None:
    execute(AUDIT)
