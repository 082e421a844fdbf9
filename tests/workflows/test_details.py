"""How a run reads the details of listed items."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from uuid import uuid4

import pytest
from temporalio.client import WorkflowHandle
from temporalio.testing import WorkflowEnvironment

from activities.messages.merges import UpsertItems
from activities.messages.pages import CursorFailure
from activities.messages.runs import RunPolicy
from inventory.backoff import KnownFailure
from inventory.error_codes import ErrorCode
from inventory.outcomes import Outcome, RunStatus
from inventory.selection import Selection
from tests.workflows.scripted_activities import Script
from tests.workflows.stand_in_worker import StandInWorker
from workflows.messages import SyncInput, SyncResult
from workflows.policies import MERGE_ROWS
from workflows.requests import CancelRequest, sync_workflow_id
from workflows.sync import SyncWorkflow

pytestmark = pytest.mark.asyncio(loop_scope="session")

THROTTLED = CursorFailure(code=ErrorCode.GRAPH_THROTTLED, retryable=True, retry_after=timedelta(minutes=10))
UNAVAILABLE = CursorFailure(code=ErrorCode.GRAPH_UNAVAILABLE, retryable=True)
FORBIDDEN = CursorFailure(code=ErrorCode.GRAPH_PERMISSION_MISSING, retryable=False, context={"http_status": 403})
KNOWN = KnownFailure(code=ErrorCode.GRAPH_UNAVAILABLE, runs=2, in_details=True)


@asynccontextmanager
async def started(
    environment: WorkflowEnvironment, script: Script, *, deep: bool = False
) -> AsyncIterator[WorkflowHandle[SyncWorkflow, SyncResult]]:
    sync = SyncInput(tenant_id=uuid4(), selection=Selection(type_keys=tuple(script.pages)), deep=deep)
    task_queue = f"test-{uuid4()}"
    async with StandInWorker(
        environment.client, task_queue=task_queue, workflows=[SyncWorkflow], activities=script.activities()
    ):
        yield await environment.client.start_workflow(
            SyncWorkflow.run, sync, id=sync_workflow_id(sync.tenant_id, sync.selection), task_queue=task_queue
        )


async def run(environment: WorkflowEnvironment, script: Script, *, deep: bool = False) -> SyncResult:
    async with started(environment, script, deep=deep) as handle:
        return await handle.result()


async def test_a_collection_with_unlisted_items_and_pending_details_is_completed(
    time_skipping: WorkflowEnvironment,
) -> None:
    script = Script({"a": [5], "b": [1]}, pending={"a": 5}, unlisted={"a": 1})
    result = await run(time_skipping, script)
    assert result.status is RunStatus.SUCCESS
    assert [len(request.shares) for request in script.details] == [1, 1]
    assert script.steps == ["merged", "confirm", "details", "details"]
    assert result.counts.requests == 2 + 2 + 3 + 3
    assert script.finished[0].collections["a"].outcome is Outcome.COMPLETE


async def test_a_collection_without_pending_details_is_complete_at_once(time_skipping: WorkflowEnvironment) -> None:
    script = Script({"a": [5]}, pending={"a": 0})
    assert (await run(time_skipping, script)).status is RunStatus.SUCCESS
    assert script.details == []


async def test_details_of_items_merged_after_the_count_are_read(time_skipping: WorkflowEnvironment) -> None:
    script = Script({"a": [MERGE_ROWS, 1]}, pending={"a": 0}, one_page_a_wave=True)
    counted = asyncio.Event()

    async def before_upsert(request: UpsertItems) -> None:
        if request.detailed:
            counted.set()
        else:
            await counted.wait()
            script.pending["a"] = 1

    script.before_upsert = before_upsert
    assert (await run(time_skipping, script)).status is RunStatus.SUCCESS
    assert [len(request.shares) for request in script.details] == [1]
    assert script.parts == {("a", 0): 0}


async def test_many_items_are_divided_between_the_waves_in_flight(time_skipping: WorkflowEnvironment) -> None:
    script = Script({"a": [200]}, pending={"a": 200})
    script.policy = RunPolicy(waves_in_flight=4)
    assert (await run(time_skipping, script)).status is RunStatus.SUCCESS
    shares = {(share.part, share.of) for request in script.details for share in request.shares}
    assert shares == {(0, 4), (1, 4), (2, 4), (3, 4)}
    assert set(script.parts.values()) == {0}


async def test_collections_of_one_family_share_a_wave_of_details(time_skipping: WorkflowEnvironment) -> None:
    script = Script({"a": [3], "b": [3], "c": [3]}, pending={"a": 3, "b": 2, "c": 1}, families={"c": "other"})
    assert (await run(time_skipping, script)).status is RunStatus.SUCCESS
    assert sorted([share.type_key for share in request.shares] for request in script.details) == [["a", "b"], ["c"]]


async def test_every_merge_of_a_deep_run_is_deep(time_skipping: WorkflowEnvironment) -> None:
    script = Script({"a": [MERGE_ROWS, 1]}, pending={"a": 2}, one_page_a_wave=True)
    await run(time_skipping, script, deep=True)
    assert [request.deep for request in script.upserts] == [True, True]
    assert {request.detail_refresh for request in script.upserts} == {script.policy.detail_refresh}


async def test_progress_resets_the_retry_limit_of_details(time_skipping: WorkflowEnvironment) -> None:
    failures = [THROTTLED, UNAVAILABLE, None, UNAVAILABLE, THROTTLED, None]
    script = Script({"a": [7]}, pending={"a": 7}, detail_failures=failures)
    script.policy = RunPolicy(cursor_attempts=3)
    result = await run(time_skipping, script)
    assert (result.status, result.counts.throttled) == (RunStatus.SUCCESS, 2)
    assert len(script.details) == 4 + 3


async def test_unreadable_details_leave_a_complete_listing_and_a_partial_run(
    time_skipping: WorkflowEnvironment,
) -> None:
    script = Script({"a": [5], "b": [1]}, pending={"a": 5}, detail_failures=[UNAVAILABLE] * 50)
    script.policy = RunPolicy(cursor_attempts=4)
    result = await run(time_skipping, script)
    assert (result.status, result.error_codes) == (RunStatus.PARTIAL, [ErrorCode.DETAIL_INCOMPLETE])
    assert len(script.details) == 4
    closed = script.finished[0].collections["a"]
    assert (closed.outcome, closed.error_code) == (Outcome.COMPLETE, ErrorCode.DETAIL_INCOMPLETE)
    assert closed.context["detail_error_code"] == ErrorCode.GRAPH_UNAVAILABLE
    assert result.counts.errors == 1


async def test_forbidden_details_are_not_retried(time_skipping: WorkflowEnvironment) -> None:
    script = Script({"a": [5]}, pending={"a": 5}, detail_failures=[FORBIDDEN])
    result = await run(time_skipping, script)
    assert (result.status, len(script.details)) == (RunStatus.PARTIAL, 1)
    context = script.finished[0].collections["a"].context
    assert (context["detail_error_code"], context["http_status"]) == (ErrorCode.GRAPH_PERMISSION_MISSING, 403)


async def test_a_failed_item_does_not_stop_the_others(time_skipping: WorkflowEnvironment) -> None:
    script = Script({"a": [6]}, pending={"a": 6}, given_up=[FORBIDDEN])
    result = await run(time_skipping, script)
    assert (result.status, result.error_codes) == (RunStatus.PARTIAL, [ErrorCode.DETAIL_INCOMPLETE])
    assert len(script.details) == 2


async def test_details_with_too_large_answers_are_read_in_smaller_waves(time_skipping: WorkflowEnvironment) -> None:
    script = Script({"a": [3]}, pending={"a": 3}, large_details_from=5)
    assert (await run(time_skipping, script)).status is RunStatus.SUCCESS
    assert [request.limit for request in script.details] == [20, 5, 1]


async def test_a_run_is_cancelled_while_it_waits_for_details(time_skipping: WorkflowEnvironment) -> None:
    script = Script({"a": [3]}, pending={"a": 3}, detail_failures=[THROTTLED] * 100)
    script.policy = RunPolicy(
        graph_patience=timedelta(days=10),
        cursor_attempts=1000,
    )
    async with started(time_skipping, script) as handle:
        await script.detailing.wait()
        await handle.signal(SyncWorkflow.cancel, CancelRequest(reason="enough", requested_by="me"))
        assert (await handle.result()).status is RunStatus.CANCELLED
    assert script.finished[0].cancel_requested_by == "me"


async def test_a_share_carries_only_known_failures_of_its_details(time_skipping: WorkflowEnvironment) -> None:
    script = Script({"a": [3], "b": [3]}, pending={"a": 3, "b": 3})
    of_listing = KNOWN.model_copy(update={"in_details": False})
    script.known_failures = {"a": KNOWN, "b": of_listing}
    await run(time_skipping, script)
    failures = {share.type_key: share.known_failure for request in script.details for share in request.shares}
    assert failures == {"a": KNOWN, "b": None}
