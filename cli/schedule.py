"""`schedule`: portfolio runs at given times, kept by Temporal."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from typing import Annotated, Any, NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import typer
from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionExecutionStartWorkflow,
    ScheduleActionStartWorkflow,
    ScheduleAlreadyRunningError,
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
    ScheduleUpdate,
    ScheduleUpdateInput,
)
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode

from activities.holders import PORTFOLIO_WORKFLOW, Kind, held
from cli import output
from cli.durations import duration_of, in_short
from cli.errors import UsageError, errors_for_people
from cli.options import (
    AllOption,
    AllTenantsOption,
    CategoryOption,
    DeepOption,
    JsonOption,
    SelectionNameOption,
    SomeTenantsOption,
    TagOption,
    TenantNames,
    TypeOption,
    chosen_tenants,
    selection_of,
    valid_selection_name,
)
from cli.output_options import prints_tables
from cli.portfolio import AtOnceOption, selection_name, summary, tenants_in_words
from cli.table import Column, Shape, print_table
from cli.typed_text import NAME
from configuration import load_settings
from connections import connect_temporal, connect_to_start, temporal_connect_config
from inventory.visible_text import visible
from workflows import search_attributes
from workflows.messages import PortfolioInput
from workflows.portfolio import PortfolioWorkflow

schedule = typer.Typer(no_args_is_help=True, help="Portfolio runs at given times.")

SHORTEST = timedelta(minutes=1)
LONGEST = timedelta(days=366)
DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_CALENDAR = re.compile(r"(?:(?P<days>[a-z,-]+) +)?(?P<hour>\d{1,2}):(?P<minute>\d{2})")

Connect = Callable[[Mapping[str, Any]], Awaitable[Client]]

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="The schedule's name.", show_default=False)]
NoteOption = Annotated[str | None, typer.Option("--note", help="Kept with the schedule, and shown by list.")]


class ScheduleRow(NamedTuple):
    """The row of one schedule in `schedule list`."""

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


@schedule.command("set")
def set_schedule(
    name: NameArgument,
    tenants: SomeTenantsOption = None,
    tags: TagOption = None,
    all_tenants: AllTenantsOption = False,
    type_keys: TypeOption = None,
    categories: CategoryOption = None,
    everything: AllOption = False,
    deep: DeepOption = False,
    selection_called: SelectionNameOption = None,
    every: Annotated[str | None, typer.Option(metavar="DURATION", help="At this interval: 90s, 15m, 2h, 1d.")] = None,
    cron: Annotated[str | None, typer.Option(metavar="CRON", help='Five fields, such as "0 * * * *".')] = None,
    calendar: Annotated[
        str | None, typer.Option(metavar="TIME", help='Days and a time, such as "mon-fri 06:30" or "22:00".')
    ] = None,
    time_zone: Annotated[
        str | None, typer.Option(metavar="ZONE", help="The time zone of --cron and --calendar. Default: UTC.")
    ] = None,
    jitter: Annotated[
        str, typer.Option(metavar="DURATION", help="Delay each start by a random time up to this.")
    ] = "0s",
    catch_up: Annotated[
        str, typer.Option(metavar="DURATION", help="After an outage, start runs that are late by at most this.")
    ] = "10m",
    at_once: AtOnceOption = None,
    note: NoteOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a schedule of portfolio runs, or change the one of this name in place. A start that is due while the last
    run is still under way is skipped and counted.

    Example: python starter.py schedule set hourly-emea --tag emea --category conditional-access --every 1h --jitter 5m
    """
    with errors_for_people():
        settings = load_settings()
        portfolio_input = PortfolioInput(
            selection=selection_of(type_keys, categories, everything=everything),
            chosen=chosen_tenants(settings, tenants, tags, everyone=all_tenants),
            deep=deep,
            at_once=at_once,
            schedule=_valid(name),
            selection_name=valid_selection_name(selection_called),
        )
        wanted = _wanted_schedule(
            portfolio_input,
            settings.temporal_task_queue,
            schedule_spec(every, cron, calendar, time_zone, jitter),
            duration_of(catch_up, "--catch-up", least=timedelta(seconds=10), most=timedelta(days=365)),
            note,
        )
        schedule_id = _schedule_id(settings.temporal_task_queue, name)
        created = _with_client(lambda client: _keep(client, schedule_id, wanted, note), connect_to_start)
        said = summary(portfolio_input, TenantNames.load(settings))
        if as_json:
            output.print_json({"name": name, "created": created})
        else:
            output.stdout.print(f"schedule {name} is {'set' if created else 'changed'}: {said}")


