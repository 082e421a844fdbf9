"""The history of an item, and the inventory at an earlier moment."""

import asyncio
from datetime import datetime, timedelta
from uuid import uuid4

import pytest
from sqlalchemy import text

from inventory.error_codes import ErrorCode
from inventory.observation import Observation
from inventory.outcomes import Outcome, RunStatus
from inventory.records import VersionChange, VersionRecord
from storage import confirmations as confirming
from storage import documents, queries, runs, staging, versions
from storage.database import Database
from storage.documents import ItemAtMoment
from storage.merge import merge
from tests.storage.support import begin, end, items, land, list_document, observation, sync, until_it_waits

TENANT = uuid4()


async def _history(database: Database, external_id: str = "1") -> list[VersionRecord]:
    async with database.tenant(TENANT, read_only=True) as session:
        return await versions.history(session, "a", external_id)


async def _now(database: Database) -> datetime:
    async with database.tenant(TENANT, read_only=True) as session:
        return await documents.database_time(session)


async def _at(database: Database, at: datetime) -> dict[str, ItemAtMoment]:
    async with database.tenant(TENANT, read_only=True) as session:
        return {item.external_id: item async for item in documents.items_at(session, at)}


async def _forget_all_but(database: Database, kept: int) -> None:
    async with database.tenant(TENANT) as session:
        await versions.forget(session, older_than=None, kept=kept, most=100)


def _value(item: ItemAtMoment) -> str:
    assert item.document is not None
    return item.document.decode().partition('"value":"')[2].partition('"')[0]


async def test_returning_document_makes_a_version_that_names_the_earlier_version(database: Database) -> None:
    for value in ("A", "B", "A"):
        await sync(database, TENANT, [observation("a", "1", displayName="one", value=value)], "a")
    third, second, first = await _history(database)
    assert [version.version for version in (first, second, third)] == [1, 2, 3]
    assert [version.change for version in (first, second, third)] == [
        VersionChange.FIRST,
        VersionChange.CHANGED,
        VersionChange.RETURNED,
    ]
    assert (first.returns_to_version, second.returns_to_version, third.returns_to_version) == (None, None, 1)
    assert first.content_hash == third.content_hash != second.content_hash
    assert [version.is_current for version in (first, second, third)] == [False, False, True]
    assert first.last_observed_at is not None
    assert first.first_observed_at <= first.last_observed_at < second.first_observed_at
    assert first.last_observed_run_id == first.first_observed_run_id


@pytest.mark.parametrize("is_new", [False, True])
async def test_version_of_a_merge_that_another_waits_for_has_its_observation(
    database: Database, database_url: str, is_new: bool
) -> None:
    """The waiting merge supersedes a version that its statement cannot see."""
    if not is_new:
        await sync(database, TENANT, [observation("a", "1", value="A")], "a")
    waves = []
    for run, value in ((await begin(database, TENANT, "a"), "B"), (await begin(database, TENANT, "a", "b"), "C")):
        waves.append((run.run_id, uuid4()))
        async with database.tenant(TENANT) as session:
            await staging.stage(session, *waves[-1], [observation("a", "1", value=value)])

    async def second_merge() -> None:
        async with database.tenant(TENANT) as session:
            await merge(session, *waves[1], promised_rows=1)

    async with database.tenant(TENANT) as session:
        await merge(session, *waves[0], promised_rows=1)
        waiting = asyncio.create_task(second_merge())
        await until_it_waits(database_url, waiting)
        assert not waiting.done()
    await waiting
    last, middle, *_ = await _history(database)
    assert (last.version, middle.version) == ((2, 1) if is_new else (3, 2))
    assert (middle.last_observed_at, middle.last_observed_run_id) == (middle.first_observed_at, waves[0][0])
    assert middle.first_observed_at < last.first_observed_at


async def test_current_version_was_last_observed_with_its_item(database: Database) -> None:
    for _ in range(2):
        await sync(database, TENANT, [observation("a", "1")], "a")
    (only,) = await _history(database)
    item = (await items(database, TENANT))["1"]
    assert (only.last_observed_at, only.last_observed_run_id) == (item.last_seen_at, item.last_seen_run_id)
    assert only.first_observed_at < item.last_seen_at


async def test_version_after_a_rename_has_the_previous_name(database: Database) -> None:
    for name in ("old", "new"):
        await sync(database, TENANT, [observation("a", "1", displayName=name)], "a")
    second, first = await _history(database)
    assert (second.renamed_from, second.display_name, first.renamed_from) == ("old", "new", None)


async def test_version_of_a_recreated_item_names_the_original(database: Database) -> None:
    await sync(database, TENANT, [observation("a", "1", displayName="one", value="A")], "a")
    await sync(database, TENANT, [observation("a", "2", displayName="one", value="A")], "a")
    (made_again,) = await _history(database, "2")
    (before,) = await _history(database, "1")
    assert (made_again.recreates_external_id, before.recreates_external_id) == ("1", None)


