"""Items that a run did not list, and the answers to GETs by id."""

from uuid import uuid4

from inventory.missing import Confidence, State
from storage import confirmations as confirming
from storage.confirmations import UnlistedItem
from storage.database import Database
from storage.runs import RunIdentity
from tests.storage.support import begin, end, items, land, observation, sync

TENANT = uuid4()
FIRST, SECOND, THIRD = (observation("a", number) for number in "123")


async def _unlisted(database: Database, run: RunIdentity, limit: int = 100) -> list[str]:
    async with database.tenant(TENANT) as session:
        named = await confirming.some_unlisted(session, run.run_id, ["a"], limit)
        counted = await confirming.count_unlisted(session, run.run_id, ["a"])
    assert limit < 100 or counted.get("a", 0) == len(named)
    return [item.external_id for item in named]


async def _record(database: Database, run: RunIdentity, *, existing: str = "", missing: str = "") -> None:
    async with database.tenant(TENANT) as session:
        await confirming.record_found(session, run.run_id, [UnlistedItem("a", number) for number in existing])
        await confirming.mark_found_by_id(session, run.run_id, [UnlistedItem("a", number) for number in existing])
        await confirming.record_gone(session, run.run_id, [UnlistedItem("a", number) for number in missing])


async def test_present_items_not_yet_listed_are_named_and_counted(database: Database) -> None:
    await sync(database, TENANT, [FIRST, SECOND, THIRD], "a")
    run = await begin(database, TENANT, "a")
    assert await _unlisted(database, run) == ["1", "2", "3"]
    await land(database, TENANT, run, [SECOND])
    assert await _unlisted(database, run) == ["1", "3"]
    assert await _unlisted(database, run, limit=1) == ["1"]


async def test_item_found_by_id_is_present_with_unchanged_content(database: Database) -> None:
    await sync(database, TENANT, [FIRST, SECOND], "a")
    before = (await items(database, TENANT))["1"]
    run = await begin(database, TENANT, "a")
    await land(database, TENANT, run, [SECOND])
    await _record(database, run, existing="1")
    assert await _unlisted(database, run) == []
    await end(database, TENANT, run)
    after = (await items(database, TENANT))["1"]
    assert (after.state, after.last_seen_run_id) == (State.PRESENT, run.run_id)
    assert (before.evidence, after.evidence) == ("listed", "found_by_id")
    assert after.content_hash == before.content_hash
    assert after.last_seen_at > before.last_seen_at
    await sync(database, TENANT, [FIRST, SECOND], "a")
    assert (await items(database, TENANT))["1"].evidence == "listed"


async def test_gone_item_is_confirmed_missing_and_not_requested_again(database: Database) -> None:
    await sync(database, TENANT, [FIRST, SECOND], "a")
    run = await begin(database, TENANT, "a")
    await land(database, TENANT, run, [SECOND])
    await _record(database, run, missing="1")
    assert await _unlisted(database, run) == []
    await end(database, TENANT, run)
    item = (await items(database, TENANT))["1"]
    assert (item.state, item.confidence, item.evidence) == (State.MISSING, Confidence.HIGH, "confirmed")

    later = await begin(database, TENANT, "a")
    await land(database, TENANT, later, [SECOND])
    assert await _unlisted(database, later) == []
    await end(database, TENANT, later)
    assert (await items(database, TENANT))["1"].evidence == "confirmed", (
        "the later run sent no request, so the evidence stays"
    )


async def test_returned_item_is_requested_by_id_when_it_goes_again(database: Database) -> None:
    await sync(database, TENANT, [FIRST], "a")
    run = await begin(database, TENANT, "a")
    await _record(database, run, missing="1")
    await end(database, TENANT, run)
    await sync(database, TENANT, [FIRST], "a")
    assert (await items(database, TENANT))["1"].state is State.PRESENT
    later = await begin(database, TENANT, "a")
    assert await _unlisted(database, later) == ["1"]


async def test_late_answer_does_not_replace_a_newer_observation(database: Database) -> None:
    await sync(database, TENANT, [FIRST], "a")
    run = await begin(database, TENANT, "a")
    await sync(database, TENANT, [FIRST], "a", "b")
    before = (await items(database, TENANT))["1"]
    await _record(database, run, existing="1", missing="1")
    await end(database, TENANT, run)
    after = (await items(database, TENANT))["1"]
    assert (after.last_seen_at, after.last_seen_run_id) == (before.last_seen_at, before.last_seen_run_id)
    assert after.state is State.PRESENT