def _wanted_schedule(
    portfolio_input: PortfolioInput, task_queue: str, spec: ScheduleSpec, window: timedelta, note: str | None
) -> Schedule:
    return Schedule(
        action=ScheduleActionStartWorkflow(
            PortfolioWorkflow.run,
            portfolio_input,
            id=portfolio_input.workflow_id,
            task_queue=task_queue,
            typed_search_attributes=search_attributes.portfolio(
                portfolio_input.selection, selection_name(portfolio_input)
            ),
            static_summary=summary(portfolio_input, TenantNames.load(load_settings())),
        ),
        spec=spec,
        policy=SchedulePolicy(overlap=ScheduleOverlapPolicy.SKIP, catchup_window=window, pause_on_failure=False),
        state=ScheduleState(note=note),
    )


async def _keep(client: Client, schedule_id: str, wanted: Schedule, note: str | None) -> bool:
    """Creates the schedule, or changes the existing one; whether it was created."""
    try:
        await client.create_schedule(schedule_id, wanted)
    except ScheduleAlreadyRunningError:
        handle = client.get_schedule_handle(schedule_id)
        await handle.update(lambda there: _changed(client, there, wanted, note))
        return False
    return True


def _changed(client: Client, there: ScheduleUpdateInput, wanted: Schedule, note: str | None) -> ScheduleUpdate:
    """The wanted schedule, paused if the existing one is; its note stays unless there is a new one.

    Raises `UsageError` if the existing one is not ours.
    """
    _refuse_other(client, there.description)
    state = there.description.schedule.state
    wanted.state = ScheduleState(note=state.note if note is None else note, paused=state.paused)
    return ScheduleUpdate(wanted)


def _refuse_other(client: Client, there: ScheduleDescription) -> None:
    wanted = Kind(PORTFOLIO_WORKFLOW, load_settings().temporal_task_queue)
    if (holder := Kind.scheduled_by(there.schedule)) != wanted:
        raise UsageError(held(f"schedule id {there.id}", client.namespace, holder, wanted))


@schedule.command("list")
@prints_tables
def list_schedules(as_json: JsonOption = False) -> None:
    """The schedules: times, next and last start, skipped starts (the last run was still under way) and missed starts
    (Temporal was down for longer than the catch-up window).

    Example: python starter.py schedule list --json
    """
    with errors_for_people():
        prefix = _schedule_id(load_settings().temporal_task_queue, "")

        async def rows(client: Client) -> list[ScheduleRow]:
            ids = [schedule.id async for schedule in await client.list_schedules() if schedule.id.startswith(prefix)]
            described = [await _described(client, schedule_id) for schedule_id in sorted(ids)]
            return [
                row
                for description in described
                if description is not None and (row := await _row(client, description, prefix)) is not None
            ]

        found = _with_client(rows)
        if as_json:
            for row in found:
                output.print_json(row._asdict())
            return
        print_table(_COLUMNS, [row._asdict() for row in found], record=ScheduleRow._fields)


_COLUMNS = (
    Column("name", "name"),
    Column("tenants", "tenants", is_kept=True),
    Column("selection", "selection_name", is_kept=True),
    Column("when", "when", is_kept=True),
    Column("next", "next_at", lambda row: "paused" if row["paused"] else output.ago(row["next_at"]), is_kept=True),
    Column("last", "last_at", lambda row: output.ago(row["last_at"])),
    Column("ended as", "last_status", lambda row: output.styled(row["last_status"]), is_kept=True),
    Column("started", "actions", shape=Shape.NUMBER),
    Column("skipped", "skipped_overlap", shape=Shape.NUMBER),
    Column("missed", "missed_catch_up", shape=Shape.NUMBER),
    Column("note", "note", shape=Shape.BELOW),
)


async def _described(client: Client, schedule_id: str) -> ScheduleDescription | None:
    """The schedule; None where it has been deleted since it was listed."""
    try:
        return await client.get_schedule_handle(schedule_id).describe()
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            return None
        raise


