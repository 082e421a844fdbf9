"""An observation brings along what it refers to, where a collection is listed for the first time."""

from storage.migrations.operations import execute

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

STAGING = """
ALTER TABLE staged_item ADD COLUMN read_references json, ADD COLUMN rules_hash bytea;
COMMENT ON COLUMN staged_item.read_references IS
    'what it refers to, as item_reference has it; null where that has not been read';
COMMENT ON COLUMN staged_item.rules_hash IS 'of the rules that it was read by';
CREATE OR REPLACE VIEW staged_item_of_tenant WITH (security_barrier) AS
    SELECT * FROM staged_item WHERE tenant_id = current_tenant();
GRANT INSERT (read_references, rules_hash) ON staged_item TO tenant_inventory_worker
"""


def upgrade() -> None:
    execute(STAGING)
