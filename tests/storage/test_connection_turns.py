"""Tasks that share a small pool: none waits for a connection that no other can give back."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
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


@asynccontextmanager
async def all_held(database: Database) -> AsyncIterator[Callable[[], None]]:
    """Every connection is held by a task; what is given lets one of them go."""
    held, done = asyncio.Barrier(SEVERAL + 2), asyncio.Semaphore(0)

    async def keep() -> None:
        async with database.no_tenant():
            await held.wait()
            await done.acquire()

    keeping = [asyncio.create_task(keep()) for _ in range(SEVERAL + 1)]
    await held.wait()
    yield done.release
    for _ in keeping:
        done.release()
    await asyncio.gather(*keeping)


async def test_who_waits_too_long_for_a_connection_is_told_to_ask_again(
    small: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with all_held(small):
        monkeypatch.setattr(connection_turns, "WAIT_SECONDS", 0)
        with pytest.raises(StorageUnavailableError, match="ask again"):
            await hold(small, 1)
        monkeypatch.undo()
    await asyncio.gather(*(hold(small, 1) for _ in range(SEVERAL + 1)))


async def test_who_came_first_has_the_next_connection_however_many_it_had_before(small: Database) -> None:
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
        async with asyncio.timeout(PATIENCE_SECONDS):
            await asyncio.gather(first, *later)
    assert had == ["first", *["later"] * 3]


@pytest.mark.parametrize("is_given", [False, True], ids=["that waits", "to whom one was just given"])
async def test_a_task_that_is_cancelled_takes_no_connection_along(is_given: bool) -> None:
    turns, done = ConnectionTurns(SEVERAL + 1), asyncio.Semaphore(0)

    async def hold_one() -> None:
        async with turns.holding():
            await done.acquire()

    holding = [asyncio.create_task(hold_one()) for _ in range(SEVERAL + 1)]
    await asyncio.sleep(0)
    leaving = asyncio.create_task(hold_one())
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
    async with asyncio.timeout(PATIENCE_SECONDS):
        await asyncio.gather(*holding, *(hold_with_all_others() for _ in range(SEVERAL + 1)))


def test_a_pool_that_is_too_small_is_refused() -> None:
    with pytest.raises(ValueError, match=f"needs {SEVERAL + 1}"):
        ConnectionTurns(SEVERAL)
