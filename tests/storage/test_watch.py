"""The writes of a look of `watch`, and the rows that it leaves alone."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID, uuid4

from sqlalchemy import text

from inventory.error_codes import ErrorCode
from inventory.missing import State
from inventory.observation import Observation
from storage import watch
from storage.confirmations import UnlistedItem
from storage.database import Database
from storage.watch import LogLook, LookItems, LookResult, LookStart
from tests.storage.support import Comparison, audit_event, items, observation, sync

TENANT = uuid4()
FIRST, SECOND = observation("a", "1", name="first"), observation("a", "2")
EDITED = observation("a", "1", name="second")


async def test_repeated_look_merges_once(database: Database) -> None:
    await sync(database, TENANT, [FIRST, SECOND], "a")
    start, run_id = await begin(database), uuid4()
    assert await record(database, start, run_id, observations=[EDITED]) == LookResult(changed=1)
    assert await record(database, start, run_id, observations=[EDITED]) == LookResult()
    assert await scalar(database, "SELECT count(*) FROM item_version WHERE external_id = '1'") == 2
    assert await scalar(database, "SELECT count(*) FROM merged_wave") == 0
    assert await scalar(database, "SELECT count(*) FROM audited_object WHERE object_id = '1'") == 1


async def test_look_does_not_replace_newer_observations_of_a_run(database: Database) -> None:
    """The look's documents and its 404 may be older than the run's writes."""
    await sync(database, TENANT, [FIRST, SECOND], "a")
    start = await begin(database)
    await sync(database, TENANT, [EDITED, SECOND], "a")
    stale = await record(database, start, uuid4(), observations=[FIRST], missing=["2"])
    assert stale == LookResult(contested=frozenset({("a", "1"), ("a", "2")}))
    assert await scalar(database, "SELECT count(*) FROM sync_run WHERE kind = 'watch'") == 0
    assert {item.state for item in (await items(database, TENANT)).values()} == {State.PRESENT}
    assert await scalar(database, "SELECT count(*) FROM item_version WHERE external_id = '1'") == 2


async def test_not_found_item_is_gone_and_no_other_item_is_missing(database: Database) -> None:
    await sync(database, TENANT, [FIRST, SECOND], "a")
    coverage = await scalar(database, "SELECT to_jsonb(c) FROM collection_coverage AS c")
    start = await begin(database)
    assert await record(database, start, uuid4(), missing=["1"]) == LookResult(gone=1)
    assert await scalar(database, "SELECT array_agg(external_id) FROM item_absence") == ["1"]
    assert await scalar(database, "SELECT to_jsonb(c) FROM collection_coverage AS c") == coverage
    assert await states(database) == {"1": State.PRESENT, "2": State.PRESENT}, "last seen by the run that listed both"
    await sync(database, TENANT, [SECOND], "a")
    assert await scalar(database, "SELECT count(*) FROM item_absence") == 1
    assert await states(database) == {"1": State.MISSING, "2": State.PRESENT}


async def test_log_position_never_moves_back(database: Database) -> None:
    await sync(database, TENANT, [FIRST], "a")
    first, second = await begin(database), await begin(database)
    await store_look(database, LogLook("auditEvents", ["e2"], 3), second.at)
    await store_look(database, LogLook("auditEvents", ["e1"], 4), first.at)
    position = (await begin(database)).positions["auditEvents"]
    assert (position.handled, position.read_at) == (["e2"], second.at)
    third = await begin(database)
    await store_look(database, LogLook("auditEvents", error_code=ErrorCode.GRAPH_THROTTLED), third.at)
    position = (await begin(database)).positions["auditEvents"]
    assert (position.handled, position.read_at) == (["e2"], second.at), "a failed look handles no event"
    assert (position.tried_at, position.error_code) == (third.at, ErrorCode.GRAPH_THROTTLED)


async def states(database: Database) -> dict[str, State | None]:
    return {key: item.state for key, item in (await items(database, TENANT)).items() if item.type_key == "a"}


async def begin(database: Database) -> LookStart:
    async with database.tenant(TENANT, read_only=True) as session:
        return await watch.begin_look(session)


async def record(
    database: Database,
    start: LookStart,
    run_id: UUID,
    observations: Sequence[Observation] = (),
    missing: Sequence[str] = (),
) -> LookResult:
    read = LookItems(observations, [UnlistedItem("a", external_id) for external_id in missing], 1)
    events = {("a", "1"): [audit_event("e", "1")]}
    async with database.tenant(TENANT) as session:
        return await watch.record_items(session, run_id, "watch/test", start.at, read, events, Comparison())


async def store_look(database: Database, look: LogLook, at: datetime) -> None:
    async with database.tenant(TENANT) as session:
        await watch.keep_position(session, look, at)


async def scalar(database: Database, query: str) -> object:
    async with database.tenant(TENANT) as session:
        return (await session.execute(text(query))).scalar_one()
