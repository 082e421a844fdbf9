"""Tasks that share a small connection pool do not deadlock."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from uuid import uuid4

import pytest

from storage import connection_turns
from storage.connection_turns import SEVERAL, ConnectionTurns
from storage.database import Database, StorageUnavailableError
from tests.deadlines import DEADLINE_SECONDS


@pytest.fixture
async def small(database_url: str) -> AsyncIterator[Database]:
    """A pool for one task with several connections and another task with a single connection."""
    database = Database(database_url, pool_size=SEVERAL + 1)
    database.turns = ConnectionTurns(database.pool_size)
    yield database
    await database.close()


async def hold(database: Database, connections: int) -> None:
    """Holds this number of connections at once."""
    async with AsyncExitStack() as stack:
        for _ in range(connections):
            await stack.enter_async_context(database.tenant(uuid4(), read_only=True))
            await asyncio.sleep(0)


async def hold_several(turns: ConnectionTurns, database: Database) -> None:
    async with turns.several():
        await hold(database, SEVERAL)


async def test_many_tasks_that_need_several_connections_each_get_them(small: Database) -> None:
    assert small.turns is not None
    crowd = [hold_several(small.turns, small) for _ in range(8)] + [hold(small, 1) for _ in range(8)]
    async with asyncio.timeout(DEADLINE_SECONDS):
        await asyncio.gather(*crowd)


async def test_task_without_a_turn_is_refused_a_second_connection(small: Database) -> None:
    with pytest.raises(RuntimeError, match="holds 1 connections"):
        await hold(small, 2)
    await hold(small, 1)


async def test_task_with_a_turn_holds_several_connections_and_no_more(small: Database) -> None:
    assert small.turns is not None
    async with small.turns.several():
        with pytest.raises(RuntimeError, match=f"holds {SEVERAL} connections"):
            await hold(small, SEVERAL + 1)
    await hold_several(small.turns, small)


async def test_child_task_counts_towards_its_parents_limit(small: Database) -> None:
    async with small.no_tenant():
        with pytest.raises(RuntimeError, match="holds 1 connections"):
            await asyncio.create_task(hold(small, 1))


async def test_task_that_holds_a_connection_cannot_wait_for_a_turn(small: Database) -> None:
    assert small.turns is not None
    async with small.no_tenant():
        with pytest.raises(RuntimeError, match="waits for its turn"):
            await hold_several(small.turns, small)


async def test_too_long_a_wait_for_a_turn_raises_storage_unavailable(
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


@asynccontextmanager
async def all_held(database: Database) -> AsyncIterator[Callable[[], None]]:
    """Tasks hold every connection; the yielded function releases one of them."""
    held, done = asyncio.Barrier(SEVERAL + 2), asyncio.Semaphore(0)

    async def keep_turn() -> None:
        async with database.no_tenant():
            await held.wait()
            await done.acquire()

    keeping = [asyncio.create_task(keep_turn()) for _ in range(SEVERAL + 1)]
    await held.wait()
    yield done.release
    for _ in keeping:
        done.release()
    await asyncio.gather(*keeping)


async def test_too_long_a_wait_for_a_connection_raises_storage_unavailable(
    small: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with all_held(small):
        monkeypatch.setattr(connection_turns, "WAIT_SECONDS", 0)
        with pytest.raises(StorageUnavailableError, match="ask again"):
            await hold(small, 1)
        monkeypatch.undo()
    await asyncio.gather(*(hold(small, 1) for _ in range(SEVERAL + 1)))


async def test_earliest_task_gets_the_next_connection_even_if_it_had_some_before(small: Database) -> None:
    had: list[str] = []
    has_one, may_ask = asyncio.Event(), asyncio.Event()

    async def ask_twice() -> None:
        await hold(small, 1)
        has_one.set()
        await may_ask.wait()
        async with small.no_tenant():
            had.append("first")

    async def ask() -> None:
        async with small.no_tenant():
            had.append("later")

    first = asyncio.create_task(ask_twice())
    await has_one.wait()
    async with all_held(small) as let_go:
        later = [asyncio.create_task(ask()) for _ in range(3)]
        await asyncio.sleep(0)
        may_ask.set()
        await asyncio.sleep(0)
        let_go()
        async with asyncio.timeout(DEADLINE_SECONDS):
            await asyncio.gather(first, *later)
    assert had == ["first", *["later"] * 3]


@pytest.mark.parametrize("is_given", [False, True], ids=["waiting task", "task with a new connection"])
async def test_cancelled_task_leaks_no_connection(is_given: bool) -> None:
    turns, done = ConnectionTurns(SEVERAL + 1), asyncio.Semaphore(0)

    async def hold_connection() -> None:
        async with turns.holding():
            await done.acquire()

    holding = [asyncio.create_task(hold_connection()) for _ in range(SEVERAL + 1)]
    await asyncio.sleep(0)
    leaving = asyncio.create_task(hold_connection())
    await asyncio.sleep(0)
    if is_given:
        done.release()
        await asyncio.sleep(0)
    leaving.cancel()
    await asyncio.gather(leaving, return_exceptions=True)
    all_at_once = asyncio.Barrier(SEVERAL + 1)

    async def hold_with_all_others() -> None:
        async with turns.holding():
            await all_at_once.wait()

    for _ in range(SEVERAL + 1):
        done.release()
    async with asyncio.timeout(DEADLINE_SECONDS):
        await asyncio.gather(*holding, *(hold_with_all_others() for _ in range(SEVERAL + 1)))


def test_too_small_a_pool_is_refused() -> None:
    with pytest.raises(ValueError, match=f"needs {SEVERAL + 1}"):
        ConnectionTurns(SEVERAL)
