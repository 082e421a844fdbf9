"""A run whose history grows long continues as new, and is the same run."""

import pytest
from temporalio.testing import WorkflowEnvironment

from activities.messages import CursorFailure
from inventory.error_codes import ErrorCode
from inventory.outcomes import Outcome, RunStatus
from tests.workflows.scripted import Script
from tests.workflows.test_sync_workflow import started
from workflows.sync import SyncWorkflow

THROTTLED = CursorFailure(code=ErrorCode.GRAPH_THROTTLED, retryable=True)

pytestmark = pytest.mark.asyncio(loop_scope="session")

UNLICENSED = CursorFailure(code=ErrorCode.GRAPH_NOT_LICENSED, retryable=False)


async def test_a_long_run_continues_as_new_under_the_same_run_id(short: WorkflowEnvironment) -> None:
    script = Script({"a": [2] * 40, "b": [1, THROTTLED, 1], "c": [UNLICENSED]})
    async with started(short, script) as handle:
        result = await handle.result()
        description = await short.client.get_workflow_handle(handle.id).describe()
        last = await short.client.get_workflow_handle(handle.id).query(SyncWorkflow.progress)
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