async def test_version_that_adds_the_details_is_no_change(database: Database) -> None:
    run = await begin(database, TENANT, "a")
    await land(database, TENANT, run, [list_document("a", "1", displayName="one")])
    await end(database, TENANT, run)
    await sync(database, TENANT, [observation("a", "1", displayName="one", detail="read")], "a")
    second, first = await _history(database)
    assert (first.details_complete, second.details_complete) == (False, True)
    assert second.change is VersionChange.COMPLETED


async def test_version_after_a_forgotten_version_is_a_change_without_previous_name(database: Database) -> None:
    for name in ("one", "two", "three"):
        await sync(database, TENANT, [observation("a", "1", displayName=name)], "a")
    await _forget_all_but(database, 1)
    (third,) = await _history(database)
    assert (third.version, third.change, third.renamed_from) == (3, VersionChange.CHANGED, None)


async def test_version_lists_its_pins(database: Database) -> None:
    await sync(database, TENANT, [observation("a", "1")], "a")
    async with database.tenant(TENANT) as session:
        await versions.pin(session, "a", "1", 1, "ada", "audit")
        await versions.pin(session, "a", "1", 1, "bob", None)
    (version,) = await _history(database)
    assert [(pin.pinned_by, pin.reason) for pin in version.pins] == [("ada", "audit"), ("bob", None)]


async def test_an_item_is_found_by_id_then_by_name_then_by_name_in_any_case(database: Database) -> None:
    wave = [
        observation("a", "1", displayName="2"),
        observation("a", "2", displayName="Twin"),
        observation("a", "3", displayName="Twin"),
        observation("a", "4", displayName="twin"),
        observation("b", "5", displayName="elsewhere"),
    ]
    await sync(database, TENANT, wave, "a", "b")
    async with database.tenant(TENANT, read_only=True) as session:
        found = {
            sought: [item.external_id for item in await documents.find(session, "a", sought, 10)]
            for sought in ("2", "Twin", "twin", "TWIN", "elsewhere")
        }
    assert found == {"2": ["2"], "Twin": ["2", "3"], "twin": ["4"], "TWIN": ["2", "3", "4"], "elsewhere": []}


async def test_item_has_its_state_from_the_latest_run_of_its_collection(database: Database) -> None:
    await sync(database, TENANT, [observation("a", "1"), observation("a", "2")], "a")
    await sync(database, TENANT, [observation("a", "2")], "a")
    await sync(database, TENANT, [observation("b", "9")], "b")
    async with database.tenant(TENANT, read_only=True) as session:
        missing, present, unknown = [await queries.item(session, "a", external_id) for external_id in ("1", "2", "9")]
    assert (missing and missing.state, present and present.state, unknown) == ("missing", "present", None)


async def test_inventory_at_a_moment_has_the_items_and_content_of_then(database: Database) -> None:
    before = await _now(database)
    await sync(database, TENANT, [_first_item("A"), observation("a", "2", value="X")], "a")
    first = await _now(database)
    await sync(database, TENANT, [_first_item("B"), observation("a", "3", value="Y")], "a")
    second = await _now(database)
    await sync(database, TENANT, [_first_item("A"), observation("a", "3", value="Y")], "a")

    assert await _at(database, before) == {}
    assert {key: _value(item) for key, item in (await _at(database, first)).items()} == {"1": "A", "2": "X"}
    assert {key: _value(item) for key, item in (await _at(database, second)).items()} == {"1": "B", "3": "Y"}
    now = await _at(database, await _now(database))
    assert {key: _value(item) for key, item in now.items()} == {"1": "A", "3": "Y"}
    assert not any(item.is_presumed or item.is_forgotten for item in now.values())


async def test_failed_collection_removes_no_items_and_is_named(database: Database) -> None:
    await sync(database, TENANT, [_first_item("A")], "a")
    await sync(
        database,
        TENANT,
        [],
        "a",
        status=RunStatus.FAILED,
        outcomes={"a": (Outcome.FAILED, ErrorCode.GRAPH_THROTTLED)},
    )
    now = await _now(database)
    assert list(await _at(database, now)) == ["1"]
    async with database.tenant(TENANT, read_only=True) as session:
        assert await documents.types_not_read(session, now) == ["a"]
    await sync(database, TENANT, [], "a")
    now = await _now(database)
    assert await _at(database, now) == {}
    async with database.tenant(TENANT, read_only=True) as session:
        assert await documents.types_not_read(session, now) == []


async def test_never_completed_collection_keeps_its_items_and_is_named(database: Database) -> None:
    run = await begin(database, TENANT, "a")
    await land(database, TENANT, run, [_first_item("A")])
    now = await _now(database)
    assert list(await _at(database, now)) == ["1"]
    async with database.tenant(TENANT, read_only=True) as session:
        assert await documents.types_not_read(session, now) == ["a"]


