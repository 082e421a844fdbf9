"""The state of items, derived by the database and the rule together."""

from typing import Any
from uuid import uuid4

import pytest

from inventory.error_codes import ErrorCode
from inventory.missing import Confidence, EvidenceKind, State
from inventory.outcomes import Outcome, RunStatus
from inventory.records import ItemRecord, MissingRecord
from inventory.selection import Selection
from storage import confirmations, queries
from storage.database import Database
from tests.storage.support import begin, end, items, land, observation, sync

TENANT = uuid4()
FIRST, SECOND = observation("a", "1"), observation("a", "2")
OTHER = observation("b", "9")


async def test_before_any_completed_run_there_is_no_state(database: Database) -> None:
    run = await begin(database, TENANT, "a")
    await land(database, TENANT, run, [FIRST])
    item = (await items(database, TENANT))["1"]
    assert (item.state, item.confidence, item.evidence) == (None, None, None)


async def test_missing_is_derived_from_the_latest_run_of_the_same_selection_hash(database: Database) -> None:
    await sync(database, TENANT, [FIRST, SECOND], "a")
    await sync(database, TENANT, [FIRST], "a")
    stored = await items(database, TENANT, "a")
    assert stored["1"].state is State.PRESENT
    assert stored["2"].state is State.MISSING
    assert stored["2"].confidence is Confidence.HIGH
    assert stored["2"].evidence == "not_listed"


async def test_selections_do_not_disturb_each_other(database: Database) -> None:
    await sync(database, TENANT, [FIRST, SECOND, OTHER], "a", "b")
    await sync(database, TENANT, [OTHER], "b")
    narrow = await items(database, TENANT, "b")
    wide = await items(database, TENANT, "a", "b")
    assert narrow["9"].state is State.PRESENT
    assert narrow["1"].state is None, "the run of b alone does not decide about a"
    assert {item.state for item in wide.values()} == {State.PRESENT}


async def test_item_seen_since_by_another_selection_is_present(database: Database) -> None:
    await sync(database, TENANT, [FIRST, OTHER], "a", "b")
    await sync(database, TENANT, [OTHER], "a", "b")
    assert (await items(database, TENANT, "a", "b"))["1"].state is State.MISSING
    await sync(database, TENANT, [FIRST], "a")
    assert (await items(database, TENANT, "a", "b"))["1"].state is State.PRESENT


async def test_missing_is_low_confidence_after_a_partial_run(database: Database) -> None:
    await sync(database, TENANT, [FIRST, OTHER], "a", "b")
    await sync(
        database,
        TENANT,
        [],
        "a",
        "b",
        status=RunStatus.PARTIAL,
        outcomes={"a": (Outcome.COMPLETE, None), "b": (Outcome.FAILED, ErrorCode.GRAPH_THROTTLED)},
    )
    stored = await items(database, TENANT, "a", "b")
    assert (stored["1"].state, stored["1"].confidence, stored["1"].evidence) == ("missing", "low", "not_listed")
    assert (stored["9"].state, stored["9"].confidence) == ("missing", "low")
    assert stored["9"].evidence == "collection_failed:graph_throttled"


async def test_missing_is_low_confidence_after_a_failed_run(database: Database) -> None:
    await sync(database, TENANT, [FIRST], "a")
    await sync(
        database,
        TENANT,
        [],
        "a",
        status=RunStatus.FAILED,
        outcomes={"a": (Outcome.FAILED, ErrorCode.AUTH_FAILED)},
    )
    item = (await items(database, TENANT, "a"))["1"]
    assert (item.state, item.confidence, item.evidence) == ("missing", "low", "collection_failed:auth_failed")


async def test_cancelled_run_makes_no_item_missing(database: Database) -> None:
    await sync(database, TENANT, [FIRST], "a")
    await sync(database, TENANT, [], "a", status=RunStatus.CANCELLED)
    assert (await items(database, TENANT, "a"))["1"].state is State.PRESENT


async def test_missing_items_are_exactly_the_items_in_state_missing(database: Database) -> None:
    await sync(database, TENANT, [FIRST, SECOND, OTHER], "a", "b")
    await sync(database, TENANT, [SECOND], "a", "b")
    async with database.tenant(TENANT, read_only=True) as session:
        question = await queries.question(session, Selection(type_keys=("a", "b")).hash())
        assert question is not None
        missing_items = [item async for item in queries.missing_items(session, question)]
        of_one_type = [item async for item in queries.missing_items(session, question, ["b"])]
    stored = await items(database, TENANT, "a", "b")
    records = [ItemRecord(**item.model_dump(include=set(ItemRecord.model_fields))) for item in missing_items]
    assert records == [item for item in stored.values() if item.state is State.MISSING]
    assert [item.external_id for item in missing_items] == ["1", "9"]
    assert [item.external_id for item in of_one_type] == ["9"]


FAILED: dict[str, tuple[Outcome, ErrorCode | None]] = {"a": (Outcome.FAILED, ErrorCode.GRAPH_PERMISSION_MISSING)}


