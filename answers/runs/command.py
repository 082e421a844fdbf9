"""`runs` and `run`."""

import asyncio
from datetime import UTC, datetime
from shlex import quote
from typing import Annotated, TypeVar
from uuid import UUID

import typer
from temporalio.client import WorkflowFailureError
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode

from activities.holders import SYNC_WORKFLOW, Kind
from answers.ids import IdRange, run_id_range, the_one
from answers.runs import answer
from answers.runs.report import print_run
from cli import output
from cli.errors import UsageError
from cli.exit_codes import EXIT_CODE_OF_STATUS
from cli.follow import Follower, Handle, goes_on, leaving
from cli.options import (
    OptionalTenantArgument,
    TenantNames,
    VerboseOption,
    selection_name_of,
    tenant_id_of,
)
from cli.output_options import output_options, prints_tables
from cli.progress import RunView
from cli.sessions import opened_database
from cli.table import Column, Shape, print_table
from configuration import ConfigurationError, Settings, load_settings
from connections import UnreachableError, connect_temporal, temporal_connect_config
from control.progress import ANSWER_SECONDS, run_progress
from control.queued_runs import LOOK_GAP_SECONDS, LOOKS, unrecorded_runs
from control.runs import handle_of, refuse_other_holder
from inventory.bounds import NAMED
from inventory.error_codes import ErrorCode
from inventory.outcomes import RunKind, RunStatus
from inventory.portfolio import PortfolioRecord
from inventory.records import RunRecord
from inventory.user_errors import UnavailableError
from storage.database import Database
from workflows.messages import SyncProgress

RecordT = TypeVar("RecordT", RunRecord, PortfolioRecord)


@prints_tables
def runs(
    tenant: OptionalTenantArgument = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="Show at most this many, newest first.")] = 20,
    of_watch: Annotated[bool, typer.Option("--watch", help="Show the runs of watch instead.")] = False,
) -> None:
    """Run records of one tenant or of all, newest first. Queued and running runs have their present state.

    Example: python starter.py runs contoso --limit 5
    """
    settings = load_settings()
    tenant_id = tenant_id_of(settings, tenant) if tenant else None
    recent = _of_watch if of_watch else _recent
    records = asyncio.run(recent(settings, tenant_id, limit))
    if output_options().as_json:
        output.print_json(*records)
        return
    names = TenantNames.load(settings)
    columns = [column for column in _columns(names) if tenant is None or column.field != "tenant_id"]
    print_table(columns, records, record=RunRecord)
    if not records and of_watch:
        output.stdout.print("no runs of watch: it has seen no change; python starter.py watch list shows its looks")
    elif not records:
        output.stdout.print(
            "no runs: no tenant was ever read; python starter.py portfolio sync --all-tenants --all reads them"
            if tenant is None
            else f"no runs: this tenant was never read; python starter.py sync {quote(tenant)} --all reads it"
        )


async def _recent(settings: Settings, tenant_id: UUID | None, limit: int) -> list[RunRecord]:
    """Includes queued runs that only Temporal knows, if it answers."""
    async with opened_database(settings, pool_size=2) as database:
        looking = asyncio.create_task(unrecorded_runs(database, settings.temporal_task_queue, tenant_id, most=limit))
        async with database.tenant(tenant_id, read_only=True) if tenant_id else database.portfolio() as session:
            recorded = await answer.recent_runs(session, limit)
        queued = await looking
    if queued is None:
        output.stderr.print(
            "Temporal does not answer, so queued runs that no worker has taken up are not shown", style="dim"
        )
    return answer.newest_runs(recorded, queued or (), limit)


async def _of_watch(settings: Settings, tenant_id: UUID | None, limit: int) -> list[RunRecord]:
    async with (
        opened_database(settings, pool_size=1) as database,
        database.tenant(tenant_id, read_only=True) if tenant_id else database.portfolio() as session,
    ):
        return await answer.recent_runs(session, limit, kind=RunKind.WATCH)


def _columns(names: TenantNames) -> tuple[Column, ...]:
    return (
        Column("run", "run_id", shape=Shape.ID),
        Column("tenant", "tenant_id", lambda record: names.of(record.tenant_id), is_kept=True),
        Column("status", "status", lambda record: output.styled(record.status), is_kept=True),
        Column("queued", "queued_at", lambda record: output.ago(record.queued_at), is_kept=True),
        Column("items", "counts.observed", shape=Shape.NUMBER),
        Column("new", "counts.created", shape=Shape.NUMBER),
        Column("changed", "counts.changed", shape=Shape.NUMBER),
        Column("missing", "counts.missing", shape=Shape.NUMBER),
        Column("not read", "counts.not_read", shape=Shape.NUMBER, yields=True),
        Column("stale", "counts.stale", shape=Shape.NUMBER, yields=True),
        Column("took", "took", lambda record: output.took(record.started_at, record.finished_at), yields=True),
        Column("selection", "selection_name", _selection, is_kept=True),
        Column("errors", "error_codes", shape=Shape.BELOW),
    )


def _selection(record: RunRecord) -> str:
    return selection_name_of(record.selection, record.selection_name)


