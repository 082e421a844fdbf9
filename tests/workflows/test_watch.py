"""A look at many tenants: fifty per activity, and a failed activity stops no other. It replays."""

from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import pytest
from temporalio import activity
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.exceptions import ApplicationError
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Replayer

from activities.messages.watch import WatchChoice, WatchedTenants, WatchTenants, WatchTenantsResult
from inventory.error_codes import ErrorCode
from inventory.portfolio import TenantChoice
from tests.workflows.stand_in_worker import StandInWorker
from workflows.messages import WatchInput
from workflows.watch import TENANTS_TOGETHER, WatchWorkflow

BROKEN = UUID(int=60)
"""The activity that looks at this tenant fails."""


class Looks:
    """Looks at tenants, and records how many together."""

    def __init__(self, tenants: int) -> None:
        self._tenants = tenants
        self.together: list[int] = []

    @activity.defn(name="watched_tenants")
    async def watched_tenants(self, request: WatchChoice) -> WatchedTenants:
        assert request.chosen.everyone
        return WatchedTenants(tenant_ids=[UUID(int=number) for number in range(self._tenants)])

    @activity.defn(name="watch_tenants")
    async def watch_tenants(self, request: WatchTenants) -> WatchTenantsResult:
        if BROKEN in request.tenant_ids:
            raise ApplicationError("a defect", type=ErrorCode.UNEXPECTED_ERROR, non_retryable=True)
        self.together.append(len(request.tenant_ids))
        return WatchTenantsResult(
            looked=len(request.tenant_ids), requests=2, failed={UUID(int=1): ErrorCode.AUTH_FAILED}
        )


@pytest.mark.asyncio(loop_scope="session")
async def test_tenants_are_looked_at_fifty_at_a_time(time_skipping: WorkflowEnvironment) -> None:
    looks, queue = Looks(2 * TENANTS_TOGETHER + 1), str(uuid4())
    registered: list[Callable[..., Any]] = [looks.watched_tenants, looks.watch_tenants]
    async with StandInWorker(time_skipping.client, task_queue=queue, workflows=[WatchWorkflow], activities=registered):
        handle = await time_skipping.client.start_workflow(
            WatchWorkflow.run, WatchInput(chosen=TenantChoice(everyone=True)), id=f"watch/{queue}", task_queue=queue
        )
        result = await handle.result()
        history = await handle.fetch_history()
    assert sorted(looks.together) == [1, TENANTS_TOGETHER]
    assert (result.tenants, result.looked, result.failed, result.activities_failed) == (101, 51, 2, 1)
    scheduled = [event for event in history.events if event.HasField("activity_task_scheduled_event_attributes")]
    assert len(scheduled) == 4, "one to choose, one for every fifty"
    replayer = Replayer(workflows=[WatchWorkflow], data_converter=pydantic_data_converter)
    await replayer.replay_workflow(history)
