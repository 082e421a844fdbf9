"""Temporal's schedule of `watch`, one for each task queue."""

from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from pydantic import BaseModel
from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleIntervalSpec,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleSpec,
    ScheduleState,
)

from activities.holders import WATCH_WORKFLOW, Kind
from control.durations import in_short
from control.workflow_schedules import WorkflowSchedules
from inventory.portfolio import TenantChoice
from workflows.messages import WatchInput
from workflows.watch import WATCH_ID, WatchWorkflow

SHORTEST = timedelta(minutes=1)
LONGEST = timedelta(hours=1)
EVERY = "5m"
"""The default time between looks at the logs."""

CATCH_UP = timedelta(minutes=1)
"""How late a look may start: a missed look loses nothing, since the next one reaches back."""


class WatchRecord(BaseModel, frozen=True):
    """Whether and how tenants are watched. `looks` counts the looks so far, `skipped` those that the one before left no
    time for.
    """

    on: bool
    tenants: str | None = None
    every: str | None = None
    next_at: datetime | None = None
    last_at: datetime | None = None
    looks: int = 0
    skipped: int = 0


class StoredWatch(NamedTuple):
    """`record` does not name the tenants."""

    chosen: TenantChoice
    spec: ScheduleSpec
    record: WatchRecord


class WatchSchedule(WorkflowSchedules[WatchInput]):
    """Methods raise `RequestError` if refused, `RPCError` if Temporal does not answer."""

    def __init__(self, client: Client, task_queue: str) -> None:
        super().__init__(client, Kind(WATCH_WORKFLOW, task_queue), WatchInput)
        self._id = f"tenant-inventory-watch/{task_queue}"

    async def keep(self, chosen: TenantChoice, every: timedelta) -> bool:
        """Starts or changes the watch; True if it was started."""
        schedule = Schedule(
            action=ScheduleActionStartWorkflow(
                WatchWorkflow.run,
                WatchInput(chosen=chosen),
                id=f"{WATCH_ID}/{self._task_queue}",
                task_queue=self._task_queue,
            ),
            spec=ScheduleSpec(intervals=[ScheduleIntervalSpec(every=every)]),
            policy=SchedulePolicy(overlap=ScheduleOverlapPolicy.SKIP, catchup_window=CATCH_UP),
        )

        return await self._put(self._id, schedule, lambda _: ScheduleState(), is_due=True)

    async def delete(self) -> bool:
        """Ends the watch; True if there was one. A look under way goes on."""
        if await self._described(self._id) is None:
            return False
        await self._client.get_schedule_handle(self._id).delete()
        return True

    async def leave_out(self, tenant_id: UUID) -> bool:
        """Takes the tenant out, and ends the watch if it names no other; True if it named this one."""
        stored = await self.stored()
        if stored is None or tenant_id not in stored.chosen.tenant_ids:
            return False
        rest = stored.chosen.without(tenant_id)
        if rest is None:
            return await self.delete()
        await self.keep(rest, stored.spec.intervals[0].every)
        return True

    async def stored(self) -> StoredWatch | None:
        """None if watching is off."""
        description = await self._described(self._id)
        if description is None:
            return None
        info, spec = description.info, description.schedule.spec
        record = WatchRecord(
            on=True,
            every=", ".join(in_short(interval.every) for interval in spec.intervals),
            next_at=next(iter(info.next_action_times), None),
            last_at=info.recent_actions[-1].started_at if info.recent_actions else None,
            looks=info.num_actions,
            skipped=info.num_actions_skipped_overlap,
        )
        return StoredWatch((await self._input(description)).chosen, spec, record)
