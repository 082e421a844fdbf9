"""`promote`: plans, without writing to Graph."""

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import Annotated
from uuid import UUID

import typer

from answers.compare.records import TenantRecord
from answers.promotion import answer
from answers.promotion.candidates import PlanRequest
from answers.promotion.mapping_command import map_references
from answers.promotion.plan_table_command import print_plan
from answers.promotion.records import PlanContent, PlanRecord
from answers.promotion.shared_command import (
    PlanArgument,
    ReasonOption,
    SourceArgument,
    check_reason,
    person,
    two_sides,
)
from answers.promotion.simulate_command import simulate_plan
from answers.promotion.targets_command import plan_for_many
from cli import output
from cli.errors import ExitCode, UsageError
from cli.options import (
    MOST,
    AllTenantsOption,
    TagOption,
    TenantArgument,
    TenantNames,
    TypeOption,
    chosen_tenants,
    complete_tenant_name,
    known_type_keys,
    tenant_id_of,
)
from cli.output_options import output_options, prints_json, prints_tables
from cli.sessions import answer_of_tenant, without_collisions
from cli.table import Column, Shape, print_table
from configuration import Settings, load_settings
from inventory.visible_text import visible
from tenants_source import configured_tenants_of

promote = typer.Typer(
    no_args_is_help=True,
    help="Plans of what a promotion of items from one tenant to another would write. Nothing is written to Graph.",
)


@promote.command("plan")
@prints_tables
def make_plan(
    source: SourceArgument,
    targets: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="TARGET…",
            help="The tenants to write them to: their ids or names.",
            autocompletion=complete_tenant_name,
            show_default=False,
        ),
    ] = None,
    type_keys: TypeOption = None,
    items: Annotated[
        list[str] | None,
        typer.Option("--item", metavar="NAME|ID", help="Only items of this name or id; may be repeated."),
    ] = None,
    baseline: Annotated[
        str | None,
        typer.Option("--baseline", metavar="NAME", help="The items as this baseline of SOURCE has them."),
    ] = None,
    version: Annotated[
        int | None,
        typer.Option(
            "--from-version",
            metavar="N",
            min=1,
            max=MOST,
            help="With SOURCE and TARGET the same: restore version N of --item.",
        ),
    ] = None,
    tags: TagOption = None,
    everyone: AllTenantsOption = False,
) -> None:
    """Plan what writing items of one tenant to others would change, and say what forbids it.

    A plan for each tenant is stored and never changes; nothing is sent to Graph. With SOURCE and TARGET the same,
    --baseline or --from-version restores. Of several tenants the answer is a matrix of what is blocked where and why.
    Exit code 3 where items or collections are blocked. With --json the last line describes the plan or plans.

    Example: python starter.py promote plan golden contoso --type deviceCompliancePolicies
    """
    settings = load_settings()
    here = tenant_id_of(settings, source)
    chosen = _targets(settings, here, targets, tags, everyone=everyone)
    if version is not None and (not items or baseline or chosen != [here]):
        raise UsageError("--from-version restores items: name the tenant twice, and the items with --item")
    plan_request = PlanRequest("", None if not type_keys else known_type_keys(type_keys), items, version)
    if baseline is not None:
        here, known = answer_of_tenant(settings, here, lambda session: answer.source_baseline(session, here, baseline))
        plan_request = plan_request._replace(baseline=known)
    if here in chosen and version is None and plan_request.baseline is None:
        raise UsageError(
            "name two different tenants; the same one twice restores: with --baseline, or --item and --from-version"
        )
    if len(chosen) == 1 and not (tags or everyone):
        record, content = asyncio.run(without_collisions(partial(_plan, settings, here, chosen[0], plan_request)))
        print_plan(record, content)
        code = ExitCode.SUCCESS if content.is_complete else ExitCode.PARTIAL
    else:
        code = asyncio.run(plan_for_many(settings, here, chosen, plan_request))
    if code:
        raise typer.Exit(code)


def _targets(
    settings: Settings, here: UUID, targets: Sequence[str] | None, tags: Sequence[str] | None, *, everyone: bool
) -> list[UUID]:
    named = list(dict.fromkeys(tenant_id_of(settings, target) for target in targets or ()))
    if not (tags or everyone):
        if not named:
            raise UsageError("name the tenants to plan for, or give --tag TAG or --all-tenants")
        return named
    choice = chosen_tenants(settings, targets, tags, everyone=everyone)
    found = choice.resolve(configured_tenants_of(settings).tags())
    others = [tenant_id for tenant_id in found if tenant_id != here]
    if not others:
        raise UsageError("the options choose no tenant beside SOURCE")
    return others


