"""Shared fixtures: one PostgreSQL and one Temporal per process; a database, a task queue, a simulated Graph per test.

Processor time is scarce: continuous integration has two cores for all tests. Where the tests of a module start from
the same rows, fill them once: `pytestmark = pytest.mark.filled.with_args(fill)`.
"""

import asyncio
import gc
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from hypothesis import HealthCheck, settings
from psycopg import sql

from cli import sessions
from local.postgres import EmbeddedPostgres
from local.simulated_graph import SimulatedGraph
from local.temporal import EmbeddedTemporal
from storage.database import Database
from storage.schema import upgrade
from tests.deadlines import DEADLINE_SECONDS
from tests.end_to_end.system import SEEDS, System
from tests.kept_connection import KeptConnection, KeptForCommands

# A busy machine is slow at times, which is no defect of the product. `make slow` plays properties with more examples.
settings.register_profile("patient", deadline=None, max_examples=15, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("thorough", settings.get_profile("patient"), max_examples=100)
settings.load_profile("patient")

# A shell starts background jobs with Ctrl-C ignored, and every process of a test would inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Readline, which pytest loads, exports the size of a terminal that need not exist. Unbuffered output would hide a line
# that a program writes only when it ends.
for name in ("COLUMNS", "LINES", "PYTHONUNBUFFERED"):
    os.environ.pop(name, None)


def pytest_collection() -> None:
    """Imports and collects without the garbage collector, which finds no garbage and takes a third of the time."""
    gc.disable()


def pytest_collection_finish() -> None:
    """Collected tests live to the end: the garbage collector ignores them from now on."""
    gc.freeze()
    gc.enable()


GRAPH_DATA = Path(__file__).resolve().parents[2] / "shared" / "graph-data"

needs_graph_data = pytest.mark.skipif(not GRAPH_DATA.is_dir(), reason="the folder of real Graph documents is not here")


@pytest.fixture(scope="session")
def postgres() -> Iterator[EmbeddedPostgres]:
    # Not under pytest's own folder: another pytest of the same user closes that to PostgreSQL, which is not root.
    with TemporaryDirectory() as folder, EmbeddedPostgres(Path(folder) / "postgres", durable=False) as server:
        yield server


@pytest.fixture(scope="session")
def migrated_template(postgres: EmbeddedPostgres) -> str:
    name = "migrated"
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    upgrade(url_of(postgres, name))
    return name


OWNER = "ordinary_owner"
"""A login that owns the database of `one_role_template` and has no other right."""


@pytest.fixture(scope="session")
def one_role_template(postgres: EmbeddedPostgres, migrated_template: str) -> str:
    """A database that an ordinary owner installed, on a server that has the two roles of another database."""
    name = "one_role"
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        make_login(connection, OWNER)
        connection.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(sql.Identifier(name), sql.Identifier(OWNER)))
    upgrade(url_of(postgres, name, OWNER))
    return name


@pytest.fixture(scope="session")
def temporal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedTemporal]:
    with EmbeddedTemporal(tmp_path_factory.mktemp("temporal")) as server:
        yield server


@pytest.fixture
def graph() -> Iterator[SimulatedGraph]:
    with SimulatedGraph(tenants=2, seed=next(SEEDS)) as server:
        yield server


@pytest.fixture
def system(graph: SimulatedGraph, temporal: EmbeddedTemporal, database_url: str, tmp_path: Path) -> Iterator[System]:
    with System(graph, temporal, database_url, tmp_path) as system:
        yield system


@pytest.fixture
def empty_database_url(postgres: EmbeddedPostgres) -> Iterator[str]:
    yield from copy_of(postgres, "template1")


@pytest.fixture(scope="session")
def reused_url(postgres: EmbeddedPostgres, migrated_template: str) -> Iterator[str]:
    yield from copy_of(postgres, migrated_template)


@pytest.fixture(scope="session")
def kept_connection(reused_url: str) -> Iterator[KeptConnection]:
    kept = KeptConnection(reused_url)
    yield kept
    kept.close()


@pytest.fixture(scope="session")
def kept_for_commands(reused_url: str) -> Iterator[KeptForCommands]:
    kept = KeptForCommands(reused_url)
    yield kept
    kept.close()


Rows = dict[str, bytes]
"""Rows by table, as COPY writes them."""


class BetweenTests:
    """One database, emptied and filled between tests.

    It keeps its connection: a new one first reads the definitions of all tables, for 14 of 23 milliseconds.
    """

    def __init__(self, url: str, kept: KeptConnection, for_commands: KeptForCommands) -> None:
        self._url = url
        self._kept = kept
        self._for_commands = for_commands
        self._connection: psycopg.Connection | None = None

    def empty(self) -> None:
        """Ends other connections to the database, and deletes all rows."""
        kept = [pid for pid in (self._kept.pid, *self._for_commands.pids) if pid is not None]
        self._over(lambda connection: empty_over(connection, kept))

    def fill(self, rows: Rows) -> None:
        """Puts rows into the empty database."""
        self._over(lambda connection: put_back(connection, rows))

    def _over(self, act: Callable[[psycopg.Connection], None]) -> None:
        try:
            act(self._connected())
        except psycopg.OperationalError:  # A test has ended all connections.
            self.close()
            act(self._connected())

    def _connected(self) -> psycopg.Connection:
        if self._connection is None:
            self._connection = psycopg.connect(self._url, autocommit=True)
        return self._connection

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


