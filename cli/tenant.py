"""`tenant`: configured tenants, from first sign-in to removal."""

import asyncio
from datetime import timedelta
from pathlib import Path
from shlex import quote
from typing import Annotated
from uuid import UUID

import orjson
import typer
from pydantic import BaseModel

from activities.messages.diagnosis import CheckResult, CheckVerdict, DiagnoseWorker
from cli import output
from cli.doctor import print_checks
from cli.errors import ExitCode, UsageError
from cli.options import (
    CategoryOption,
    TenantArgument,
    TenantNames,
    TypeOption,
    configured_tenant,
    no_tenants,
    selection_or_all,
    tenant_id_of,
)
from cli.output_options import output_options, prints_json, prints_tables
from cli.person import local_person, requester
from cli.table import Column, print_table
from cli.tenant_import import import_tenants
from configuration import Settings, TenantsFrom, load_settings
from connections import connect_temporal, temporal_connect_config
from control.durations import duration_of, in_short
from control.tenant_histories import cancel_runs, erase_histories, leave_out_of_schedules
from control.worker_checks import worker_checks
from graph.catalog import load_catalog
from graph.least_permissions import least_permissions
from graph.permission_ids import required_resource_access
from graph.tenants import Cloud, TenantConfig, consent_url
from inventory.plurals import counted
from storage.tenant_purge import tenant_purge
from tenants_source import TenantEntry, TenantsEdit, configured_tenants_of, tenants_edit, tenants_source

tenant = typer.Typer(no_args_is_help=True, help="The tenants: add, test, list, disable, remove.")
tenant.command("import")(import_tenants)

FIRST_GAP = timedelta(seconds=5)
LONGEST_GAP = timedelta(seconds=40)
"""Gaps between sign-ins grow up to this: Entra often needs minutes to know a new consent or secret."""

EVERYWHERE = {
    TenantsFrom.FILE: "on other machines, change the tenants file in the same way",
    TenantsFrom.TABLE: "workers and the web page know it within seconds",
}
"""The effect of a change on other machines."""


class AddedTenant(TenantEntry):
    """A tenant that was added. `consent_url` is null for a managed identity, `manifest` is for the app in Entra."""

    consent_url: str | None
    manifest: dict[str, list[dict[str, object]]]


class PurgeReceipt(BaseModel, frozen=True):
    """The receipt of a purge: deleted rows by table, and deleted histories in Temporal.

    In `portfolio_runs` the tenant was erased from the choice of several. `histories_kept` says why some are kept.
    """

    rows: dict[str, int]
    portfolio_runs: int
    schedules: list[str]
    cancelled_runs: int
    histories: int
    histories_kept: str | None


class RemovedTenant(BaseModel, frozen=True):
    """A tenant that was removed. `receipt` is null without a purge."""

    tenant_id: UUID
    name: str
    receipt: PurgeReceipt | None


