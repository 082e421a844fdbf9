"""All settings of an item are one text: a row for each took half of PostgreSQL's time for a new item.

The texts of items that are there are written tenant by tenant, so syncs wait for none of it. If pages are staged with
settings of the earlier form, all staged pages are lost, and read again; no release staged such pages.
"""

from alembic import op
from sqlalchemy import text

from storage.migrations.operations import each_tenant, execute, isolate

revision = "0047"
down_revision = "0046"
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE IF NOT EXISTS item_settings (
    tenant_id uuid NOT NULL DEFAULT current_tenant(),
    type_key text NOT NULL,
    external_id text NOT NULL,
    settings text COLLATE "C" NOT NULL,
    PRIMARY KEY (tenant_id, type_key, external_id)
) WITH (toast_tuple_target = 8160);
ALTER TABLE item_settings ALTER COLUMN settings SET STORAGE EXTERNAL;
COMMENT ON TABLE item_settings IS 'what the current versions of items set';
COMMENT ON COLUMN item_settings.settings IS
    'an entry for each setting and value, with separators: storage/settings.py';
CREATE TABLE IF NOT EXISTS collection_setting (
    tenant_id uuid NOT NULL DEFAULT current_tenant() REFERENCES tenant (tenant_id),
    type_key text NOT NULL,
    setting text COLLATE "C" NOT NULL
);
CREATE INDEX IF NOT EXISTS collection_setting_by_name ON collection_setting (setting);
CREATE INDEX IF NOT EXISTS collection_setting_of_collection ON collection_setting (tenant_id, type_key, setting);
COMMENT ON TABLE collection_setting IS 'which settings items of a collection set, or once did';
COMMENT ON COLUMN collection_setting.setting IS
    'the id of its definition, its OMA-URI, or the path of its property'
"""

STAGING = """
DO $$
DECLARE
    has_settings boolean := false;
BEGIN
    IF EXISTS (SELECT FROM pg_attribute WHERE attrelid = 'staged_item'::regclass AND attname = 'read_settings') THEN
        EXECUTE 'SELECT EXISTS (SELECT FROM staged_item WHERE read_settings IS NOT NULL)' INTO has_settings;
    END IF;
    IF has_settings THEN
        TRUNCATE staged_item;
    END IF;
END $$;
DROP VIEW IF EXISTS staged_observation;
ALTER TABLE staged_item DROP COLUMN IF EXISTS read_settings, ADD COLUMN IF NOT EXISTS settings text;
ALTER TABLE staged_item ALTER COLUMN settings SET STORAGE EXTERNAL, SET (toast_tuple_target = 8160);
COMMENT ON COLUMN staged_item.settings IS 'what it sets, as item_settings has it; null where it sets nothing';
CREATE VIEW staged_observation WITH (security_barrier) AS
    SELECT * FROM staged_item WHERE tenant_id = current_tenant();
GRANT SELECT, DELETE ON staged_observation TO tenant_inventory_worker;
GRANT INSERT (settings) ON staged_item TO tenant_inventory_worker
"""

# Separators in names and values, which nobody ever saw, are left out.
TAKE_OVER = (
    text("""
INSERT INTO item_settings (tenant_id, type_key, external_id, settings)
SELECT tenant_id, type_key, external_id, string_agg(
    E'\\x1e' || translate(setting, E'\\x1e\\x1f', '') || E'\\x1f'
        || coalesce(translate(value, E'\\x1e\\x1f', ''), E'\\x1f'), '' ORDER BY position
) || E'\\x1e'
FROM item_setting WHERE tenant_id = current_tenant()
GROUP BY tenant_id, type_key, external_id
ON CONFLICT DO NOTHING
"""),
    text("""
INSERT INTO collection_setting (tenant_id, type_key, setting)
SELECT DISTINCT tenant_id, type_key, translate(setting, E'\\x1e\\x1f', '') FROM item_setting
WHERE tenant_id = current_tenant()
EXCEPT SELECT tenant_id, type_key, setting FROM collection_setting WHERE tenant_id = current_tenant()
"""),
)

BIND = text("SELECT set_config('app.tenant_id', :tenant_id, false)")


def upgrade() -> None:
    execute(TABLES)
    for name in ("item_settings", "collection_setting"):
        isolate(name)
    is_left = op.get_bind().exec_driver_sql("SELECT to_regclass('item_setting')").scalar_one() is not None
    tenants = list(each_tenant()) if is_left else []
    with op.get_context().autocommit_block():  # a transaction for each tenant, so that its syncs wait for no other's
        connection = op.get_bind()
        for tenant_id in tenants:
            connection.execute(BIND, {"tenant_id": str(tenant_id)})
            for statement in TAKE_OVER:
                connection.execute(statement)
        connection.execute(BIND, {"tenant_id": ""})
    execute(STAGING)
    execute("DROP TABLE IF EXISTS item_setting")
