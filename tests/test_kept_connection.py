"""The connection that tests reuse."""

import asyncio
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from sqlalchemy import text

from storage.database import Database
from tests.kept_connection import KeptConnection, KeptForCommands

_SEEN = text(
    "SELECT current_setting('work_mem') AS setting, to_regclass('pg_temp.mine') AS temporary,"
    " (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()) AS locks"
)
_LEFT = ("SET work_mem = '3MB'", "CREATE TEMPORARY TABLE IF NOT EXISTS mine ()", "SELECT pg_try_advisory_lock(7)")


async def leave_something(kept: KeptConnection, times: int = 1) -> tuple[Any, ...]:
    """The session state that a test finds; it leaves its own. psycopg prepares a statement after five executions."""
    database = kept.database()
    async with database._engine.connect() as connection:
        for _ in range(times):
            found = tuple((await connection.execute(_SEEN)).one())
        for statement in _LEFT:
            await connection.execute(text(statement))
        await connection.commit()
    await database.close()
    return found


@pytest.fixture
def kept(reused_url: str) -> Iterator[KeptConnection]:
    kept = KeptConnection(reused_url)
    yield kept
    kept.close()


@pytest.mark.parametrize("is_ended", [False, True])
def test_a_test_finds_no_session_state_of_the_previous_test(
    reused_url: str, kept: KeptConnection, is_ended: bool
) -> None:
    first = asyncio.run(leave_something(kept))
    pid = kept.pid
    if is_ended:
        with psycopg.connect(reused_url) as connection:
            connection.execute("SELECT pg_terminate_backend(%s, 1200000)", (pid,))
    assert [asyncio.run(leave_something(kept, times)) for times in (1, 7, 7)] == [first] * 3
    assert (kept.pid == pid) is not is_ended


_PID = text("SELECT pg_backend_pid()")


async def pid_of(database: Database) -> int:
    async with database.no_tenant() as session:
        return int((await session.execute(_PID)).scalar_one())


def test_commands_reuse_engines_of_their_pool_size_but_share_none_at_once(reused_url: str) -> None:
    kept = KeptForCommands(reused_url)

    async def command(pool_size: int) -> int:
        async with kept(reused_url, pool_size=pool_size) as database:
            assert database.pool_size == pool_size
            return await pid_of(database)

    async def two_at_once() -> set[int]:
        async with kept(reused_url, pool_size=1) as first, kept(reused_url, pool_size=1) as second:
            return {await pid_of(first), await pid_of(second)}

    try:
        pid = asyncio.run(command(1))
        assert asyncio.run(command(1)) == pid
        assert asyncio.run(command(2)) != pid
        assert len(asyncio.run(two_at_once()) - {pid}) == 1
        assert len(kept.pids) == 3
    finally:
        kept.close()