@tenant.command()
@prints_json
def add(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What commands call the tenant.", show_default=False)],
    tenant_id: Annotated[
        UUID, typer.Option("--id", metavar="ID", help="The tenant's own id (Entra: Overview).", show_default=False)
    ],
    client_id: Annotated[
        str | None,
        typer.Option(metavar="ID", help="The app's id. Default: that of [defaults].", show_default=False),
    ] = None,
    client_secret_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A file that holds the client secret.", show_default=False)
    ] = None,
    client_secret_env: Annotated[
        str | None, typer.Option(metavar="NAME", help="A variable that holds it.", show_default=False)
    ] = None,
    certificate_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A certificate with its key, PEM or PFX.", show_default=False)
    ] = None,
    certificate_password_env: Annotated[
        str | None, typer.Option(metavar="NAME", help="A variable that holds its password.", show_default=False)
    ] = None,
    federated_token_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A federated token.", show_default=False)
    ] = None,
    client_secret_vault: Annotated[
        str | None, typer.Option(metavar="NAME", help="A client secret in the vault.", show_default=False)
    ] = None,
    certificate_vault: Annotated[
        str | None, typer.Option(metavar="NAME", help="A certificate in the vault.", show_default=False)
    ] = None,
    managed_identity: Annotated[bool, typer.Option("--managed-identity", help="The machine's own identity.")] = False,
    cloud: Annotated[
        Cloud | None, typer.Option(help="Default: that of [defaults], or public.", show_default=False)
    ] = None,
    tags: Annotated[
        list[str] | None, typer.Option("--tag", metavar="TAG", help="A group of tenants; may be repeated.")
    ] = None,
    type_keys: TypeOption = None,
    categories: CategoryOption = None,
    wait: Annotated[str, typer.Option(metavar="DURATION", help="How long to wait for the first token.")] = "15m",
    no_wait: Annotated[bool, typer.Option("--no-wait", help="Return at once.")] = False,
) -> None:
    """Add a tenant to the tenants file, print the permissions and the consent link, and wait until a worker signs in.

    The file keeps its comments and its form. The permissions are those of all collections, or of --type and --category,
    for the app's manifest in Entra. Exit code 3 if no worker has signed in by then.

    Example: python starter.py tenant add contoso --id aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee
    --client-id 11111111-2222-3333-4444-555555555555 --client-secret-file secrets/contoso --tag emea
    """
    settings = load_settings()
    longest_wait = duration_of(wait, "--wait", most=timedelta(days=1))
    selection = selection_or_all(type_keys, categories, everything=False)
    collections = load_catalog().collections
    manifest = required_resource_access(least_permissions(collections[key] for key in selection.type_keys))
    entry = {
        "id": str(tenant_id),
        "name": name,
        "cloud": cloud,
        "client_id": client_id,
        "client_secret_file": client_secret_file and str(client_secret_file),
        "client_secret_env": client_secret_env,
        "certificate_file": certificate_file and str(certificate_file),
        "certificate_password_env": certificate_password_env,
        "federated_token_file": federated_token_file and str(federated_token_file),
        "client_secret_vault": client_secret_vault,
        "certificate_vault": certificate_vault,
        "managed_identity": managed_identity or None,
        "tags": tags,
    }
    tenants_edit(settings, local_person()).add({key: value for key, value in entry.items() if value})
    added = configured_tenant(settings, str(tenant_id))
    _print_added(settings, added, manifest)
    if not no_wait:
        _await_first_token(settings, added, longest_wait)


def _print_added(settings: Settings, added: TenantConfig, manifest: dict[str, list[dict[str, object]]]) -> None:
    link = consent_url(added, settings.graph_authority_url)
    if output_options().as_json:
        output.print_json(AddedTenant(**dict(TenantEntry.of(added)), consent_url=link, manifest=manifest))
        return
    named, effect = tenants_source(settings).named, EVERYWHERE[settings.tenants_from]
    output.stdout.print(f"{added.name} is in {named}; {effect}")
    output.stdout.print()
    output.stdout.print("replace requiredResourceAccess in the app's manifest (Entra: Manage > Manifest) by:")
    print(orjson.dumps(manifest, option=orjson.OPT_INDENT_2).decode())
    output.stdout.print()
    if link is None:
        output.stdout.print("grant them to the managed identity")
    else:
        output.stdout.print("then have a Privileged Role Administrator of the tenant open:")
        print(link)


def _await_first_token(settings: Settings, added: TenantConfig, longest_wait: timedelta) -> None:
    result = asyncio.run(_first_token(settings, added, longest_wait))
    if not output_options().as_json:
        output.stdout.print()
    output.print_result(result, f"{added.name}: {result.message}")
    if result.verdict is CheckVerdict.FAILED:
        raise typer.Exit(ExitCode.PARTIAL)


