"""A run with a long history continues as new under its run id."""

from datetime import timedelta

import pytest
from temporalio.testing import WorkflowEnvironment

from activities.messages.pages import CursorFailure
from activities.messages.runs import RunPolicy
from inventory.error_codes import ErrorCode
from inventory.outcomes import Outcome, RunStatus
from tests.workflows.scripted_activities import Script
from tests.workflows.test_sync_workflow import failure_of, started
from workflows.sync import SyncWorkflow

THROTTLED = CursorFailure(code=ErrorCode.GRAPH_THROTTLED, retryable=True)

pytestmark = pytest.mark.asyncio(loop_scope="session")

UNLICENSED = CursorFailure(code=ErrorCode.GRAPH_NOT_LICENSED, retryable=False)


async def test_a_long_run_continues_as_new_under_the_same_run_id(short_history: WorkflowEnvironment) -> None:
    script = Script({"a": [2] * 40, "b": [1, THROTTLED, 1], "c": [UNLICENSED]}, one_page_a_wave=True)
    async with started(short_history, script) as handle:
        result = await handle.result()
        description = await short_history.client.get_workflow_handle(handle.id).describe()
        last = await short_history.client.get_workflow_handle(handle.id).query(SyncWorkflow.progress)
    assert result.status is RunStatus.SUCCESS
    assert str(result.run_id) == handle.first_execution_run_id != description.run_id
    assert (result.counts.pages, result.counts.observed, result.counts.created) == (42, 82, 82)
    (closed,) = script.finished
    assert closed.run.run_id == result.run_id
    assert (closed.collections["a"].outcome, closed.collections["a"].pages) == (Outcome.COMPLETE, 40)
    assert closed.collections["c"].outcome is Outcome.SKIPPED
    urls = [cursor.url for fetch in script.fetches for cursor in fetch.cursors if cursor.type_key == "a"]
    assert len(urls) == len(set(urls)) == 40, "no page is read twice"
    assert last.counts == result.counts


async def test_a_long_wait_for_graph_continues_as_new_with_the_remaining_retry_limit(
    time_skipping_short_history: WorkflowEnvironment,
) -> None:
    paused = THROTTLED.model_copy(update={"retry_after": timedelta(minutes=50)})
    script = Script({"a": [paused] * 100}, policy=RunPolicy(graph_patience=timedelta(hours=2), cursor_attempts=1000))
    async with started(time_skipping_short_history, script) as handle:
        await failure_of(handle)
        client = time_skipping_short_history.client
        histories = [
            await client.get_workflow_handle(handle.id, run_id=workflow.run_id).fetch_history()
            async for workflow in client.list_workflows(f"WorkflowId = '{handle.id}'")
        ]
    (closed,) = script.finished
    assert closed.error_codes == [ErrorCode.GRAPH_THROTTLED]
    # At the start, after 50 and after 100 minutes. At a continue-as-new, this server sometimes skips too far.
    assert 2 <= len(script.fetches) <= 3, "one retry limit for all executions"
    assert len(histories) > 2
    assert all(len(history.events) < 120 for history in histories)