async def _plan(
    settings: Settings, here: UUID, there: UUID, plan_request: PlanRequest
) -> tuple[PlanRecord, PlanContent]:
    async with two_sides(settings, here, there) as (reading, writing):
        return await answer.make_plan(reading, writing, plan_request, person())


@promote.command("show")
@prints_tables
def show_plan(
    tenant: TenantArgument,
    plan: PlanArgument,
    fields: Annotated[bool, typer.Option("--fields", help="Show the fields that would change.")] = False,
    requests: Annotated[bool, typer.Option("--requests", help="Show the requests that would be sent.")] = False,
) -> None:
    """A plan for a tenant: what would become of each item, and what forbids it. --json has the requests whole.

    Example: python starter.py promote show contoso 1f0c4d2e --fields
    """
    settings = load_settings()
    tenant_id = tenant_id_of(settings, tenant)
    record, content = answer_of_tenant(settings, tenant_id, lambda session: answer.plan_called(session, plan))
    print_plan(record, content, fields=fields, requests=requests)


@promote.command("list")
@prints_tables
def list_plans(tenant: TenantArgument) -> None:
    """The plans for a tenant, newest first: from where, by whom, and what was decided.

    Example: python starter.py promote list contoso
    """
    settings = load_settings()
    tenant_id = tenant_id_of(settings, tenant)
    names = TenantNames.load(settings)
    target = TenantRecord(tenant_id=tenant_id, name=names.of(tenant_id))
    records = answer_of_tenant(settings, tenant_id, lambda session: answer.plans(session, target, names.of))
    nothing = "no plan for this tenant; python starter.py promote plan SOURCE TARGET makes one"
    print_table(_PLAN_COLUMNS, records, record=PlanRecord, if_none=nothing)


@promote.command("approve")
@prints_json
def approve_plan(tenant: TenantArgument, plan: PlanArgument, reason: ReasonOption) -> None:
    """Approve a plan that somebody else made. It is recorded; no release carries a plan out.

    Refused, with exit code 4, where the plan has expired, or the target is not as the plan found it.

    Example: python starter.py promote approve contoso 1f0c4d2e --reason "CHG-1042"
    """
    settings = load_settings()
    tenant_id = tenant_id_of(settings, tenant)
    check_reason(reason)
    record, refusals = answer_of_tenant(
        settings, tenant_id, lambda session: answer.approve(session, plan, person(), reason), read_only=False
    )
    for refusal in refusals:
        output.stderr.print(f"refused: {visible(refusal)}", style="red")
    if output_options().as_json:
        output.print_json(record)
    elif not refusals:
        output.stdout.print(f"plan {record.plan_id} approved; nothing is written to Graph")
    if refusals:
        raise typer.Exit(ExitCode.FAILED)


@promote.command("reject")
@prints_json
def reject_plan(tenant: TenantArgument, plan: PlanArgument, reason: ReasonOption) -> None:
    """Reject a plan, for good.

    Example: python starter.py promote reject contoso 1f0c4d2e --reason "too wide"
    """
    settings = load_settings()
    tenant_id = tenant_id_of(settings, tenant)
    check_reason(reason)
    record = answer_of_tenant(
        settings, tenant_id, lambda session: answer.reject(session, plan, person(), reason), read_only=False
    )
    output.print_result(record, f"plan {record.plan_id} rejected")


promote.command("simulate")(simulate_plan)
promote.command("map")(map_references)

_PLAN_COLUMNS = (
    Column("plan", "plan_id", lambda record: str(record.plan_id)[:8], is_kept=True),
    Column("from", "source.name", lambda record: record.source.name),
    Column("state", "state", lambda record: str(record.state), is_kept=True),
    Column("made by", "created_by"),
    Column("made", "created_at", lambda record: output.ago(record.created_at)),
    Column("create", "counts.create", lambda record: record.counts.create or None, Shape.NUMBER),
    Column("update", "counts.update", lambda record: record.counts.update or None, Shape.NUMBER),
    Column("blocked", "counts.blocked", lambda record: record.counts.blocked or None, Shape.NUMBER),
)
