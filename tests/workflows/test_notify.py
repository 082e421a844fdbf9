"""The notification workflows: they delay no run and no other target, retry a few times, and replay."""

from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from temporalio import activity
from temporalio.client import WorkflowHandle
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.exceptions import ApplicationError
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Replayer

from activities.messages.notifications import (
    DeliverEvents,
    DeliveryResult,
    LookForEvents,
    NoteEvents,
    NoteResult,
    TenantsToTell,
    TenantToTell,
)
from inventory.error_codes import ErrorCode
from tests.workflows.scripted_activities import Script
from tests.workflows.stand_in_worker import StandInWorker
from tests.workflows.test_sync_workflow import started
from workflows import policies
from workflows.messages import NotifyInput
from workflows.notify import NotificationLookWorkflow, NotifyWorkflow
from workflows.sync import SyncWorkflow

TENANT, RUN, BROKEN = UUID(int=1), UUID(int=2), UUID(int=3)


class Deliveries:
    """Notes events for some targets; each delivery plays its target's next result, and at last succeeds."""

    def __init__(self, **results: list[DeliveryResult | Exception]) -> None:
        self._results = results
        self.noted: list[NoteEvents] = []
        self.tries: list[str] = []

    @activity.defn(name="note_events")
    async def note_events(self, request: NoteEvents) -> NoteResult:
        self.noted.append(request)
        if request.run_ids == [BROKEN]:
            raise ApplicationError("a defect", type=ErrorCode.UNEXPECTED_ERROR, non_retryable=True)
        return NoteResult(targets=sorted(self._results))

    @activity.defn(name="deliver_events")
    async def deliver_events(self, request: DeliverEvents) -> DeliveryResult:
        self.tries.append(request.target)
        remaining = self._results[request.target]
        result = remaining.pop(0) if remaining else DeliveryResult(sent=1)
        if isinstance(result, Exception):
            raise result
        return result


async def played(
    environment: WorkflowEnvironment, deliveries: Deliveries, run_id: UUID = RUN
) -> WorkflowHandle[NotifyWorkflow, None]:
    """The ended workflow of one run's events."""
    queue = str(uuid4())
    async with StandInWorker(
        environment.client,
        task_queue=queue,
        workflows=[NotifyWorkflow],
        activities=[deliveries.note_events, deliveries.deliver_events],
    ):
        handle = await environment.client.start_workflow(
            NotifyWorkflow.run, NotifyInput(tenant_id=TENANT, run_ids=[run_id]), id=f"notify/{queue}", task_queue=queue
        )
        await handle.result()
    return handle


@pytest.mark.asyncio(loop_scope="session")
async def test_a_waiting_target_is_retried_and_no_target_delays_another(time_skipping: WorkflowEnvironment) -> None:
    defect = ApplicationError("a defect", type=ErrorCode.UNEXPECTED_ERROR, non_retryable=True)
    soon = DeliveryResult(wait=timedelta(seconds=30))
    deliveries = Deliveries(broken=[defect], late=[soon, soon], well=[])
    handle = await played(time_skipping, deliveries)
    (noted,) = deliveries.noted
    assert (noted.tenant_id, noted.run_ids) == (TENANT, [RUN])
    assert sorted(deliveries.tries) == ["broken", "late", "late", "late", "well"]
    history = await handle.fetch_history()
    replayer = Replayer(workflows=[NotifyWorkflow], data_converter=pydantic_data_converter)
    await replayer.replay_workflow(history)


@pytest.mark.asyncio(loop_scope="session")
async def test_deliveries_with_long_waits_or_many_tries_are_left_to_later_looks(
    time_skipping: WorkflowEnvironment,
) -> None:
    soon, late = DeliveryResult(wait=timedelta(seconds=1)), DeliveryResult(wait=timedelta(hours=1))
    deliveries = Deliveries(late=[late] * 9, soon=[soon] * 9)
    await played(time_skipping, deliveries)
    assert deliveries.tries.count("late") == 1
    assert deliveries.tries.count("soon") == policies.DELIVERY_TRIES


@pytest.mark.asyncio(loop_scope="session")
async def test_a_run_that_cannot_be_noted_does_not_block_waiting_events(time_skipping: WorkflowEnvironment) -> None:
    deliveries = Deliveries(well=[])
    await played(time_skipping, deliveries, BROKEN)
    assert [noted.run_ids for noted in deliveries.noted] == [[BROKEN], []]
    assert deliveries.tries == ["well"]


@pytest.mark.asyncio(loop_scope="session")
async def test_a_look_starts_a_workflow_per_tenant_unless_it_already_runs(time_skipping: WorkflowEnvironment) -> None:
    """No worker of the queue runs the workflows that it starts."""
    tenants = [TenantToTell(tenant_id=uuid4(), run_ids=[RUN]), TenantToTell(tenant_id=uuid4(), expiring=True)]
    looks: list[LookForEvents] = []

    @activity.defn(name="look_for_events")
    async def look_for_events(request: LookForEvents) -> TenantsToTell:
        looks.append(request)
        return TenantsToTell(tenants=tenants)

    queue = str(uuid4())
    async with StandInWorker(
        time_skipping.client, task_queue=queue, workflows=[NotificationLookWorkflow], activities=[look_for_events]
    ):
        for number in range(2):
            handle = await time_skipping.client.start_workflow(
                NotificationLookWorkflow.run, id=f"look/{queue}/{number}", task_queue=queue
            )
            assert (await handle.result()).tenants == 2
    history = await handle.fetch_history()
    replayer = Replayer(workflows=[NotificationLookWorkflow], data_converter=pydantic_data_converter)
    await replayer.replay_workflow(history)
    assert len({look.look_id for look in looks}) == 2
    for tenant in tenants:
        await time_skipping.client.get_workflow_handle(f"notify/{tenant.tenant_id}/look").terminate()


@pytest.mark.parametrize("notifies", [True, False])
@pytest.mark.asyncio(loop_scope="session")
async def test_a_run_starts_its_notification_workflow_without_waiting(
    time_skipping: WorkflowEnvironment, notifies: bool
) -> None:
    """No worker of the queue runs that workflow, and the run still ends."""
    async with started(time_skipping, Script({"a": [1]}, notifies=notifies)) as handle:
        result = await handle.result()
        history = await handle.fetch_history()
    await Replayer(workflows=[SyncWorkflow], data_converter=pydantic_data_converter).replay_workflow(history)
    workflow_ids = [
        event.child_workflow_execution_started_event_attributes.workflow_execution.workflow_id
        for event in history.events
        if event.HasField("child_workflow_execution_started_event_attributes")
    ]
    tenant_id = handle.id.split("/")[1]
    assert workflow_ids == ([f"notify/{tenant_id}/{result.run_id}"] if notifies else [])
    for workflow_id in workflow_ids:
        await time_skipping.client.get_workflow_handle(workflow_id).terminate()
