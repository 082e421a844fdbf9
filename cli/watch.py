import asyncio
from collections.abc import Awaitable, Callable
from typing import Annotated, Any

import typer
from temporalio.client import Client

from answers.watch.answer import watched_logs
from answers.watch.records import WatchedLogRecord
from cli import output
from cli.options import AllTenantsOption, SomeTenantsOption, TagOption, TenantNames, chosen_to_read
from cli.output_options import output_options, prints_json, prints_tables
from cli.sessions import opened_database
from cli.table import Column, Shape, print_table
from configuration import Settings, load_settings
from connections import connect_temporal, connect_to_start, temporal_connect_config
from control.durations import duration_of, in_short
from control.portfolio_words import tenants_in_words
from control.watch import EVERY, LONGEST, SHORTEST, WatchRecord, WatchSchedule
from graph.catalog import load_catalog
from inventory.plurals import counted

watch = typer.Typer(no_args_is_help=True, help="Reads between runs what audit logs say was changed.")


@watch.command()
@prints_json
def on(
    tenants: SomeTenantsOption = None,
    tags: TagOption = None,
    all_tenants: AllTenantsOption = False,
    every: Annotated[str, typer.Option(metavar="DURATION", help="How often: 1m to 1h.")] = EVERY,
) -> None:
    """Watch tenants: look at their audit logs every few minutes, and read the items that were changed. Needs the
    permissions of `auditEvents` and `directoryAudits`, and a first run of each collection.

    Example: python starter.py watch on --all-tenants --every 5m
    """
    settings = load_settings()
    chosen = chosen_to_read(settings, tenants, tags, everyone=all_tenants)
    interval = duration_of(every, "--every", least=SHORTEST, most=LONGEST)
    started = _answer_of(settings, lambda schedule: schedule.keep(chosen, interval), connect_to_start)
    whose = tenants_in_words(chosen, TenantNames.load(settings).of)
    output.print_result({"on": True, "started": started}, f"watching {whose} every {in_short(interval)}")


@watch.command()
@prints_json
def off() -> None:
    """End watching. A look that is under way goes on to its end.

    Example: python starter.py watch off
    """
    was_on = _answer_of(load_settings(), lambda schedule: schedule.delete())
    words = "watching is off" if was_on else "watching was off already"
    output.print_result({"on": False, "was_on": was_on}, words)


@watch.command("list")
@prints_tables
def list_watched() -> None:
    """How tenants are watched, and when each audit log was last read, or why it could not be.

    Example: python starter.py watch list
    """
    settings = load_settings()
    names = TenantNames.load(settings)
    stored = _answer_of(settings, lambda schedule: schedule.stored())
    logs = asyncio.run(_logs(settings, names))
    state = WatchRecord(on=False)
    if stored is not None:
        state = stored.record.model_copy(update={"tenants": tenants_in_words(stored.chosen, names.of)})
    if output_options().as_json:
        output.print_json(state, *logs)
        return
    print_table(_COLUMNS, logs, record=WatchedLogRecord)
    if stored is None:
        output.stdout.print("watching is off; python starter.py watch on --help shows how to begin")
    else:
        output.stdout.print(
            f"watching {state.tenants} every {state.every}: {counted(state.looks, 'look')},"
            f" next {output.ago(state.next_at)}"
        )


_COLUMNS = (
    Column("tenant", "tenant", is_kept=True),
    Column("log", "log", lambda row: load_catalog().collections[row.log].title, is_kept=True),
    Column("read", "read_at", lambda row: output.ago(row.read_at) or "never", is_kept=True),
    Column("unknown", "unknown_events", lambda row: row.unknown_events or "", Shape.NUMBER),
    Column("problem", "error_code", lambda row: row.error_code or "", is_kept=True),
)


async def _logs(settings: Settings, names: TenantNames) -> list[WatchedLogRecord]:
    async with opened_database(settings, pool_size=1) as database, database.portfolio() as session:
        return await watched_logs(session, names.of)


def _answer_of(
    settings: Settings,
    ask: Callable[[WatchSchedule], Awaitable[Any]],
    connect: Callable[[Any], Awaitable[Client]] = connect_temporal,
) -> Any:
    async def run() -> Any:
        client = await connect(temporal_connect_config())
        return await ask(WatchSchedule(client, settings.temporal_task_queue))

    return asyncio.run(run())
