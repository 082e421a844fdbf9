"""`portfolio`: one selection over many tenants."""

import asyncio
from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID

import typer
from temporalio.client import Client

from activities.holders import PORTFOLIO_WORKFLOW, Kind
from answers.ids import run_id_range, the_one
from answers.runs.command import refused
from answers.runs.portfolio_answer import newest_portfolio_runs
from cli import output
from cli.errors import UsageError
from cli.exit_codes import EXIT_CODE_OF_STATUS
from cli.follow import Follower, Handle, leaving
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
    selection_name_of,
    selection_of,
    valid_selection_name,
)
from cli.output_options import output_options, prints_json, prints_tables
from cli.person import requester
from cli.progress import PortfolioView
from cli.sessions import opened_database
from cli.table import Column, Shape, print_table
from configuration import Settings, load_settings
from connections import check_database, connect_temporal, connect_to_start, temporal_connect_config
from control import runs
from control.portfolio_words import selection_name, summary, tenants_in_words
from control.queued_runs import LOOK_GAP_SECONDS, LOOKS, queued_portfolio_record, unrecorded_portfolio_runs
from inventory.bounds import NAMED, TENANTS_AT_ONCE
from inventory.plurals import counted
from inventory.portfolio import PortfolioRecord, TenantOutcomeRecord
from inventory.visible_text import visible
from storage import portfolio as records
from workflows import search_attributes
from workflows.messages import PortfolioInput, PortfolioProgress

portfolio = typer.Typer(no_args_is_help=True, help="Runs of one selection for many tenants.")

AtOnceOption = Annotated[
    int | None,
    typer.Option(
        "--at-once",
        min=1,
        max=TENANTS_AT_ONCE,
        help="Tenants to sync at a time. Default: as the worker is configured.",
        show_default=False,
    ),
]
PortfolioRunArgument = Annotated[
    str, typer.Argument(metavar="ID", help="The portfolio run's id, or its beginning.", show_default=False)
]


@portfolio.command("sync")
@prints_tables
def portfolio_sync(
    tenants: SomeTenantsOption = None,
    tags: TagOption = None,
    all_tenants: AllTenantsOption = False,
    type_keys: TypeOption = None,
    categories: CategoryOption = None,
    everything: AllOption = False,
    deep: DeepOption = False,
    name: SelectionNameOption = None,
    at_once: AtOnceOption = None,
    no_wait: Annotated[bool, typer.Option("--no-wait", help="Start the portfolio run and return at once.")] = False,
) -> None:
    """Sync a selection of many tenants, or join the portfolio run that is under way, and follow it to its end.

    Example: python starter.py portfolio sync --tag emea --category conditional-access --at-once 5
    """
    settings = load_settings()
    portfolio_input = PortfolioInput(
        selection=selection_of(type_keys, categories, everything=everything),
        chosen=chosen_to_read(settings, tenants, tags, everyone=all_tenants),
        deep=deep,
        at_once=at_once,
        selection_name=valid_selection_name(name),
    )
    record = asyncio.run(_sync(settings, portfolio_input, wait=not no_wait))
    if output_options().as_json:
        output.print_json(record)
    elif record.status.ended:
        _print(record, TenantNames.load(settings))
    else:
        output.stdout.print(
            f"portfolio run {record.portfolio_run_id} is {record.status};"
            f" follow it: python starter.py portfolio run {record.portfolio_run_id} --follow"
        )
    if record.status.ended:
        raise typer.Exit(EXIT_CODE_OF_STATUS[record.status])


async def _sync(settings: Settings, portfolio_input: PortfolioInput, *, wait: bool) -> PortfolioRecord:
    client = await connect_to_start(temporal_connect_config())
    async with opened_database(settings) as database:
        await check_database(database)
        run_id, workflow_id, joined, handle = await runs.start_or_join(
            client,
            portfolio_input,
            Kind(PORTFOLIO_WORKFLOW, settings.temporal_task_queue),
            search_attributes.portfolio(portfolio_input.selection, selection_name(portfolio_input)),
            summary(portfolio_input, TenantNames.load(settings).of),
        )
        if joined:
            output.stderr.print(f"joined portfolio run {run_id}, which was already under way", style="dim")
        if wait:
            await _follow(client, settings, handle, run_id)
        async with database.portfolio() as session:
            record = await records.portfolio_record(session, run_id)
        if record is not None:
            return record
        queued = queued_portfolio_record(run_id, workflow_id, portfolio_input, datetime.now(UTC))
        return await refused(queued, f"portfolio run {run_id}", handle) if wait else queued


