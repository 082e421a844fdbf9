"""`sync` and `cancel`: starting, joining, following and stopping runs."""

import asyncio
from typing import Annotated
from uuid import UUID

import typer

from commands import output, temporal
from commands.errors import EXIT_CODE_OF_STATUS, UsageError, errors_for_people
from commands.options import (
    AllOption,
    CategoryOption,
    DeepOption,
    JsonOption,
    TenantArgument,
    TypeOption,
    configured_tenant,
    run_id_of,
    selection_of,
    tenant_id_of,
)
from commands.progress import RunView
from configuration import Settings, load_settings
from connections import check_database, connect_temporal, connect_to_start, temporal_connect_config
from inventory.error_codes import EXPLANATIONS
from inventory.outcomes import Counts, RunStatus
from inventory.records import RunRecord
from inventory.selection import Selection
from storage import queries
from storage.database import Database
from workflows.messages import SyncProgress, sync_workflow_id


def sync(
    tenant: TenantArgument,
    type_keys: TypeOption = None,
    categories: CategoryOption = None,
    everything: AllOption = False,
    deep: DeepOption = False,
    no_wait: Annotated[bool, typer.Option("--no-wait", help="Start the run and return at once.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Start the run of a selection, or join the one that is under way, and follow it to its end.

    Example: python starter.py sync contoso --category conditional-access --type groups
    """
    with errors_for_people():
        settings = load_settings()
        selection = selection_of(type_keys, categories, everything=everything)
        configured = configured_tenant(settings, tenant)
        record = asyncio.run(
            sync_tenant(settings, configured.id, configured.name, selection, deep=deep, wait=not no_wait, quiet=False)
        )
        if as_json:
            output.print_json(record)
        elif record.status.ended:
            output.print_run(record, configured.name)
            _explain(record)
        else:
            output.stdout.print(
                f"run {record.run_id} is {record.status}; follow it: python starter.py run {record.run_id}"
            )
        if record.status.ended:
            raise typer.Exit(EXIT_CODE_OF_STATUS[record.status])


async def sync_tenant(
    settings: Settings,
    tenant_id: UUID,
    tenant_name: str,
    selection: Selection,
    *,
    wait: bool,
    quiet: bool,
    deep: bool = False,
) -> RunRecord:
    """Starts or joins the run and, if told to wait, follows it; its record as it then is."""
    client = await connect_to_start(temporal_connect_config())
    database = Database(settings.database_url.get_secret_value(), pool_size=2, application_name="tenant-inventory")
    try:
        await check_database(database)
        task_queue = settings.temporal_task_queue
        run = await temporal.start_sync(client, task_queue, tenant_id, tenant_name, selection, deep=deep)
        with RunView(tenant_name) as view:
            if run.joined and not quiet:
                view.say(f"{tenant_name}: joined run {run.run_id}, which was already under way")
                if deep:
                    view.say("it goes on as it was started; for a deep run, start again once it has ended")
            if wait:
                follower = temporal.Follower(client, task_queue, SyncProgress, view.show, view.say)
                await follower.follow(run.handle)
        async with database.tenant(tenant_id, read_only=True) as session:
            record = await queries.run_record(session, run.run_id)
        return record or _unrecorded(run, tenant_id, selection)
    finally:
        await database.close()


def _unrecorded(run: temporal.StartedRun, tenant_id: UUID, selection: Selection) -> RunRecord:
    """The record of a run that no worker has taken up yet."""
    return RunRecord(
        run_id=run.run_id,
        tenant_id=tenant_id,
        selection_hash=selection.hash(),
        selection=selection,
        workflow_id=run.workflow_id,
        status=RunStatus.QUEUED,
        queued_at=temporal.now(),
        started_at=None,
        finished_at=None,
        counts=Counts(),
        error_codes=[],
        collections={},
    )


def _explain(record: RunRecord) -> None:
    """What each error code of the run means and what to do about it."""
    for code in record.error_codes:
        meaning, remedy = EXPLANATIONS[code]
        output.stderr.print(f"{code}: {meaning} {remedy}", style="yellow", markup=False, soft_wrap=True)


def cancel(
    tenant: TenantArgument,
    run: Annotated[str | None, typer.Option("--run", metavar="ID", help="The run, by its id.")] = None,
    type_keys: TypeOption = None,
    categories: CategoryOption = None,
    everything: AllOption = False,
    reason: Annotated[str | None, typer.Option("--reason", help="Why; kept in the run's record.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Signal a run to cancel: by its id, or by the selection it was started with. What has landed is kept.

    Example: python starter.py cancel contoso --category conditional-access --reason "wrong tenant"
    """
    with errors_for_people():
        settings = load_settings()
        tenant_id = tenant_id_of(settings, tenant)
        run_id = None if run is None else run_id_of(run)
        selection = None if run_id else selection_of(type_keys, categories, everything=everything)
        workflow_id = asyncio.run(_cancel(settings, tenant_id, run_id, selection, reason))
        if as_json:
            output.print_json({"workflow_id": workflow_id, "run_id": run_id, "cancel_requested": True})
        else:
            output.stdout.print(f"asked {workflow_id} to cancel")


async def _cancel(
    settings: Settings, tenant_id: UUID, run_id: UUID | None, selection: Selection | None, reason: str | None
) -> str:
    client = await connect_temporal(temporal_connect_config())
    if selection is not None:
        workflow_id = sync_workflow_id(tenant_id, selection)
    else:
        workflow_id = await _workflow_id(settings, tenant_id, run_id)
    try:
        await temporal.request_cancel(client, workflow_id, run_id, reason)
    except LookupError as error:
        raise UsageError(f"{error}; python starter.py runs lists runs and their status") from None
    return workflow_id


async def _workflow_id(settings: Settings, tenant_id: UUID, run_id: UUID | None) -> str:
    database = Database(settings.database_url.get_secret_value(), pool_size=1, application_name="tenant-inventory")
    try:
        async with database.tenant(tenant_id, read_only=True) as session:
            record = await queries.run_record(session, run_id) if run_id else None
    finally:
        await database.close()
    if record is None:
        raise UsageError("this tenant has no such run; python starter.py runs TENANT lists them")
    return record.workflow_id
