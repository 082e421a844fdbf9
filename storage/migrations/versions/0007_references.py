"""References of items, read from their current versions."""

from storage.migrations.operations import execute

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

# No foreign key to the item: items stay, and the check would lock, and so rewrite, an item's row for each version.
REFERENCES = """
CREATE TABLE item_reference (
    tenant_id uuid NOT NULL DEFAULT current_tenant(),
    type_key text NOT NULL,
    external_id text NOT NULL,
    position integer NOT NULL,
    version_number bigint NOT NULL,
    path text NOT NULL,
    role text NOT NULL,
    target_type_keys text[] NOT NULL,
    target_id text NOT NULL,
    PRIMARY KEY (tenant_id, type_key, external_id, position),
    CONSTRAINT role_known CHECK (role IN ('include', 'exclude', 'use'))
);
CREATE INDEX item_reference_by_target ON item_reference (tenant_id, target_id, target_type_keys);
COMMENT ON TABLE item_reference IS 'what the current versions of items refer to';
COMMENT ON COLUMN item_reference.position IS 'its place among the references of the item';
COMMENT ON COLUMN item_reference.version_number IS 'the version that it was read from';
COMMENT ON COLUMN item_reference.path IS 'where it stands, as the rule of the catalog says';
COMMENT ON COLUMN item_reference.target_type_keys IS
    'the collections that the target may belong to; none where it is an audience and no object'
"""

# Filled by the statements that make versions, emptied by whoever reads them.
UNREAD = """
CREATE TABLE unread_item (
    tenant_id uuid NOT NULL DEFAULT current_tenant(),
    type_key text NOT NULL,
    external_id text NOT NULL,
    PRIMARY KEY (tenant_id, type_key, external_id)
);
COMMENT ON TABLE unread_item IS 'items with a version whose references have not been read yet'
"""

# It is empty at first, so that all that is there is read once.
RULES = """
CREATE TABLE reference_rules (
    tenant_id uuid NOT NULL DEFAULT current_tenant(),
    type_key text NOT NULL,
    rules_hash bytea NOT NULL,
    PRIMARY KEY (tenant_id, type_key)
);
COMMENT ON TABLE reference_rules IS 'the rules of the catalog that references have last been read by';
COMMENT ON COLUMN reference_rules.rules_hash IS 'SHA-256: where it differs, all items are read again'
"""

ISOLATION = """
ALTER TABLE {table} ENABLE ROW LEVEL SECURITY;
CREATE POLICY one_tenant ON {table} TO tenant_inventory_worker
    USING (tenant_id = current_tenant()) WITH CHECK (tenant_id = current_tenant());
CREATE POLICY all_tenants ON {table} FOR SELECT TO tenant_inventory_portfolio USING (true);
GRANT SELECT ON {table} TO tenant_inventory_portfolio;
GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO tenant_inventory_worker
"""


def upgrade() -> None:
    for table in (REFERENCES, UNREAD, RULES):
        execute(table)
    for name in ("item_reference", "unread_item", "reference_rules"):
        execute(ISOLATION.format(table=name))
