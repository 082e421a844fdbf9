"""Large answers, read some rows at a time."""

import asyncio
import gc
from uuid import uuid4

import psycopg
import pytest
from sqlalchemy import text

from storage import queries
from storage.database import Database, StorageUnavailableError
from storage.streams import opened_stream
from tests.deadlines import DEADLINE_SECONDS, until_async
from tests.storage.support import observation, sync

TENANT = uuid4()


async def test_lost_connection_leaves_no_cursor_open(database: Database, database_url: str) -> None:
    await sync(database, TENANT, [observation("a", str(number)) for number in range(2500)], "a")
    read = 0
    with pytest.raises(StorageUnavailableError):
        async with database.tenant(TENANT, read_only=True) as session:
            async for _ in queries.items(session, None):
                read += 1
                if read == 10:
                    _lose_connections(database_url)
    assert 10 <= read < 2500
    # A cursor that is still open warns when it is collected, and a warning fails the test.
    gc.collect()


# psycopg counts a cursor that it could not close as open.
@pytest.mark.filterwarnings("ignore:.*ServerCursor.*:pytest.PytestUnraisableExceptionWarning")
async def test_cursor_of_a_lost_connection_logs_nothing(
    database: Database, database_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    rows = text("SELECT n FROM generate_series(1, 30) AS n")
    with pytest.raises(StorageUnavailableError):
        async with (
            database.tenant(TENANT, read_only=True) as session,
            opened_stream(session, rows, {}, 10) as stream,
        ):
            await anext(stream)
            _lose_connections(database_url)
            raise psycopg.OperationalError
    del session, stream
    gc.collect()
    assert caplog.records == []


async def test_cancelled_wait_for_rows_leaves_no_cursor_open(database: Database, database_url: str) -> None:
    assert 0 < await _rows_until_cancelled(database, database_url) <= 25
    gc.collect()


async def _rows_until_cancelled(database: Database, database_url: str) -> int:
    """A function of its own, so that no reference to the task remains."""
    slow = text("SELECT pg_sleep(CASE WHEN n > 25 THEN 86400 ELSE 0 END) FROM generate_series(1, 30) AS n")
    rows = 0

    async def read() -> None:
        nonlocal rows
        async with (
            database.tenant(TENANT, read_only=True) as session,
            opened_stream(session, slow, {}, 10) as stream,
        ):
            async for _ in stream:
                rows += 1

    reading = asyncio.create_task(read())
    await _until_it_sleeps(database_url)
    reading.cancel()
    await asyncio.wait([reading])
    assert reading.cancelled()
    return rows


async def _until_it_sleeps(database_url: str) -> None:
    sleeping = "SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep'"
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as onlooker:

        async def sleeps() -> bool:
            return await (await onlooker.execute(sleeping)).fetchone() is not None

        await until_async(sleeps)


def _lose_connections(database_url: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(
            f"SELECT pg_terminate_backend(pid, {DEADLINE_SECONDS * 1000:.0f}) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
        )
