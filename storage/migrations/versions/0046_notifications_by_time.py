"""An index has the notifications of all tenants in the order of their list."""

from storage.migrations.operations import create_index

revision = "0046"
down_revision = "0045"
branch_labels = None
depends_on = None


def upgrade() -> None:
    create_index("notification_by_time", "notification (noted_at, tenant_id, target, event_hash)")
