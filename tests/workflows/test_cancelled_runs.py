"""Runs cancelled by the signal or by Temporal, on its time-skipping server with scripted activities."""

import asyncio
from datetime import timedelta

import pytest
from temporalio.exceptions import CancelledError
from temporalio.testing import WorkflowEnvironment

from activities.messages.merges import UpsertItems
from activities.messages.pages import FetchPages
from activities.messages.runs import FinishRun, RunPolicy
from inventory.error_codes import ErrorCode
from inventory.outcomes import Outcome, RunStatus
from tests.workflows.scripted_activities import Script, until_cancelled
from tests.workflows.test_sync_workflow import THROTTLED, THROTTLED_FOR_MINUTES, Handle, failure_of, started
from workflows.requests import CancelRequest
from workflows.sync import SyncWorkflow

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_a_run_cancelled_during_finish_run_stays_successful(time_skipping: WorkflowEnvironment) -> None:
    handles: list[Handle] = []

    async def cancel_meanwhile(request: FinishRun) -> None:
        await handles[0].signal(SyncWorkflow.cancel, CancelRequest(reason="too late"))
        await handles[0].cancel()

    script = Script({"a": [2]}, before_finish=cancel_meanwhile)
    async with started(time_skipping, script) as handle:
        handles.append(handle)
        assert (await handle.result()).status is RunStatus.SUCCESS
    assert len(script.finished) == 1


async def test_cancels_during_closing_do_not_replace_the_first(time_skipping: WorkflowEnvironment) -> None:
    handles: list[Handle] = []

    async def cancel_meanwhile(request: FinishRun) -> None:
        for reason in ("second", "third"):
            await handles[0].signal(SyncWorkflow.cancel, CancelRequest(reason=reason))
        await handles[0].cancel()

    script = Script({"a": [2, 2]}, before_fetch=until_cancelled, before_finish=cancel_meanwhile)
    async with started(time_skipping, script) as handle:
        handles.append(handle)
        await handle.signal(SyncWorkflow.cancel, CancelRequest(reason="first", requested_by="me"))
        assert (await handle.result()).status is RunStatus.CANCELLED
    (closed,) = script.finished
    assert (closed.status, closed.cancel_reason, closed.cancel_requested_by) == (RunStatus.CANCELLED, "first", "me")


async def test_a_run_is_cancelled_while_it_confirms_items(time_skipping: WorkflowEnvironment) -> None:
    script = Script({"a": [2]}, unlisted={"a": 1}, confirm_failures=[THROTTLED_FOR_MINUTES] * 50)
    script.policy = RunPolicy(graph_patience=timedelta(days=10), cursor_attempts=1000)
    async with started(time_skipping, script) as handle:
        await script.confirming.wait()
        await handle.signal(SyncWorkflow.cancel, CancelRequest())
        assert (await handle.result()).status is RunStatus.CANCELLED
    assert script.finished[0].collections["a"].outcome is Outcome.INCOMPLETE


async def test_a_run_is_cancelled_during_its_last_merge(time_skipping: WorkflowEnvironment) -> None:
    handles: list[Handle] = []

    async def cancel_meanwhile(request: UpsertItems) -> None:
        await handles[0].signal(SyncWorkflow.cancel, CancelRequest(reason="just in time"))

    script = Script({"a": [2]}, before_upsert=cancel_meanwhile)
    async with started(time_skipping, script) as handle:
        handles.append(handle)
        assert (await handle.result()).status is RunStatus.CANCELLED
    assert script.finished[0].cancel_reason == "just in time"


@pytest.mark.parametrize("by_signal", [True, False])
async def test_a_run_is_cancelled_during_a_wave(time_skipping: WorkflowEnvironment, by_signal: bool) -> None:
    fetching = asyncio.Event()

    async def hang(request: FetchPages) -> None:
        if request.cursors[0].url != "/a":
            fetching.set()
            await until_cancelled(request)

    script = Script({"a": [2, 2]}, before_fetch=hang, one_page_a_wave=True)
    async with started(time_skipping, script) as handle:
        await fetching.wait()
        if by_signal:
            await handle.signal(SyncWorkflow.cancel, CancelRequest(reason="enough", requested_by="me"))
            result = await handle.result()
            assert result.status is RunStatus.CANCELLED
        else:
            await handle.cancel()
            assert isinstance(await failure_of(handle), CancelledError)
    closed = script.finished[0]
    assert len(script.finished) == 1
    assert (closed.status, closed.error_codes) == (RunStatus.CANCELLED, [ErrorCode.CANCELLED])
    assert closed.counts.created == 2, "merged waves are kept"
    assert closed.collections["a"].outcome is Outcome.INCOMPLETE
    assert closed.cancel_requested_by == ("me" if by_signal else "Temporal cancellation")


async def test_a_cancelled_run_completes_its_current_merge(time_skipping: WorkflowEnvironment) -> None:
    merging, go_on = asyncio.Event(), asyncio.Event()

    async def pause(request: UpsertItems) -> None:
        merging.set()
        await go_on.wait()

    script = Script({"a": [2]}, before_upsert=pause)
    async with started(time_skipping, script) as handle:
        await merging.wait()
        await handle.signal(SyncWorkflow.cancel, CancelRequest())
        await handle.signal(SyncWorkflow.cancel, CancelRequest(reason="again"))
        await handle.cancel()
        go_on.set()
        assert (await handle.result()).status is RunStatus.CANCELLED
    assert script.finished[0].counts.created == 2
    assert script.finished[0].cancel_reason is None, "the first request is the one on record"


async def test_a_queued_run_is_cancelled(time_skipping: WorkflowEnvironment) -> None:
    script = Script({"a": [1]}, openings=["waiting_for_slot"] * 10_000, policy=RunPolicy(queue_patience=timedelta.max))
    async with started(time_skipping, script) as handle:
        await handle.signal(SyncWorkflow.cancel, CancelRequest())
        assert (await handle.result()).status is RunStatus.CANCELLED


async def test_a_run_is_cancelled_while_it_waits_for_graph(time_skipping: WorkflowEnvironment) -> None:
    script = Script({"a": [THROTTLED.model_copy(update={"retry_after": timedelta(days=1)})] * 100})
    script.policy = RunPolicy(graph_patience=timedelta(days=100), cursor_attempts=1000)
    async with started(time_skipping, script) as handle:
        await handle.signal(SyncWorkflow.cancel, CancelRequest())
        assert (await handle.result()).status is RunStatus.CANCELLED
