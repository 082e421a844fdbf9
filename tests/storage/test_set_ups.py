"""Installation by each kind of login, with two roles or under the owner alone, and the texts of refusals."""

from collections.abc import Iterator
from typing import NamedTuple
from uuid import UUID, uuid4

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from local.postgres import EmbeddedPostgres
from storage.access import ALL_TENANTS, PORTFOLIO_ROLE, WORKER_ROLE
from storage.database import Database, StorageNotReadyError, StorageUnavailableError
from storage.roles import ROLES, script
from storage.schema import head, upgrade
from tests.conftest import make_login, url_of
from tests.storage.support import items, observation, sync
from tests.storage.test_live_migrations import LAST_RELEASE, stamp


class Server:
    """A server with logins and databases of this module's own."""

    def __init__(self, postgres: EmbeddedPostgres) -> None:
        self.postgres = postgres
        self.admin = psycopg.connect(postgres.url, autocommit=True)
        self._logins: list[str] = []

    def login(self, options: str = "") -> str:
        """A new login."""
        name = f"login_{uuid4().hex}"
        make_login(self.admin, name, options)
        self._logins.append(name)
        return name

    def database(self, owner: str) -> str:
        """A new empty database; its name is its owner's."""
        self.run(f"CREATE DATABASE {owner} OWNER {owner}")
        return url_of(self.postgres, owner, owner)

    def url(self, database: str, login: str | None) -> str:
        """The URL of a database for a login, or the superuser."""
        return url_of(self.postgres, database, login)

    def run(self, statement: str) -> None:
        """Executes a statement as the administrator."""
        self.admin.execute(statement.encode())

    def close(self) -> None:
        """Drops its databases and logins."""
        for name in self._logins:
            self.run(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        for name in self._logins:
            self.run(f"DROP OWNED BY {name} CASCADE")
            self.run(f"DROP ROLE {name}")
        self.admin.close()


@pytest.fixture(scope="module")
def server(postgres: EmbeddedPostgres, migrated_template: str) -> Iterator[Server]:
    server = Server(postgres)  # another of its databases has the two roles already
    yield server
    server.close()


class WithRoles(NamedTuple):
    """A database that an ordinary owner installed after an administrator had run the printed script."""

    owner: str
    worker: str
    url: str


@pytest.fixture(scope="module")
def with_roles(server: Server) -> WithRoles:
    owner, worker = server.login(), server.login()
    url = server.database(owner)
    for _ in range(2):
        server.run(script(owner, [worker]))
    assert upgrade(url) == (None, head(), ROLES)
    return WithRoles(owner, worker, url)


@pytest.fixture(scope="module")
def one_role(server: Server) -> tuple[str, str]:
    """An ordinary owner, and the URL of the database that it installed."""
    owner = server.login()
    url = server.database(owner)
    assert upgrade(url) == (None, head(), (owner,))
    return owner, url


async def isolates_tenants(url: str) -> bool:
    """Whether the database isolates two tenants, and the portfolio sees both."""
    mine, theirs = uuid4(), uuid4()
    async with Database(url) as database:
        for tenant_id in (mine, theirs):
            await sync(database, tenant_id, [observation("a", str(tenant_id))], "a")
        async with database.portfolio() as session:
            visible = set((await session.execute(text("SELECT tenant_id FROM inventory_item"))).scalars())
        return set(await items(database, mine)) == {str(mine)} and {mine, theirs} <= visible


async def refusal(url: str) -> str:
    """The error message of a command at this URL."""
    async with Database(url) as database:
        with pytest.raises(StorageNotReadyError) as refused:
            async with database.tenant(UUID(int=1)):
                pass
    return str(refused.value)


async def test_an_ordinary_owner_installs_and_works_under_one_role(one_role: tuple[str, str]) -> None:
    owner, url = one_role
    assert await isolates_tenants(url)
    assert upgrade(url) == (head(), head(), (owner,))


async def test_login_that_may_create_roles_works_under_two_roles(server: Server) -> None:
    owner = server.login("CREATEROLE")
    url = server.database(owner)
    # Another login made this server's roles, and only it may grant them.
    server.run(f"GRANT {WORKER_ROLE}, {PORTFOLIO_ROLE} TO {owner} WITH ADMIN TRUE, INHERIT FALSE, SET FALSE")
    assert upgrade(url).roles == ROLES
    assert await isolates_tenants(url)


async def test_printed_script_prepares_owner_and_worker_for_two_roles(server: Server, with_roles: WithRoles) -> None:
    owner, worker, url = with_roles
    assert await isolates_tenants(url)
    assert await isolates_tenants(server.url(owner, worker))
    with pytest.raises(StorageNotReadyError, match=f"GRANT {owner} TO {worker}") as refused:
        upgrade(server.url(owner, worker))
    assert f"the tables belong to {owner}" in str(refused.value)


async def test_login_with_the_roles_reads_no_rows_by_hand(with_roles: WithRoles) -> None:
    assert await isolates_tenants(with_roles.url)
    with psycopg.connect(with_roles.url) as connection:
        assert connection.execute("SELECT count(*) FROM inventory_item").fetchone() == (0,)


async def test_a_database_with_roles_never_works_without_them(server: Server, with_roles: WithRoles) -> None:
    owner, _, url = with_roles
    needed = f"GRANT {PORTFOLIO_ROLE} TO {owner} WITH INHERIT FALSE"
    server.run(f"REVOKE {PORTFOLIO_ROLE} FROM {owner}")
    assert (await refusal(url)).endswith(f"run: {needed}")
    assert upgrade(url).roles == ROLES
    assert (await refusal(url)).endswith(f"run: {needed}")
    server.run(needed)
    assert await isolates_tenants(url)


async def test_another_login_works_under_one_role_once_it_is_granted(server: Server, one_role: tuple[str, str]) -> None:
    owner, other = one_role[0], server.login("NOINHERIT")
    assert (await refusal(server.url(owner, other))).endswith(f"run: GRANT {owner} TO {other}")
    server.run(f"GRANT {owner} TO {other}")
    assert await isolates_tenants(server.url(owner, other))


async def test_a_superuser_works_as_the_owner_whom_policies_bind(server: Server, one_role: tuple[str, str]) -> None:
    owner, _ = one_role
    assert await isolates_tenants(server.url(owner, None))
    assert upgrade(server.url(owner, None)).roles == (owner,)


@pytest.mark.parametrize(
    ("revoked", "statement"),
    [
        ("CREATE ON DATABASE {database} FROM {login}", "GRANT CREATE ON DATABASE {database} TO {login}"),
        ("CREATE ON SCHEMA public FROM {login}", "GRANT CREATE, USAGE ON SCHEMA public TO {login}"),
    ],
)
def test_refusal_names_the_missing_grant(server: Server, revoked: str, statement: str) -> None:
    database, login = server.login(), server.login()
    server.database(database)
    url = server.url(database, login)
    with psycopg.connect(server.url(database, database), autocommit=True) as connection:
        connection.execute(f"GRANT CREATE ON DATABASE {database} TO {login}".encode())
        connection.execute(f"GRANT CREATE ON SCHEMA public TO {login}".encode())
        connection.execute(f"REVOKE {revoked.format(database=database, login=login)}".encode())
        with pytest.raises(StorageNotReadyError) as refused:
            upgrade(url)
        needed = statement.format(database=database, login=login)
        assert str(refused.value).endswith(f"run: {needed}")
        connection.execute(needed.encode())
    assert upgrade(url).roles == (login,)


def test_upgrade_of_an_older_database_names_the_missing_grant(server: Server) -> None:
    owner = server.login()
    url = server.database(owner)
    upgrade(url)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"DROP SCHEMA {ALL_TENANTS}".encode())
    server.run(f"ALTER DATABASE {owner} OWNER TO postgres")
    with psycopg.connect(server.url(owner, None), autocommit=True) as admin:
        for needed in (f"CREATE ON DATABASE {owner} TO {owner}", f"CREATE, USAGE ON SCHEMA public TO {owner}"):
            with pytest.raises(StorageNotReadyError, match=f"run: GRANT {needed}$"):
                upgrade(url)
            admin.execute(f"GRANT {needed}".encode())
    stamp(url, LAST_RELEASE)
    assert upgrade(url) == (LAST_RELEASE, head(), (owner,))


