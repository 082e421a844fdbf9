from datetime import timedelta
from uuid import UUID, uuid4

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from inventory.error_codes import ErrorCode
from inventory.outcomes import CollectionResult, Counts, Outcome, RunStatus
from inventory.records import RunRecord
from storage import confirmations, queries, recorded_runs, runs
from storage.database import Database, StorageUnavailableError
from storage.errors import DatabaseClockError
from tests.storage.support import SLOTS, begin, end, identity, land, list_document, observation, record_wave, sync

TENANT, NEIGHBOUR = uuid4(), uuid4()


async def _record(database: Database, run: runs.RunIdentity) -> RunRecord:
    async with database.portfolio() as session:
        record = await queries.run_record(session, run.run_id)
    assert record is not None
    return record


async def _open(database: Database, run: runs.RunIdentity, slots: runs.Slots = SLOTS) -> runs.OpeningState:
    async with database.tenant(TENANT) as session:
        return (await runs.open_run(session, run, slots)).state


async def _expire_lease(database: Database, run: runs.RunIdentity) -> None:
    async with database.tenant(TENANT) as session:
        await session.execute(
            text("UPDATE sync_run SET lease_expires_at = clock_timestamp() WHERE run_id = :run_id"),
            {"run_id": run.run_id},
        )


async def test_no_run_starts_if_the_clock_precedes_the_latest_runs_end(database: Database) -> None:
    """Its observations would count as older than the stored state: it would omit a change, and succeed."""
    await sync(database, TENANT, [observation("a", "1", value=1)], "a")
    await _move_records(database, timedelta(minutes=5))
    run = identity("a")
    with pytest.raises(DatabaseClockError):
        await _open(database, run)
    async with database.tenant(NEIGHBOUR) as session:
        opened = await runs.open_run(session, identity("a"), SLOTS)
    assert opened.state is runs.OpeningState.RUNNING
    await _move_records(database, -timedelta(minutes=5))
    assert await _open(database, run) is runs.OpeningState.RUNNING
    assert (await land(database, TENANT, run, [observation("a", "1", value=2)])).changed == 1


async def _move_records(database: Database, ahead: timedelta) -> None:
    """Moves the times of the tenant's run and items, as if the clock had been set back."""
    async with database.tenant(TENANT) as session:
        for table, moments in (
            ("sync_run", "queued_at, started_at, finished_at"),
            ("inventory_item", "last_seen_at, first_seen_at"),
        ):
            moved = ", ".join(f"{moment} + :ahead" for moment in moments.split(", "))
            await session.execute(text(f"UPDATE {table} SET ({moments}) = ({moved})"), {"ahead": ahead})


async def test_opening_a_run_is_idempotent(database: Database) -> None:
    run = identity("a")
    assert await _open(database, run) is runs.OpeningState.RUNNING
    first = await _record(database, run)
    assert await _open(database, run) is runs.OpeningState.RUNNING
    assert (await _record(database, run)).started_at == first.started_at
    assert first.collections["a"].outcome is Outcome.INCOMPLETE


async def test_runs_queue_beyond_the_slots_of_their_tenant(database: Database) -> None:
    slots = SLOTS._replace(per_tenant=1)
    await begin(database, TENANT, "a", slots=slots)
    waiting = identity("b")
    assert await _open(database, waiting, slots) is runs.OpeningState.WAITING_FOR_SLOT
    assert (await _record(database, waiting)).status is RunStatus.QUEUED
    await begin(database, NEIGHBOUR, "a", slots=slots)


async def test_runs_queue_beyond_the_slots_of_all_tenants(database: Database) -> None:
    slots = SLOTS._replace(overall=1)
    neighbour = await begin(database, NEIGHBOUR, "a", slots=slots)
    waiting = identity("a")
    assert await _open(database, waiting, slots) is runs.OpeningState.WAITING_FOR_SLOT
    await end(database, NEIGHBOUR, neighbour)
    assert await _open(database, waiting, slots) is runs.OpeningState.RUNNING


