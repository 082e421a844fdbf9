"""Messages for PostgreSQL's errors, raised by a real server if it can raise them, else made from their SQLSTATE."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg import errors as psycopg_errors
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from temporalio.exceptions import ApplicationError

from activities import failures
from inventory.error_codes import ErrorCode
from local.postgres import EmbeddedPostgres
from storage.database import (
    Database,
    StorageCollisionError,
    StorageNotReadyError,
    StorageServerError,
    StorageUnavailableError,
)
from storage.errors import classified
from tests.conftest import OWNER, copy_of, make_login, url_of

TENANT = UUID(int=1)
ADD = text("INSERT INTO tenant (name) VALUES ('Contoso')")
RENAME = text("UPDATE tenant SET name = name || '!'")


@pytest.mark.parametrize(
    ("sqlstate", "words"),
    [
        ("08006", "the connection to PostgreSQL broke (SQLSTATE 08006)"),
        ("25006", "PostgreSQL is read-only"),
        ("25P03", "this process was idle"),
        ("25P04", "took longer than its transaction_timeout"),
        ("28000", "refused the user"),
        ("28P01", "refused the user or password"),
        ("3D000", "does not exist"),
        ("40001", "collided"),
        ("40003", "a transaction was rolled back (SQLSTATE 40003)"),
        ("40P01", "deadlocked"),
        ("53000", "lacks resources (SQLSTATE 53000)"),
        ("53100", "disk is full; free space on its server"),
        ("53200", "out of memory"),
        ("53300", "too many connections"),
        ("55P03", "a lock was not free in time"),
        ("57P01", "shutting down"),
        ("57P02", "recovering from a crash"),
        ("57P03", "starting up"),
        ("57P04", "was dropped"),
        ("58030", "cannot read or write its files"),
    ],
)
def test_message_explains_each_sqlstate(sqlstate: str, words: str) -> None:
    try:
        error: psycopg.Error = psycopg_errors.lookup(sqlstate)("localised words")
    except KeyError:
        error = psycopg.OperationalError("localised words")
        error.sqlstate = sqlstate
    for raised in (error, DBAPIError("SELECT 1", None, error)):
        known = classified(raised)
        assert isinstance(known, StorageUnavailableError)
        assert words in str(known)
        assert "cannot be reached" not in str(known)
        assert isinstance(known, StorageCollisionError) is sqlstate.startswith("40")
        assert isinstance(known, StorageServerError) is (sqlstate in ("25006", "53100"))


@pytest.mark.parametrize("sqlstate", ["22012", "23505", "42601", "XX000"])
def test_unclassified_errors_keep_their_exception(sqlstate: str) -> None:
    assert classified(psycopg_errors.lookup(sqlstate)("words")) is None


@contextmanager
def other_login(postgres: EmbeddedPostgres, options: str = "") -> Iterator[str]:
    name = f"login_{uuid4().hex}"
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        make_login(connection, name, options)
        yield name
        connection.execute(f"DROP ROLE {name}".encode())


async def error_message(url: str) -> str:
    """The error message of a transaction at this URL."""
    async with Database(url) as database:
        with pytest.raises(StorageUnavailableError) as refused:
            async with database.tenant(TENANT):
                pass
    return str(refused.value)


async def test_failed_connections_are_explained(postgres: EmbeddedPostgres) -> None:
    address = postgres.url.rpartition("@")[2].rpartition("/")[0]
    for url, words in (
        (
            f"postgresql://postgres:hunter2@{address}/postgres",
            "PostgreSQL refused the user or password of DATABASE_URL",
        ),
        (postgres.database_url("nowhere"), "the database named in DATABASE_URL does not exist"),
        ("postgresql://me:hunter2@no-such-host.invalid/db", "its name does not resolve"),
        ("postgresql://me:hunter2@127.0.0.1:1/db", "DATABASE_URL; start PostgreSQL, or correct DATABASE_URL"),
        (f"{postgres.url}?sslmode=require", "does not offer the TLS"),
    ):
        message = await error_message(url)
        assert words in message
        assert "hunter2" not in message
    with other_login(postgres, "CONNECTION LIMIT 0") as crowded:
        assert "too many connections" in await error_message(url_of(postgres, "postgres", crowded))
    with other_login(postgres) as nobody, psycopg.connect(postgres.url, autocommit=True) as admin:
        admin.execute(f"ALTER ROLE {nobody} NOLOGIN".encode())
        assert f'role "{nobody}" is not permitted to log in' in await error_message(
            url_of(postgres, "postgres", nobody)
        )


async def test_statement_timeout_is_explained(database: Database) -> None:
    with pytest.raises(StorageUnavailableError, match="a statement took longer than 300 s and was ended"):
        async with database.tenant(TENANT) as session:
            await session.execute(text("SET LOCAL statement_timeout = 1"))
            await session.execute(text("SELECT pg_sleep(600)"))


async def test_cancelled_statement_is_explained(database: Database, database_url: str) -> None:
    with pytest.raises(StorageUnavailableError, match="an administrator ended a statement"):
        async with database.tenant(TENANT) as session:
            pid = (await session.execute(text("SELECT pg_backend_pid()"))).scalar_one()
            waiting = asyncio.create_task(session.execute(text("SELECT pg_sleep(600)")))
            with psycopg.connect(database_url, autocommit=True) as other:
                is_asleep = "SELECT wait_event = 'PgSleep' FROM pg_stat_activity WHERE pid = %s"
                while other.execute(is_asleep, [pid]).fetchone() != (True,):  # noqa: ASYNC110 - PostgreSQL has no event
                    await asyncio.sleep(0.01)
                other.execute("SELECT pg_cancel_backend(%s)", [pid])
            await waiting


async def test_terminated_backend_is_explained(database: Database, database_url: str) -> None:
    with pytest.raises(StorageUnavailableError, match="an administrator ended the connection"):
        async with database.tenant(TENANT) as session:
            pid = (await session.execute(text("SELECT pg_backend_pid()"))).scalar_one()
            with psycopg.connect(database_url, autocommit=True) as other:
                other.execute("SELECT pg_terminate_backend(%s)", [pid])
            await session.execute(text("SELECT 1"))


async def test_activities_retry_lock_timeouts_and_collisions(database: Database) -> None:
    async with database.tenant(TENANT) as session:
        await session.execute(ADD)
    with pytest.raises(ApplicationError) as locked:
        async with failures.classified(), database.tenant(TENANT) as holder:
            await holder.execute(RENAME)
            async with database.tenant(TENANT) as session:
                await session.execute(text("SET LOCAL lock_timeout = 1"))
                await session.execute(RENAME)
    with pytest.raises(ApplicationError) as collided:
        async with failures.classified(), database.tenant(TENANT, snapshot=True) as session:
            await session.execute(text("SELECT FROM tenant"))
            async with database.tenant(TENANT) as other:
                await other.execute(RENAME)
            await session.execute(RENAME)
    for raised, words in ((locked, "a lock was not free in time"), (collided, "collided")):
        assert words in raised.value.message
        assert (raised.value.type, raised.value.non_retryable) == (ErrorCode.STORAGE_UNAVAILABLE, False)


async def test_a_deadlock_is_a_collision(database: Database) -> None:
    tenants = (UUID(int=1), UUID(int=2))
    for tenant_id in tenants:
        async with database.tenant(tenant_id) as session:
            await session.execute(ADD)
    meeting = asyncio.Barrier(2)

    async def lock(first: int, then: int) -> None:
        async with database.tenant(TENANT) as session:
            await session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": first})
            await meeting.wait()
            await session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": then})

    errors = await asyncio.gather(lock(1, 2), lock(2, 1), return_exceptions=True)
    assert [type(error) for error in errors if error is not None] == [StorageCollisionError]


async def test_missing_privilege_is_named(postgres: EmbeddedPostgres, one_role_template: str) -> None:
    for url in copy_of(postgres, one_role_template, OWNER):
        async with Database(url) as database:
            with psycopg.connect(url, autocommit=True) as owner:
                owner.execute(f"REVOKE SELECT ON sync_run FROM {OWNER}".encode())
            with pytest.raises(StorageUnavailableError, match="permission denied for table sync_run"):
                async with database.tenant(TENANT, read_only=True) as session:
                    await session.execute(text("SELECT FROM sync_run"))


async def test_read_only_server_is_explained(postgres: EmbeddedPostgres, one_role_template: str) -> None:
    for url in copy_of(postgres, one_role_template, OWNER):
        with psycopg.connect(postgres.url, autocommit=True) as admin:
            admin.execute(f"ALTER DATABASE {url.rpartition('/')[2]} SET default_transaction_read_only = on".encode())
        async with Database(url) as database:
            async with database.tenant(TENANT, read_only=True) as session:
                assert (await session.execute(text("SELECT count(*) FROM tenant"))).scalar_one() == 0
            with pytest.raises(StorageUnavailableError, match="PostgreSQL is read-only"):
                async with database.tenant(TENANT) as session:
                    await session.execute(ADD)


async def test_write_in_our_read_only_transaction_keeps_its_exception(database: Database) -> None:
    with pytest.raises(DBAPIError, match="read-only transaction"):
        async with database.tenant(TENANT, read_only=True) as session:
            await session.execute(ADD)


async def test_exhausted_pool_is_explained(database_url: str) -> None:
    async with Database(database_url, pool_size=1, pool_timeout=0.1) as database:
        with pytest.raises(StorageUnavailableError, match=r"was in use for .* raise WORKER_DATABASE_CONNECTIONS"):
            async with database.tenant(TENANT), database.tenant(TENANT):
                pass


async def test_missing_tables_are_explained(empty_database_url: str) -> None:
    async with Database(empty_database_url) as database:
        words = r"^the database has no tables of this product yet; run: python starter\.py database upgrade$"
        with pytest.raises(StorageNotReadyError, match=words):
            async with database.tenant(TENANT):
                pass


async def test_unknown_column_message_names_the_upgrade_command(database: Database) -> None:
    words = r'\(column "of_another_release" does not exist\); run: python starter\.py database upgrade, and replace'
    with pytest.raises(StorageNotReadyError, match=words):
        async with database.tenant(TENANT) as session:
            await session.execute(text("SELECT of_another_release FROM inventory_item"))
