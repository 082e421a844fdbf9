"""Operations of migrations beyond plain SQL.

Row-level security binds the tables' owner, too, so a migration that moves data uses `each_tenant`.
"""

import re
from collections.abc import Iterator
from uuid import UUID

from alembic import context, op
from sqlalchemy import text

from storage.access import ALL_TENANTS, PORTFOLIO_ROLE

_POLICY_OF_A_ROLE = re.compile(
    r"^CREATE POLICY\b[^;]*\bTO tenant_inventory_(?:worker|portfolio)\b[^;]*(?:;|\Z)", re.MULTILINE
)
_GRANT_TO_A_ROLE = re.compile(r"^GRANT\b[^;]*\bTO tenant_inventory_(?:worker|portfolio)\b[^;]*(?:;|\Z)", re.MULTILINE)
_ROLE = re.compile(r"\btenant_inventory_(?:worker|portfolio)\b")

ISOLATION = """
ALTER TABLE {table} ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
DROP POLICY IF EXISTS {policy} ON {table};
CREATE POLICY {policy} ON {table} USING ({condition}) WITH CHECK ({condition});
DROP POLICY IF EXISTS across_tenants ON {table};
CREATE POLICY across_tenants ON {table} FOR SELECT USING (reads_all_tenants());
"""

OF_NO_TENANT = frozenset({
    "access_rule", "audit_record", "configured_tenant", "sign_in_flow", "sign_in_link", "web_person", "web_session",
})  # fmt: skip
"""Tables of no tenant that a transaction over all tenants does not see."""

ISOLATION_OF_THE_WEB = """
ALTER TABLE {table} ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
DROP POLICY IF EXISTS no_tenant ON {table};
CREATE POLICY no_tenant ON {table} USING (current_tenant() IS NULL AND NOT reads_all_tenants())
    WITH CHECK (current_tenant() IS NULL AND NOT reads_all_tenants());
"""

TWO_ROLES = """
DROP POLICY IF EXISTS all_tenants ON {table};
CREATE POLICY all_tenants ON {table} FOR SELECT TO tenant_inventory_portfolio USING (true);
GRANT SELECT ON {table} TO tenant_inventory_portfolio;
GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO tenant_inventory_worker
"""

VISIBLE = """
DROP POLICY IF EXISTS visible_tenants ON {table};
CREATE POLICY visible_tenants ON {table} AS RESTRICTIVE FOR SELECT {role}
    USING (NOT reads_visible_tenants() OR {condition});
"""
"""Under two roles, only the portfolio's has this policy."""

IS_VISIBLE = "tenant_id = ANY ((SELECT visible_tenants())::uuid[])"

CHOSE_VISIBLE = """(
    NOT (chosen ->> 'everyone')::boolean AND chosen -> 'tags' = '[]'
    AND ARRAY(SELECT jsonb_array_elements_text(chosen -> 'tenant_ids'))::uuid[] <@ (SELECT visible_tenants())
)"""
"""A portfolio run names its tenants, so all of them must be visible."""


def has_two_roles() -> bool:
    """Whether the database works under the two roles, not under its owner alone."""
    return bool(context.config.attributes.get("has_two_roles", True))


def execute(sql: str) -> None:
    """Without the two roles, the owner gets their grants, and their policies are left out."""
    if not has_two_roles():
        sql = _POLICY_OF_A_ROLE.sub("", sql)
        sql = _GRANT_TO_A_ROLE.sub(lambda grant: _ROLE.sub("CURRENT_USER", grant[0]), sql)
    if sql.strip():
        op.execute(sql)


def isolation(table: str) -> str:
    """Statements that bind a table to the transaction's tenant, for every role. They may run again."""
    if table in OF_NO_TENANT:
        return ISOLATION_OF_THE_WEB.format(table=table)
    if table == "portfolio_run":
        return ISOLATION.format(table=table, policy="no_tenant", condition="current_tenant() IS NULL")
    return ISOLATION.format(table=table, policy="one_tenant", condition="tenant_id = current_tenant()")


def isolate(table: str) -> None:
    """Isolates a new table, and grants the roles their privileges. May run again."""
    execute(isolation(table) + TWO_ROLES.format(table=table))
    if op.get_bind().exec_driver_sql("SELECT to_regproc('reads_visible_tenants')").scalar_one() is not None:
        execute(bind_to_visible_tenants(table))


def bind_to_visible_tenants(table: str) -> str:
    """Statements that limit a transaction over some tenants to their rows. They may run again."""
    condition = CHOSE_VISIBLE if table == "portfolio_run" else IS_VISIBLE
    role = f"TO {PORTFOLIO_ROLE}" if has_two_roles() else ""
    return VISIBLE.format(table=table, role=role, condition=condition)


def each_tenant() -> Iterator[UUID]:
    """Binds the migration's transaction to one tenant after another.

    Statements still need `tenant_id = current_tenant()`: nothing binds a superuser.
    """
    connection = op.get_bind()
    path = connection.execute(text("SELECT current_setting('search_path')")).scalar_one()
    bind = text("SELECT set_config(:name, :value, true)")
    connection.execute(bind, {"name": "search_path", "value": f"{path}, {ALL_TENANTS}"})
    tenants = connection.execute(text("SELECT tenant_id FROM tenant ORDER BY tenant_id")).scalars().all()
    connection.execute(bind, {"name": "search_path", "value": path})
    for tenant_id in tenants:
        connection.execute(bind, {"name": "app.tenant_id", "value": str(tenant_id)})
        yield tenant_id
    connection.execute(bind, {"name": "app.tenant_id", "value": ""})


def create_index(name: str, definition: str, *, unique: bool = False) -> None:
    """Builds an index while syncs run; `definition` is the text after `ON`.

    Give an index its own migration, which can run again: this commits earlier statements, and a failed build leaves an
    invalid index behind. A build blocks nobody, so it waits for locks without a limit.
    """
    with op.get_context().autocommit_block():
        connection = op.get_bind()
        valid = text("SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass(:name)")
        is_valid = connection.execute(valid, {"name": name}).scalar_one_or_none()
        if is_valid:
            return
        timeout = connection.execute(text("SHOW lock_timeout")).scalar_one()
        op.execute("SET lock_timeout = 0")
        if is_valid is False:
            op.execute(f"DROP INDEX CONCURRENTLY {name}")
        op.execute(f"CREATE {'UNIQUE ' if unique else ''}INDEX CONCURRENTLY {name} ON {definition}")
        op.execute(f"SET lock_timeout = '{timeout}'")