@prints_tables
def run(
    run_id: Annotated[str, typer.Argument(metavar="ID", help="The run's id, or its beginning.", show_default=False)],
    follow: Annotated[bool, typer.Option("--follow", help="Follow the run to its end.")] = False,
    verbose: VerboseOption = False,
) -> None:
    """One run: the collections that it read, and why it did not read the others. The exit code tells how it ended.

    The counts of a running run come from its workflow, or from the merged items if no worker answers.

    Example: python starter.py run 0b9d1c1e-0f4e --follow
    """
    settings = load_settings()
    id_range = run_id_range(run_id)
    names = TenantNames.load(settings)
    record = asyncio.run(_record_of(settings, id_range, run_id, names, follow=follow))
    if output_options().as_json:
        output.print_json(record)
    else:
        print_run(record, names.of(record.tenant_id), verbose=verbose)
    if record.status.ended:
        raise typer.Exit(EXIT_CODE_OF_STATUS[record.status])


async def _record_of(
    settings: Settings, id_range: IdRange, value: str, names: TenantNames, *, follow: bool
) -> RunRecord:
    async with opened_database(settings) as database:
        record = await find_record(database, settings.temporal_task_queue, id_range, value)
        if record.status.ended:
            return record
        if follow:
            return await _follow(settings, database, record, names.of(record.tenant_id))
        return await _live(record, settings.temporal_task_queue)


async def find_record(
    database: Database, task_queue: str, id_range: IdRange, value: str, tenant_id: UUID | None = None
) -> RunRecord:
    """Finds a run of one tenant or any, in the database or, before a worker takes it, in Temporal.

    Raises `UsageError`.
    """
    for look in range(LOOKS if id_range.whole else 1):
        if look:
            await asyncio.sleep(LOOK_GAP_SECONDS)
        async with database.tenant(tenant_id, read_only=True) if tenant_id else database.portfolio() as session:
            record = await answer.run_record_in(session, id_range, value)
        if record is not None:
            return record
        queued = await unrecorded_runs(database, task_queue, tenant_id, id_range, most=NAMED + 1)
        if queued is None:
            raise UsageError(
                f"{_whose(tenant_id)} no run {value} in the database, and Temporal, which knows of queued runs,"
                " does not answer"
            )
        if queued:
            the_one([run.run_id for run in queued], value, "runs")
            return queued[0]
    raise UsageError(f"{_whose(tenant_id)} no run {value}; python starter.py runs lists them")


def _whose(tenant_id: UUID | None) -> str:
    return "there is" if tenant_id is None else "this tenant has"


async def _follow(settings: Settings, database: Database, record: RunRecord, tenant_name: str) -> RunRecord:
    client = await connect_temporal(temporal_connect_config())
    id_range = Kind(SYNC_WORKFLOW, settings.temporal_task_queue)
    await refuse_other_holder(client, record.workflow_id, str(record.run_id), id_range)
    handle = handle_of(client, record.workflow_id, record.run_id)
    with leaving(goes_on(record.run_id, tenant_name)):
        with RunView(tenant_name) as view:
            follower = Follower(
                client, settings.temporal_task_queue, SyncProgress, view.show, view.say, watched=view.watched
            )
            await follower.follow(handle)
        return await ended_record(database, record, handle)


async def ended_record(database: Database, latest: RunRecord, handle: Handle) -> RunRecord:
    """`latest` is an earlier record. Raises `UnavailableError`."""
    async with database.tenant(latest.tenant_id, read_only=True) as session:
        record = await answer.run_record(session, latest.run_id)
    return record or await refused(latest, f"run {latest.run_id}", handle)


async def refused(latest: RecordT, subject: str, handle: Handle) -> RecordT:
    """A failed record with its error code, for a workflow that workers refused: its tenant is unknown, or its id
    differs from its input's.

    Raises `UnavailableError` if there is no code.
    """
    if (code := await _failed_with(handle)) is None:
        raise UnavailableError(f"{subject} was ended in Temporal before a worker took it up; nothing was read")
    return latest.model_copy(
        update={"status": RunStatus.FAILED, "finished_at": datetime.now(UTC), "error_codes": [code]}
    )


async def _failed_with(handle: Handle) -> ErrorCode | None:
    """None if the workflow ended otherwise or is gone."""
    try:
        await handle.result()
    except WorkflowFailureError as error:
        cause = error.cause
        if isinstance(cause, ApplicationError) and cause.type in set(ErrorCode):
            return ErrorCode(cause.type)
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise
    return None


async def _live(record: RunRecord, task_queue: str) -> RunRecord:
    live = await _progress_of(record, task_queue)
    if isinstance(live, str):
        output.stderr.print(f"{live}: the counts are those of merged items so far", style="dim")
        return record
    output.stderr.print("the counts come from the workflow, as of now", style="dim")
    return answer.live_record(record, live.counts, live.collections)


async def _progress_of(record: RunRecord, task_queue: str) -> SyncProgress | str:
    until = asyncio.get_running_loop().time() + ANSWER_SECONDS
    try:
        async with asyncio.timeout_at(until):
            client = await connect_temporal(temporal_connect_config())
        return await run_progress(client, task_queue, record, until)
    except (ConfigurationError, TimeoutError, UnreachableError):
        return "Temporal does not answer"
