"""Statistics name the largest tenant and expect the average of any other, a new one too.

With a hundred tenants named, a new one was expected to have one row: then any index that begins with the tenant seems
as good as another, and each row of a wave is compared with all of the tenant's. Nor need statistics be made anew soon.
"""

from storage.migrations.operations import execute

revision = "0051"
down_revision = "0050"
branch_labels = None
depends_on = None

TABLES = (
    "inventory_item", "item_version", "document", "item_reference", "item_name", "item_settings", "unread_item",
    "item_absence", "pending_item",
)  # fmt: skip


def upgrade() -> None:
    execute("ALTER TABLE inventory_item RESET (autovacuum_analyze_threshold, autovacuum_analyze_scale_factor)")
    for table in TABLES:
        execute(f"ALTER TABLE {table} ALTER COLUMN tenant_id SET STATISTICS 1")
        execute(f"ANALYZE {table}")