async def _first_token(settings: Settings, added: TenantConfig, longest_wait: timedelta) -> CheckResult:
    """A worker's successful check, or the last failed one. Prints each new reason."""
    clock = asyncio.get_running_loop().time
    ends_at, gap, printed = clock() + longest_wait.total_seconds(), FIRST_GAP, ""
    output.stderr.print(
        f"waiting up to {in_short(longest_wait)} for the first token; Ctrl-C leaves, and goes on by:"
        f" python starter.py tenant test {quote(added.name)}",
        style="dim",
    )
    while True:
        result = await _sign_in(settings, added)
        if result.verdict is not CheckVerdict.FAILED or clock() + gap.total_seconds() > ends_at:
            return result
        if result.message != printed:
            output.stderr.print(f"not yet: {result.message}", style="dim")
            printed = result.message
        await asyncio.sleep(gap.total_seconds())
        gap = min(2 * gap, LONGEST_GAP)


async def _sign_in(settings: Settings, chosen: TenantConfig) -> CheckResult:
    client = await connect_temporal(temporal_connect_config())
    request = DiagnoseWorker(tenant_ids=(chosen.id,))
    checks = await worker_checks(client, settings.temporal_task_queue, request, 1)
    of_tenant = [check for check in checks if check.tenant_id == chosen.id]
    failed = [check for check in checks if check.verdict is CheckVerdict.FAILED]
    return (of_tenant or failed)[0]