async def _follow(client: Client, settings: Settings, handle: Handle, run_id: UUID) -> None:
    with leaving(_goes_on(run_id)), PortfolioView() as view:
        follower = Follower(
            client, settings.temporal_task_queue, PortfolioProgress, view.show, view.say, watched=view.watched
        )
        await follower.follow(handle)


def _goes_on(run_id: UUID) -> str:
    return (
        f"portfolio run {run_id} goes on\n"
        f"  follow it: python starter.py portfolio run {run_id} --follow\n"
        f"  cancel it: python starter.py portfolio cancel {run_id}"
    )


@portfolio.command("runs")
@prints_tables
def portfolio_runs(
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="Show at most this many, newest first.")] = 20,
) -> None:
    """Portfolio runs, newest first.

    Example: python starter.py portfolio runs --limit 5
    """
    recent_records = asyncio.run(_recent(load_settings(), limit))
    if output_options().as_json:
        output.print_json(*(record.model_dump(mode="json", exclude={"tenants"}) for record in recent_records))
        return
    nothing = "no portfolio runs; python starter.py portfolio sync --all-tenants --all starts one"
    print_table(
        _run_columns(TenantNames.load(load_settings())), recent_records, record=PortfolioRecord, if_none=nothing
    )


def _run_columns(names: TenantNames) -> tuple[Column, ...]:
    return (
        Column("portfolio run", "portfolio_run_id", shape=Shape.ID),
        Column("tenants", "chosen", lambda record: tenants_in_words(record.chosen, names.of), is_kept=True),
        Column("selection", "selection_name", _selection, is_kept=True),
        Column("schedule", "schedule"),
        Column("status", "status", lambda record: output.styled(record.status), is_kept=True),
        Column("started", "started_at", lambda record: output.ago(record.started_at), is_kept=True),
        Column("outcomes", "counts", lambda record: record.counts.in_words()),
        Column("took", "took", _took, is_kept=True),
        Column("errors", "error_codes", shape=Shape.BELOW),
    )


def _selection(record: PortfolioRecord) -> str:
    return selection_name_of(record.selection, record.selection_name)


async def _recent(settings: Settings, limit: int) -> list[PortfolioRecord]:
    """Includes queued runs that only Temporal knows, if it answers."""
    async with opened_database(settings) as database:
        async with database.portfolio() as session:
            recorded = await records.recent_portfolio_runs(session, limit)
        queued = await unrecorded_portfolio_runs(database, settings.temporal_task_queue, most=limit)
    if queued is None:
        output.stderr.print(
            "Temporal does not answer, so queued runs that no worker has taken up are not shown", style="dim"
        )
    return newest_portfolio_runs(recorded, queued or (), limit)


@portfolio.command("run")
@prints_tables
def portfolio_run(
    run_id: PortfolioRunArgument,
    follow: Annotated[bool, typer.Option("--follow", help="Follow the portfolio run to its end.")] = False,
) -> None:
    """One portfolio run, with the result of each tenant. The exit code tells how it ended.

    Example: python starter.py portfolio run 0b9d1c1e
    """
    settings = load_settings()
    record = asyncio.run(_followed(settings, run_id) if follow else _record_of(settings, run_id))
    if output_options().as_json:
        output.print_json(record)
    else:
        _print(record, TenantNames.load(settings))
    if record.status.ended:
        raise typer.Exit(EXIT_CODE_OF_STATUS[record.status])


