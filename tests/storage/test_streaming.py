"""Large answers, read some rows at a time."""

import gc
from uuid import uuid4

import psycopg
import pytest

from storage import queries
from storage.database import Database, StorageUnavailableError
from tests.storage.support import observation, sync

TENANT = uuid4()


async def test_a_connection_that_is_lost_on_the_way_leaves_no_cursor_open(
    database: Database, database_url: str
) -> None:
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


def _lose_connections(database_url: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
        )
