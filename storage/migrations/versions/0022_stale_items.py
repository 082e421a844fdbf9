"""Items say since when their current version is not all current, and which details could not be read.

A worker of an earlier release stages no stale parts: what it merges is whole, and ends an item's staleness.
"""

from storage.migrations.operations import create_index, execute

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None

STALE = """
ALTER TABLE inventory_item ADD COLUMN IF NOT EXISTS stale_since timestamptz,
    ADD COLUMN IF NOT EXISTS stale_parts jsonb;
COMMENT ON COLUMN inventory_item.stale_since IS
    'since when details of the current version are not known to be current; null where they all are';
COMMENT ON COLUMN inventory_item.stale_parts IS 'the details that could not be read, and why';
ALTER TABLE item_version ADD COLUMN IF NOT EXISTS stale_parts jsonb;
COMMENT ON COLUMN item_version.stale_parts IS
    'the details that could not be read when it was first observed: it says what was read of them before, if anything';
ALTER TABLE staged_item ADD COLUMN IF NOT EXISTS stale_parts jsonb;
COMMENT ON COLUMN staged_item.stale_parts IS 'the details that could not be read; null where all were';
ALTER TABLE sync_run ADD COLUMN IF NOT EXISTS stale bigint NOT NULL DEFAULT 0
    CONSTRAINT stale_not_negative CHECK (stale >= 0);
COMMENT ON COLUMN sync_run.stale IS 'items whose current version is not all current';
CREATE OR REPLACE VIEW staged_observation WITH (security_barrier) AS
    SELECT * FROM staged_item WHERE tenant_id = current_tenant();
GRANT SELECT, DELETE ON staged_observation TO tenant_inventory_worker;
GRANT INSERT (stale_parts) ON staged_item TO tenant_inventory_worker
"""


def upgrade() -> None:
    execute(STALE)
    create_index("inventory_item_stale", "inventory_item (tenant_id, type_key) WHERE stale_since IS NOT NULL")
