"""The roles that a login's transactions take on (docs/decisions/0003-two-roles.md), and whether the schema fits."""

from typing import Any, NamedTuple

from storage.errors import NO_TABLES, StorageNotReadyError

WORKER_ROLE = "tenant_inventory_worker"
PORTFOLIO_ROLE = "tenant_inventory_portfolio"

ALL_TENANTS = "tenant_inventory_all_tenants"
"""An empty schema: a transaction with it in its search_path reads all tenants. PostgreSQL replans prepared statements
when the path changes.
"""

VISIBLE_TENANTS = "tenant_inventory_visible_tenants"
"""Like `ALL_TENANTS`, for some tenants only. Any role may use it, since it only hides rows."""

REVISION = "0052"
"""The newest migration, repeated so that commands need not load Alembic."""

SETTABLE = "CASE WHEN current_setting('server_version_num')::int >= 160000 THEN 'SET' ELSE 'MEMBER' END"
"""The privilege to take a role on: PostgreSQL 15 knows no `SET`."""

PROBE_SQL = f"""
-- who owns the tables, and whether the two roles were given anything of them
WITH tables AS (
    SELECT relowner, EXISTS (
        SELECT FROM aclexplode(relacl) AS granted JOIN pg_roles AS r ON r.oid = granted.grantee
        WHERE r.rolname = '{WORKER_ROLE}'
    ) AS has_roles
    FROM pg_class WHERE oid = to_regclass('sync_run')
),
-- the roles that transactions take on here, and what the login and row-level security make of them
needed AS (
    SELECT r.rolname, r.rolsuper OR r.rolbypassrls AS is_unbound,
        pg_has_role(session_user, r.oid, {SETTABLE}) AS is_settable
    FROM tables JOIN pg_roles AS r ON
        CASE WHEN has_roles THEN r.rolname IN ('{WORKER_ROLE}', '{PORTFOLIO_ROLE}') ELSE r.oid = relowner END
)
SELECT has_roles, quote_ident(session_user) AS login,
    (SELECT max(version_num) FROM alembic_version) AS revision,
    ARRAY(SELECT quote_ident(rolname) FROM needed WHERE NOT is_settable ORDER BY rolname DESC) AS not_settable,
    CASE WHEN has_roles AND current_setting('server_version_num')::int >= 160000
        THEN ' WITH INHERIT FALSE' ELSE '' END AS grant_option,
    ARRAY(SELECT quote_ident(rolname) FROM needed WHERE is_unbound) AS unbound,
    (SELECT rolname FROM pg_roles WHERE oid = relowner) AS owner_name
FROM tables
"""
"""One row; none if there are no tables."""


EXCESS_SQL = f"""
SELECT array_remove(ARRAY[
    CASE WHEN me.rolsuper THEN 'is a superuser' END,
    CASE WHEN me.rolsuper THEN NULL WHEN pg_has_role(me.oid, run.relowner, 'MEMBER')
        THEN 'may act as the owner of the tables' END,
    CASE WHEN me.rolsuper THEN NULL WHEN me.rolbypassrls THEN 'bypasses row-level security' END,
    CASE WHEN me.rolsuper THEN NULL WHEN me.rolcreaterole THEN 'may create roles' END,
    -- Then each of its queries has both, not only a transaction that took one on.
    CASE WHEN NOT me.rolsuper AND EXISTS (
        SELECT FROM pg_roles AS r
        WHERE r.rolname IN ('{WORKER_ROLE}', '{PORTFOLIO_ROLE}') AND pg_has_role(me.oid, r.oid, 'USAGE')
    ) THEN 'inherits the two roles' END,
    (
        SELECT 'is a member of ' || string_agg(quote_ident(other.rolname), ', ' ORDER BY other.rolname)
        FROM pg_auth_members AS membership JOIN pg_roles AS other ON other.oid = membership.roleid
        WHERE membership.member = me.oid AND other.oid <> run.relowner
            AND other.rolname NOT IN ('{WORKER_ROLE}', '{PORTFOLIO_ROLE}')
    )
], NULL)
FROM pg_roles AS me JOIN pg_class AS run ON run.oid = to_regclass('sync_run')
WHERE me.rolname = session_user AND EXISTS (
    SELECT FROM aclexplode(run.relacl) AS granted JOIN pg_roles AS r ON r.oid = granted.grantee
    WHERE r.rolname = '{WORKER_ROLE}'
)
"""
"""The login's rights beyond the two roles, in words; no row with one role."""


class Access(NamedTuple):
    worker: str
    portfolio: str


def access(login: Any) -> Access:
    """The roles that transactions take on. `login` is the row of `PROBE_SQL`, if any. Raises `StorageNotReadyError`."""
    check_revision(login)
    if login.not_settable:
        raise StorageNotReadyError(
            f"the login of DATABASE_URL may not take on the roles of this database; have an administrator run:"
            f" GRANT {', '.join(login.not_settable)} TO {login.login}{login.grant_option}"
        )
    if login.unbound:
        raise StorageNotReadyError(unbound(login.unbound[0]))
    return Access(WORKER_ROLE, PORTFOLIO_ROLE) if login.has_roles else Access(login.owner_name, login.owner_name)


def check_revision(login: Any) -> None:
    """`login` is the row of `PROBE_SQL`, if any. Raises `StorageNotReadyError`."""
    if login is None or login.revision is None:
        raise StorageNotReadyError(NO_TABLES)
    if login.revision != REVISION:
        raise StorageNotReadyError(_other_revision(login.revision))


def unbound(role: str) -> str:
    return (
        f"row-level security does not bind the role {role}, so tenants would not be kept apart;"
        f" have an administrator run: ALTER ROLE {role} NOSUPERUSER NOBYPASSRLS"
    )


def _other_revision(revision: str) -> str:
    if revision < REVISION:
        return (
            f"the database is at revision {revision} and this program needs {REVISION};"
            " run: python starter.py database upgrade"
        )
    return (
        f"the database is at revision {revision} and this program knows only {REVISION};"
        " it is older than the database: update the program"
    )