async def test_an_expired_lease_frees_its_slot(database: Database) -> None:
    slots = SLOTS._replace(per_tenant=1)
    expired = await begin(database, TENANT, "a", slots=slots)
    await _expire_lease(database, expired)
    assert await _open(database, identity("b"), slots) is runs.OpeningState.RUNNING


async def test_next_run_waits_for_its_predecessor_or_closes_it_if_abandoned(database: Database) -> None:
    dead = await begin(database, TENANT, "a")
    heir = identity("a")
    assert await _open(database, heir) is runs.OpeningState.WAITING_FOR_PREDECESSOR
    await _expire_lease(database, dead)
    assert await _open(database, heir) is runs.OpeningState.RUNNING
    closed = await _record(database, dead)
    assert closed.status is RunStatus.FAILED
    assert closed.error_codes == [ErrorCode.RUN_ABANDONED]
    assert closed.finished_at is not None


async def test_the_database_refuses_two_open_runs_of_one_selection(database: Database) -> None:
    await begin(database, TENANT, "a")
    with pytest.raises(IntegrityError, match="sync_run_one_open_per_selection"):
        async with database.tenant(TENANT) as session:
            await session.execute(
                text(
                    "INSERT INTO sync_run (run_id, workflow_id, selection_hash, selection, lease_expires_at)"
                    " SELECT gen_random_uuid(), workflow_id, selection_hash, selection, lease_expires_at FROM sync_run"
                )
            )


async def test_closing_a_run_is_idempotent(database: Database) -> None:
    run = await begin(database, TENANT, "a")
    ending = runs.RunEnd(RunStatus.SUCCESS, Counts(requests=3), [], {"a": CollectionResult(outcome=Outcome.COMPLETE)})
    late = runs.RunEnd(RunStatus.FAILED, Counts(), [ErrorCode.UNEXPECTED_ERROR], {})
    answers = []
    for attempt in (ending, late):
        async with database.tenant(TENANT) as session:
            answers.append(await runs.finish_run(session, run, attempt))
    assert [answer[:3] for answer in answers] == [(RunStatus.SUCCESS, Counts(requests=3), [])] * 2
    record = await _record(database, run)
    assert (record.status, record.error_codes) == (RunStatus.SUCCESS, [])
    assert await _open(database, run) is runs.OpeningState.ENDED


async def test_run_that_never_opened_is_recorded_at_its_end(database: Database) -> None:
    blocking = await begin(database, TENANT, "a")
    cancelled = identity("a")
    async with database.tenant(TENANT) as session:
        ending = runs.RunEnd(RunStatus.CANCELLED, Counts(), [ErrorCode.CANCELLED], {}, "me", "changed my mind")
        await runs.finish_run(session, cancelled, ending)
    record = await _record(database, cancelled)
    assert (record.status, record.started_at) == (RunStatus.CANCELLED, None)
    assert record.collections["a"].outcome is Outcome.INCOMPLETE
    assert (await _record(database, blocking)).status is RunStatus.RUNNING


async def test_finished_run_leaves_no_waves_or_staged_rows(database: Database) -> None:
    run = await begin(database, TENANT, "a")
    await land(database, TENANT, run, [observation("a", "1")])
    await end(database, TENANT, run)
    async with database.tenant(TENANT) as session:
        for table in ("merged_wave", "staged_observation"):
            assert (await session.execute(text(f"SELECT count(*) FROM {table}"))).scalar_one() == 0


async def test_missing_items_are_counted_at_run_end(database: Database) -> None:
    await sync(database, TENANT, [observation("a", "1"), observation("a", "2")], "a")
    run = await begin(database, TENANT, "a")
    await land(database, TENANT, run, [observation("a", "1")])
    await end(database, TENANT, run)
    assert (await _record(database, run)).counts.missing == 1


