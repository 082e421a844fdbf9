"""Schedules that a worker keeps in Temporal. Functions raise `UnreachableError` if Temporal refuses."""

from contextlib import suppress
from datetime import timedelta
from functools import partial

from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleAlreadyRunningError,
    ScheduleIntervalSpec,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleSpec,
    ScheduleUpdate,
    ScheduleUpdateInput,
)
from temporalio.service import RPCError

from activities.holders import Kind, held
from connections import NOT_ALLOWED, UnreachableError, refused
from workflows.messages import RetentionInput
from workflows.notify import LOOK_ID, NotificationLookWorkflow
from workflows.retention import RETENTION_ID, RetentionWorkflow
from workflows.sweep import SWEEP_ID, SweepWorkflow

NOTIFICATION_LOOK = timedelta(minutes=5)
"""The time between looks for unreported events."""


async def schedule_sweep(client: Client, task_queue: str, interval: timedelta) -> None:
    """Removes the schedule if `interval` is zero."""
    action = ScheduleActionStartWorkflow(SweepWorkflow.run, id=f"{SWEEP_ID}/{task_queue}", task_queue=task_queue)
    otherwise = "set SWEEP_INTERVAL_SECONDS=0 and start SweepWorkflow by other means"
    await _keep_schedule(client, action, interval or None, otherwise)


async def schedule_retention(client: Client, task_queue: str, interval: timedelta, limits: RetentionInput) -> None:
    """Removes the schedule if `limits` sets none."""
    action = ScheduleActionStartWorkflow(
        RetentionWorkflow.run, limits, id=f"{RETENTION_ID}/{task_queue}", task_queue=task_queue
    )
    otherwise = (
        "set VERSION_RETENTION_DAYS, VERSION_RETENTION_COUNT and RUN_RETENTION_DAYS to 0"
        " and run: python starter.py retention"
    )
    await _keep_schedule(client, action, interval if limits.limits_anything else None, otherwise)


async def schedule_notification_look(client: Client, task_queue: str, *, is_wanted: bool) -> None:
    """Removes the schedule unless `is_wanted`."""
    action = ScheduleActionStartWorkflow(
        NotificationLookWorkflow.run, id=f"{LOOK_ID}/{task_queue}", task_queue=task_queue
    )
    await _keep_schedule(client, action, NOTIFICATION_LOOK if is_wanted else None, "unset NOTIFICATIONS_FILE")


async def _keep_schedule(
    client: Client, action: ScheduleActionStartWorkflow, interval: timedelta | None, otherwise: str
) -> None:
    """Creates or changes the schedule; without `interval`, removes it. `otherwise` is the remedy if Temporal refuses.

    A schedule of another kind stays; to change it raises `UnreachableError`.
    """
    schedule_id, kind = f"tenant-inventory-{action.id}", Kind(str(action.workflow), action.task_queue)
    handle = client.get_schedule_handle(schedule_id)

    def changed(schedule: Schedule, there: ScheduleUpdateInput) -> ScheduleUpdate:
        holder = Kind.scheduled_by(there.description.schedule)
        if holder != kind:
            raise UnreachableError(held(f"schedule id {schedule_id}", client.namespace, holder, kind))
        return ScheduleUpdate(schedule)

    try:
        if interval is None:
            with suppress(RPCError):
                if Kind.scheduled_by((await handle.describe()).schedule) == kind:
                    await handle.delete()
            return
        schedule = Schedule(
            action=action,
            spec=ScheduleSpec(intervals=[ScheduleIntervalSpec(every=interval)]),
            policy=SchedulePolicy(overlap=ScheduleOverlapPolicy.SKIP, catchup_window=timedelta(minutes=1)),
        )
        try:
            await client.create_schedule(schedule_id, schedule)
        except ScheduleAlreadyRunningError:
            await handle.update(partial(changed, schedule))
    except RPCError as error:
        if error.status not in NOT_ALLOWED:
            raise refused(client, error) from None
        raise UnreachableError(
            f"Temporal does not let this worker keep a schedule ({error.status.name}); allow it, or {otherwise}"
        ) from None
