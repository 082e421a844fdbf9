"""Row-level security binds the owner of the tables, too, so that an ordinary owner can install and work without roles.

It takes one table's lock at a time, beside running workers, and may run again from its start.
"""

from alembic import op
from sqlalchemy import text

from storage.access import ALL_TENANTS
from storage.migrations.operations import execute, has_two_roles, isolation

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

# IMMUTABLE, so that the planner puts its answer in place of it and `tenant_id = current_tenant()` finds rows by index,
# as it could not beside an OR. A search_path is the one setting whose change makes PostgreSQL plan a statement anew.
SWITCH = f"""
DO $$ BEGIN
    IF to_regnamespace('{ALL_TENANTS}') IS NULL THEN
        CREATE SCHEMA {ALL_TENANTS};
        COMMENT ON SCHEMA {ALL_TENANTS} IS
            'empty: a transaction with it in its search_path reads the rows of all tenants';
    END IF;
END $$;
CREATE OR REPLACE FUNCTION reads_all_tenants() RETURNS boolean LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
BEGIN
    RETURN '{ALL_TENANTS}' = ANY (current_schemas(false));
END $$
"""

# These run as the owner, whom the policies bind from now on. They count, or protect, the rows of all tenants.
FUNCTIONS = f"""
ALTER FUNCTION slot_turn(uuid, bigint, bigint) SET search_path = pg_catalog, {ALL_TENANTS}, pg_temp;
ALTER FUNCTION refuse_loss_of_version() SET search_path = {{schema}}, {ALL_TENANTS}, pg_temp
"""

TABLES = """
SELECT quote_ident(relname) FROM pg_class
WHERE relnamespace = current_schema()::regnamespace AND relkind = 'r' AND relrowsecurity ORDER BY relname
"""

# With two roles the worker's may not fill in the tenant of a staged row either (docs/decisions/0001).
STAGED_BY_OWNER = """
SELECT format(
    'REVOKE INSERT, UPDATE ON staged_item FROM CURRENT_USER; GRANT INSERT (%s) ON staged_item TO CURRENT_USER',
    string_agg(quote_ident(attname), ', ' ORDER BY attnum)
)
FROM pg_attribute
WHERE attrelid = 'staged_item'::regclass AND attnum > 0 AND NOT attisdropped
    AND attname NOT IN ('tenant_id', 'staged_at')
"""


def upgrade() -> None:
    with op.get_context().autocommit_block():
        connection = op.get_bind()
        schema = connection.exec_driver_sql("SELECT quote_ident(current_schema())").scalar_one()
        execute(SWITCH)
        execute(FUNCTIONS.format(schema=schema))
        for table in connection.exec_driver_sql(TABLES).scalars().all():
            execute(isolation(table))
        if not has_two_roles():
            execute(connection.execute(text(STAGED_BY_OWNER)).scalar_one())
        execute("GRANT SELECT ON alembic_version TO PUBLIC")
