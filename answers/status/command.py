"""`status`."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import timedelta
from typing import Annotated

import typer
from rich.text import Text

from answers.status.answer import status as answer
from answers.status.records import Attention, TenantStatus
from answers.status.rules import OLD_AFTER
from cli import output
from cli.options import SomeTenantsOption, TagOption, TenantNames, chosen_tenants, shortened
from cli.output_options import output_options, prints_tables
from cli.sessions import opened_database
from cli.table import Column, Shape, print_table
from configuration import load_settings
from inventory.error_codes import EXPLANATIONS, ErrorCode
from inventory.plurals import counted
from tenants_source import configured_tenants_of

NAMED = 3

_STYLES = {
    Attention.NEVER_READ: "red",
    Attention.RUN_FAILED: "red",
    Attention.NOT_READ: "red",
    Attention.OLD: "yellow",
    Attention.NOT_WATCHED: "yellow",
    Attention.STALE: "yellow",
    Attention.HIGH_DRIFT: "yellow",
    Attention.MISSING: "yellow",
}


@prints_tables
def status(
    tenants: SomeTenantsOption = None,
    tags: TagOption = None,
    old_after: Annotated[
        int, typer.Option("--old-after", metavar="HOURS", min=1, max=24 * 366, help="How old a reading may be.")
    ] = int(OLD_AFTER.total_seconds() // 3600),
) -> None:
    """Which tenants need attention: how old, not read, not watched, stale, missing, drifting; the most urgent first.

    All tenants of the tenants file, or those that --tenant and --tag name. With --json each line is a tenant.

    Example: python starter.py status --tag emea --old-after 6
    """
    settings = load_settings()
    choice = chosen_tenants(settings, tenants, tags, everyone=not (tenants or tags))
    configured = configured_tenants_of(settings)
    tenant_ids = choice.resolve(configured.tags())
    disabled = {entry.id: entry.name for entry in configured if entry.disabled and entry.id in tenant_ids}

    async def ask() -> list[TenantStatus]:
        async with opened_database(settings) as database, database.portfolio() as session:
            return await answer(session, tenant_ids, timedelta(hours=old_after), disabled=disabled)

    statuses = asyncio.run(ask())
    if output_options().as_json:
        output.print_json(*statuses)
    else:
        _print(statuses, TenantNames.load(settings))
        if disabled:
            output.stderr.print(f"not read while disabled: {shortened(list(disabled.values()))}", style="dim")


def _print(tenants: Sequence[TenantStatus], names: TenantNames) -> None:
    columns = (
        Column("tenant", "tenant_id", lambda tenant: names.of(tenant.tenant_id)),
        Column("oldest reading", "oldest", lambda tenant: output.ago(tenant.oldest) or "never", is_kept=True),
        Column("read", "read", lambda tenant: f"{tenant.read} of {tenant.collections}", Shape.NUMBER, is_kept=True),
        Column("missing", "missing", shape=Shape.NUMBER, is_kept=True),
        Column("stale", "stale", lambda tenant: tenant.stale or None, Shape.NUMBER),
        Column("high drift", "high_drift", shape=Shape.NUMBER, is_kept=True),
        Column("look at", "attention", _look_at, is_kept=True),
    )
    print_table(columns, tenants, record=TenantStatus)
    enabled = [tenant for tenant in tenants if not tenant.disabled]
    wanting = sum(bool(tenant.attention) for tenant in enabled)
    need = "needs" if wanting == 1 else "need"
    output.stderr.print(f"{wanting} of {counted(len(enabled), 'tenant')} {need} attention", style="dim")
    for reason, by_tenant in _not_read(enabled).items():
        _print_reason(reason, "collection", by_tenant, names)
    for reason, by_tenant in _not_watched(enabled).items():
        _print_reason(f"watch:{reason}", "audit log", by_tenant, names)
    unselected = [(tenant, tenant.never_selected) for tenant in enabled if tenant.run_id and tenant.never_selected]
    if unselected:
        _print_reason("no run has selected", "collection", unselected, names, style="dim")


def _look_at(tenant: TenantStatus) -> Text:
    if not tenant.attention:
        return Text("disabled" if tenant.disabled else "", style="dim")
    words = ", ".join(reason.replace("_", " ") for reason in tenant.attention)
    return Text(words, style=_STYLES[tenant.attention[0]])


def _not_read(tenants: Sequence[TenantStatus]) -> dict[str, list[tuple[TenantStatus, int]]]:
    by_reason: dict[str, list[tuple[TenantStatus, int]]] = defaultdict(list)
    for tenant in tenants:
        for reason in tenant.not_read:
            by_reason[reason.reason].append((tenant, reason.collections))
    return dict(sorted(by_reason.items(), key=lambda entry: -sum(collections for _, collections in entry[1])))


def _not_watched(tenants: Sequence[TenantStatus]) -> dict[str, list[tuple[TenantStatus, int]]]:
    by_code: dict[str, list[tuple[TenantStatus, int]]] = defaultdict(list)
    for tenant in tenants:
        for code, logs in Counter(log.error_code for log in tenant.not_watched).items():
            by_code[code].append((tenant, logs))
    return by_code


def _print_reason(
    reason: str,
    noun: str,
    by_tenant: Sequence[tuple[TenantStatus, int]],
    names: TenantNames,
    *,
    style: str = "yellow",
) -> None:
    number = sum(count for _, count in by_tenant)
    named = ", ".join(names.of(tenant.tenant_id) for tenant, _ in by_tenant[:NAMED])
    more = f" and {len(by_tenant) - NAMED} more" if len(by_tenant) > NAMED else ""
    output.stderr.print(f"{reason}: {counted(number, noun)} of {named}{more}", style=style)
    code = reason.partition(":")[2]
    if code in set(ErrorCode):
        output.stderr.print(f"  {EXPLANATIONS[ErrorCode(code)].remedy}", style="dim")
