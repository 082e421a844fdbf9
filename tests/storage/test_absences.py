"""Absences of items and coverage of collections, recorded once by runs that end."""

from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from inventory.error_codes import ErrorCode
from inventory.outcomes import Outcome, RunStatus
from storage import confirmations as confirming
from storage import coverage, queries, runs, staging
from storage import merge as merging
from storage.database import Database
from storage.object_names import display_names
from tests.storage.support import begin, end, land, observation, sync

TENANT = uuid4()
FIRST, SECOND = observation("a", "1", displayName="One"), observation("a", "2")
OTHER = observation("b", "9")

FAILED: dict[str, tuple[Outcome, ErrorCode | None]] = {"a": (Outcome.FAILED, ErrorCode.GRAPH_THROTTLED)}
A_COMPLETE: dict[str, tuple[Outcome, ErrorCode | None]] = {
    "a": (Outcome.COMPLETE, None),
    **dict.fromkeys("b", FAILED["a"]),
}


async def absences(database: Database) -> list[tuple[Any, ...]]:
    """Each absence: id, evidence, confidence, whether the item has come back."""
    async with database.tenant(TENANT, read_only=True) as session:
        rows = await session.execute(
            text(
                "SELECT external_id, evidence, confidence, came_back_at IS NOT NULL FROM item_absence"
                " ORDER BY noticed_at, type_key, external_id"
            )
        )
        return [tuple(row) for row in rows]


async def marked(database: Database) -> set[str]:
    async with database.tenant(TENANT, read_only=True) as session:
        rows = await session.execute(text("SELECT external_id FROM inventory_item WHERE absent_from IS NOT NULL"))
        return set(rows.scalars())


async def missing(database: Database, *type_keys: str) -> set[str]:
    async with database.tenant(TENANT, read_only=True) as session:
        question = await queries.question(session)
        assert question is not None
        return {item.external_id async for item in queries.missing_items(session, question, type_keys or None)}


async def test_an_item_goes_missing_once_and_comes_back_once(database: Database) -> None:
    await sync(database, TENANT, [FIRST, SECOND], "a")
    for _ in range(2):
        await sync(database, TENANT, [FIRST], "a")
        assert await marked(database) == await missing(database) == {"2"}
    assert await absences(database) == [("2", "not_listed", "high", False)]
    for _ in range(2):
        await sync(database, TENANT, [FIRST, SECOND], "a")
        assert await marked(database) == await missing(database) == set()
    assert await absences(database) == [("2", "not_listed", "high", True)]
    await sync(database, TENANT, [FIRST], "a")
    assert [absence[3] for absence in await absences(database)] == [True, False]


@pytest.mark.parametrize("status", [RunStatus.PARTIAL, RunStatus.FAILED])
async def test_failed_collection_records_no_absence_and_its_items_are_missing(
    database: Database, status: RunStatus
) -> None:
    await sync(database, TENANT, [FIRST, SECOND], "a")
    await sync(database, TENANT, [], "a", status=status, outcomes=FAILED)
    assert await absences(database) == []
    assert await marked(database) == set()
    assert await missing(database) == {"1", "2"}


async def test_unlisted_item_is_absent_with_low_confidence_after_partial_run(database: Database) -> None:
    await sync(database, TENANT, [FIRST, SECOND, OTHER], "a", "b")
    await sync(database, TENANT, [FIRST], "a", "b", status=RunStatus.PARTIAL, outcomes=A_COMPLETE)
    assert await absences(database) == [("2", "not_listed", "low", False)]
    assert await missing(database) == {"2", "9"}


async def test_cancelled_run_records_no_absence(database: Database) -> None:
    await sync(database, TENANT, [FIRST, SECOND], "a")
    await sync(database, TENANT, [FIRST], "a", status=RunStatus.CANCELLED)
    assert (await absences(database), await marked(database)) == ([], set())


