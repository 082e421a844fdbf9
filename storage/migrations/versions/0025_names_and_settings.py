"""What items are called and what they set, in tables of their own that questions over all tenants read.

Names follow their items by a trigger. Those that are there are taken over tenant by tenant, so syncs wait for none of
it; a name that comes meanwhile is the trigger's. Settings are read from documents by the runs that follow: the rules of
their collections are others than before (`reference_rules`).
"""

from alembic import op
from sqlalchemy import text

from inventory.name_key import FOLDED, LONGEST_KEY, UNFOLDED
from storage.migrations.operations import each_tenant, execute, isolate

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None

# Few names hold letters beyond ASCII, and each costs as much as a hundred others.
TABLES = f"""
CREATE OR REPLACE FUNCTION name_key(name text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT left(CASE
        WHEN octet_length(name) = length(name) THEN lower(name COLLATE "C")
        ELSE translate(lower(name COLLATE "C"), '{UNFOLDED}', '{FOLDED}')
    END, {LONGEST_KEY})
$$;
CREATE TABLE IF NOT EXISTS item_name (
    tenant_id uuid NOT NULL DEFAULT current_tenant(),
    type_key text NOT NULL,
    external_id text NOT NULL,
    name_key text COLLATE "C" NOT NULL,
    PRIMARY KEY (tenant_id, type_key, external_id) INCLUDE (name_key)
);
COMMENT ON TABLE item_name IS 'what items are called, kept by a trigger on the items';
COMMENT ON COLUMN item_name.name_key IS 'the beginning of the name, in lower case';
CREATE TABLE IF NOT EXISTS item_setting (
    tenant_id uuid NOT NULL DEFAULT current_tenant(),
    type_key text NOT NULL,
    external_id text NOT NULL,
    position integer NOT NULL,
    setting text COLLATE "C" NOT NULL,
    value text COLLATE "C",
    PRIMARY KEY (tenant_id, type_key, external_id, position)
);
CREATE INDEX IF NOT EXISTS item_setting_by_name ON item_setting (setting, value);
COMMENT ON TABLE item_setting IS 'what the current versions of items set';
COMMENT ON COLUMN item_setting.position IS 'its place among the settings of the item';
COMMENT ON COLUMN item_setting.setting IS 'the id of its definition, its OMA-URI, or the path of its property';
COMMENT ON COLUMN item_setting.value IS 'null where it is hidden, or too long to be searched for'
"""

# A worker of the release before reads by other rules, which a merge does not take.
STAGING = """
ALTER TABLE staged_item ADD COLUMN IF NOT EXISTS read_settings json;
COMMENT ON COLUMN staged_item.read_settings IS 'what it sets, pairs of a name and a value; null where it sets nothing';
CREATE OR REPLACE VIEW staged_observation WITH (security_barrier) AS
    SELECT * FROM staged_item WHERE tenant_id = current_tenant();
GRANT SELECT, DELETE ON staged_observation TO tenant_inventory_worker;
GRANT INSERT (read_settings) ON staged_item TO tenant_inventory_worker
"""

TRIGGERS = """
CREATE OR REPLACE FUNCTION keep_item_name() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.display_name IS NULL THEN
        DELETE FROM item_name WHERE (tenant_id, type_key, external_id) = (NEW.tenant_id, NEW.type_key, NEW.external_id);
    ELSE
        INSERT INTO item_name (tenant_id, type_key, external_id, name_key)
        VALUES (NEW.tenant_id, NEW.type_key, NEW.external_id, name_key(NEW.display_name))
        ON CONFLICT (tenant_id, type_key, external_id) DO UPDATE SET name_key = excluded.name_key;
    END IF;
    RETURN NULL;
END $$;
CREATE OR REPLACE TRIGGER name_added AFTER INSERT ON inventory_item FOR EACH ROW
    WHEN (NEW.display_name IS NOT NULL) EXECUTE FUNCTION keep_item_name();
CREATE OR REPLACE TRIGGER name_changed AFTER UPDATE ON inventory_item FOR EACH ROW
    WHEN (OLD.display_name IS DISTINCT FROM NEW.display_name) EXECUTE FUNCTION keep_item_name()
"""

TAKE_OVER = text("""
INSERT INTO item_name (tenant_id, type_key, external_id, name_key)
SELECT tenant_id, type_key, external_id, name_key(display_name) FROM inventory_item
WHERE tenant_id = current_tenant() AND display_name IS NOT NULL
ON CONFLICT DO NOTHING
""")


BIND = text("SELECT set_config('app.tenant_id', :tenant_id, false)")


def upgrade() -> None:
    execute(TABLES)
    for name in ("item_name", "item_setting"):
        isolate(name)
    execute(STAGING)
    execute(TRIGGERS)
    tenants = list(each_tenant())
    with op.get_context().autocommit_block():  # a transaction for each tenant, so that its syncs wait for no other's
        connection = op.get_bind()
        for tenant_id in tenants:
            connection.execute(BIND, {"tenant_id": str(tenant_id)})
            connection.execute(TAKE_OVER)
        connection.execute(BIND, {"tenant_id": ""})
