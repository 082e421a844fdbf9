"""NotifyWorkflow: tells people of a run's events. The run starts it and does not wait for it."""

import asyncio
from uuid import UUID

from temporalio import workflow
from temporalio.common import Priority
from temporalio.exceptions import ActivityError, WorkflowAlreadyStartedError, is_cancelled_exception
from temporalio.workflow import ParentClosePolicy

with workflow.unsafe.imports_passed_through():
    from activities import definitions
    from activities.messages.notifications import DeliverEvents, NoteRun
    from workflows import policies
    from workflows.messages import NotifyInput

NOTIFY_ID = "notify"
"""The beginning of the workflow ids."""


@workflow.defn
class NotifyWorkflow:
    """Notes the events in the outbox, and sends what waits there, to each target beside the others.

    A target that does not answer holds up no other one, and no run. What is left is sent by a later one.
    """

    @workflow.init
    def __init__(self, given: NotifyInput) -> None:
        self._given = given
        self._priority = Priority(fairness_key=str(given.tenant_id))

    @workflow.run
    async def run(self, given: NotifyInput) -> None:
        """Ends when everything is sent, or after a few tries."""
        if given.run_id is None:
            return
        noted = await workflow.execute_activity(
            definitions.note_run,
            NoteRun(tenant_id=given.tenant_id, run_id=given.run_id),
            summary="note events",
            priority=self._priority,
            **policies.NOTE,
        )
        await asyncio.gather(*(self._deliver(target) for target in noted.targets))

    async def _deliver(self, target: str) -> None:
        for _ in range(policies.DELIVERY_TRIES):
            try:
                delivered = await workflow.execute_activity(
                    definitions.deliver_events,
                    DeliverEvents(tenant_id=self._given.tenant_id, target=target),
                    summary=f"send to {target}",
                    priority=self._priority,
                    **policies.DELIVERY,
                )
            except ActivityError as error:
                if is_cancelled_exception(error):
                    raise
                workflow.logger.warning("nothing more was sent to target %s", target)
                return
            if delivered.wait is None or delivered.wait > policies.LONGEST_DELIVERY_WAIT:
                return
            await workflow.sleep(delivered.wait, summary=f"before the next attempt at {target}")


async def start_notify(tenant_id: UUID, run_id: UUID) -> None:
    """Starts the workflow that tells of a run's events. It goes on by itself; one that is under way is left alone."""
    try:
        await workflow.start_child_workflow(
            NotifyWorkflow.run,
            NotifyInput(tenant_id=tenant_id, run_id=run_id),
            id=f"{NOTIFY_ID}/{tenant_id}/{run_id}",
            parent_close_policy=ParentClosePolicy.ABANDON,
            priority=Priority(fairness_key=str(tenant_id)),
        )
    except WorkflowAlreadyStartedError:
        workflow.logger.info("another workflow holds the id of the notifications of run %s", run_id)
