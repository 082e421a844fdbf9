"""Settings of an item are found by an index whose entries are alike, which takes a sixth of the primary key's room.

A primary key that ends with `position` has no two entries alike, so PostgreSQL deduplicates none. Nothing needs it: a
first version's settings are inserted once, and a reader of a later version, which holds the item, replaces all of them.
"""

from storage.migrations.operations import create_index, execute

revision = "0035"
down_revision = "0034"
branch_labels = None
depends_on = None


def upgrade() -> None:
    create_index("item_setting_of_item", "item_setting (tenant_id, type_key, external_id)")
    execute("ALTER TABLE item_setting DROP CONSTRAINT IF EXISTS item_setting_pkey")
