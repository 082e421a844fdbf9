"""Turns at Graph, shared by every run and worker of a tenant."""

import asyncio
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from storage import pacing
from storage.database import Database
from tests.storage.support import begin

NEIGHBOUR = uuid4()
HOUR = timedelta(hours=1)
"""Much longer than the statements between two looks at the clock."""


@pytest.fixture
async def tenant(database: Database) -> UUID:
    """A tenant that has run, and so is known."""
    tenant_id = uuid4()
    await begin(database, tenant_id, "a")
    return tenant_id


async def _take(database: Database, tenant: UUID, family: str = "ca", interval: timedelta | None = None) -> pacing.Turn:
    async with database.tenant(tenant) as session:
        return await pacing.take_turn(session, family, interval)


async def _pause(database: Database, tenant: UUID, length: timedelta) -> None:
    async with database.tenant(tenant) as session:
        await pacing.pause(session, "ca", length)


async def test_a_family_that_nobody_paused_may_be_asked(database: Database, tenant: UUID) -> None:
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


async def test_one_of_many_gets_the_turn(database: Database, tenant: UUID) -> None:
    turns = await asyncio.gather(*(_take(database, tenant, interval=HOUR) for _ in range(8)))
    assert sum(turn.held_until is not None for turn in turns) == 1
    assert all(turn.wait > timedelta(0) for turn in turns if turn.held_until is None)


async def test_the_next_turn_comes_an_interval_after_the_last_one_ended(database: Database, tenant: UUID) -> None:
    turn = await _take(database, tenant, interval=HOUR)
    assert turn.held_until is not None
    async with database.tenant(tenant) as session:
        await pacing.release_turn(session, "ca", HOUR, turn.held_until)
    waiting = await _take(database, tenant, interval=HOUR)
    assert waiting.held_until is None
    assert HOUR / 2 < waiting.wait <= HOUR


async def test_a_turn_that_has_run_out_is_nobodys_to_end(database: Database, tenant: UUID) -> None:
    lost = await _take(database, tenant, interval=HOUR)
    async with database.tenant(tenant) as session:
        await session.execute(text("UPDATE request_pace SET held_until = clock_timestamp()"))
    heir = await _take(database, tenant, interval=HOUR)
    assert heir.held_until is not None
    assert lost.held_until is not None
    async with database.tenant(tenant) as session:
        await pacing.release_turn(session, "ca", timedelta(0), lost.held_until)
    assert (await _take(database, tenant, interval=HOUR)).held_until is None


async def test_a_pause_outlasts_the_turn_in_which_it_was_asked_for(database: Database, tenant: UUID) -> None:
    turn = await _take(database, tenant, interval=HOUR)
    await _pause(database, tenant, 10 * HOUR)
    assert turn.held_until is not None
    async with database.tenant(tenant) as session:
        await pacing.release_turn(session, "ca", HOUR, turn.held_until)
    assert (await _take(database, tenant, interval=HOUR)).wait > 9 * HOUR