async def _row(client: Client, description: ScheduleDescription, prefix: str) -> ScheduleRow | None:
    """The row of a schedule; None, with a line on stderr, if it is not ours."""
    action, info, spec = description.schedule.action, description.info, description.schedule.spec
    try:
        _refuse_other(client, description)
        args = action.args if isinstance(action, ScheduleActionStartWorkflow) else []
        (payload,) = await description.data_converter.decode(args, [PortfolioInput])
    except UsageError as error:
        output.stderr.print(f"left out: {visible(str(error))}", style="dim", markup=False)
        return None
    except (ApplicationError, RuntimeError, ValueError):
        output.stderr.print(
            f"left out: schedule {visible(description.id)}: its input is not valid", style="dim", markup=False
        )
        return None
    portfolio_input: PortfolioInput = payload
    return ScheduleRow(
        name=description.id.removeprefix(prefix),
        tenants=tenants_in_words(portfolio_input.chosen, TenantNames.load(load_settings())),
        selection_hash=portfolio_input.selection.hash(),
        selection_name=selection_name(portfolio_input),
        when=_in_words(spec),
        jitter=in_short(spec.jitter) if spec.jitter else None,
        catch_up=in_short(description.schedule.policy.catchup_window or timedelta(days=365)),
        paused=description.schedule.state.paused,
        note=description.schedule.state.note or None,
        next_at=None if description.schedule.state.paused else next(iter(info.next_action_times), None),
        last_at=info.recent_actions[-1].started_at if info.recent_actions else None,
        last_status=await _last_status(client, info),
        running=len(info.running_actions),
        actions=info.num_actions,
        skipped_overlap=info.num_actions_skipped_overlap,
        missed_catch_up=info.num_actions_missed_catchup_window,
    )


async def _last_status(client: Client, info: ScheduleInfo) -> str | None:
    """The status of the portfolio run that the schedule started last; None where Temporal no longer has it."""
    if not info.recent_actions:
        return None
    action = info.recent_actions[-1].action
    if not isinstance(action, ScheduleActionExecutionStartWorkflow):
        return None
    handle = client.get_workflow_handle(action.workflow_id, first_execution_run_id=action.first_execution_run_id)
    try:
        description = await handle.describe()
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            return None
        raise
    return description.typed_search_attributes.get(search_attributes.RUN_STATUS)


@schedule.command()
def pause(name: NameArgument, note: NoteOption = None, as_json: JsonOption = False) -> None:
    """Pause a schedule. Starts that are due meanwhile do not happen.

    Example: python starter.py schedule pause hourly-emea --note "maintenance"
    """
    _tell(name, "paused", lambda handle: handle.pause(note=note), as_json=as_json)


@schedule.command()
def resume(name: NameArgument, note: NoteOption = None, as_json: JsonOption = False) -> None:
    """Resume a paused schedule.

    Example: python starter.py schedule resume hourly-emea
    """
    _tell(name, "resumed", lambda handle: handle.unpause(note=note), as_json=as_json)


@schedule.command()
def trigger(name: NameArgument, as_json: JsonOption = False) -> None:
    """Start a schedule's portfolio run now, unless its last one is still under way.

    Example: python starter.py schedule trigger hourly-emea
    """
    _tell(name, "triggered", lambda handle: handle.trigger(overlap=ScheduleOverlapPolicy.SKIP), as_json=as_json)


@schedule.command()
def delete(name: NameArgument, as_json: JsonOption = False) -> None:
    """Delete a schedule. A portfolio run that it has started goes on.

    Example: python starter.py schedule delete hourly-emea
    """
    _tell(name, "deleted", lambda handle: handle.delete(), as_json=as_json)


def _tell(name: str, done: str, tell: Callable[[ScheduleHandle], Awaitable[None]], *, as_json: bool) -> None:
    with errors_for_people():
        schedule_id = _schedule_id(load_settings().temporal_task_queue, _valid(name))

        async def told(client: Client) -> None:
            handle = client.get_schedule_handle(schedule_id)
            try:
                _refuse_other(client, await handle.describe())
                await tell(handle)
            except RPCError as error:
                if error.status is RPCStatusCode.NOT_FOUND:
                    raise UsageError(
                        f"there is no schedule {name!r}; python starter.py schedule list shows all"
                    ) from None
                raise

        _with_client(told)
        if as_json:
            output.print_json({"name": name, "done": done})
        else:
            output.stdout.print(f"schedule {name} is {done}")