async def test_get_by_id_confirms_or_ends_an_absence(database: Database) -> None:
    await sync(database, TENANT, [FIRST, SECOND], "a")
    run = await begin(database, TENANT, "a")
    async with database.tenant(TENANT) as session:
        await confirming.record_gone(session, run.run_id, [confirming.UnlistedItem("a", "1")])
        await confirming.record_found(session, run.run_id, [confirming.UnlistedItem("a", "2")])
    await end(database, TENANT, run)
    assert await absences(database) == [("1", "confirmed", "high", False)]
    later = await begin(database, TENANT, "a")
    async with database.tenant(TENANT) as session:
        await confirming.record_found(session, later.run_id, [confirming.UnlistedItem("a", "1")])
    assert await absences(database) == [("1", "confirmed", "high", True)]
    assert await marked(database) == set()


async def test_an_observation_from_before_the_listing_does_not_end_an_absence(database: Database) -> None:
    await sync(database, TENANT, [FIRST], "a")
    slow, token = await begin(database, TENANT, "a", "b"), uuid4()
    async with database.tenant(TENANT) as session:
        await staging.stage(session, slow.run_id, token, [FIRST, SECOND])
    await sync(database, TENANT, [], "a")
    assert await absences(database) == [("1", "not_listed", "high", False)]
    async with database.tenant(TENANT) as session:
        await merging.merge(session, slow.run_id, token, promised_rows=2)
    assert await marked(database) == {"1"}
    await end(database, TENANT, slow, RunStatus.PARTIAL, dict.fromkeys("ab", FAILED["a"]))
    assert await marked(database) == {"1", "2"}, "a late item is absent from the earlier listing"


async def read(session: AsyncSession, type_key: str) -> tuple[object, ...]:
    known = (await coverage.coverage(session, [type_key]))[type_key]
    return known.outcome, known.error_code, known.is_current, known.listed_run_id, known.listed_cleanly


async def test_coverage_knows_the_latest_run_and_the_latest_complete_listing(database: Database) -> None:
    first = await begin(database, TENANT, "a")
    await land(database, TENANT, first, [FIRST])
    await end(database, TENANT, first)
    await sync(database, TENANT, [], "a", status=RunStatus.FAILED, outcomes=FAILED)
    async with database.tenant(TENANT, read_only=True) as session:
        assert await read(session, "a") == (Outcome.FAILED, ErrorCode.GRAPH_THROTTLED, False, first.run_id, True)
        assert (await coverage.coverage(session))["a"].reason == "failed:graph_throttled"
        assert await coverage.coverage(session, ["b"]) == {}
    await sync(database, TENANT, [FIRST], "a", status=RunStatus.CANCELLED)
    async with database.tenant(TENANT, read_only=True) as session:
        assert (await coverage.coverage(session))["a"].outcome is Outcome.FAILED, "a cancelled run changes no coverage"


async def test_run_that_ends_late_does_not_replace_a_later_runs_outcome(database: Database) -> None:
    slow = await begin(database, TENANT, "a", "b")
    quick = await begin(database, TENANT, "a")
    await end(database, TENANT, quick, RunStatus.FAILED, FAILED)
    await end(database, TENANT, slow)
    async with database.tenant(TENANT, read_only=True) as session:
        assert await read(session, "a") == (Outcome.FAILED, ErrorCode.GRAPH_THROTTLED, False, slow.run_id, True)
        assert await read(session, "b") == (Outcome.COMPLETE, None, True, slow.run_id, True)


async def test_abandoned_run_leaves_its_collection_incomplete_without_absences(database: Database) -> None:
    await sync(database, TENANT, [FIRST], "a")
    abandoned = await begin(database, TENANT, "a")
    async with database.tenant(TENANT) as session:
        await session.execute(text("UPDATE sync_run SET lease_expires_at = now() WHERE finished_at IS NULL"))
    async with database.tenant(TENANT) as session:
        assert await runs.close_abandoned(session, abandoned.run_id)
        assert (await read(session, "a"))[:2] == (Outcome.INCOMPLETE, ErrorCode.RUN_ABANDONED)
    assert await marked(database) == set()


async def test_display_names_omit_items_without_a_name(database: Database) -> None:
    await sync(database, TENANT, [FIRST, SECOND], "a")
    async with database.tenant(TENANT, read_only=True) as session:
        assert await display_names(session, []) == {}
        found = await display_names(session, [("a", "1"), ("a", "2"), ("a", "3"), ("b", "1"), ("a", "1")])
    assert found == {("a", "1"): "One"}
    async with database.tenant(UUID(int=3), read_only=True) as session:
        assert await display_names(session, [("a", "1")]) == {}
