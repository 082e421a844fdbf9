"""`doctor`: whether everything that runs need is there, checked by this command and by a worker."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Annotated
from uuid import uuid4

import typer
from rich.text import Text
from temporalio.client import Client, WorkflowFailureError
from temporalio.service import RPCError

from activities.diagnosis import ANSWER_SECONDS, TENANTS_AT_ONCE
from activities.messages.diagnosis import CheckResult, CheckVerdict, DiagnoseWorker
from cli import output
from cli.errors import ExitCode, errors_for_people
from cli.options import JsonOption, configured_tenant
from cli.output_options import prints_tables
from cli.sessions import opened_database
from cli.table import Column, print_table
from configuration import Settings, load_settings
from connections import (
    UnreachableError,
    check_database,
    connect_temporal,
    missing_search_attributes,
    refused,
    temporal_connect_config,
)
from control.progress import no_worker
from graph.tenants import TenantConfig, TenantsFileError, load_tenants
from inventory.plurals import counted
from temporal_errors import search_attributes_by_hand
from workflows.diagnosis import DIAGNOSIS_ID, DiagnosisWorkflow

WORKER_SECONDS = 60
"""For a worker to take the diagnosis and check its database; the tenants come on top."""

_STYLES = {CheckVerdict.OK: "green", CheckVerdict.WARNING: "yellow", CheckVerdict.FAILED: "red"}


@prints_tables
def doctor(
    tenant: Annotated[str | None, typer.Argument(help="Sign in to this tenant only; all, if none is given.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Check settings, database, Temporal, workers and each tenant's sign-in, and say what to do.

    A worker makes the checks that depend on its own environment: secrets, network, clock, database login. Nothing is
    changed, except that Temporal keeps the record of the worker's checks. Exit code 3 if a check failed.

    Example: python starter.py doctor
    """
    with errors_for_people():
        settings = load_settings()
        chosen = None if tenant is None else configured_tenant(settings, tenant)
        checks = asyncio.run(_checks(settings, chosen))
        if as_json:
            for check in checks:
                output.print_json(check)
        else:
            _print(checks)
        if any(check.verdict is CheckVerdict.FAILED for check in checks):
            raise typer.Exit(ExitCode.PARTIAL)


async def _checks(settings: Settings, chosen: TenantConfig | None) -> list[CheckResult]:
    checks = [_result("settings", CheckVerdict.OK, "are valid")]
    count = 1
    try:
        count = len(load_tenants(settings.tenants_file))
        checks.append(_result("tenants file", CheckVerdict.OK, "is valid"))
    except TenantsFileError as error:
        checks.append(_result("tenants file", CheckVerdict.FAILED, str(error)))
    checks.append(await _of_database(settings))
    try:
        client = await connect_temporal(temporal_connect_config())
    except UnreachableError as error:
        return [*checks, _result("Temporal", CheckVerdict.FAILED, str(error))]
    checks.append(_result("Temporal", CheckVerdict.OK, f"answers, and has namespace {client.namespace}"))
    checks.append(await _of_search_attributes(client))
    tenant_ids = () if chosen is None else (chosen.id,)
    waves = -(-(len(tenant_ids) or count) // TENANTS_AT_ONCE)
    limit = timedelta(seconds=WORKER_SECONDS + 2 * ANSWER_SECONDS * waves)
    return [*checks, *await _of_worker(client, settings, DiagnoseWorker(tenant_ids=tenant_ids), limit)]


async def _of_database(settings: Settings) -> CheckResult:
    async with opened_database(settings) as database:
        try:
            await check_database(database)
        except UnreachableError as error:
            return _result("database", CheckVerdict.FAILED, str(error))
    return _result("database", CheckVerdict.OK, "answers, at this program's revision")


async def _of_search_attributes(client: Client) -> CheckResult:
    check = "search attributes"
    try:
        missing = await missing_search_attributes(client)
    except UnreachableError as error:
        return _result(check, CheckVerdict.FAILED, str(error))
    if missing is None:
        return _result(check, CheckVerdict.WARNING, "Temporal does not let this client list them")
    if missing:
        by_hand = search_attributes_by_hand(client.namespace)
        reason = f"the namespace lacks {', '.join(missing)}; a worker adds them at start, or {by_hand}"
        return _result(check, CheckVerdict.FAILED, reason)
    return _result(check, CheckVerdict.OK, "are there")


async def _of_worker(
    client: Client, settings: Settings, request: DiagnoseWorker, limit: timedelta
) -> Sequence[CheckResult]:
    task_queue = settings.temporal_task_queue
    try:
        if (nobody := await no_worker(client, task_queue)) is not None:
            return [_result("workers", CheckVerdict.FAILED, nobody)]
        result = await client.execute_workflow(
            DiagnosisWorkflow.run,
            request,
            id=f"{DIAGNOSIS_ID}/{task_queue}/{uuid4()}",
            task_queue=task_queue,
            execution_timeout=limit,
        )
    except RPCError as error:
        return [_result("workers", CheckVerdict.FAILED, str(refused(client, error)))]
    except WorkflowFailureError:
        reason = (
            f"workers poll task queue {task_queue!r}, but none has made its checks within"
            f" {limit.total_seconds():.0f} seconds; see their logs, and whether they are of this release"
        )
        return [_result("workers", CheckVerdict.FAILED, reason)]
    return [_result("workers", CheckVerdict.OK, f"poll task queue {task_queue!r}"), *result.checks]


def _result(check: str, verdict: CheckVerdict, message: str) -> CheckResult:
    return CheckResult(check=check, place="command", verdict=verdict, message=message)


_COLUMNS = (
    Column("", "verdict", lambda check: Text(check.verdict, style=_STYLES[check.verdict]), is_kept=True),
    Column("seen by", "place", is_kept=True),
    Column("check", "check", lambda check: f"{check.check} {check.tenant or check.tenant_id or ''}".strip()),
    Column("result", "message", is_kept=True),
)


def _print(checks: Sequence[CheckResult]) -> None:
    print_table(_COLUMNS, checks, record=CheckResult, is_ordered=True)
    failed = sum(check.verdict is CheckVerdict.FAILED for check in checks)
    warnings = sum(check.verdict is CheckVerdict.WARNING for check in checks)
    output.stdout.print(f"{failed} failed, {counted(warnings, 'warning')}, {len(checks) - failed - warnings} ok")