def _with_client(ask: Callable[[Client], Awaitable[Any]], connect: Connect = connect_temporal) -> Any:
    async def asked() -> Any:
        client = await connect(temporal_connect_config())
        try:
            return await ask(client)
        except RPCError as error:
            if error.status is RPCStatusCode.INVALID_ARGUMENT and "search attribute" not in error.message:
                raise UsageError(f"Temporal does not take this schedule: {error.message}") from None
            if error.status in (RPCStatusCode.PERMISSION_DENIED, RPCStatusCode.UNIMPLEMENTED):
                raise UsageError(f"Temporal does not allow schedules here ({error.status.name})") from None
            raise

    return asyncio.run(asked())


def _valid(name: str) -> str:
    if NAME.fullmatch(name) is None:
        raise UsageError(f"{name!r} is not a schedule's name; use letters, digits, '.', '_' and '-', at most 100")
    return name


def _schedule_id(task_queue: str, name: str) -> str:
    """Task queues that share a namespace have schedules of their own."""
    return f"tenant-inventory-portfolio/{task_queue}/{name}"


def schedule_spec(
    every: str | None, cron: str | None, calendar: str | None, time_zone: str | None, jitter: str
) -> ScheduleSpec:
    """When to start. Raises `UsageError`."""
    if sum(option is not None for option in (every, cron, calendar)) != 1:
        raise UsageError('say when, in one way: --every 1h, --cron "0 * * * *" or --calendar "mon-fri 06:30"')
    if time_zone is not None:
        if every is not None:
            raise UsageError("--time-zone goes with --cron or --calendar")
        try:
            ZoneInfo(time_zone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise UsageError(f"--time-zone: {time_zone!r} is not known; write one such as Europe/Berlin") from None
    spec = ScheduleSpec(time_zone_name=time_zone)
    spec.jitter = duration_of(jitter, "--jitter", most=timedelta(days=1)) or None
    if every is not None:
        spec.intervals = [ScheduleIntervalSpec(every=duration_of(every, "--every", least=SHORTEST, most=LONGEST))]
    elif cron is not None:
        if len(cron.split()) != 5:
            raise UsageError('--cron takes five fields: minute, hour, day, month, weekday, such as "0 * * * *"')
        spec.cron_expressions = [cron]
    else:
        spec.calendars = [_calendar(calendar or "")]
    return spec


def _calendar(value: str) -> ScheduleCalendarSpec:
    match = _CALENDAR.fullmatch(value.strip().lower())
    wrong = UsageError(f'--calendar: {value!r} is not a time; write "06:30", "mon-fri 06:30" or "sat,sun 22:00"')
    if match is None or int(match["hour"]) > 23 or int(match["minute"]) > 59:
        raise wrong
    days: list[ScheduleRange] = []
    for part in (match["days"] or "sun-sat").split(","):
        first, dash, last = part.partition("-")
        if first not in DAYS or (last if dash else first) not in DAYS:
            raise wrong
        start, end = DAYS.index(first), DAYS.index(last if dash else first)
        # A range that runs over Saturday is two.
        days += [ScheduleRange(start, end)] if start <= end else [ScheduleRange(start, 6), ScheduleRange(0, end)]
    return ScheduleCalendarSpec(
        hour=[ScheduleRange(int(match["hour"]))],
        minute=[ScheduleRange(int(match["minute"]))],
        day_of_week=days,
        comment=value.strip().lower(),
    )


def _in_words(spec: ScheduleSpec) -> str:
    """When the schedule starts, as `set` was told. Temporal keeps a cron expression as a calendar."""
    words = [f"every {in_short(interval.every)}" for interval in spec.intervals]
    words += [calendar_spec.comment or "calendar" for calendar_spec in spec.calendars]
    words += list(spec.cron_expressions)
    zone = f" {spec.time_zone_name}" if spec.time_zone_name else ""
    return ", ".join(words) + zone + (f" + up to {in_short(spec.jitter)}" if spec.jitter else "")