async def test_unread_items_are_not_counted_as_missing(database: Database) -> None:
    wave = [observation("a", "1"), observation("a", "2"), observation("b", "3"), observation("b", "4")]
    await sync(database, TENANT, wave, "a", "b")
    run = await begin(database, TENANT, "a", "b")
    await land(database, TENANT, run, wave[:1])
    async with database.tenant(TENANT) as session:
        await confirmations.record_gone(session, run.run_id, [confirmations.UnlistedItem("b", "4")])
    refused = (Outcome.FAILED, ErrorCode.GRAPH_PERMISSION_MISSING)
    await end(database, TENANT, run, RunStatus.PARTIAL, {"a": (Outcome.COMPLETE, None), "b": refused})
    counts = (await _record(database, run)).counts
    assert (counts.missing, counts.not_read) == (2, 1), "an item that GET by id did not find is missing, read or not"


async def test_only_an_open_run_renews_its_lease(database: Database) -> None:
    run = await begin(database, TENANT, "a")
    async with database.tenant(TENANT) as session:
        assert await runs.renew_lease(session, run.run_id, timedelta(hours=1))
    await end(database, TENANT, run)
    async with database.tenant(TENANT) as session:
        assert not await runs.renew_lease(session, run.run_id, timedelta(hours=1))


async def test_concurrent_lease_renewals_do_not_block_each_other(database: Database) -> None:
    """The end of the run waits for both."""
    run = await begin(database, TENANT, "a")
    lease = timedelta(hours=1)
    async with database.tenant(TENANT) as session:
        assert await runs.renew_lease(session, run.run_id, lease)
    impatient = text("SELECT set_config('lock_timeout', '100ms', true)")
    async with database.tenant(TENANT) as first, database.tenant(TENANT) as second:
        assert await runs.renew_lease(first, run.run_id, lease)
        await second.execute(impatient)
        assert await runs.renew_lease(second, run.run_id, lease)
        with pytest.raises(StorageUnavailableError):
            async with database.tenant(TENANT) as ending:
                await ending.execute(impatient)
                await runs.finish_run(ending, run, runs.RunEnd(RunStatus.SUCCESS, Counts(), [], {}))
    await end(database, TENANT, run)


@pytest.mark.parametrize(("minutes_left", "minutes_then"), [(59, 59), (53, 60), (70, 60)])
async def test_lease_is_renewed_only_after_a_tenth_of_it(
    database: Database, minutes_left: int, minutes_then: int
) -> None:
    run = await begin(database, TENANT, "a")
    async with database.tenant(TENANT) as session:
        await session.execute(
            text("UPDATE sync_run SET lease_expires_at = clock_timestamp() + :left"),
            {"left": timedelta(minutes=minutes_left)},
        )
        assert await runs.renew_lease(session, run.run_id, timedelta(hours=1))
        remaining = await session.execute(
            text("SELECT round(extract(epoch FROM lease_expires_at - clock_timestamp()) / 60) FROM sync_run")
        )
        assert remaining.scalar_one() == minutes_then


async def test_runs_are_listed_newest_first(database: Database) -> None:
    first = await begin(database, TENANT, "a")
    second = await begin(database, NEIGHBOUR, "a")
    async with database.portfolio() as session:
        assert [run.run_id for run in await queries.recent_runs(session, 10)] == [second.run_id, first.run_id]
    async with database.tenant(TENANT, read_only=True) as session:
        assert [run.run_id for run in await queries.recent_runs(session, 10)] == [first.run_id]


async def test_selection_hash_may_be_abbreviated_while_unambiguous(database: Database) -> None:
    run = await begin(database, TENANT, "a")
    full = run.selection.hash()
    async with database.tenant(TENANT, read_only=True) as session:
        assert await recorded_runs.resolve_selection_hash(session, full[:8].upper()) == full
        with pytest.raises(recorded_runs.UnknownSelectionError, match="no run of this tenant"):
            await recorded_runs.resolve_selection_hash(session, "zz")
    await begin(database, TENANT, "b")
    async with database.tenant(TENANT, read_only=True) as session:
        with pytest.raises(recorded_runs.UnknownSelectionError, match="several selections"):
            await recorded_runs.resolve_selection_hash(session, "")


async def _open_as(database: Database, tenant: UUID, run: runs.RunIdentity, slots: runs.Slots) -> runs.RunStart:
    async with database.tenant(tenant) as session:
        return await runs.open_run(session, run, slots)


