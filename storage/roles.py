"""The two roles at installation, and an administrator's script that makes them.

A database keeps the set-up of its installation, even if the server gets other roles later.
"""

from collections.abc import Sequence
from typing import NamedTuple

from psycopg.sql import SQL, Composable, Identifier, Literal
from sqlalchemy import Connection, text
from sqlalchemy.exc import ProgrammingError

from storage.access import ALL_TENANTS, PORTFOLIO_ROLE, SETTABLE, WORKER_ROLE, unbound
from storage.errors import StorageNotReadyError

ROLES = (WORKER_ROLE, PORTFOLIO_ROLE)

# Another database of the server may be making them at this moment.
_MAKE = """
DO $$ BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{role}') THEN
        CREATE ROLE {role} NOLOGIN NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE;
    END IF;
EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
END $$
"""

# A login takes the roles on but does not inherit them, so that its own queries stay bound to one tenant. PostgreSQL 15
# has an option of the login for that, none of the grant.
_GRANT = """
DO $$ BEGIN
    EXECUTE {grant}
        || CASE WHEN current_setting('server_version_num')::int >= 160000 THEN ' WITH INHERIT FALSE' ELSE '' END;
END $$
"""

_INHERIT_NOTHING = """
DO $$ BEGIN
    IF current_setting('server_version_num')::int < 160000 THEN
        ALTER ROLE {login} NOINHERIT;
    END IF;
END $$
"""

_LOGIN_STATE = text(f"""
SELECT quote_ident(session_user) AS login, quote_ident(current_database()) AS database,
    quote_ident(current_schema()) AS schema,
    has_database_privilege(coalesce(owner.oid, me.oid), current_database(), 'CREATE')
        OR to_regnamespace('{ALL_TENANTS}') IS NOT NULL AS may_create_schemas,
    coalesce(
        has_schema_privilege(coalesce(owner.oid, me.oid), current_schema()::regnamespace, 'CREATE'), false
    ) AS may_create_tables,
    me.rolcreaterole OR me.rolsuper AS may_create_roles, me.rolsuper OR me.rolbypassrls AS is_unbound,
    quote_ident(owner.rolname) AS owner, owner.rolname AS owner_name,
    pg_has_role(session_user, owner.oid, {SETTABLE}) AS may_be_owner,
    EXISTS (
        SELECT FROM aclexplode(run.relacl) AS granted JOIN pg_roles AS r ON r.oid = granted.grantee
        WHERE r.rolname = '{WORKER_ROLE}'
    ) AS has_roles
FROM pg_roles AS me
    LEFT JOIN pg_class AS run ON run.oid = to_regclass('sync_run')
    LEFT JOIN pg_roles AS owner ON owner.oid = run.relowner
WHERE me.rolname = session_user
""")

_SETTABLE = text(f"""
SELECT rolname FROM pg_roles
WHERE rolname IN ('{WORKER_ROLE}', '{PORTFOLIO_ROLE}') AND pg_has_role(session_user, oid, {SETTABLE})
""")


class SetUp(NamedTuple):
    owner: str
    has_two_roles: bool

    def roles(self) -> Sequence[str]:
        return ROLES if self.has_two_roles else (self.owner,)


def settle(connection: Connection) -> SetUp:
    """Returns the roles of a database to be migrated; in an empty one, makes the two roles if the login may.

    The connection then works as the tables' owner. Raises `StorageNotReadyError`.
    """
    state = connection.execute(_LOGIN_STATE).one()
    if state.owner is not None and not state.may_be_owner:
        raise StorageNotReadyError(
            f"the tables belong to {state.owner}, and only their owner upgrades them: run this with {state.owner}"
            f" in DATABASE_URL, or have an administrator run: GRANT {state.owner} TO {state.login}"
        )
    owner = state.owner or state.login
    if not state.may_create_schemas:
        raise _lacks("CREATE", "DATABASE", state.database, owner)
    if state.schema is None or not state.may_create_tables:
        raise _lacks("CREATE, USAGE", "SCHEMA", state.schema or "public", owner)
    if state.owner is not None:
        connection.execute(text("SELECT set_config('role', :owner, false)"), {"owner": state.owner_name})
        set_up = SetUp(state.owner_name, state.has_roles)
    else:
        has_roles = _roles_to_take_on(connection, may_create=state.may_create_roles)
        if not has_roles and state.is_unbound:
            raise StorageNotReadyError(unbound(state.login))
        login = connection.execute(text("SELECT session_user")).scalar_one()
        set_up = SetUp(login, has_roles)
    connection.commit()
    return set_up


def _lacks(privilege: str, kind: str, name: str, login: str) -> StorageNotReadyError:
    return StorageNotReadyError(
        f"{login} lacks the privilege {privilege} on the {kind.lower()} {name};"
        f" have an administrator run: GRANT {privilege} ON {kind} {name} TO {login}"
    )


def _roles_to_take_on(connection: Connection, *, may_create: bool) -> bool:
    if may_create:
        for role in ROLES:
            connection.execute(text(_MAKE.format(role=role)))
    for role in set(ROLES) - set(connection.execute(_SETTABLE).scalars()):
        # A role's creator may grant it to itself, and so may a login with the role's admin option.
        try:
            with connection.begin_nested():
                connection.execute(text(_grant([role], SQL("CURRENT_USER"))))
        except ProgrammingError:
            return False
    return True


def script(owner: str, workers: Sequence[str] = ()) -> str:
    """SQL by which an administrator makes the two roles for these logins, once for each server."""
    statements = [_MAKE.format(role=role) for role in ROLES]
    statements.append(_grant(ROLES, SQL(", ").join(map(Identifier, [owner, *workers]))))
    # Not the owner: PostgreSQL 15 lets it create tables as it inherits pg_database_owner.
    statements += [_INHERIT_NOTHING.format(login=Identifier(worker).as_string()) for worker in workers]
    return "".join(f"{statement.strip()};\n" for statement in statements)


def _grant(roles: Sequence[str], logins: Composable) -> str:
    return _GRANT.format(grant=Literal(f"GRANT {', '.join(roles)} TO {logins.as_string()}").as_string())
