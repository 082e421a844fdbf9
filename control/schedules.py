"""Schedules of portfolio runs in Temporal."""

import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel
from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionExecutionStartWorkflow,
    ScheduleActionStartWorkflow,
    ScheduleCalendarSpec,
    ScheduleDescription,
    ScheduleHandle,
    ScheduleInfo,
    ScheduleIntervalSpec,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleRange,
    ScheduleSpec,
    ScheduleState,
)
from temporalio.service import RPCError, RPCStatusCode

from activities.holders import PORTFOLIO_WORKFLOW, Kind
from control.durations import duration_of, in_short
from control.errors import RequestError
from control.portfolio_words import NameOf, selection_name, summary, tenants_in_words
from control.workflow_schedules import WorkflowSchedules
from inventory.portfolio import TenantChoice
from inventory.typed_text import NAME
from temporal_errors import if_there
from workflows import search_attributes
from workflows.messages import PortfolioInput
from workflows.portfolio import PortfolioWorkflow

SHORTEST = timedelta(minutes=1)
LONGEST = timedelta(days=366)
SHORTEST_CATCH_UP = timedelta(seconds=10)
LONGEST_CATCH_UP = timedelta(days=365)
NO_NOTES = ("", "Paused via Python SDK", "Unpaused via Python SDK")
"""What a schedule has for a note if nobody gave one."""

CATCH_UP = "10m"
"""The default limit of a start's delay after an outage."""
DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_CALENDAR = re.compile(r"(?:(?P<days>[a-z,-]+) +)?(?P<hour>\d{1,2}):(?P<minute>\d{2})")

Label = Callable[[str], str]
"""Gives the option or form field that stands for a part of a schedule."""


class UnknownScheduleError(RequestError):
    """No schedule has this name."""


class ScheduleRecord(BaseModel, frozen=True):
    """`last_status` is the status of the last started run; None if Temporal has forgotten it.

    `skipped_overlap` counts starts skipped because the last run was under way, `missed_catch_up` those missed because
    Temporal was down for longer than `catch_up`.
    """

    name: str
    tenants: str
    selection_hash: str
    selection_name: str
    when: str
    jitter: str | None
    catch_up: str
    paused: bool
    note: str | None
    next_at: datetime | None
    last_at: datetime | None
    last_status: str | None
    running: int
    actions: int
    skipped_overlap: int
    missed_catch_up: int


class StoredSchedule(NamedTuple):
    record: ScheduleRecord
    input: PortfolioInput
    spec: ScheduleSpec