async def test_without_a_selection_a_narrow_run_leaves_other_collections_unchanged(database: Database) -> None:
    await sync(database, TENANT, [FIRST, SECOND, OTHER], "a", "b")
    await sync(database, TENANT, [FIRST, OTHER], "a", "b")
    await sync(database, TENANT, [OTHER], "b")
    stored = await items(database, TENANT)
    assert {key: item.state for key, item in stored.items()} == {"1": "present", "2": "missing", "9": "present"}
    assert (stored["2"].confidence, stored["2"].evidence) == ("high", "not_listed")
    assert [item.external_id for item in await missing(database)] == ["2"]
    async with database.tenant(TENANT, read_only=True) as session:
        question = await queries.question(session)
        assert question is not None
        assert question.collections["a"].run_id != question.collections["b"].run_id == question.latest.run_id


async def test_without_a_selection_each_collections_run_gives_the_confidence(database: Database) -> None:
    await sync(database, TENANT, [FIRST, SECOND, OTHER], "a", "b")
    await sync(database, TENANT, [FIRST], "a")
    outcomes: dict[str, tuple[Outcome, ErrorCode | None]] = {"b": (Outcome.FAILED, ErrorCode.GRAPH_THROTTLED)}
    await sync(database, TENANT, [], "b", status=RunStatus.FAILED, outcomes=outcomes)
    states = {item.external_id: (item.confidence, item.evidence) for item in await missing(database)}
    assert states == {"2": ("high", "not_listed"), "9": ("low", "collection_failed:graph_throttled")}


async def test_evidence_does_not_weaken_until_the_item_is_seen_again(database: Database) -> None:
    await sync(database, TENANT, [FIRST, SECOND], "a")
    run = await begin(database, TENANT, "a")
    async with database.tenant(TENANT) as session:
        await confirmations.record_gone(session, run.run_id, [confirmations.UnlistedItem("a", "1")])
    await end(database, TENANT, run)
    for outcomes in (None, FAILED):
        status = RunStatus.SUCCESS if outcomes is None else RunStatus.FAILED
        await sync(database, TENANT, [], "a", status=status, outcomes=outcomes)
        for type_keys in ((), ("a",)):
            assert (await items(database, TENANT, *type_keys))["1"].evidence == "confirmed"
        assert (await items(database, TENANT))["2"].evidence == "not_listed"
    letter = (await items(database, TENANT, "a"))["2"].evidence
    assert letter == "collection_failed:graph_permission_missing", "only the latest run of a selection decides"
    await sync(database, TENANT, [FIRST], "a")
    await sync(database, TENANT, [], "a")
    assert (await items(database, TENANT))["1"].evidence == "not_listed", "the item was seen after the confirmation"


async def missing(database: Database, *type_keys: str, **chosen: Any) -> list[MissingRecord]:
    selection_hash = Selection(type_keys=type_keys).hash() if type_keys else None
    async with database.tenant(TENANT, read_only=True) as session:
        question = await queries.question(session, selection_hash)
        assert question is not None
        return [item async for item in queries.missing_items(session, question, **chosen)]


@pytest.mark.parametrize("selection", [(), ("a", "b")])
async def test_filters_by_evidence_and_confidence_follow_the_rule(
    database: Database, selection: tuple[str, ...]
) -> None:
    """Items that are confirmed, not listed and not read, of a complete and of a failed collection."""
    wave = [observation(type_key, number) for type_key in "ab" for number in "123"]
    await sync(database, TENANT, wave, "a", "b")
    unlisted = await begin(database, TENANT, "a", "b")
    await land(database, TENANT, unlisted, [wave[0], *wave[3:5]])
    await end(database, TENANT, unlisted)
    run = await begin(database, TENANT, "a", "b")
    async with database.tenant(TENANT) as session:
        absent = [confirmations.UnlistedItem("a", "2"), confirmations.UnlistedItem("b", "2")]
        await confirmations.record_gone(session, run.run_id, absent)
    outcomes = {"a": (Outcome.COMPLETE, None), "b": FAILED["a"]}
    await end(database, TENANT, run, RunStatus.PARTIAL, outcomes)
    every = await missing(database, *selection)
    assert len(every) == 6
    kinds = {
        item: _kind(item)
        for item in ((missing_item.type_key, missing_item.external_id, missing_item.evidence) for missing_item in every)
    }
    assert set(kinds.values()) == set(EvidenceKind)
    for kind in EvidenceKind:
        chosen = await missing(database, *selection, evidence=[kind])
        assert chosen == [
            missing_item
            for missing_item in every
            if kinds[missing_item.type_key, missing_item.external_id, missing_item.evidence] is kind
        ]
    for confidence in Confidence:
        chosen = await missing(database, *selection, confidence=confidence)
        assert chosen == [missing_item for missing_item in every if missing_item.confidence is confidence]
    first = {
        (missing_item.type_key, missing_item.external_id): missing_item.first_missed_run_id for missing_item in every
    }
    assert first["a", "2"] == first["a", "3"] == first["b", "3"] == unlisted.run_id
    assert first["a", "1"] == run.run_id
    assert first["b", "1"] is None
    async with database.tenant(TENANT, read_only=True) as session:
        question = await queries.question(session, Selection(type_keys=selection).hash() if selection else None)
        assert question is not None
        (unread,) = await queries.collections_not_read(session, question)
    assert (unread.type_key, unread.basis.reason) == ("b", "failed:graph_permission_missing")
    assert unread.items == list(kinds.values()).count(EvidenceKind.NOT_READ)


def _kind(item: tuple[str, str, str | None]) -> EvidenceKind:
    evidence = item[2] or ""
    return EvidenceKind.NOT_READ if evidence.startswith("collection_") else EvidenceKind(evidence)
