"""Items know a digest of their object as Graph last served it; what is equal is staged as the ids of a page."""

from storage.migrations.operations import execute

revision = "0042"
down_revision = "0041"
branch_labels = None
depends_on = None

DIGESTS = """
ALTER TABLE inventory_item ADD COLUMN IF NOT EXISTS raw_digest bytea,
    ADD COLUMN IF NOT EXISTS raw_digest_at timestamptz;
COMMENT ON COLUMN inventory_item.raw_digest IS
    'keyed hash of the object as its list last showed it, and of the rules it was read by';
COMMENT ON COLUMN inventory_item.raw_digest_at IS
    'of which observation raw_digest is: it counts only while that is the last one';
ALTER TABLE staged_item ADD COLUMN IF NOT EXISTS raw_digest bytea, ADD COLUMN IF NOT EXISTS same_items bigint,
    ADD COLUMN IF NOT EXISTS same_ids text, ADD COLUMN IF NOT EXISTS same_digests bytea;
ALTER TABLE staged_item ALTER COLUMN same_ids SET STORAGE EXTERNAL, ALTER COLUMN same_digests SET STORAGE EXTERNAL;
COMMENT ON COLUMN staged_item.raw_digest IS 'see inventory_item; null where the item was not read from its list';
COMMENT ON COLUMN staged_item.same_items IS
    'of a page, which has a row without an id: how many items are the same, byte for byte, as when they were last read';
COMMENT ON COLUMN staged_item.same_ids IS 'their ids, with a separator';
COMMENT ON COLUMN staged_item.same_digests IS 'their raw digests, one after another';
CREATE OR REPLACE VIEW staged_observation WITH (security_barrier) AS
    SELECT * FROM staged_item WHERE tenant_id = current_tenant();
GRANT SELECT, DELETE ON staged_observation TO tenant_inventory_worker;
GRANT INSERT (raw_digest, same_items, same_ids, same_digests) ON staged_item TO tenant_inventory_worker
"""


def upgrade() -> None:
    execute(DIGESTS)
