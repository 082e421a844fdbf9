"""An index of the items whose document is still hashed as it was stored, for the runs that take them over."""

from storage.migrations.operations import create_index

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    create_index("inventory_item_form", "inventory_item (tenant_id, type_key, external_id) WHERE form < 1")
