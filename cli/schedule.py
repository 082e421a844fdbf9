"""`schedule`: portfolio runs at given times, kept by Temporal."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Annotated, Any

import typer
from temporalio.client import Client, ScheduleSpec

from cli import output
from cli.errors import UsageError
from cli.options import (
    AllOption,
    AllTenantsOption,
    CategoryOption,
    DeepOption,
    SelectionNameOption,
    SomeTenantsOption,
    TagOption,
    TenantNames,
    TypeOption,
    chosen_to_read,
    selection_of,
    valid_selection_name,
)
from cli.output_options import output_options, prints_json, prints_tables
from cli.portfolio import AtOnceOption
from cli.table import Column, Shape, print_table
from configuration import load_settings
from connections import connect_temporal, connect_to_start, temporal_connect_config
from control import schedules
from control.portfolio_words import NameOf, summary
from control.schedules import CATCH_UP, ScheduleRecord, Schedules, catch_up_window, valid_name
from inventory.visible_text import visible
from workflows.messages import PortfolioInput

schedule = typer.Typer(no_args_is_help=True, help="Portfolio runs at given times.")

Connect = Callable[[Mapping[str, Any]], Awaitable[Client]]

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="The schedule's name.", show_default=False)]
NoteOption = Annotated[str | None, typer.Option("--note", help="Kept with the schedule, and shown by list.")]


@schedule.command("set")
@prints_json
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
    ] = CATCH_UP,
    at_once: AtOnceOption = None,
    note: NoteOption = None,
) -> None:
    """Make a schedule of portfolio runs, or change the one of this name in place. A start that is due while the last
    run is still under way is skipped and counted.

    Example: python starter.py schedule set hourly-emea --tag emea --category conditional-access --every 1h --jitter 5m
    """
    settings = load_settings()
    portfolio_input = PortfolioInput(
        selection=selection_of(type_keys, categories, everything=everything),
        chosen=chosen_to_read(settings, tenants, tags, everyone=all_tenants),
        deep=deep,
        at_once=at_once,
        schedule=valid_name(name),
        selection_name=valid_selection_name(selection_called),
    )
    spec = schedule_spec(every, cron, calendar, time_zone, jitter)
    window = catch_up_window(catch_up, option)
    names = TenantNames.load(settings)
    created = _with_schedules(
        lambda schedules: schedules.keep(name, portfolio_input, spec, window, note), names.of, connect_to_start
    )
    description = summary(portfolio_input, names.of)
    words = f"schedule {name} is {'set' if created else 'changed'}: {description}"
    output.print_result({"name": name, "created": created}, words)


@schedule.command("list")
@prints_tables
def list_schedules() -> None:
    """The schedules: times, next and last start, skipped starts (the last run was still under way) and missed starts
    (Temporal was down for longer than the catch-up window).

    Example: python starter.py schedule list --json
    """
    names = TenantNames.load(load_settings())
    stored, left_out = _with_schedules(lambda schedules: schedules.all(), names.of)
    for line in left_out:
        output.stderr.print(f"left out: {visible(line)}", style="dim")
    records = [schedule.record for schedule in stored]
    if output_options().as_json:
        output.print_json(*(row.model_dump() for row in records))
        return
    nothing = "no schedules; python starter.py schedule set --help shows how to make one"
    print_table(_COLUMNS, records, record=ScheduleRecord, if_none=nothing)


_COLUMNS = (
    Column("name", "name"),
    Column("tenants", "tenants", is_kept=True),
    Column("selection", "selection_name", is_kept=True),
    Column("when", "when", is_kept=True),
    Column("next", "next_at", lambda row: "paused" if row.paused else output.ago(row.next_at), is_kept=True),
    Column("last", "last_at", lambda row: output.ago(row.last_at)),
    Column("ended as", "last_status", lambda row: output.styled(row.last_status), is_kept=True),
    Column("started", "actions", shape=Shape.NUMBER),
    Column("skipped", "skipped_overlap", lambda row: row.skipped_overlap or "", Shape.NUMBER),
    Column("missed", "missed_catch_up", lambda row: row.missed_catch_up or "", Shape.NUMBER),
    Column("note", "note", shape=Shape.BELOW),
)


@schedule.command()
@prints_json
def pause(name: NameArgument, note: NoteOption = None) -> None:
    """Pause a schedule. Starts that are due meanwhile do not happen.

    Example: python starter.py schedule pause hourly-emea --note "maintenance"
    """
    _tell(name, "paused", lambda schedules: schedules.pause(name, note))


@schedule.command()
@prints_json
def resume(name: NameArgument, note: NoteOption = None) -> None:
    """Resume a paused schedule.

    Example: python starter.py schedule resume hourly-emea
    """
    _tell(name, "resumed", lambda schedules: schedules.resume(name, note))


@schedule.command()
@prints_json
def trigger(name: NameArgument) -> None:
    """Start a schedule's portfolio run now, unless its last one is still under way.

    Example: python starter.py schedule trigger hourly-emea
    """
    _tell(name, "triggered", lambda schedules: schedules.trigger(name))


@schedule.command()
@prints_json
def delete(name: NameArgument) -> None:
    """Delete a schedule. A portfolio run that it has started goes on.

    Example: python starter.py schedule delete hourly-emea
    """
    _tell(name, "deleted", lambda schedules: schedules.delete(name))


def _tell(name: str, done: str, tell: Callable[[Schedules], Awaitable[None]]) -> None:
    valid_name(name)
    _with_schedules(tell)
    output.print_result({"name": name, "done": done}, f"schedule {name} is {done}")


def _with_schedules(
    ask: Callable[[Schedules], Awaitable[Any]], name_of: NameOf = str, connect: Connect = connect_temporal
) -> Any:
    async def run() -> Any:
        client = await connect(temporal_connect_config())
        return await ask(Schedules(client, load_settings().temporal_task_queue, name_of))

    return asyncio.run(run())


def option(name: str) -> str:
    return f"--{name}"


def schedule_spec(
    every: str | None, cron: str | None, calendar: str | None, time_zone: str | None, jitter: str
) -> ScheduleSpec:
    """Raises `UsageError` unless times are given in one way, `RequestError` if they are invalid."""
    if sum(times is not None for times in (every, cron, calendar)) != 1:
        raise UsageError('say when, in one way: --every 1h, --cron "0 * * * *" or --calendar "mon-fri 06:30"')
    return schedules.schedule_spec(every, cron, calendar, time_zone, jitter, option)