async def test_owner_that_bypasses_policies_is_refused(server: Server) -> None:
    owner = server.login("BYPASSRLS")
    url = server.database(owner)
    with pytest.raises(StorageNotReadyError, match=f"ALTER ROLE {owner} NOSUPERUSER NOBYPASSRLS"):
        upgrade(url)
    server.run(f"ALTER ROLE {owner} NOBYPASSRLS")
    upgrade(url)
    server.run(f"ALTER ROLE {owner} BYPASSRLS")
    assert f"ALTER ROLE {owner} NOSUPERUSER NOBYPASSRLS" in await refusal(url)


def test_workers_login_is_a_member_of_the_two_roles_only(server: Server, with_roles: WithRoles) -> None:
    """By PostgreSQL's catalog, so a new table, view or function is found too."""
    owner, worker, _ = with_roles
    with psycopg.connect(server.url(owner, worker), autocommit=True) as session:

        def found(query: str) -> list[str]:
            return sorted(str(name) for (name,) in session.execute(query.encode()))

        assert found(
            "SELECT roleid::regrole FROM pg_auth_members WHERE member = session_user::regrole"
            " AND NOT inherit_option AND NOT admin_option"
        ) == sorted(ROLES)
        assert found("SELECT roleid FROM pg_auth_members WHERE member = session_user::regrole") == found(
            "SELECT oid FROM pg_roles WHERE rolname IN ('tenant_inventory_worker', 'tenant_inventory_portfolio')"
        )
        powers = "rolsuper OR rolcreaterole OR rolcreatedb OR rolreplication OR rolbypassrls"
        roles = "session_user, 'tenant_inventory_worker', 'tenant_inventory_portfolio'"
        assert found(f"SELECT rolname FROM pg_roles WHERE rolname IN ({roles}) AND ({powers})") == []
        owned = f"SELECT count(*) FROM pg_shdepend WHERE deptype = 'o' AND refobjid IN ({roles})"
        owned = owned.replace("session_user", "session_user::regrole").replace("',", "'::regrole,")
        assert found(owned.replace("portfolio'", "portfolio'::regrole")) == ["0"]
        relations = (
            "FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'v', 'm', 'f', 'p', 'S')"
        )
        may = "has_table_privilege(oid, 'SELECT, INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER')"
        may += " OR has_any_column_privilege(oid, 'SELECT, INSERT, UPDATE, REFERENCES')"
        assert found(f"SELECT relname {relations} AND ({may})") == ["alembic_version"]
        functions = "FROM pg_proc WHERE pronamespace = 'public'::regnamespace AND prosecdef"
        assert len(found(f"SELECT proname {functions}")) == 3
        assert found(f"SELECT proname {functions} AND has_function_privilege(oid, 'EXECUTE')") == []
        assert found("SELECT has_schema_privilege('public', 'CREATE')") == ["False"]
        assert found("SELECT has_database_privilege(current_database(), 'CREATE')") == ["False"]