class Schedules(WorkflowSchedules[PortfolioInput]):
    """Methods raise `RequestError` if a request is impossible, `RPCError` if Temporal does not answer."""

    def __init__(self, client: Client, task_queue: str, name_of: NameOf = str) -> None:
        super().__init__(client, Kind(PORTFOLIO_WORKFLOW, task_queue), PortfolioInput)
        self._prefix = f"tenant-inventory-portfolio/{task_queue}/"
        self._name_of = name_of

    async def keep(
        self, name: str, portfolio_input: PortfolioInput, spec: ScheduleSpec, catch_up: timedelta, note: str | None
    ) -> bool:
        """Creates or changes the schedule; True if it was created.

        A paused schedule stays paused; without `note`, it keeps its note.
        """
        schedule = Schedule(
            action=ScheduleActionStartWorkflow(
                PortfolioWorkflow.run,
                portfolio_input,
                id=portfolio_input.workflow_id,
                task_queue=self._task_queue,
                typed_search_attributes=search_attributes.portfolio(
                    portfolio_input.selection, selection_name(portfolio_input)
                ),
                static_summary=summary(portfolio_input, self._name_of),
            ),
            spec=spec,
            policy=SchedulePolicy(overlap=ScheduleOverlapPolicy.SKIP, catchup_window=catch_up, pause_on_failure=False),
            state=ScheduleState(note=note),
        )

        def new_state(state: ScheduleState) -> ScheduleState:
            return ScheduleState(note=state.note if note is None else note, paused=state.paused)

        async with _refusals():
            return await self._put(self._id(name), schedule, new_state, is_due=False)

    async def all(self) -> tuple[list[StoredSchedule], list[str]]:
        """The schedules in order of name, and the errors of schedules that `one` refuses."""
        async with _refusals():
            ids = [
                listed.id async for listed in await self._client.list_schedules() if listed.id.startswith(self._prefix)
            ]
            schedules: list[StoredSchedule] = []
            left_out: list[str] = []
            for schedule_id in sorted(ids):
                try:
                    schedules.append(await self.stored(schedule_id.removeprefix(self._prefix)))
                except UnknownScheduleError:
                    continue  # deleted since it was listed
                except RequestError as error:
                    left_out.append(str(error))
        return schedules, left_out

    async def stored(self, name: str) -> StoredSchedule:
        """Raises `UnknownScheduleError`, and `RequestError` if the schedule is not ours or has an invalid input."""
        async with _refusals():
            return await self._stored(await self._of_name(name))

    async def leave_out(self, tenant_id: UUID) -> tuple[list[str], list[str]]:
        """Takes the tenant out of schedules, and deletes those left without tenants.

        Returns the names of both, and the errors of schedules that still name it.
        """
        stored, _ = await self.all()
        changed: list[str] = []
        refused: list[str] = []
        for schedule in stored:
            name, chosen = schedule.record.name, schedule.input.chosen
            if tenant_id not in chosen.tenant_ids:
                continue
            try:
                await self._keep_for(schedule, chosen.without(tenant_id))
            except RequestError as error:
                refused.append(f"schedule {name}: {error}")
            else:
                changed.append(name)
        return changed, refused

    async def _keep_for(self, schedule: StoredSchedule, chosen: TenantChoice | None) -> None:
        record, portfolio_input, spec = schedule
        if chosen is None:
            await self.delete(record.name)
            return
        changed = portfolio_input.model_copy(update={"chosen": chosen})
        await self.keep(record.name, changed, spec, catch_up_window(record.catch_up, str), None)

    async def refuse_existing(self, name: str) -> None:
        try:
            await self.stored(name)
        except UnknownScheduleError:
            return
        raise RequestError(f"there is a schedule {name!r} already; change that one, or choose another name")

    async def pause(self, name: str, note: str | None = None) -> None:
        """Drops the starts that are due during the pause."""
        async with self._ours(name) as handle:
            await handle.pause(note=note)

    async def resume(self, name: str, note: str | None = None) -> None:
        async with self._ours(name) as handle:
            await handle.unpause(note=note)

    async def trigger(self, name: str) -> None:
        """Starts a portfolio run, unless the last one is under way."""
        async with self._ours(name) as handle:
            await handle.trigger(overlap=ScheduleOverlapPolicy.SKIP)

    async def delete(self, name: str) -> None:
        """A portfolio run under way goes on."""
        async with self._ours(name) as handle:
            await handle.delete()

    def _id(self, name: str) -> str:
        return f"{self._prefix}{name}"

    @asynccontextmanager
    async def _ours(self, name: str) -> AsyncIterator[ScheduleHandle]:
        async with _refusals():
            await self._of_name(name)
            try:
                yield self._client.get_schedule_handle(self._id(name))
            except RPCError as error:
                if error.status is RPCStatusCode.NOT_FOUND:
                    raise _unknown(name) from None
                raise

    async def _of_name(self, name: str) -> ScheduleDescription:
        description = await self._described(self._id(name))
        if description is None:
            raise _unknown(name)
        return description

    async def _stored(self, description: ScheduleDescription) -> StoredSchedule:
        info, schedule = description.info, description.schedule
        spec, paused = schedule.spec, schedule.state.paused
        portfolio_input = await self._input(description)
        record = ScheduleRecord(
            name=description.id.removeprefix(self._prefix),
            tenants=tenants_in_words(portfolio_input.chosen, self._name_of),
            selection_hash=portfolio_input.selection.hash(),
            selection_name=selection_name(portfolio_input),
            when=in_words(spec),
            jitter=in_short(spec.jitter) if spec.jitter else None,
            catch_up=in_short(schedule.policy.catchup_window or LONGEST_CATCH_UP),
            paused=paused,
            note=None if schedule.state.note in NO_NOTES else schedule.state.note,
            next_at=None if paused else next(iter(info.next_action_times), None),
            last_at=info.recent_actions[-1].started_at if info.recent_actions else None,
            last_status=await self._last_status(info),
            running=len(info.running_actions),
            actions=info.num_actions,
            skipped_overlap=info.num_actions_skipped_overlap,
            missed_catch_up=info.num_actions_missed_catchup_window,
        )
        return StoredSchedule(record, portfolio_input, spec)

    async def _last_status(self, info: ScheduleInfo) -> str | None:
        if not info.recent_actions:
            return None
        action = info.recent_actions[-1].action
        if not isinstance(action, ScheduleActionExecutionStartWorkflow):
            return None
        handle = self._client.get_workflow_handle(
            action.workflow_id, first_execution_run_id=action.first_execution_run_id
        )
        description = await if_there(handle.describe())
        return None if description is None else description.typed_search_attributes.get(search_attributes.RUN_STATUS)