async def test_past_absence_remains_certain_after_the_item_returns(database: Database) -> None:
    await sync(database, TENANT, [_first_item("A"), observation("a", "2", value="X")], "a")
    await sync(database, TENANT, [observation("a", "2", value="X")], "a")
    absent_at = await _now(database)
    assert list(await _at(database, absent_at)) == ["2"]
    await sync(database, TENANT, [_first_item("A"), observation("a", "2", value="X")], "a")
    assert {key: item.is_presumed for key, item in (await _at(database, absent_at)).items()} == {"2": False}


async def test_items_are_presumed_if_missing_counts_exceed_recorded_absences(database: Database) -> None:
    """As for runs from before absences were recorded."""
    await sync(database, TENANT, [_first_item("A"), observation("a", "2", value="X")], "a")
    await sync(database, TENANT, [observation("a", "2", value="X")], "a")
    then = await _now(database)
    await sync(database, TENANT, [_first_item("A"), observation("a", "2", value="X")], "a")
    async with database.tenant(TENANT) as session:
        await session.execute(text("DELETE FROM item_absence"))
    assert {key: item.is_presumed for key, item in (await _at(database, then)).items()} == {"1": True, "2": True}


async def test_partial_run_leaves_no_item_presumed(database: Database) -> None:
    wave = [_first_item("A"), observation("a", "2", value="X"), observation("b", "3"), observation("b", "4")]
    outcomes: dict[str, tuple[Outcome, ErrorCode | None]] = {
        "a": (Outcome.COMPLETE, None),
        "b": (Outcome.FAILED, ErrorCode.GRAPH_THROTTLED),
    }
    await sync(database, TENANT, wave, "a", "b")
    await sync(database, TENANT, wave[1:2], "a", "b", status=RunStatus.PARTIAL, outcomes=outcomes)
    then = await _now(database)
    await sync(database, TENANT, wave, "a", "b")
    found = await _at(database, then)
    assert {key: item.is_presumed for key, item in found.items()} == {"2": False, "3": False, "4": False}


async def test_nothing_is_presumed_after_a_run_without_missing_items(database: Database) -> None:
    await sync(database, TENANT, [_first_item("A")], "a")
    await sync(database, TENANT, [_first_item("A")], "a")
    then = await _now(database)
    await sync(database, TENANT, [_first_item("A")], "a")
    assert {key: item.is_presumed for key, item in (await _at(database, then)).items()} == {"1": False}


async def test_item_confirmed_gone_was_absent_though_it_returned(database: Database) -> None:
    await sync(database, TENANT, [_first_item("A"), observation("a", "2", value="X")], "a")
    run = await begin(database, TENANT, "a")
    await land(database, TENANT, run, [observation("a", "2", value="X")])
    await _confirm_gone(database, run)
    await end(database, TENANT, run)
    absent_at = await _now(database)
    await sync(database, TENANT, [_first_item("A"), observation("a", "2", value="X")], "a")
    assert list(await _at(database, absent_at)) == ["2"]


async def test_item_is_forgotten_only_at_moments_of_a_forgotten_version(database: Database) -> None:
    moments = []
    for value in ("A", "B", "C"):
        await sync(database, TENANT, [_first_item(value)], "a")
        moments.append(await _now(database))
    async with database.tenant(TENANT) as session:
        await versions.pin(session, "a", "1", 1, "ada", None)
    await _forget_all_but(database, 1)
    (first,) = (await _history(database))[1:]
    assert first.last_observed_at is not None

    sure = (await _at(database, first.last_observed_at))["1"]
    assert (sure.is_forgotten, _value(sure)) == (False, "A")
    unsure = (await _at(database, first.last_observed_at + timedelta(microseconds=1)))["1"]
    assert (unsure.is_forgotten, unsure.document) == (True, None)
    assert (await _at(database, moments[1]))["1"].is_forgotten
    assert _value((await _at(database, moments[2]))["1"]) == "C"


async def test_item_without_a_read_document_has_none_and_is_not_forgotten(database: Database) -> None:
    run = await begin(database, TENANT, "a")
    await land(database, TENANT, run, [list_document("a", "1", displayName="one")])
    unread = await _now(database)
    item = (await _at(database, unread))["1"]
    assert (item.document, item.is_forgotten) == (None, False)
    await land(database, TENANT, run, [observation("a", "1", displayName="one")])
    await end(database, TENANT, run)
    item = (await _at(database, unread))["1"]
    assert (item.document, item.is_forgotten) == (None, False)


def _first_item(value: str) -> Observation:
    return observation("a", "1", displayName="one", value=value)


async def _confirm_gone(database: Database, run: runs.RunIdentity) -> None:
    async with database.tenant(TENANT) as session:
        unlisted = await confirming.some_unlisted(session, run.run_id, ["a"], 10)
        assert [item.external_id for item in unlisted] == ["1"]
        await confirming.record_gone(session, run.run_id, unlisted)
