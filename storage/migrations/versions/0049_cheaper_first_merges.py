"""A first merge keeps the place of a staged row in place of its document, and checks no version for its item.

Nothing but a purge of the tenant deletes an item, and that deletes the versions too.
"""

from storage.migrations.operations import execute

revision = "0049"
down_revision = "0048"
branch_labels = None
depends_on = None

STATEMENTS = """
CREATE OR REPLACE VIEW staged_observation WITH (security_barrier) AS
    SELECT *, ctid AS place FROM staged_item WHERE tenant_id = current_tenant();
GRANT SELECT, DELETE ON staged_observation TO tenant_inventory_worker;
ALTER TABLE item_version DROP CONSTRAINT IF EXISTS item_version_tenant_id_type_key_external_id_fkey
"""


def upgrade() -> None:
    execute(STATEMENTS)