@tenant.command()
@prints_json
def remove(
    tenant: TenantArgument,
    purge: Annotated[
        bool, typer.Option("--purge", help="Delete all that is known of it, too, as the owner of the tables.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Take a tenant out of the tenants file. With --purge, delete everything that is known of it, for good.

    First take it out of the tenants file of every other machine with workers. A purge takes the tenant out of
    schedules, cancels its runs, deletes their histories in Temporal where that is allowed, and the tenant's rows in
    every table. It prints a receipt, which the audit records keep. Run again, it deletes what has come since.

    Example: python starter.py tenant remove contoso --purge
    """
    settings = load_settings()
    tenant_id = tenant_id_of(settings, tenant)
    names = TenantNames.load(settings)
    name = names.of(tenant_id)
    is_named = name != str(tenant_id)
    if not (is_named or purge):
        raise UsageError(f"{name} is not configured; --purge deletes what is known of it")
    if not yes:
        _confirm(name, purge=purge)
    edit = tenants_edit(settings, local_person())
    receipt = asyncio.run(_purge(settings, tenant_id, name, edit, is_named=is_named)) if purge else None
    if receipt is None:
        edit.remove(tenant_id)
    if output_options().as_json:
        output.print_json(RemovedTenant(tenant_id=tenant_id, name=name, receipt=receipt))
        return
    if is_named:
        output.stdout.print(
            f"{name} is no longer in {tenants_source(settings).named}; {EVERYWHERE[settings.tenants_from]}"
        )
    if receipt is None:
        output.stdout.print(f"its inventory is kept; to delete it: python starter.py tenant remove {tenant_id} --purge")
    else:
        _print_receipt(receipt)


def _confirm(name: str, *, purge: bool) -> None:
    action = f"delete all that is known of {name}" if purge else f"stop reading {name}"
    try:
        typed = typer.prompt(f"To {action}, type its name", err=True)
    except typer.Abort:
        raise UsageError(f"nobody has answered; to {action} without a question: --yes") from None
    if typed.strip() != name:
        raise UsageError(f"that is not its name; {name} is kept")


async def _purge(settings: Settings, tenant_id: UUID, name: str, edit: TenantsEdit, *, is_named: bool) -> PurgeReceipt:
    """Changes nothing unless the login may delete the rows. Later steps can be repeated."""
    url = settings.database_url.get_secret_value()
    with tenant_purge(url, tenant_id) as database:
        workflow_ids = database.workflow_ids()
    client = await connect_temporal(temporal_connect_config())
    task_queue = settings.temporal_task_queue
    if is_named:
        edit.remove(tenant_id)
    schedules = await leave_out_of_schedules(client, task_queue, tenant_id, TenantNames.load(settings).of)
    output.stderr.print("cancelling runs under way", style="dim")
    cancelled = await cancel_runs(client, task_queue, tenant_id, requester())
    output.stderr.print("deleting histories in Temporal", style="dim")
    erased = await erase_histories(client, task_queue, tenant_id, workflow_ids)
    output.stderr.print("deleting rows", style="dim")
    with tenant_purge(url, tenant_id) as database:
        name = database.name() or name
        rows = database.delete()
        receipt = PurgeReceipt(
            rows=dict(rows.tables),
            portfolio_runs=rows.portfolio_runs,
            schedules=schedules,
            cancelled_runs=cancelled,
            histories=erased.histories,
            histories_kept=erased.why_others_stay,
        )
        database.record(requester(), name, receipt.model_dump(mode="json"))
    return receipt


def _print_receipt(receipt: PurgeReceipt) -> None:
    output.stdout.print("deleted:")
    for table, rows in receipt.rows.items():
        output.stdout.print(f"  {rows:>9,} {table}")
    output.stdout.print(f"  {receipt.histories:>9,} histories in Temporal")
    output.stdout.print(
        f"{counted(sum(receipt.rows.values()), 'row')} of {counted(len(receipt.rows), 'table')}; erased from"
        f" {counted(receipt.portfolio_runs, 'portfolio run')}; {counted(receipt.cancelled_runs, 'run')} cancelled"
    )
    if receipt.schedules:
        output.stdout.print(f"taken out of the schedules {', '.join(receipt.schedules)}")
    if receipt.histories_kept:
        output.stdout.print(f"{receipt.histories_kept}; the rest stays until the namespace's retention ends")
    output.stdout.print("the audit records keep this receipt; backups are not touched")


@tenant.command("test")
@prints_tables
def sign_in(tenant: TenantArgument) -> None:
    """Have a worker sign in to a tenant and read one object. A disabled tenant is tested, too.

    Exit code 3 if that fails. `check` shows each collection that the app may read, `doctor` everything else.

    Example: python starter.py tenant test contoso
    """
    settings = load_settings()
    result = asyncio.run(_sign_in(settings, configured_tenant(settings, tenant)))
    print_checks([result])
    if result.verdict is CheckVerdict.FAILED:
        raise typer.Exit(ExitCode.PARTIAL)


@tenant.command("list")
@prints_tables
def list_tenants() -> None:
    """The tenants of the tenants file. `status` shows how well each is read.

    Example: python starter.py tenant list
    """
    configured = configured_tenants_of(load_settings())
    print_table(_COLUMNS, [*map(TenantEntry.of, configured)], record=TenantEntry, if_none=no_tenants(configured))


_COLUMNS = (
    Column("tenant", "name"),
    Column("", "disabled", lambda entry: "disabled" if entry.disabled else "", is_kept=True),
    Column("id", "tenant_id", is_kept=True),
    Column("cloud", "cloud"),
    Column("credential", "credential"),
    Column("tags", "tags", lambda entry: ", ".join(entry.tags)),
)


@tenant.command()
@prints_json
def disable(tenant: TenantArgument) -> None:
    """Stop reading a tenant, and keep all that is known of it.

    `sync` refuses it; portfolio runs, schedules and `watch` leave it out. A run under way ends at its next request with
    `tenant_disabled`, and what it has read stays.

    Example: python starter.py tenant disable contoso
    """
    _set_disabled(tenant, disabled=True)


@tenant.command()
@prints_json
def enable(tenant: TenantArgument) -> None:
    """Read a disabled tenant again.

    Example: python starter.py tenant enable contoso
    """
    _set_disabled(tenant, disabled=False)


def _set_disabled(tenant: str, *, disabled: bool) -> None:
    settings = load_settings()
    chosen = configured_tenant(settings, tenant)
    changed = tenants_edit(settings, local_person()).disable(chosen.id, disabled=disabled)
    if output_options().as_json:
        output.print_json(TenantEntry.of(configured_tenant(settings, str(chosen.id))))
    else:
        state = "disabled" if disabled else "enabled"
        output.stdout.print(
            f"{chosen.name} is {state}; {EVERYWHERE[settings.tenants_from]}"
            if changed
            else f"{chosen.name} was {state} already"
        )
