import asyncio
from collections.abc import Sequence
from typing import Annotated
from uuid import UUID

import typer

from activities.messages.retention import ForgottenOfTenant
from activities.retention import BATCH, RUNS
from cli import output
from cli.errors import ExitCode, UsageError
from cli.options import OptionalTenantArgument, TenantNames, tenant_id_of
from cli.output_options import output_options, prints_tables
from cli.sessions import opened_database
from cli.table import Column, Shape, print_table
from cli.tenant_walk import tenant_failure
from configuration import Settings, load_settings
from connections import check_database
from inventory.bounds import RETENTION_DAYS, RETENTION_VERSIONS
from storage import run_retention as forgetting
from storage import versions
from storage.database import Database
from workflows.messages import RetentionInput


@prints_tables
def retention(
    tenant: OptionalTenantArgument = None,
    days: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=RETENTION_DAYS,
            help="Delete versions superseded this many days ago; 0 keeps all. Default: as configured.",
        ),
    ] = None,
    count: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=RETENTION_VERSIONS,
            help="Keep this many versions of an item, with the current one; 0 keeps all.",
        ),
    ] = None,
    run_days: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=RETENTION_DAYS,
            help="Delete runs that ended this many days ago and on which no answer depends; 0 keeps all.",
        ),
    ] = None,
) -> None:
    """Delete old versions and runs of one tenant or of all, as configured or by the options.

    Current and pinned versions stay. Plans that expired undecided go with the runs.

    Example: python starter.py retention contoso --days 365 --count 20 --run-days 30
    """
    settings = load_settings()
    limits = RetentionInput.within(
        settings.version_retention_days if days is None else days,
        settings.version_retention_count if count is None else count,
        settings.run_retention_days if run_days is None else run_days,
    )
    if not limits.limits_anything:
        raise UsageError(
            "retention keeps every version and run: give --days, --count or --run-days, or set"
            " VERSION_RETENTION_DAYS, VERSION_RETENTION_COUNT or RUN_RETENTION_DAYS"
        )
    forgotten, failed = asyncio.run(_forget(settings, tenant_id_of(settings, tenant) if tenant else None, limits))
    if output_options().as_json:
        output.print_json(*forgotten)
    else:
        _print(forgotten, TenantNames.load(settings))
    if failed:
        names = TenantNames.load(settings)
        for tenant_id, reason in failed.items():
            output.stderr.print(f"{names.of(tenant_id)}: {reason}", style="red")
        raise typer.Exit(ExitCode.PARTIAL if forgotten else ExitCode.FAILED)


def _print(forgotten: Sequence[ForgottenOfTenant], names: TenantNames) -> None:
    columns = (
        Column("tenant", "tenant_id", lambda record: names.of(record.tenant_id)),
        Column("versions deleted", "versions", shape=Shape.NUMBER, is_kept=True),
        Column("documents deleted", "documents", shape=Shape.NUMBER, is_kept=True),
        Column("runs deleted", "runs", shape=Shape.NUMBER, is_kept=True),
        Column("plans deleted", "plans", shape=Shape.NUMBER),
    )
    print_table(columns, forgotten, record=ForgottenOfTenant)


async def _forget(
    settings: Settings, tenant_id: UUID | None, limits: RetentionInput
) -> tuple[list[ForgottenOfTenant], dict[UUID, str]]:
    """Of all tenants if none is given; also returns the errors of failed ones."""
    forgotten: list[ForgottenOfTenant] = []
    failed: dict[UUID, str] = {}
    async with opened_database(settings) as database:
        await check_database(database)
        if tenant_id is not None:
            return [await _forget_of_tenant(database, tenant_id, limits)], failed
        async with database.portfolio() as session:
            known = await versions.tenants(session)
        for tenant in known:
            try:
                forgotten.append(await _forget_of_tenant(database, tenant, limits))
            except Exception as error:  # noqa: BLE001 - retention of the other tenants goes on
                failed[tenant] = await tenant_failure(database, error)
    return forgotten, failed


async def _forget_of_tenant(database: Database, tenant_id: UUID, limits: RetentionInput) -> ForgottenOfTenant:
    """Commits each batch, as `RetentionWorkflow` does."""
    forgotten, after = ForgottenOfTenant(tenant_id=tenant_id), None
    while limits.limits_versions:
        async with database.tenant(tenant_id) as session:
            batch = await versions.forget(
                session, older_than=limits.older_than, kept=limits.kept, most=BATCH, after=after
            )
        forgotten, after = forgotten.plus(versions=batch.versions, documents=batch.documents), batch.after
        if after is None:
            break
    while limits.runs_older_than is not None:
        async with database.tenant(tenant_id) as session:
            runs = await forgetting.forget_runs(session, older_than=limits.runs_older_than, most=RUNS)
            plans = await forgetting.forget_plans(session, older_than=limits.runs_older_than)
        forgotten = forgotten.plus(runs=runs, plans=plans)
        if runs < RUNS:
            break
    return forgotten
