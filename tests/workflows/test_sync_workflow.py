"""Decisions of the workflow alone, on Temporal's time-skipping server with scripted activities."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from uuid import uuid4

import pytest
from temporalio import activity
from temporalio.api.enums.v1 import EventType
from temporalio.client import WorkflowFailureError, WorkflowHandle
from temporalio.exceptions import ApplicationError
from temporalio.testing import WorkflowEnvironment

from activities.messages.merges import UpsertItems
from activities.messages.pages import CursorFailure, FetchPages
from activities.messages.runs import RunPolicy
from inventory.error_codes import ErrorCode
from inventory.outcomes import Outcome, RunStatus
from inventory.selection import Selection
from tests.workflows.scripted_activities import Page, Script
from tests.workflows.stand_in_worker import StandInWorker
from workflows.messages import SyncInput, SyncResult
from workflows.policies import MERGE_ROWS, MERGE_WAVES
from workflows.requests import sync_workflow_id
from workflows.sync import SyncWorkflow

pytestmark = pytest.mark.asyncio(loop_scope="session")

Handle = WorkflowHandle[SyncWorkflow, SyncResult]

THROTTLED = CursorFailure(code=ErrorCode.GRAPH_THROTTLED, retryable=True, context={"http_status": 429})
FORBIDDEN = CursorFailure(code=ErrorCode.GRAPH_PERMISSION_MISSING, retryable=False)
UNAVAILABLE = CursorFailure(code=ErrorCode.GRAPH_UNAVAILABLE, retryable=True)
THROTTLED_FOR_MINUTES = THROTTLED.model_copy(update={"retry_after": timedelta(minutes=10)})
UNLICENSED = CursorFailure(code=ErrorCode.GRAPH_NOT_LICENSED, retryable=False)
EXPIRED = CursorFailure(code=ErrorCode.GRAPH_PAGE_EXPIRED, retryable=False, restart=True)


@asynccontextmanager
async def started(environment: WorkflowEnvironment, script: Script) -> AsyncIterator[Handle]:
    sync = SyncInput(tenant_id=uuid4(), selection=Selection(type_keys=tuple(script.pages)))
    task_queue = f"test-{uuid4()}"
    async with StandInWorker(
        environment.client,
        task_queue=task_queue,
        workflows=[SyncWorkflow],
        activities=script.activities(),
        max_heartbeat_throttle_interval=timedelta(milliseconds=100),
    ):
        yield await environment.client.start_workflow(
            SyncWorkflow.run, sync, id=sync_workflow_id(sync.tenant_id, sync.selection), task_queue=task_queue
        )


async def run(environment: WorkflowEnvironment, script: Script) -> SyncResult:
    async with started(environment, script) as handle:
        return await handle.result()


async def failure_of(handle: Handle) -> BaseException:
    with pytest.raises(WorkflowFailureError) as failed:
        await handle.result()
    assert failed.value.cause is not None
    return failed.value.cause


async def test_every_page_is_read_and_merged(time_skipping: WorkflowEnvironment) -> None:
    script = Script({"a": [3, 2, 1], "b": [5]})
    result = await run(time_skipping, script)
    assert result.status is RunStatus.SUCCESS
    assert (result.counts.pages, result.counts.observed, result.counts.created) == (4, 11, 11)
    assert result.counts.requests == 4
    closed = script.finished[0].collections
    assert (closed["a"].outcome, closed["a"].pages, closed["a"].items) == (Outcome.COMPLETE, 3, 6)


async def test_collections_of_one_family_share_a_wave(time_skipping: WorkflowEnvironment) -> None:
    script = Script({f"c{number:02}": [1] for number in range(25)})
    await run(time_skipping, script)
    assert sorted(len(fetch.cursors) for fetch in script.fetches) == [5, 20]


async def test_an_empty_page_with_a_next_link_is_followed(time_skipping: WorkflowEnvironment) -> None:
    script = Script({"a": [0, 0, 4]})
    result = await run(time_skipping, script)
    assert (result.counts.pages, result.counts.observed) == (3, 4)
    assert len(script.upserts) == 1, "a wave that staged nothing needs no merge"


async def test_a_durable_timer_waits_for_retry_after(time_skipping: WorkflowEnvironment) -> None:
    retry_after = timedelta(minutes=8)
    script = Script({"a": [THROTTLED.model_copy(update={"retry_after": retry_after}), 2]})
    async with started(time_skipping, script) as handle:
        result = await handle.result()
        description = await handle.describe()
    assert result.status is RunStatus.SUCCESS
    assert result.counts.throttled == 1
    assert description.close_time is not None
    assert description.close_time - description.start_time >= retry_after
    assert script.renewals > 0, "the slot is kept while the run waits"


async def test_a_wait_needs_one_timer_while_other_families_are_read(time_skipping: WorkflowEnvironment) -> None:
    throttled = THROTTLED.model_copy(update={"retry_after": timedelta(minutes=1)})
    script = Script({"a": [1] * 6, "b": [throttled, 1]}, families={"b": "another"})
    async with started(time_skipping, script) as handle:
        await handle.result()
        events = (await handle.fetch_history()).events
    timers = sum(event.event_type == EventType.EVENT_TYPE_TIMER_STARTED for event in events)
    assert timers == 1


async def test_retries_end_with_the_code_of_the_last_failure(time_skipping: WorkflowEnvironment) -> None:
    script = Script({"a": [THROTTLED] * 3, "b": [1]}, policy=RunPolicy(cursor_attempts=3))
    result = await run(time_skipping, script)
    assert result.status is RunStatus.PARTIAL
    assert result.error_codes == [ErrorCode.GRAPH_THROTTLED]
    closed = script.finished[0].collections["a"]
    assert closed.outcome is Outcome.FAILED
    assert closed.context == {"http_status": 429, "attempts": 3}


async def test_a_failure_in_mid_listing_leaves_the_collection_incomplete(time_skipping: WorkflowEnvironment) -> None:
    script = Script({"a": [2, FORBIDDEN, 1], "b": [1]})
    result = await run(time_skipping, script)
    assert result.status is RunStatus.PARTIAL
    assert script.finished[0].collections["a"].outcome is Outcome.INCOMPLETE


async def test_unlicensed_collections_are_skipped(time_skipping: WorkflowEnvironment) -> None:
    script = Script({"a": [UNLICENSED], "b": [1]})
    result = await run(time_skipping, script)
    assert (result.status, result.error_codes) == (RunStatus.SUCCESS, [])
    assert script.finished[0].collections["a"].outcome is Outcome.SKIPPED


async def test_a_run_without_complete_collections_fails_with_the_error_code(time_skipping: WorkflowEnvironment) -> None:
    script = Script({"a": [FORBIDDEN]})
    async with started(time_skipping, script) as handle:
        cause = await failure_of(handle)
    assert isinstance(cause, ApplicationError)
    assert cause.type == ErrorCode.GRAPH_PERMISSION_MISSING
    assert script.finished[0].status is RunStatus.FAILED


async def test_an_expired_page_token_restarts_the_listing_once(time_skipping: WorkflowEnvironment) -> None:
    script = Script({"a": [2, EXPIRED, 2, 1]})
    result = await run(time_skipping, script)
    assert result.status is RunStatus.SUCCESS
    assert script.fetches[2].cursors[0].url == "/a"
    assert script.finished[0].collections["a"].pages == 3
    assert script.upserts[-1].restarted == ["a"]


async def test_a_second_expiry_ends_the_collection(time_skipping: WorkflowEnvironment) -> None:
    script = Script({"a": [2, EXPIRED, 2, EXPIRED, 1]})
    async with started(time_skipping, script) as handle:
        await failure_of(handle)
    assert script.finished[0].error_codes == [ErrorCode.GRAPH_PAGE_EXPIRED]


async def test_a_paging_loop_ends_the_collection(time_skipping: WorkflowEnvironment) -> None:
    script = Script({"a": [1]}, loops=True)
    async with started(time_skipping, script) as handle:
        await failure_of(handle)
    assert script.finished[0].error_codes == [ErrorCode.GRAPH_PAGING_LOOP]
    assert len(script.fetches) < 10


async def test_a_wave_with_lost_staged_rows_is_fetched_again(time_skipping: WorkflowEnvironment) -> None:
    script = Script({"a": [3]}, losses=1)

    async def serve_again(request: UpsertItems) -> None:
        script.pages["a"] = [3]

    script.before_upsert = serve_again
    result = await run(time_skipping, script)
    assert result.status is RunStatus.SUCCESS
    assert result.counts.created == 3
    assert len(script.fetches) == 2
    assert script.upserts[0].fetch_token != script.upserts[1].fetch_token


async def test_a_repeatedly_lost_wave_fails_its_collections(time_skipping: WorkflowEnvironment) -> None:
    script = Script({"a": [3]}, losses=99)

    async def serve_again(request: UpsertItems) -> None:
        script.pages["a"] = [3]

    script.before_upsert = serve_again
    async with started(time_skipping, script) as handle:
        await failure_of(handle)
    assert script.finished[0].error_codes == [ErrorCode.STORAGE_UNAVAILABLE]


async def test_a_lost_wave_is_retried_without_its_following_pages(time_skipping: WorkflowEnvironment) -> None:
    script = Script({"a": [MERGE_ROWS, 2]}, losses=1, one_page_a_wave=True)

    async def serve_again(request: UpsertItems) -> None:
        await script.second_page.wait()
        if len(script.upserts) == 1:
            script.pages["a"] += [THROTTLED, MERGE_ROWS]

    script.before_upsert = serve_again
    result = await run(time_skipping, script)
    assert result.status is RunStatus.SUCCESS
    assert (result.counts.pages, result.counts.observed) == (2, MERGE_ROWS + 2)
    assert result.counts.created == result.counts.observed
    assert script.finished[0].collections["a"].outcome is Outcome.COMPLETE


async def test_waves_lost_together_are_all_read_again(time_skipping: WorkflowEnvironment) -> None:
    script = Script({"a": [3], "b": [2]}, families={"b": "another"}, losses=1)

    async def serve_again(request: UpsertItems) -> None:
        if len(script.upserts) == 1:
            script.pages = {"a": [3], "b": [2]}

    script.before_upsert = serve_again
    result = await run(time_skipping, script)
    assert len(script.fetches) == 4
    assert (result.counts.pages, result.counts.observed, result.counts.created) == (2, 5, 5)


async def test_only_lost_waves_of_a_merge_are_read_again(time_skipping: WorkflowEnvironment) -> None:
    script = Script({"a": [3], "b": [2]}, families={"b": "another"}, part_losses=1)
    read = []

    async def serve_again(request: UpsertItems) -> None:
        if len(script.upserts) == 1:
            read.extend(script.fetches)
            script.pages = {"a": [3], "b": [2]}

    script.before_upsert = serve_again
    result = await run(time_skipping, script)
    assert (len(read), len(script.fetches)) == (2, 3)
    assert (result.counts.pages, result.counts.observed, result.counts.created) == (2, 5, 5)
    assert {collection.outcome for collection in script.finished[0].collections.values()} == {Outcome.COMPLETE}


async def test_only_lost_pages_of_a_batch_are_read_again(time_skipping: WorkflowEnvironment) -> None:
    script = Script({"a": [0, 3, 2, 4]}, parents={"a": 3}, part_losses=1)

    async def serve_again(request: UpsertItems) -> None:
        if len(script.upserts) == 1:
            script.pages = {"a": [4]}

    script.before_upsert = serve_again
    result = await run(time_skipping, script)
    assert [[cursor.url for cursor in fetch.cursors] for fetch in script.fetches] == [
        ["/a"],
        ["/a/0", "/a/1", "/a/2"],
        ["/a/2"],
    ]
    assert [len(request.more_waves) for request in script.upserts] == [2, 0]
    assert (result.counts.pages, result.counts.observed, result.counts.created) == (4, 9, 9)
    assert {collection.outcome for collection in script.finished[0].collections.values()} == {Outcome.COMPLETE}


async def test_waves_fetched_close_together_share_a_merge(time_skipping: WorkflowEnvironment) -> None:
    script = Script({"a": [3], "b": [2]}, families={"b": "another"})
    result = await run(time_skipping, script)
    assert [1 + len(request.more_waves) for request in script.upserts] == [2]
    assert sorted(key for request in script.upserts for key in request.ended) == ["a", "b"]
    assert result.counts.created == 5


@pytest.mark.parametrize(
    ("pages", "merges"),
    [
        ([1] * (MERGE_WAVES + 3), [MERGE_WAVES, 3]),
        ([MERGE_ROWS, 1, MERGE_ROWS, 1, 1], [1, 2, 2]),
    ],
)
async def test_a_merge_takes_a_limited_number_of_waves_and_rows(
    time_skipping: WorkflowEnvironment, pages: list[int], merges: list[int]
) -> None:
    script = Script({"a": list(pages)}, one_page_a_wave=True)
    result = await run(time_skipping, script)
    assert [1 + len(request.more_waves) for request in script.upserts] == merges
    assert result.counts.created == sum(pages)


async def test_a_waiting_family_delays_no_merge(time_skipping: WorkflowEnvironment) -> None:
    # Without Retry-After the backoff may be almost zero: then `b` is read before `a` has ended.
    throttled = THROTTLED.model_copy(update={"retry_after": timedelta(minutes=1)})
    script = Script({"a": [3], "b": [throttled, 2]}, families={"b": "another"})
    merged_before_b = []

    async def note(request: UpsertItems) -> None:
        merged_before_b.append(len(script.fetches))

    script.before_upsert = note
    await run(time_skipping, script)
    assert merged_before_b == [2, 3]


async def test_confirmations_wait_until_lost_pages_are_read_again(time_skipping: WorkflowEnvironment) -> None:
    script = Script({"a": [3], "b": [2]}, losses=1, unlisted={"a": 1})

    async def serve_again(request: UpsertItems) -> None:
        if len(script.upserts) == 1:
            script.pages = {"a": [THROTTLED, 3], "b": [2]}

    async def too_early(request: FetchPages) -> None:
        assert not script.confirms

    script.before_upsert, script.before_fetch = serve_again, too_early
    assert (await run(time_skipping, script)).status is RunStatus.SUCCESS
    assert len(script.confirms) == 1


async def test_a_lost_merge_prevents_no_confirmations_or_details_of_empty_listings(
    time_skipping: WorkflowEnvironment,
) -> None:
    script = Script({"a": [3], "b": [0]}, losses=1, unlisted={"b": 1}, pending={"b": 2})

    async def serve_again(request: UpsertItems) -> None:
        if len(script.upserts) == 1:
            script.pages = {"a": [3]}

    script.before_upsert = serve_again
    assert (await run(time_skipping, script)).status is RunStatus.SUCCESS
    assert [request.type_keys for request in script.confirms] == [["b"]]
    assert [[share.type_key for share in request.shares] for request in script.details] == [["b"]]


async def test_unlisted_items_are_requested_by_id(time_skipping: WorkflowEnvironment) -> None:
    script = Script({"a": [2], "b": [1], "c": [0]}, unlisted={"a": 5, "c": 1})
    result = await run(time_skipping, script)
    assert result.status is RunStatus.SUCCESS
    assert [request.type_keys for request in script.confirms] == [["a", "c"], ["a"], ["a"]]
    assert script.finished[0].collections["a"].context == {"found_by_id": 2}
    assert result.counts.observed == 3 + 2


async def test_confirmations_are_retried_like_listings(time_skipping: WorkflowEnvironment) -> None:
    script = Script({"a": [2]}, unlisted={"a": 1}, confirm_failures=[THROTTLED, UNAVAILABLE])
    assert (await run(time_skipping, script)).status is RunStatus.SUCCESS
    assert len(script.confirms) == 3


async def test_unconfirmed_items_leave_the_collection_incomplete(time_skipping: WorkflowEnvironment) -> None:
    script = Script({"a": [2], "b": [1]}, unlisted={"a": 1}, confirm_failures=[FORBIDDEN])
    assert (await run(time_skipping, script)).status is RunStatus.PARTIAL
    closed = script.finished[0].collections["a"]
    assert (closed.outcome, closed.error_code) == (Outcome.INCOMPLETE, ErrorCode.GRAPH_PERMISSION_MISSING)


async def test_a_run_waits_for_a_familys_turn(time_skipping: WorkflowEnvironment) -> None:
    script = Script({"a": [2]}, paced=[timedelta(minutes=5)] * 3)
    result = await run(time_skipping, script)
    assert (result.status, result.counts.throttled, result.counts.requests) == (RunStatus.SUCCESS, 0, 1)


async def test_a_turn_that_comes_too_late_ends_the_collection_as_throttled(time_skipping: WorkflowEnvironment) -> None:
    script = Script({"a": [2]}, paced=[timedelta(minutes=25)] * 3, policy=RunPolicy(graph_patience=timedelta(hours=1)))
    async with started(time_skipping, script) as handle:
        await failure_of(handle)
    assert script.finished[0].error_codes == [ErrorCode.GRAPH_THROTTLED]


async def test_retry_after_pauses_only_its_throttle_family(time_skipping: WorkflowEnvironment) -> None:
    reads: list[tuple[str, float]] = []

    async def note(request: FetchPages) -> None:
        reads.extend((cursor.type_key, workflow_time()) for cursor in request.cursors)

    def workflow_time() -> float:
        return activity.info().scheduled_time.timestamp()

    pages: dict[str, list[Page]] = {"a": [THROTTLED_FOR_MINUTES, 1], "b": [1, 1], "c": [1, 1]}
    script = Script(pages, families={"a": "slow", "b": "slow", "c": "fast"}, before_fetch=note)
    assert (await run(time_skipping, script)).status is RunStatus.SUCCESS
    began = reads[0][1]
    waited = {key: max(moment for name, moment in reads if name == key) - began for key in "abc"}
    assert waited["a"] >= 600
    assert waited["b"] >= 600, "the collection shares the budget"
    assert waited["c"] < 300


async def test_waves_of_a_family_with_turns_wait_for_their_turn(time_skipping: WorkflowEnvironment) -> None:
    under_way: list[str] = []
    began: dict[str, float] = {}

    async def note(request: FetchPages) -> None:
        (type_key,) = [cursor.type_key for cursor in request.cursors]
        began[type_key] = activity.info().scheduled_time.timestamp()
        if type_key != "fast":
            assert not under_way
            under_way.append(type_key)
            await asyncio.sleep(0.2)
            under_way.remove(type_key)

    script = Script({"a": [1], "b": [1], "fast": [1]}, families={"a": "slow", "b": "slow"}, before_fetch=note)
    script.intervals, script.wave_limit = {"slow": timedelta(minutes=5)}, 1
    assert (await run(time_skipping, script)).status is RunStatus.SUCCESS
    assert began["fast"] - began["a"] < 300, "another family does not wait"
    assert began["b"] - began["a"] >= 300
    assert len(script.fetches) == 3, "no wave is sent only to be told to wait"


async def test_every_cursor_of_a_first_listing_is_marked(time_skipping: WorkflowEnvironment) -> None:
    script = Script({"new": [1, 1], "known": [1, 1]}, first_listings=frozenset({"new"}))
    assert (await run(time_skipping, script)).status is RunStatus.SUCCESS
    marks = {(cursor.type_key, cursor.is_first_listing) for fetch in script.fetches for cursor in fetch.cursors}
    assert marks == {("new", True), ("known", False)}


async def test_pages_that_are_too_large_together_are_read_in_smaller_waves(time_skipping: WorkflowEnvironment) -> None:
    script = Script({f"c{number:02}": [1] for number in range(20)}, too_large_from=6)
    assert (await run(time_skipping, script)).status is RunStatus.SUCCESS
    sizes = [len(fetch.cursors) for fetch in script.fetches]
    assert sizes[0] == 20
    assert max(sizes[-4:]) == 5


async def test_a_run_waits_for_its_slot(time_skipping: WorkflowEnvironment) -> None:
    openings = ["waiting_for_predecessor", *["waiting_for_slot"] * 5]
    script = Script({"a": [1]}, openings=openings)
    async with started(time_skipping, script) as handle:
        assert (await handle.result()).status is RunStatus.SUCCESS
        history = await handle.fetch_history()
    activities = [
        event.activity_task_scheduled_event_attributes.activity_type.name
        for event in history.events
        if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED
    ]
    assert activities[:8] == ["begin_run"] * 2 + ["renew_lease"] * 5 + ["begin_run"]


async def test_a_run_that_gets_no_slot_in_time_ends_with_concurrency_limit(time_skipping: WorkflowEnvironment) -> None:
    impatient = RunPolicy(queue_patience=timedelta(minutes=1))
    script = Script({"a": [1]}, openings=["waiting_for_slot"] * 1000, policy=impatient)
    async with started(time_skipping, script) as handle:
        await failure_of(handle)
    assert script.finished[0].error_codes == [ErrorCode.CONCURRENCY_LIMIT]
    assert not script.fetches


async def test_a_queued_run_with_a_closed_record_ends_at_once(time_skipping: WorkflowEnvironment) -> None:
    script = Script({"a": [1]}, openings=["waiting_for_slot", "ended"])
    async with started(time_skipping, script) as handle:
        await failure_of(handle)
    assert script.finished[0].error_codes == [ErrorCode.RUN_ABANDONED]
    assert not script.fetches


async def test_an_unexpected_activity_failure_ends_only_its_wave(time_skipping: WorkflowEnvironment) -> None:
    async def break_first(request: FetchPages) -> None:
        if request.cursors[0].type_key == "c00":
            raise ApplicationError("KeyError", type=ErrorCode.UNEXPECTED_ERROR, non_retryable=True)

    script = Script({f"c{number:02}": [1] for number in range(21)}, before_fetch=break_first)
    result = await run(time_skipping, script)
    assert result.status is RunStatus.PARTIAL
    assert result.error_codes == [ErrorCode.UNEXPECTED_ERROR]
    assert result.counts.errors == 20


async def test_a_run_fails_when_storage_stays_unavailable(time_skipping: WorkflowEnvironment) -> None:
    async def unreachable(request: UpsertItems) -> None:
        raise ApplicationError(
            "PostgreSQL cannot be reached", type=ErrorCode.STORAGE_UNAVAILABLE, next_retry_delay=timedelta(minutes=20)
        )

    script = Script({"a": [1], "b": [1]}, before_upsert=unreachable)
    async with started(time_skipping, script) as handle:
        cause = await failure_of(handle)
    assert isinstance(cause, ApplicationError)
    assert cause.type == ErrorCode.STORAGE_UNAVAILABLE
    assert script.finished[0].status is RunStatus.FAILED


async def test_the_progress_query_answers_after_the_run(time_skipping: WorkflowEnvironment) -> None:
    script = Script({"a": [2, 1]})
    async with started(time_skipping, script) as handle:
        await handle.result()
        progress = await handle.query(SyncWorkflow.progress)
    assert progress.status is RunStatus.SUCCESS
    assert progress.collections["a"].items == 3