async def test_slots_are_given_first_come_first_served(database: Database) -> None:
    slots = SLOTS._replace(overall=1)
    holder = await begin(database, NEIGHBOUR, "a", slots=slots)
    queue = [identity(type_key) for type_key in "abc"]
    for place, run in enumerate(queue):
        assert await _open_as(database, TENANT, run, slots) == (runs.OpeningState.WAITING_FOR_SLOT, place)
    await end(database, NEIGHBOUR, holder)
    for run in queue:
        for late in queue[queue.index(run) + 1 :]:
            assert await _open(database, late, slots) is runs.OpeningState.WAITING_FOR_SLOT
        assert await _open(database, run, slots) is runs.OpeningState.RUNNING
        await end(database, TENANT, run)


async def test_tenant_without_free_slots_does_not_block_other_tenants(database: Database) -> None:
    slots = SLOTS._replace(per_tenant=1, overall=2)
    await begin(database, TENANT, "a", slots=slots)
    for type_key in "bcd":
        assert await _open(database, identity(type_key), slots) is runs.OpeningState.WAITING_FOR_SLOT
    assert (await _open_as(database, NEIGHBOUR, identity("a"), slots)).state is runs.OpeningState.RUNNING


async def test_tenant_with_many_queued_runs_does_not_starve_other_tenants(database: Database) -> None:
    slots = SLOTS._replace(per_tenant=2, overall=3)
    holders = [await begin(database, uuid4(), "a", slots=slots) for _ in range(3)]
    many = [identity(type_key) for type_key in "abcd"]
    for run in many:
        await _open(database, run, slots)
    small = identity("a")
    assert (await _open_as(database, NEIGHBOUR, small, slots)).ahead == 4
    async with database.portfolio() as session:
        tenants = {
            row.run_id: row.tenant_id for row in await session.execute(text("SELECT run_id, tenant_id FROM sync_run"))
        }
    for holder in holders:
        await end(database, tenants[holder.run_id], holder)
    assert (await _open_as(database, NEIGHBOUR, small, slots)).state is runs.OpeningState.RUNNING
    states = [await _open(database, run, slots) for run in many]
    assert states.count(runs.OpeningState.RUNNING) == 2


async def test_queued_run_with_an_expired_lease_blocks_no_other_run(database: Database) -> None:
    slots = SLOTS._replace(overall=1)
    holder = await begin(database, NEIGHBOUR, "a", slots=slots)
    dead, alive = identity("a"), identity("b")
    for run in (dead, alive):
        await _open(database, run, slots)
    await end(database, NEIGHBOUR, holder)
    assert await _open(database, alive, slots) is runs.OpeningState.WAITING_FOR_SLOT
    await _expire_lease(database, dead)
    assert await _open(database, alive, slots) is runs.OpeningState.RUNNING


async def test_queued_run_knows_the_number_of_runs_ahead(database: Database) -> None:
    slots = SLOTS._replace(overall=1)
    holder = await begin(database, NEIGHBOUR, "a", slots=slots)
    before, run = identity("a"), identity("b")
    for queued in (before, run):
        await _open(database, queued, slots)

    async def ahead(run_id: UUID) -> int | None:
        async with database.tenant(TENANT) as session:
            return await runs.runs_ahead(session, run_id, slots)

    assert [await ahead(before.run_id), await ahead(run.run_id)] == [0, 1]
    await end(database, NEIGHBOUR, holder)
    assert [await ahead(before.run_id), await ahead(run.run_id)] == [None, 1]
    assert await _open(database, before, slots) is runs.OpeningState.RUNNING
    assert [await ahead(before.run_id), await ahead(uuid4())] == [None, None], "neither run is queued"