async def _record_of(settings: Settings, run_id: str) -> PortfolioRecord:
    """Raises `UsageError` unless exactly one run matches, in the database or in Temporal's queue."""
    id_range = run_id_range(run_id, "portfolio runs")
    async with opened_database(settings) as database:
        for look in range(LOOKS if id_range.whole else 1):
            if look:
                await asyncio.sleep(LOOK_GAP_SECONDS)
            async with database.portfolio() as session:
                ids = await records.ids_between(session, id_range.low, id_range.high, NAMED + 1)
                if ids:
                    record = await records.portfolio_record(session, the_one(ids, run_id, "portfolio runs"))
                    if record is not None:
                        return record
            queued = await unrecorded_portfolio_runs(database, settings.temporal_task_queue, id_range, most=NAMED + 1)
            if queued is None:
                raise UsageError(
                    f"there is no portfolio run {run_id} in the database, and Temporal, which knows of queued runs,"
                    " does not answer"
                )
            if queued:
                the_one([run.portfolio_run_id for run in queued], run_id, "portfolio runs")
                return queued[0]
    raise UsageError(f"there is no portfolio run {run_id}; python starter.py portfolio runs lists them")


async def _followed(settings: Settings, run_id: str) -> PortfolioRecord:
    record = await _record_of(settings, run_id)
    if record.status.ended:
        return record
    client = await connect_temporal(temporal_connect_config())
    kind = Kind(PORTFOLIO_WORKFLOW, settings.temporal_task_queue)
    await runs.refuse_other_holder(client, record.workflow_id, str(record.portfolio_run_id), kind)
    handle = runs.handle_of(client, record.workflow_id, record.portfolio_run_id)
    await _follow(client, settings, handle, record.portfolio_run_id)
    async with opened_database(settings) as database, database.portfolio() as session:
        ended = await records.portfolio_record(session, record.portfolio_run_id)
    return ended or await refused(record, f"portfolio run {record.portfolio_run_id}", handle)


@portfolio.command("cancel")
@prints_json
def portfolio_cancel(
    run_id: PortfolioRunArgument,
    reason: Annotated[str | None, typer.Option("--reason", help="Why; kept in the records.")] = None,
) -> None:
    """Cancel a portfolio run and the runs that it started. Runs that it joined go on.

    Example: python starter.py portfolio cancel 0b9d1c1e --reason "wrong tag"
    """
    record = asyncio.run(_cancel(load_settings(), run_id, reason))
    run = {"workflow_id": record.workflow_id, "portfolio_run_id": record.portfolio_run_id, "cancel_requested": True}
    output.print_result(run, f"asked portfolio run {record.portfolio_run_id} to cancel")


async def _cancel(settings: Settings, run_id: str, reason: str | None) -> PortfolioRecord:
    record = await _record_of(settings, run_id)
    client = await connect_temporal(temporal_connect_config())
    try:
        await runs.cancel(client, settings.temporal_task_queue, record, reason, requester())
    except runs.NotUnderWayError:
        raise UsageError(
            f"portfolio run {record.portfolio_run_id} is over; python starter.py portfolio runs lists them"
        ) from None
    return record


def _print(record: PortfolioRecord, names: TenantNames) -> None:
    output.stdout.print(f"portfolio run {record.portfolio_run_id} ", output.styled(record.status))
    schedule = f"  schedule {record.schedule}" if record.schedule else ""
    output.stdout.print(
        f"{tenants_in_words(record.chosen, names.of)}  {_selection(record)} ({record.selection_hash[:12]}){schedule}"
        f"  started {output.when(record.started_at)}  took {_took(record) or '…'}"
    )
    if record.cancel_requested_by:
        reason = f": {visible(record.cancel_reason)}" if record.cancel_reason else ""
        output.stdout.print(f"cancel asked for by {visible(record.cancel_requested_by)}, as the request says{reason}")
    columns = (
        Column("tenant", "tenant_id", lambda outcome: names.of(outcome.tenant_id)),
        Column("status", "status", lambda outcome: output.styled(outcome.status), is_kept=True),
        Column("", "joined", lambda outcome: "joined" if outcome.joined else ""),
        Column("took", "took", _took, is_kept=True),
        Column("run", "run_id", shape=Shape.ID),
        Column("errors", "error_codes", shape=Shape.BELOW),
    )
    tenants = sorted(record.tenants, key=lambda outcome: (outcome.status == "success", names.of(outcome.tenant_id)))
    print_table(columns, tenants, record=TenantOutcomeRecord)
    ended = record.counts.in_words() or "none has ended"
    output.stdout.print(f"{counted(record.counts.tenants, 'tenant')}: {ended}")


def _took(ended: PortfolioRecord | TenantOutcomeRecord) -> str:
    return output.took(ended.started_at, ended.finished_at)
