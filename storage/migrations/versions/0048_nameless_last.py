"""Items without a name stand behind those that have one, in the order of lists.

The triggers are made anew with their functions, so that no statement under way goes on with the ones before.
"""

from alembic import op
from sqlalchemy import text

from storage.migrations.operations import each_tenant, execute

revision = "0048"
down_revision = "0047"
branch_labels = None
depends_on = None

TRIGGERS = """
CREATE OR REPLACE FUNCTION keep_item_name() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO item_name (tenant_id, type_key, external_id, name_key)
    VALUES (NEW.tenant_id, NEW.type_key, NEW.external_id, coalesce(name_key(NEW.display_name), chr(1114111)))
    ON CONFLICT (tenant_id, type_key, external_id) DO UPDATE SET name_key = excluded.name_key;
    RETURN NULL;
END $$;
CREATE OR REPLACE FUNCTION keep_new_item_names() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO item_name (tenant_id, type_key, external_id, name_key)
    SELECT tenant_id, type_key, external_id, coalesce(name_key(display_name), chr(1114111)) FROM new_items
    ORDER BY tenant_id, type_key, external_id
    ON CONFLICT (tenant_id, type_key, external_id) DO UPDATE SET name_key = excluded.name_key;
    RETURN NULL;
END $$;
CREATE OR REPLACE TRIGGER name_added AFTER INSERT ON inventory_item REFERENCING NEW TABLE AS new_items
    FOR EACH STATEMENT EXECUTE FUNCTION keep_new_item_names();
CREATE OR REPLACE TRIGGER name_changed AFTER UPDATE ON inventory_item FOR EACH ROW
    WHEN (OLD.display_name IS DISTINCT FROM NEW.display_name) EXECUTE FUNCTION keep_item_name();
COMMENT ON COLUMN item_name.name_key IS 'the beginning of the name, in lower case; U+10FFFF without a name'
"""

MOVE = text("""
UPDATE item_name SET name_key = chr(1114111) WHERE tenant_id = current_tenant() AND name_key = ''
""")

BIND = text("SELECT set_config('app.tenant_id', :tenant_id, false)")


def upgrade() -> None:
    execute(TRIGGERS)
    tenants = list(each_tenant())
    with op.get_context().autocommit_block():  # a transaction for each tenant, so that its syncs wait for no other's
        connection = op.get_bind()
        for tenant_id in tenants:
            connection.execute(BIND, {"tenant_id": str(tenant_id)})
            connection.execute(MOVE)
        connection.execute(BIND, {"tenant_id": ""})