async def test_reset_role_gives_a_workers_login_no_privilege(server: Server, with_roles: WithRoles) -> None:
    owner, worker, _ = with_roles
    async with Database(server.url(owner, worker)) as database:
        assert await database.excess() == []
        for statement in (
            "SELECT FROM inventory_item",
            "SELECT * FROM slot_turn(gen_random_uuid(), 1, 1)",
            "CREATE TABLE mine (n int)",
            "TRUNCATE item_version",
            f"SET ROLE {owner}",
            "ALTER TABLE tenant NO FORCE ROW LEVEL SECURITY",
        ):
            with pytest.raises((StorageUnavailableError, DBAPIError), match=r"permission denied|must be owner"):
                async with database.tenant(uuid4()) as session:
                    await session.execute(text("RESET ROLE"))
                    await session.execute(text(statement))
        with pytest.raises((StorageUnavailableError, DBAPIError), match="permission denied"):
            async with database.tenant(uuid4()) as session:
                await session.execute(text("CREATE TEMP TABLE guarded (LIKE item_version)"))
                await session.execute(
                    text(
                        "CREATE TRIGGER borrowed BEFORE DELETE ON guarded"
                        " FOR EACH ROW EXECUTE FUNCTION refuse_loss_of_version()"
                    )
                )


@pytest.mark.parametrize(
    ("grants", "expected"),
    [
        (["GRANT {owner} TO {login}"], ["may act as the owner of the tables"]),
        (["ALTER ROLE {login} CREATEROLE"], ["may create roles"]),
        (["GRANT pg_read_all_data TO {login}"], ["is a member of pg_read_all_data"]),
        ([f"GRANT {PORTFOLIO_ROLE} TO {{login}} WITH INHERIT TRUE"], ["inherits the two roles"]),
        (["ALTER ROLE {login} SUPERUSER"], ["is a superuser"]),
    ],
)
async def test_excess_privileges_of_a_login_are_reported(
    server: Server, with_roles: WithRoles, grants: list[str], expected: list[str]
) -> None:
    login = server.login()
    server.run(script(with_roles.owner, [login]))
    for grant in grants:
        server.run(grant.format(owner=with_roles.owner, login=login))
    async with Database(server.url(with_roles.owner, login)) as database:
        assert await database.excess() == expected


async def test_owner_under_one_role_has_no_excess_privileges(one_role: tuple[str, str]) -> None:
    async with Database(one_role[1]) as database:
        assert await database.excess() == []
