"""Tasks that share a small pool: none waits for a connection that no other can give back."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from uuid import uuid4

import pytest

from storage import connection_turns
from storage.connection_turns import SEVERAL, ConnectionTurns
from storage.database import Database, StorageUnavailableError
from tests.patience import PATIENCE_SECONDS


@pytest.fixture
async def small(database_url: str) -> AsyncIterator[Database]:
    """A pool in which one task may hold several connections, and one more task a single one."""
    database = Database(database_url, pool_size=SEVERAL + 1)
    database.turns = ConnectionTurns(database.pool_size)
    yield database
    await database.close()


async def hold(database: Database, connections: int) -> None:
    """Holds so many connections at the same moment."""
    async with AsyncExitStack() as stack:
        for _ in range(connections):
            await stack.enter_async_context(database.tenant(uuid4(), read_only=True))
            await asyncio.sleep(0)


async def hold_several(turns: ConnectionTurns, database: Database) -> None:
    async with turns.several():
        await hold(database, SEVERAL)


async def test_a_crowd_that_needs_several_connections_each_gets_them(small: Database) -> None:
    assert small.turns is not None
    crowd = [hold_several(small.turns, small) for _ in range(8)] + [hold(small, 1) for _ in range(8)]
    async with asyncio.timeout(PATIENCE_SECONDS):
        await asyncio.gather(*crowd)


async def test_a_task_holds_one_connection_and_no_more(small: Database) -> None:
    with pytest.raises(RuntimeError, match="holds 1 connections"):
        await hold(small, 2)
    await hold(small, 1)


async def test_a_task_holds_several_after_its_turn_and_no_more(small: Database) -> None:
    assert small.turns is not None
    async with small.turns.several():
        with pytest.raises(RuntimeError, match=f"holds {SEVERAL} connections"):
            await hold(small, SEVERAL + 1)
    await hold_several(small.turns, small)


async def test_tasks_that_a_task_starts_count_with_it(small: Database) -> None:
    async with small.no_tenant():
        with pytest.raises(RuntimeError, match="holds 1 connections"):
            await asyncio.create_task(hold(small, 1))


async def test_who_holds_a_connection_does_not_wait_for_several(small: Database) -> None:
    assert small.turns is not None
    async with small.no_tenant():
        with pytest.raises(RuntimeError, match="waits for its turn"):
            await hold_several(small.turns, small)


async def test_who_waits_too_long_for_a_turn_is_told_to_ask_again(
    small: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert small.turns is not None
    monkeypatch.setattr(connection_turns, "WAIT_SECONDS", 0)

    async def another(turns: ConnectionTurns) -> None:
        async with turns.several():
            raise AssertionError("the turn is taken")

    held = asyncio.Event()
    done = asyncio.Event()

    async def first(turns: ConnectionTurns) -> None:
        async with turns.several():
            held.set()
            await done.wait()

    holder = asyncio.create_task(first(small.turns))
    await held.wait()
    with pytest.raises(StorageUnavailableError, match="ask again"):
        await another(small.turns)
    done.set()
    await holder


async def test_who_waits_too_long_for_a_connection_is_told_to_ask_again(database_url: str) -> None:
    database = Database(database_url, pool_size=SEVERAL + 1, pool_timeout=0)
    database.turns = ConnectionTurns(database.pool_size)
    held, done = asyncio.Barrier(SEVERAL + 2), asyncio.Event()

    async def keep() -> None:
        async with database.no_tenant():
            await held.wait()
            await done.wait()

    keeping = [asyncio.create_task(keep()) for _ in range(SEVERAL + 1)]
    await held.wait()
    with pytest.raises(StorageUnavailableError, match="ask again"):
        await hold(database, 1)
    done.set()
    await asyncio.gather(*keeping)
    await database.close()


def test_a_pool_that_is_too_small_is_refused() -> None:
    with pytest.raises(ValueError, match=f"needs {SEVERAL + 1}"):
        ConnectionTurns(SEVERAL)