@pytest.fixture(scope="session")
def between_tests(
    reused_url: str, kept_connection: KeptConnection, kept_for_commands: KeptForCommands
) -> Iterator[BetweenTests]:
    between = BetweenTests(reused_url, kept_connection, kept_for_commands)
    yield between
    between.close()


Fill = Callable[[Database], Awaitable[Any]]
"""Fills an inventory, and returns the facts about its rows that the tests need."""


class Fills:
    """The rows and the result of each fill function. Each is called once; later its rows are put back."""

    def __init__(self) -> None:
        self._filled: dict[Fill, tuple[Rows, Any]] = {}

    def put(self, fill: Fill, url: str, between: BetweenTests) -> Any:
        """Puts the rows of `fill` into an empty inventory, and returns its result."""
        if fill in self._filled:
            between.fill(self._filled[fill][0])
        else:
            returned = asyncio.run(filled_by(fill, url))
            self._filled[fill] = (rows_of(url), returned)
        return self._filled[fill][1]


async def filled_by(fill: Fill, url: str) -> Any:
    """Fills an inventory, and returns the result of `fill`. No connection stays open."""
    async with Database(url) as database:
        return await fill(database)


@pytest.fixture(scope="session")
def fills() -> Fills:
    return Fills()


@pytest.fixture
def database_url(
    request: pytest.FixtureRequest,
    reused_url: str,
    between_tests: BetweenTests,
    kept_for_commands: KeptForCommands,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[str]:
    """An empty inventory, or one with the rows of the mark `filled`.

    Tests must not change its schema: the next test uses it, too.
    """
    monkeypatch.setattr(sessions, "Database", kept_for_commands)
    if request.node.get_closest_marker("filled") is not None:
        request.getfixturevalue("filled")
    yield reused_url
    between_tests.empty()


@pytest.fixture
def filled(request: pytest.FixtureRequest, reused_url: str, between_tests: BetweenTests, fills: Fills) -> Any:
    """The result of the function in the mark `filled`."""
    (fill,) = request.node.get_closest_marker("filled").args
    return fills.put(fill, reused_url, between_tests)


@pytest.fixture
async def database(database_url: str, kept_connection: KeptConnection) -> AsyncIterator[Database]:
    database = kept_connection.database()
    yield database
    await database.close()


def copy_of(postgres: EmbeddedPostgres, template: str, login: str | None = None) -> Iterator[str]:
    """The URL, for `login` or else the superuser, of a copy of a database, which is dropped afterwards."""
    name = f"test_{uuid4().hex}"
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        connection.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {} OWNER {}").format(
                sql.Identifier(name), sql.Identifier(template), sql.Identifier(login or connection.info.user)
            )
        )
        yield url_of(postgres, name, login)
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def make_login(connection: psycopg.Connection, name: str, options: str = "") -> None:
    """A login whose password is its name."""
    connection.execute(
        sql.SQL("CREATE ROLE {} LOGIN PASSWORD {} {}").format(
            sql.Identifier(name),
            sql.Literal(name),
            sql.SQL(options),
        )
    )


def empty(url: str) -> None:
    """Ends other connections to a database, and deletes all rows. A new database would take four times as long."""
    with psycopg.connect(url, autocommit=True) as connection:
        empty_over(connection)


def empty_over(connection: psycopg.Connection, kept_pids: Sequence[int] = ()) -> None:
    """`empty`, over a connection that commits each statement; the backends `kept_pids` go on."""
    connection.execute(
        f"SELECT pg_terminate_backend(pid, {DEADLINE_SECONDS * 1000:.0f}) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid() AND pid <> ALL (%s::integer[])"
        " AND backend_type = 'client backend'",
        (list(kept_pids),),
    )
    connection.execute("SET session_replication_role = replica")
    tables = filled_tables(connection)
    for table in tables:
        connection.execute(sql.SQL("DELETE FROM {}").format(table))
    if tables:
        connection.execute(sql.SQL("VACUUM {}").format(sql.SQL(", ").join(tables)))


def rows_of(url: str) -> Rows:
    """All rows of an inventory."""
    with psycopg.connect(url) as connection, connection.cursor() as cursor:
        rows: Rows = {}
        for table in filled_tables(connection):
            with cursor.copy(sql.SQL("COPY {} TO STDOUT").format(table)) as copy:
                rows[table.as_string()] = b"".join(copy)
    assert rows, "tests of isolation need rows"
    return rows


def put_back(connection: psycopg.Connection, rows: Rows) -> None:
    """Writes all rows of another inventory into an empty one, past its triggers."""
    with connection.transaction(), connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = replica")
        for table, data in rows.items():
            with cursor.copy(f"COPY {table} FROM STDIN") as copy:
                copy.write(data)


def filled_tables(connection: psycopg.Connection) -> list[sql.Identifier]:
    """The tables that hold rows, or did before they were vacuumed."""
    found = connection.execute(
        "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
        " AND relname <> 'alembic_version' AND pg_relation_size(oid) > 0"
    )
    return [sql.Identifier(name) for (name,) in found]


def url_of(postgres: EmbeddedPostgres, name: str, login: str | None = None) -> str:
    """The URL of a database of the server, for a login that `make_login` made or the superuser."""
    parts = psycopg.conninfo.conninfo_to_dict(postgres.url)
    user, password = (parts["user"], parts.get("password", "")) if login is None else (login, login)
    return f"postgresql://{user}:{password}@{parts['host']}:{parts['port']}/{name}"
