"""Documents are stored as Graph served them, and compared by their normal form.

`content_hash` is the hash of the normal form from now on, so a document has a hash of its body beside it. A worker of
release 0.3.0 that still runs sees none of the rows that a new one has staged: it reports them lost, and they are read
again.
"""

from storage.migrations.operations import execute

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

DOCUMENTS = """
ALTER TABLE document ADD COLUMN IF NOT EXISTS body_hash bytea;
COMMENT ON COLUMN document.content_hash IS 'SHA-256 of the normal form; of the body where body_hash is null';
COMMENT ON COLUMN document.body_hash IS
    'SHA-256 of the body before compression; null in normal form 0, which was stored itself';
COMMENT ON COLUMN document.body IS 'JSON as Graph served it, secrets and volatile fields aside, keys sorted, zstd';
ALTER TABLE inventory_item ADD COLUMN IF NOT EXISTS form smallint NOT NULL DEFAULT 0;
COMMENT ON COLUMN inventory_item.form IS 'number of the normal form that content_hash is of';
ALTER TABLE pending_item ADD COLUMN IF NOT EXISTS list_body_hash bytea;
COMMENT ON COLUMN pending_item.list_body_hash IS 'SHA-256 of the list_document before compression';
ALTER TABLE staged_item ADD COLUMN IF NOT EXISTS body_hash bytea;
COMMENT ON COLUMN staged_item.body_hash IS 'SHA-256 of the document before compression; null from workers of 0.3.0';
CREATE OR REPLACE VIEW staged_item_of_tenant WITH (security_barrier) AS
    SELECT tenant_id, run_id, fetch_token, type_key, external_id, display_name, meta, content_hash, staged_at,
        document, document_size, likeness_hash, list_hash, is_whole, read_references, rules_hash
    FROM staged_item WHERE tenant_id = current_tenant() AND body_hash IS NULL;
DROP VIEW IF EXISTS staged_observation;
CREATE VIEW staged_observation WITH (security_barrier) AS
    SELECT * FROM staged_item WHERE tenant_id = current_tenant();
GRANT SELECT, DELETE ON staged_observation TO tenant_inventory_worker;
GRANT INSERT (body_hash) ON staged_item TO tenant_inventory_worker
"""


def upgrade() -> None:
    execute(DOCUMENTS)
