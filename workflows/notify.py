"""Notifications: a workflow for each run, and a scheduled look for unreported events."""

import asyncio
from uuid import UUID

from temporalio import workflow
from temporalio.common import Priority
from temporalio.exceptions import ActivityError, WorkflowAlreadyStartedError, is_cancelled_exception
from temporalio.workflow import ParentClosePolicy

with workflow.unsafe.imports_passed_through():
    from activities import definitions
    from activities.messages.notifications import DeliverEvents, LookForEvents, NoteEvents, NoteResult
    from workflows import policies
    from workflows.messages import NotificationLookResult, NotifyInput

NOTIFY_ID = "notify"
"""The beginning of the workflow ids."""

LOOK_ID = "notification-look"
"""The beginning of the workflow ids."""


@workflow.defn
class NotifyWorkflow:
    """Notes events in the outbox, and sends messages to all targets side by side.

    A silent target delays no other; a later workflow sends the rest.
    """

    @workflow.init
    def __init__(self, request: NotifyInput) -> None:
        self._tenant_id = request.tenant_id
        self._priority = Priority(fairness_key=str(request.tenant_id))

    @workflow.run
    async def run(self, request: NotifyInput) -> None:
        waiting = NoteEvents(tenant_id=request.tenant_id, look_id=UUID(workflow.info().run_id))
        try:
            noted = await self._note(
                waiting.model_copy(update={"run_ids": request.run_ids, "expiring": request.expiring}), "note events"
            )
        except ActivityError as error:
            if is_cancelled_exception(error):
                raise
            # Earlier events are sent all the same.
            workflow.logger.warning("the events could not be noted; the next look tries again")
            noted = await self._note(waiting, "which targets wait")
        await asyncio.gather(*(self._deliver(target) for target in noted.targets))

    async def _note(self, request: NoteEvents, summary: str) -> NoteResult:
        return await workflow.execute_activity(
            definitions.note_events, request, summary=summary, priority=self._priority, **policies.NOTE
        )

    async def _deliver(self, target: str) -> None:
        for _ in range(policies.DELIVERY_TRIES):
            try:
                delivered = await workflow.execute_activity(
                    definitions.deliver_events,
                    DeliverEvents(tenant_id=self._tenant_id, target=target),
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


@workflow.defn
class NotificationLookWorkflow:
    """Starts a workflow for each tenant with events, without waiting."""

    @workflow.run
    async def run(self) -> NotificationLookResult:
        look = await workflow.execute_activity(
            definitions.look_for_events,
            LookForEvents(look_id=UUID(workflow.info().run_id)),
            summary="of whom there is something to tell",
            **policies.SWEEP,
        )
        for tenant in look.tenants:
            notify_input = NotifyInput(tenant_id=tenant.tenant_id, run_ids=tenant.run_ids, expiring=tenant.expiring)
            await start_notify(notify_input, "look")
        return NotificationLookResult(tenants=len(look.tenants))


async def start_notify(request: NotifyInput, source: str) -> None:
    """Starts a child that outlives its parent, unless it runs already."""
    try:
        await workflow.start_child_workflow(
            NotifyWorkflow.run,
            request,
            id=f"{NOTIFY_ID}/{request.tenant_id}/{source}",
            parent_close_policy=ParentClosePolicy.ABANDON,
            priority=Priority(fairness_key=str(request.tenant_id)),
        )
    except WorkflowAlreadyStartedError:
        workflow.logger.info("notifications of tenant %s are under way (%s)", request.tenant_id, source)