async def test_expired_run_is_found_and_closed_as_abandoned_once(database: Database) -> None:
    await sync(database, TENANT, [observation("a", "1")], "a")
    dead, alive = await begin(database, TENANT, "a"), await begin(database, NEIGHBOUR, "a")
    await _expire_lease(database, dead)
    async with database.portfolio() as session:
        expired = await runs.expired_runs(session, 10)
    assert expired == [runs.OpenRun(TENANT, dead.run_id, dead.workflow_id)]
    for tenant, run, closes in ((TENANT, dead, True), (TENANT, dead, False), (NEIGHBOUR, alive, False)):
        async with database.tenant(tenant) as session:
            assert await runs.close_abandoned(session, run.run_id) is closes
    record = await _record(database, dead)
    assert (record.status, record.error_codes) == (RunStatus.FAILED, [ErrorCode.RUN_ABANDONED])
    assert (record.counts.missing, record.counts.not_read, record.counts.errors) == (0, 1, 1)
    assert record.collections["a"].error_code is ErrorCode.RUN_ABANDONED


async def test_open_run_counts_its_merged_items(database: Database) -> None:
    await sync(database, TENANT, [observation("a", external_id) for external_id in "xy"], "a")
    run = await begin(database, TENANT, "a", "b")
    assert (await _record(database, run)).counts == Counts()
    await land(database, TENANT, run, [observation("a", "x"), observation("a", "y", name="new"), observation("a", "z")])
    await land(database, TENANT, run, [observation("b", external_id) for external_id in "pq"])
    counts = (await _record(database, run)).counts
    assert (counts.observed, counts.created, counts.changed, counts.unchanged) == (5, 3, 1, 1)
    async with database.portfolio() as session:
        (record, _) = await queries.recent_runs(session, 10)
    assert record.counts == counts
    await end(database, TENANT, run)
    assert (await _record(database, run)).counts == counts


async def test_item_counts_come_from_merges_and_not_from_the_caller(database: Database) -> None:
    await sync(database, TENANT, [list_document("a", "x"), list_document("a", "y")], "a")
    run = await begin(database, TENANT, "a")
    await land(
        database, TENANT, run, [list_document("a", "x", name="new"), list_document("a", "y"), observation("a", "z")]
    )
    await record_wave(database, TENANT, run.run_id, {"requests": 2, "changed": 1, "collections": {}})
    claimed = Counts(pages=7, requests=9, observed=99, created=99, changed=99, unchanged=99)
    results = {"a": CollectionResult(outcome=Outcome.COMPLETE, context={"found_by_id": 4})}
    async with database.tenant(TENANT) as session:
        await runs.finish_run(session, run, runs.RunEnd(RunStatus.SUCCESS, claimed, [], results))
    counts = (await _record(database, run)).counts
    assert counts == Counts(pages=7, requests=9, observed=7, created=1, changed=1, unchanged=5, stale=2)


_MANY_RUNS = """
INSERT INTO sync_run (tenant_id, run_id, workflow_id, selection_hash, selection, status, finished_at)
SELECT %s, gen_random_uuid(), 'sync', repeat('0', 64), '{}', 'cancelled', clock_timestamp()
FROM generate_series(1, 5000)
"""


async def test_run_ids_are_found_by_their_range_with_an_index(database: Database, database_url: str) -> None:
    runs_of_tenant = [await begin(database, TENANT, key) for key in "abc"]
    neighbour = await begin(database, NEIGHBOUR, "a")
    low, middle, high = sorted(run.run_id for run in runs_of_tenant)
    async with database.tenant(TENANT) as session:
        assert await recorded_runs.run_ids_between(session, low, high, 10) == [high, middle, low]
        assert await recorded_runs.run_ids_between(session, low, high, 2) == [high, middle]
        assert await recorded_runs.run_ids_between(session, neighbour.run_id, neighbour.run_id, 10) == []
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as connection:
        await connection.execute(_MANY_RUNS, (TENANT,))
        await connection.execute("VACUUM (ANALYZE) sync_run")
    bounds = {"low": UUID(int=1 << 120), "high": UUID(int=(1 << 120) + (1 << 112))}
    async with database.tenant(TENANT) as session:
        plan = await session.execute(
            text("EXPLAIN SELECT run_id FROM sync_run WHERE run_id BETWEEN :low AND :high"), bounds
        )
        assert any("Index Cond" in line and "run_id >=" in line for line in plan.scalars())
