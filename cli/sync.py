"""`sync` and `cancel`: runs of one tenant."""

import asyncio
import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer

from activities.holders import SYNC_WORKFLOW, Kind
from cli.errors import UsageError
from cli.exit_codes import EXIT_CODE_OF_STATUS
from cli.options import (
    AllOption,
    CategoryOption,
    DeepOption,
    SelectionNameOption,
    TenantArgument,
    TypeOption,
    VerboseOption,
    configured_tenant,
    selection_of,
    tenant_id_of,
    valid_selection_name,
)
from cli.output_options import output_options, prints_json
from cli.person import requester
from configuration import Settings, load_settings
from connections import connect_temporal, connect_to_start, temporal_connect_config
from control import runs
from graph.tenants import refuse_disabled
from inventory.selection import Selection
from storage.readiness import check_readiness
from workflows.requests import SyncRequest, sync_workflow_id

if TYPE_CHECKING:
    from inventory.records import RunRecord


@prints_json
def sync(
    tenant: TenantArgument,
    type_keys: TypeOption = None,
    categories: CategoryOption = None,
    everything: AllOption = False,
    deep: DeepOption = False,
    name: SelectionNameOption = None,
    no_wait: Annotated[bool, typer.Option("--no-wait", help="Start the run and return at once.")] = False,
    verbose: VerboseOption = False,
) -> None:
    """Start the run of a selection, or join the one that is under way, and follow it to its end.

    Example: python starter.py sync contoso --category conditional-access --type groups --name access
    """
    settings = load_settings()
    selection = selection_of(type_keys, categories, everything=everything)
    selection_name = valid_selection_name(name)
    configured = configured_tenant(settings, tenant)
    refuse_disabled(configured)
    request = SyncRequest(tenant_id=configured.id, selection=selection, deep=deep, selection_name=selection_name)
    record = asyncio.run(sync_tenant(settings, request, configured.name, wait=not no_wait, quiet=False))
    # loaded while the run was under way
    from cli import output
    from cli.key_warning import compares_hidden_values, warn_without_key
    from inventory.records import SyncRecord

    warn_without_key(settings)
    if output_options().as_json:
        compared = compares_hidden_values(settings)
        output.print_json(SyncRecord(**dict(record), compares_hidden_values=compared))
    elif record.status.ended:
        from answers.runs.report import print_run

        print_run(record, configured.name, verbose=verbose)
    else:
        output.stdout.print_lines(
            f"run {record.run_id} is {record.status}\n  follow it: python starter.py run {record.run_id} --follow"
        )
    if record.status.ended:
        raise typer.Exit(EXIT_CODE_OF_STATUS[record.status])


async def sync_tenant(
    settings: Settings, request: SyncRequest, tenant_name: str, *, wait: bool, quiet: bool
) -> "RunRecord":
    """Starts or joins the run and, with `wait`, follows it."""
    client, _ = await asyncio.gather(
        connect_to_start(temporal_connect_config()), _check_database(settings.database_url.get_secret_value())
    )
    run = await runs.start_sync(client, settings.temporal_task_queue, request, tenant_name)
    with _loading():  # takes long, so only when the run is under way
        from cli.started_run import followed

    return await followed(settings, client, run, request, tenant_name, wait=wait, quiet=quiet)


@contextmanager
def _loading() -> Iterator[None]:
    """Exempts the loaded modules' objects from garbage collection, since they stay."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


async def _check_database(url: str) -> None:
    if await check_readiness(url):
        return
    from storage.database import Database  # understands URLs that libpq does not

    async with Database(url, pool_size=1) as database:
        await database.check()


@prints_json
def cancel(
    tenant: TenantArgument,
    run: Annotated[
        str | None, typer.Option("--run", metavar="ID", help="The run, by its id or the beginning of it.")
    ] = None,
    type_keys: TypeOption = None,
    categories: CategoryOption = None,
    everything: AllOption = False,
    reason: Annotated[str | None, typer.Option("--reason", help="Why; kept in the run's record.")] = None,
) -> None:
    """Cancel a run, named by its id or by its selection. Items that it has merged are kept.

    Example: python starter.py cancel contoso --category conditional-access --reason "wrong tenant"
    """
    settings = load_settings()
    tenant_id = tenant_id_of(settings, tenant)
    selection = None if run else selection_of(type_keys, categories, everything=everything)
    workflow_id, run_id, under_way = asyncio.run(_cancel(settings, tenant_id, run, selection, reason))
    from cli import output  # `sync` loads it only when the run is under way

    result = {"workflow_id": workflow_id, "run_id": run_id, "cancel_requested": True}
    output.print_result(result, f"asked run {under_way} of {tenant} to cancel")


async def _cancel(
    settings: Settings, tenant_id: UUID, run: str | None, selection: Selection | None, reason: str | None
) -> tuple[str, UUID | None, UUID]:
    """The workflow id, the named run, and the run that was asked to cancel."""
    run_id: UUID | None = None
    if selection is not None:
        workflow_id = sync_workflow_id(tenant_id, selection)
    else:
        workflow_id, run_id = await _named(settings, tenant_id, run or "")
    client = await connect_temporal(temporal_connect_config())
    try:
        kind = Kind(SYNC_WORKFLOW, settings.temporal_task_queue)
        under_way = await runs.request_cancel(client, workflow_id, run_id, reason, kind, requester())
    except runs.NotUnderWayError as error:
        raise UsageError(f"{error}; python starter.py runs lists runs and their status") from None
    return workflow_id, run_id, under_way


async def _named(settings: Settings, tenant_id: UUID, value: str) -> tuple[str, UUID]:
    from answers.ids import run_id_range
    from answers.runs.command import find_record
    from cli.sessions import opened_database  # `sync` loads it only when the run is under way

    id_range = run_id_range(value)
    async with opened_database(settings, pool_size=2) as database:
        record = await find_record(database, settings.temporal_task_queue, id_range, value, tenant_id)
    return record.workflow_id, record.run_id
