"""A cancellation takes effect even if the same workflow task brings the end of the awaited activity."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.client import WorkflowFailureError, WorkflowHandle
from temporalio.exceptions import CancelledError
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor, Replayer

from inventory.outcomes import RunStatus
from inventory.portfolio import TenantChoice
from inventory.selection import Selection
from tests.deadlines import until_async
from tests.workflows.scripted_activities import Script
from tests.workflows.stand_in_worker import StandInWorker
from tests.workflows.test_portfolio_workflow import Portfolio
from tests.workflows.test_sync_workflow import THROTTLED_FOR_MINUTES
from workflows.messages import PortfolioInput, SyncInput
from workflows.portfolio import PortfolioWorkflow
from workflows.requests import CancelRequest
from workflows.sync import SyncWorkflow

pytestmark = pytest.mark.asyncio(loop_scope="session")

Activities = Sequence[Callable[..., Awaitable[object]]]
SELECTION = Selection(type_keys=("a",))


@dataclass
class HeldActivity(Interceptor):
    """Keeps an activity from ending until `go_on` is set."""

    name: str
    entered: asyncio.Event = field(default_factory=asyncio.Event)
    go_on: asyncio.Event = field(default_factory=asyncio.Event)

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:  # noqa: A002 - the SDK's name
        return _Holding(next, self)


class _Holding(ActivityInboundInterceptor):
    def __init__(self, following: ActivityInboundInterceptor, held: HeldActivity) -> None:
        super().__init__(following)
        self._held = held

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002 - the SDK's name
        answer = await super().execute_activity(input)
        if getattr(input.fn, "__name__", "") == self._held.name:
            self._held.entered.set()
            await self._held.go_on.wait()
        return answer


async def cancelled_as_it_ends(
    environment: WorkflowEnvironment,
    held: HeldActivity,
    activities: Activities,
    workflow: Any,
    workflow_input: Any,
    *,
    by_signal: bool,
) -> WorkflowHandle[Any, Any]:
    """The ended run of a workflow task that brought both its cancellation and its activity's end."""
    task_queue = f"test-{uuid4()}"
    workflows = [SyncWorkflow, PortfolioWorkflow]

    def deciding() -> StandInWorker:
        return StandInWorker(environment.client, task_queue=task_queue, workflows=workflows, max_cached_workflows=0)

    async with StandInWorker(environment.client, task_queue=task_queue, activities=activities, interceptors=[held]):
        async with deciding():
            handle = await environment.client.start_workflow(
                workflow, workflow_input, id=workflow_input.workflow_id, task_queue=task_queue
            )
            await held.entered.wait()
        await (handle.signal("cancel", CancelRequest(reason="enough")) if by_signal else handle.cancel())
        held.go_on.set()

        async def has_ended() -> bool:
            events = [event.event_type async for event in handle.fetch_history_events()]
            return events.count(EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED) == events.count(
                EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED
            )

        await until_async(has_ended)
        async with deciding():
            try:
                await handle.result()
            except WorkflowFailureError as failed:
                assert isinstance(failed.cause, CancelledError), failed.cause
                assert not by_signal
    replayer = Replayer(workflows=workflows, data_converter=environment.client.data_converter)
    await replayer.replay_workflow(await handle.fetch_history())
    return handle


@pytest.mark.parametrize("by_signal", [True, False])
@pytest.mark.parametrize(
    ("name", "script", "fetches"),
    [
        ("begin_run", {"pages": [2]}, 0),
        ("begin_run", {"pages": [2], "openings": ["waiting_for_slot"]}, 0),
        ("renew_lease", {"pages": [THROTTLED_FOR_MINUTES, 2]}, 1),
    ],
    ids=["opened", "queued", "waiting"],
)
async def test_a_run_is_cancelled_before_its_next_step(
    short_history: WorkflowEnvironment, name: str, script: dict[str, Any], fetches: int, by_signal: bool
) -> None:
    played = Script({"a": list(script["pages"])}, openings=list(script.get("openings", [])))
    workflow_input = SyncInput(tenant_id=uuid4(), selection=SELECTION)
    await cancelled_as_it_ends(
        short_history, HeldActivity(name), played.activities(), SyncWorkflow.run, workflow_input, by_signal=by_signal
    )
    (closed,) = played.finished
    assert closed.status is RunStatus.CANCELLED
    assert len(played.fetches) == fetches, "the run took no further step"
    assert closed.cancel_reason == ("enough" if by_signal else None)


@pytest.mark.parametrize("by_signal", [True, False])
async def test_a_portfolio_run_is_cancelled_before_any_tenants_run(
    short_history: WorkflowEnvironment, by_signal: bool
) -> None:
    portfolio = Portfolio(short_history.client, [uuid4()])
    activities: Activities = [portfolio.open_portfolio, portfolio.follow_runs, portfolio.record_portfolio]
    workflow_input = PortfolioInput(selection=SELECTION, chosen=TenantChoice(tenant_ids=tuple(portfolio.tenants)))
    await cancelled_as_it_ends(
        short_history,
        HeldActivity("open_portfolio"),
        activities,
        PortfolioWorkflow.run,
        workflow_input,
        by_signal=by_signal,
    )
    (closed,) = portfolio.recorded
    assert closed.ending is not None
    assert closed.ending.status is RunStatus.CANCELLED
    assert closed.ending.counts.ended == 0, "no tenant's run was started"
