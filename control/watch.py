"""Temporal's schedule of `watch`, one for each task queue."""

from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleAlreadyRunningError,
    ScheduleDescription,
    ScheduleIntervalSpec,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleSpec,
    ScheduleUpdate,
    ScheduleUpdateInput,
)
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode

from activities.holders import WATCH_WORKFLOW, Kind, held
from control.durations import in_short
from control.errors import RequestError
from inventory.portfolio import TenantChoice
from payload_codec import PayloadKeyError
from workflows.messages import WatchInput
from workflows.watch import WATCH_ID, WatchWorkflow

SHORTEST = timedelta(minutes=1)
LONGEST = timedelta(hours=1)
EVERY = "5m"
"""The default time between looks at the logs."""

CATCH_UP = timedelta(minutes=1)
"""How late a look may start; a missed one loses nothing, since the next reaches back."""


class StoredWatch(NamedTuple):
    """The schedule in Temporal. `skipped` counts looks for which the one before left no time."""

    chosen: TenantChoice
    every: str
    next_at: datetime | None
    last_at: datetime | None
    looks: int
    skipped: int


class WatchSchedule:
    """Methods raise `RequestError` if refused, `RPCError` if Temporal does not answer."""

    def __init__(self, client: Client, task_queue: str) -> None:
        self._client = client
        self._task_queue = task_queue
        self._id = f"tenant-inventory-watch/{task_queue}"

    async def keep(self, chosen: TenantChoice, every: timedelta) -> bool:
        """Starts or changes the watch; True if it was started."""
        wanted = Schedule(
            action=ScheduleActionStartWorkflow(
                WatchWorkflow.run,
                WatchInput(chosen=chosen),
                id=f"{WATCH_ID}/{self._task_queue}",
                task_queue=self._task_queue,
            ),
            spec=ScheduleSpec(intervals=[ScheduleIntervalSpec(every=every)]),
            policy=SchedulePolicy(overlap=ScheduleOverlapPolicy.SKIP, catchup_window=CATCH_UP),
        )

        def changed(there: ScheduleUpdateInput) -> ScheduleUpdate:
            self._refuse_other(there.description)
            return ScheduleUpdate(wanted)

        try:
            await self._client.create_schedule(self._id, wanted, trigger_immediately=True)
        except ScheduleAlreadyRunningError:
            await self._client.get_schedule_handle(self._id).update(changed)
            return False
        return True

    async def delete(self) -> bool:
        """Ends watching; True if it was on. A look under way goes on."""
        description = await self._described()
        if description is None:
            return False
        self._refuse_other(description)
        await self._client.get_schedule_handle(self._id).delete()
        return True

    async def leave_out(self, tenant_id: UUID) -> bool:
        """Removes a tenant, ending the watch if it names no other; True if it named the tenant."""
        description = await self._described()
        if description is None:
            return False
        stored = await self.stored()
        if stored is None or tenant_id not in stored.chosen.tenant_ids:
            return False
        rest = stored.chosen.without(tenant_id)
        if rest is None:
            return await self.delete()
        await self.keep(rest, description.schedule.spec.intervals[0].every)
        return True

    async def stored(self) -> StoredWatch | None:
        """None if watching is off."""
        description = await self._described()
        if description is None:
            return None
        self._refuse_other(description)
        action, info, spec = description.schedule.action, description.info, description.schedule.spec
        args = action.args if isinstance(action, ScheduleActionStartWorkflow) else []
        try:
            (given,) = await description.data_converter.decode(args, [WatchInput])
        except PayloadKeyError:
            raise
        except (ApplicationError, RuntimeError, ValueError):
            raise RequestError(f"schedule {description.id}: its input is not valid") from None
        return StoredWatch(
            chosen=given.chosen,
            every=", ".join(in_short(interval.every) for interval in spec.intervals),
            next_at=next(iter(info.next_action_times), None),
            last_at=info.recent_actions[-1].started_at if info.recent_actions else None,
            looks=info.num_actions,
            skipped=info.num_actions_skipped_overlap,
        )

    async def _described(self) -> ScheduleDescription | None:
        try:
            return await self._client.get_schedule_handle(self._id).describe()
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                return None
            raise

    def _refuse_other(self, there: ScheduleDescription) -> None:
        wanted = Kind(WATCH_WORKFLOW, self._task_queue)
        if (holder := Kind.scheduled_by(there.schedule)) != wanted:
            raise RequestError(held(f"schedule id {there.id}", self._client.namespace, holder, wanted))
