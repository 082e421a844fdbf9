"""Turns at Graph, shared by every run and worker of a tenant."""

import asyncio
from datetime import datetime, timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from activities.request_pace import Pace
from graph.catalog import ThrottleFamily
from storage import request_pace as pacing
from storage.database import Database
from tests.storage.support import begin

NEIGHBOUR = uuid4()
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
"""Much longer than the statements between two looks at the clock."""


@pytest.fixture
async def tenant(database: Database) -> UUID:
    """A tenant with a row, which its first run made."""
    tenant_id = uuid4()
    await begin(database, tenant_id, "a")
    return tenant_id


async def _take(database: Database, tenant: UUID, family: str = "ca", interval: timedelta | None = None) -> pacing.Turn:
    async with database.tenant(tenant) as session:
        return await pacing.take_turn(session, family, interval)


async def _pause(database: Database, tenant: UUID, length: timedelta) -> None:
    async with database.tenant(tenant) as session:
        await pacing.pause(session, "ca", length)


async def test_request_to_an_unpaused_family_does_not_wait(database: Database, tenant: UUID) -> None:
    assert await _take(database, tenant) == pacing.Turn(timedelta(0))


async def test_a_pause_holds_for_its_family_and_tenant_alone(database: Database, tenant: UUID) -> None:
    await begin(database, NEIGHBOUR, "a")
    await _pause(database, tenant, HOUR)
    assert HOUR / 2 < (await _take(database, tenant)).wait <= HOUR
    assert (await _take(database, tenant, "apps")).wait == timedelta(0)
    assert (await _take(database, NEIGHBOUR)).wait == timedelta(0)


async def test_the_longer_of_two_pauses_holds(database: Database, tenant: UUID) -> None:
    await _pause(database, tenant, 10 * HOUR)
    await _pause(database, tenant, HOUR)
    assert (await _take(database, tenant)).wait > 9 * HOUR


async def test_turn_is_exclusive(database: Database, tenant: UUID) -> None:
    turns = await asyncio.gather(*(_take(database, tenant, interval=HOUR) for _ in range(8)))
    assert sum(turn.held_until is not None for turn in turns) == 1
    assert all(turn.wait > timedelta(0) for turn in turns if turn.held_until is None)


async def test_next_turn_begins_an_interval_after_the_release(database: Database, tenant: UUID) -> None:
    turn = await _take(database, tenant, interval=HOUR)
    assert turn.held_until is not None
    async with database.tenant(tenant) as session:
        await pacing.release_turn(session, "ca", HOUR, turn.held_until)
    waiting = await _take(database, tenant, interval=HOUR)
    assert waiting.held_until is None
    assert HOUR / 2 < waiting.wait <= HOUR


async def test_expired_turn_cannot_release_its_successor(database: Database, tenant: UUID) -> None:
    lost = await _take(database, tenant, interval=HOUR)
    async with database.tenant(tenant) as session:
        await session.execute(text("UPDATE request_pace SET held_until = clock_timestamp()"))
    heir = await _take(database, tenant, interval=HOUR)
    assert heir.held_until is not None
    assert lost.held_until is not None
    async with database.tenant(tenant) as session:
        await pacing.release_turn(session, "ca", timedelta(0), lost.held_until)
    assert (await _take(database, tenant, interval=HOUR)).held_until is None


async def _move(database: Database, tenant: UUID, column: str, moment: str) -> datetime:
    """Sets a time of the tenant's row, as if the clock had moved."""
    async with database.tenant(tenant) as session:
        moved = await session.execute(text(f"UPDATE request_pace SET {column} = {moment} RETURNING {column}"))
        value: datetime = moved.scalar_one()
        return value


async def test_kept_turn_outlives_its_hold(database: Database, tenant: UUID) -> None:
    assert (await _take(database, tenant, interval=MINUTE)).held_until is not None
    ends = await _move(database, tenant, "held_until", "clock_timestamp()")
    async with database.tenant(tenant) as session:
        kept = await pacing.keep_turn(session, "ca", ends)
    assert kept is not None
    assert kept - ends >= pacing.HOLD
    assert (await _take(database, tenant, interval=MINUTE)).held_until is None
    async with database.tenant(tenant) as session:
        await pacing.release_turn(session, "ca", timedelta(0), kept)
    assert (await _take(database, tenant, interval=MINUTE)).held_until is not None


async def test_turn_taken_over_cannot_be_kept(database: Database, tenant: UUID) -> None:
    await _take(database, tenant, interval=MINUTE)
    lost = await _move(database, tenant, "held_until", "clock_timestamp()")
    heir = await _take(database, tenant, interval=MINUTE)
    async with database.tenant(tenant) as session:
        assert await pacing.keep_turn(session, "ca", lost) is None
        assert await pacing.keep_turn(session, "ca", heir.held_until or lost) is not None


async def test_wait_grows_with_the_age_of_the_turn(database: Database, tenant: UUID) -> None:
    interval = timedelta(seconds=1)
    await _take(database, tenant, interval=interval)
    await _move(database, tenant, "held_until", "clock_timestamp() + interval '1 hour'")
    await _move(database, tenant, "not_before", "clock_timestamp() - interval '40 minutes'")
    waiting = await _take(database, tenant, interval=interval)
    assert waiting.held_until is None
    assert 10 * MINUTE <= waiting.wait < 20 * MINUTE, "a quarter of the time that the turn has lasted"
    await _move(database, tenant, "held_until", "clock_timestamp() + interval '2 minutes'")
    assert (await _take(database, tenant, interval=interval)).wait <= 2 * MINUTE, "its worker may have died"


async def test_turn_is_kept_until_a_slow_answer_arrives(database: Database, tenant: UUID) -> None:
    family = ThrottleFamily.CONDITIONAL_ACCESS
    slow, other = Pace(database, keep_every=timedelta(milliseconds=10)), Pace(database)
    ends: set[datetime] = set()
    async with asyncio.timeout(90), slow.turn(tenant, family) as wait:
        assert wait == timedelta(0)
        while len(ends) < 4:
            async with database.tenant(tenant) as session:
                ends.add((await session.execute(text("SELECT held_until FROM request_pace"))).scalar_one())
            async with other.turn(tenant, family) as others_wait:
                assert others_wait > timedelta(0)
            await asyncio.sleep(0.01)
    async with database.tenant(tenant) as session:
        over = await session.execute(text("SELECT held_until <= clock_timestamp() FROM request_pace"))
        assert over.scalar_one(), "the turn ends with its answer"


async def test_pause_outlasts_the_turn_that_requested_it(database: Database, tenant: UUID) -> None:
    turn = await _take(database, tenant, interval=HOUR)
    await _pause(database, tenant, 10 * HOUR)
    assert turn.held_until is not None
    async with database.tenant(tenant) as session:
        await pacing.release_turn(session, "ca", HOUR, turn.held_until)
    assert (await _take(database, tenant, interval=HOUR)).wait > 9 * HOUR


async def test_take_turn_returns_either_a_turn_or_a_wait(database: Database, tenant: UUID) -> None:
    await _take(database, tenant, interval=MINUTE)
    for tenths in range(300):
        await _move(database, tenant, "held_until", "clock_timestamp()")
        await _move(database, tenant, "not_before", f"clock_timestamp() + interval '{tenths % 30 / 10} milliseconds'")
        turn = await _take(database, tenant, interval=MINUTE)
        assert turn.held_until is not None or turn.wait > timedelta(0)
