import asyncio
from collections.abc import Sequence
from typing import Annotated

import typer
from rich.text import Text
from temporalio.client import Client
from temporalio.service import RPCError

from activities.messages.diagnosis import CheckResult, CheckVerdict, DiagnoseWorker
from cli import output
from cli.errors import ExitCode
from cli.options import complete_tenant_name
from cli.output_options import output_options, prints_tables
from cli.sessions import opened_database
from cli.table import Column, print_table
from configuration import Settings, load_settings
from connections import (
    UnreachableError,
    check_database,
    connect_temporal,
    missing_search_attributes,
    temporal_connect_config,
)
from control.newer_runs import newer_runs
from control.worker_checks import command_check, worker_checks
from graph.tenants import TenantConfig, TenantsFileError
from inventory.plurals import counted
from inventory.user_errors import UnavailableError
from storage.database import StorageNotReadyError, StorageUnavailableError
from temporal_errors import search_attributes_by_hand
from tenants_source import configured_tenants_of

_STYLES = {CheckVerdict.OK: "green", CheckVerdict.WARNING: "yellow", CheckVerdict.FAILED: "red"}


@prints_tables
def doctor(
    tenant: Annotated[
        str | None,
        typer.Argument(
            metavar="TENANT",
            help="Sign in to this tenant only; all, if none is given.",
            autocompletion=complete_tenant_name,
        ),
    ] = None,
) -> None:
    """Check settings, database, Temporal, workers and each tenant's sign-in, and say what to do.

    A worker makes the checks that depend on its own environment: secrets, network, clock, database login. Nothing is
    changed, except that Temporal keeps the record of the worker's checks. Exit code 3 if a check failed.

    Example: python starter.py doctor
    """
    settings = load_settings()
    checks = asyncio.run(_checks(settings, tenant))
    print_checks(checks)
    if any(check.verdict is CheckVerdict.FAILED for check in checks):
        raise typer.Exit(ExitCode.PARTIAL)


async def _checks(settings: Settings, tenant: str | None) -> list[CheckResult]:
    checks = [command_check("settings", CheckVerdict.OK, "are valid")]
    chosen: TenantConfig | None = None
    count, place = 1, f"tenants {settings.tenants_from}"
    try:
        configured = configured_tenants_of(settings)
        chosen = None if tenant is None else configured.find(tenant)
        count = len(configured)
        checks.append(command_check(place, CheckVerdict.OK, "is valid"))
    except (TenantsFileError, UnavailableError) as error:
        checks.append(command_check(place, CheckVerdict.FAILED, str(error)))
    checks.append(await _of_database(settings))
    try:
        client = await connect_temporal(temporal_connect_config())
    except UnreachableError as error:
        return [*checks, command_check("Temporal", CheckVerdict.FAILED, str(error))]
    checks.append(command_check("Temporal", CheckVerdict.OK, f"answers, and has namespace {client.namespace}"))
    checks.append(await _of_search_attributes(client))
    checks += await _of_restores(settings, client)
    tenant_ids = () if chosen is None else (chosen.id,)
    request = DiagnoseWorker(tenant_ids=tenant_ids)
    return [*checks, *await worker_checks(client, settings.temporal_task_queue, request, len(tenant_ids) or count)]


async def _of_database(settings: Settings) -> CheckResult:
    async with opened_database(settings) as database:
        try:
            await check_database(database)
        except UnreachableError as error:
            return command_check("database", CheckVerdict.FAILED, str(error))
    return command_check("database", CheckVerdict.OK, "answers, at this program's revision")


async def _of_search_attributes(client: Client) -> CheckResult:
    check = "search attributes"
    try:
        missing = await missing_search_attributes(client)
    except UnreachableError as error:
        return command_check(check, CheckVerdict.FAILED, str(error))
    if missing is None:
        return command_check(check, CheckVerdict.WARNING, "Temporal does not let this client list them")
    if missing:
        by_hand = search_attributes_by_hand(client.namespace)
        reason = f"the namespace lacks {', '.join(missing)}; a worker adds them at start, or {by_hand}"
        return command_check(check, CheckVerdict.FAILED, reason)
    return command_check(check, CheckVerdict.OK, "are there")


async def _of_restores(settings: Settings, client: Client) -> list[CheckResult]:
    """Warns if Temporal has runs after the database's newest; empty if unknown."""
    try:
        async with opened_database(settings) as database, database.portfolio() as session:
            count = await newer_runs(client, settings.temporal_task_queue, session)
    except (StorageUnavailableError, StorageNotReadyError, RPCError):
        return []
    if not count:
        return [command_check("restores", CheckVerdict.OK, "the database has the runs that Temporal has")]
    reason = (
        f"Temporal has {counted(count, 'run')} after the newest one of the database, as after a restore: the next runs"
        " tell again what those found"
    )
    return [command_check("restores", CheckVerdict.WARNING, reason)]


_COLUMNS = (
    Column("", "verdict", lambda check: Text(check.verdict, style=_STYLES[check.verdict]), is_kept=True),
    Column("seen by", "place", is_kept=True),
    Column("check", "check", lambda check: f"{check.check} {check.tenant or check.tenant_id or ''}".strip()),
    Column("result", "message", is_kept=True),
)


def print_checks(checks: Sequence[CheckResult]) -> None:
    print_table(_COLUMNS, checks, record=CheckResult, is_ordered=True)
    if output_options().as_json:
        return
    failed = sum(check.verdict is CheckVerdict.FAILED for check in checks)
    warnings = sum(check.verdict is CheckVerdict.WARNING for check in checks)
    output.stdout.print(f"{failed} failed, {counted(warnings, 'warning')}, {len(checks) - failed - warnings} ok")