def _unknown(name: str) -> UnknownScheduleError:
    return UnknownScheduleError(f"there is no schedule {name!r}; python starter.py schedule list shows all")


@asynccontextmanager
async def _refusals() -> AsyncIterator[None]:
    try:
        yield
    except RPCError as error:
        if error.status is RPCStatusCode.INVALID_ARGUMENT and "search attribute" not in error.message:
            raise RequestError(f"Temporal does not take this schedule: {error.message}") from None
        if error.status in (RPCStatusCode.PERMISSION_DENIED, RPCStatusCode.UNIMPLEMENTED):
            raise RequestError(f"Temporal does not allow schedules here ({error.status.name})") from None
        raise


def valid_name(name: str) -> str:
    """Returns the name. Raises `RequestError` if a schedule cannot have it."""
    if NAME.fullmatch(name) is None:
        raise RequestError(f"{name!r} is not a schedule's name; use letters, digits, '.', '_' and '-', at most 100")
    return name


def catch_up_window(value: str, label: Label) -> timedelta:
    """Raises `RequestError`."""
    return duration_of(value, label("catch-up"), least=SHORTEST_CATCH_UP, most=LONGEST_CATCH_UP)


def schedule_spec(
    every: str | None, cron: str | None, calendar: str | None, time_zone: str | None, jitter: str, label: Label
) -> ScheduleSpec:
    """The start times from one of `every`, `cron` and `calendar`. Raises `RequestError`."""
    if time_zone is not None:
        if every is not None:
            raise RequestError(f"{label('time-zone')} goes with {label('cron')} or {label('calendar')}")
        try:
            ZoneInfo(time_zone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise RequestError(
                f"{label('time-zone')}: {time_zone!r} is not known; write one such as Europe/Berlin"
            ) from None
    spec = ScheduleSpec(time_zone_name=time_zone)
    spec.jitter = duration_of(jitter, label("jitter"), most=timedelta(days=1)) or None
    if every is not None:
        spec.intervals = [ScheduleIntervalSpec(every=duration_of(every, label("every"), least=SHORTEST, most=LONGEST))]
    elif cron is not None:
        if len(cron.split()) != 5:
            raise RequestError(
                f'{label("cron")} takes five fields: minute, hour, day, month, weekday, such as "0 * * * *"'
            )
        spec.cron_expressions = [cron]
    else:
        spec.calendars = [_calendar(calendar or "", label("calendar"))]
    return spec


def _calendar(value: str, label: str) -> ScheduleCalendarSpec:
    match = _CALENDAR.fullmatch(value.strip().lower())
    wrong = RequestError(f'{label}: {value!r} is not a time; write "06:30", "mon-fri 06:30" or "sat,sun 22:00"')
    if match is None or int(match["hour"]) > 23 or int(match["minute"]) > 59:
        raise wrong
    days: list[ScheduleRange] = []
    for part in (match["days"] or "sun-sat").split(","):
        first, dash, last = part.partition("-")
        if first not in DAYS or (last if dash else first) not in DAYS:
            raise wrong
        start, end = DAYS.index(first), DAYS.index(last if dash else first)
        # A range that crosses Saturday is two ranges.
        days += [ScheduleRange(start, end)] if start <= end else [ScheduleRange(start, 6), ScheduleRange(0, end)]
    return ScheduleCalendarSpec(
        hour=[ScheduleRange(int(match["hour"]))],
        minute=[ScheduleRange(int(match["minute"]))],
        day_of_week=days,
        comment=value.strip().lower(),
    )


def in_words(spec: ScheduleSpec) -> str:
    """The times as they were set: Temporal keeps a cron expression as a calendar."""
    words = [f"every {in_short(interval.every)}" for interval in spec.intervals]
    words += [calendar_spec.comment or "calendar" for calendar_spec in spec.calendars]
    words += list(spec.cron_expressions)
    zone = f" {spec.time_zone_name}" if spec.time_zone_name else ""
    return ", ".join(words) + zone + (f" + up to {in_short(spec.jitter)}" if spec.jitter else "")
