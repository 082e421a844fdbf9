"""What tests share: one PostgreSQL and one Temporal a process; a database, a task queue, a simulated Graph a test."""

import os
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import uuid4

import psycopg
import pytest
from hypothesis import HealthCheck, settings
from psycopg import sql

from local.postgres import EmbeddedPostgres
from local.simulated_graph import SimulatedGraph
from local.temporal import EmbeddedTemporal
from storage.database import Database
from storage.schema import upgrade
from tests.end_to_end.system import SEEDS, System
from tests.patience import PATIENCE_SECONDS

# A busy machine is slow at times; that is no fault of what is tested. `make slow` plays properties with more examples.
settings.register_profile("patient", deadline=None, max_examples=30, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("thorough", settings.get_profile("patient"), max_examples=100)
settings.load_profile("patient")

# A shell starts what runs in its background with Ctrl-C ignored, and every process of a test would inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Readline, which pytest loads, exports the size of a terminal that need not be there. Output that is never buffered
# hides a line that is not written until a program ends.
for name in ("COLUMNS", "LINES", "PYTHONUNBUFFERED"):
    os.environ.pop(name, None)

GRAPH_DATA = Path(__file__).resolve().parents[2] / "shared" / "graph-data"

needs_graph_data = pytest.mark.skipif(not GRAPH_DATA.is_dir(), reason="the folder of real Graph documents is not here")


@pytest.fixture(scope="session")
def postgres() -> Iterator[EmbeddedPostgres]:
    # Not under pytest's own folder: another pytest of the same user shuts that to PostgreSQL, which is not root.
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
"""A login that owns the database of `one_role_template` and may do nothing else."""


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
def used_again(postgres: EmbeddedPostgres, migrated_template: str) -> Iterator[str]:
    yield from copy_of(postgres, migrated_template)


@pytest.fixture
def database_url(used_again: str) -> Iterator[str]:
    """An inventory without a row. Its schema is not to be changed: the next test has it, too."""
    yield used_again
    empty(used_again)


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url)
    yield database
    await database.close()


def copy_of(postgres: EmbeddedPostgres, template: str, login: str | None = None) -> Iterator[str]:
    """The URL of a copy of a database, which is taken away afterwards; without a `login` the superuser's."""
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
    """Ends what still uses a database, and takes all rows away. Making another database takes four times as long."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            f"SELECT pg_terminate_backend(pid, {PATIENCE_SECONDS * 1000:.0f}) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
        )
        connection.execute("SET session_replication_role = replica")
        filled = connection.execute(
            "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
            " AND relname <> 'alembic_version' AND pg_relation_size(oid) > 0"
        )
        tables = [sql.Identifier(name) for (name,) in filled]
        for table in tables:
            connection.execute(sql.SQL("DELETE FROM {}").format(table))
        if tables:
            connection.execute(sql.SQL("VACUUM {}").format(sql.SQL(", ").join(tables)))


def url_of(postgres: EmbeddedPostgres, name: str, login: str | None = None) -> str:
    """The URL of a database of the server, for a login that `make_login` made or the superuser."""
    parts = psycopg.conninfo.conninfo_to_dict(postgres.url)
    user, password = (parts["user"], parts.get("password", "")) if login is None else (login, login)
    return f"postgresql://{user}:{password}@{parts['host']}:{parts['port']}/{name}"
