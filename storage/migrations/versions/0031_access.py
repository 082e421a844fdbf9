"""Which tenants a person sees on the web page: rules, the people they are about, and policies that hold them.

It takes one table's lock at a time, beside running workers, and may run again from its start.
"""

from alembic import op

from storage.access import VISIBLE_TENANTS
from storage.migrations.operations import bind_to_visible_tenants, execute, isolation

revision = "0031"
down_revision = "0030"
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE IF NOT EXISTS web_person (
    person_id text PRIMARY KEY,
    name text NOT NULL,
    role text NOT NULL,
    signed_in_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT role_known CHECK (role IN ('reader', 'operator', 'approver', 'admin'))
);
CREATE TABLE IF NOT EXISTS access_rule (
    access_rule_id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    person_id text,
    role text,
    tenant_id uuid,
    tag text,
    is_excluded boolean NOT NULL,
    set_by text NOT NULL,
    set_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    reason text,
    CONSTRAINT person_or_role CHECK ((person_id IS NULL) <> (role IS NULL)),
    CONSTRAINT role_known CHECK (role IN ('reader', 'operator', 'approver', 'admin')),
    CONSTRAINT tenant_or_tag CHECK (tenant_id IS NULL OR tag IS NULL)
);
CREATE UNIQUE INDEX IF NOT EXISTS access_rule_once ON access_rule (person_id, role, tenant_id, tag) NULLS NOT DISTINCT;
COMMENT ON TABLE web_person IS 'who has signed in on the web page, as of the last time';
COMMENT ON COLUMN web_person.person_id IS 'of the directory that the person signed in with';
COMMENT ON TABLE access_rule IS 'which tenants a person, or everybody of a role, sees on the web page';
COMMENT ON COLUMN access_rule.tenant_id IS 'the rule is about all tenants where this and the tag are null';
COMMENT ON COLUMN access_rule.is_excluded IS 'whether these tenants are kept from them; that wins over every other rule'
"""

# IMMUTABLE, so that the planner puts its answer in its place; a change of the search_path makes PostgreSQL plan anew.
# The list is no part of the plan, which outlives the person: it is read once in each statement.
SWITCH = f"""
DO $$ BEGIN
    IF to_regnamespace('{VISIBLE_TENANTS}') IS NULL THEN
        CREATE SCHEMA {VISIBLE_TENANTS};
        COMMENT ON SCHEMA {VISIBLE_TENANTS} IS
            'empty: a transaction with it in its search_path reads the rows of tenants in app.visible_tenants alone';
        GRANT USAGE ON SCHEMA {VISIBLE_TENANTS} TO PUBLIC;
    END IF;
END $$;
CREATE OR REPLACE FUNCTION reads_visible_tenants() RETURNS boolean LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
BEGIN
    RETURN '{VISIBLE_TENANTS}' = ANY (current_schemas(false));
END $$;
CREATE OR REPLACE FUNCTION visible_tenants() RETURNS uuid[] LANGUAGE sql STABLE PARALLEL SAFE
    RETURN string_to_array(current_setting('app.visible_tenants', true), ',')::uuid[]
"""

ACROSS_TENANTS = """
SELECT tablename FROM pg_policies WHERE schemaname = current_schema() AND policyname = 'across_tenants'
ORDER BY tablename
"""

PRIVILEGES = {"web_person": "SELECT, INSERT, UPDATE", "access_rule": "SELECT, INSERT, UPDATE, DELETE"}


def upgrade() -> None:
    with op.get_context().autocommit_block():
        execute(TABLES)
        execute(SWITCH)
        for table, privileges in PRIVILEGES.items():
            execute(f"{isolation(table)} GRANT {privileges} ON {table} TO tenant_inventory_worker")
        for table in op.get_bind().exec_driver_sql(ACROSS_TENANTS).scalars().all():
            execute(bind_to_visible_tenants(table))
