"""`promote`: plans of what a promotion of items into a tenant would write. Nothing is written."""

import asyncio
from typing import Annotated

import typer

from answers.compare.answer import side
from answers.compare.records import TenantRecord
from answers.promotion import answer
from answers.promotion.mapping_command import map_references
from answers.promotion.plan_table_command import print_plan
from answers.promotion.planner import PlanRequest
from answers.promotion.records import PlanContent, PlanRecord
from answers.promotion.shared_command import (
    PlanArgument,
    ReasonOption,
    SourceArgument,
    TargetArgument,
    check_reason,
    person,
    two_sessions,
)
from answers.promotion.simulate_command import simulate_plan
from cli import output
from cli.errors import ExitCode, UsageError, errors_for_people
from cli.options import (
    MOST,
    JsonOption,
    TenantArgument,
    TenantNames,
    TypeOption,
    known_type_keys,
    tenant_id_of,
)
from cli.output_options import prints_tables
from cli.sessions import tenant_session, without_collisions
from cli.table import Column, Shape, print_table
from configuration import load_settings
from inventory.visible_text import visible

promote = typer.Typer(
    no_args_is_help=True,
    help="Plans of what a promotion of items from one tenant to another would write. Nothing is written to Graph.",
)


@promote.command("plan")
@prints_tables
def make_plan(
    source: SourceArgument,
    target: TargetArgument,
    type_keys: TypeOption = None,
    items: Annotated[
        list[str] | None,
        typer.Option("--item", metavar="NAME|ID", help="Only items of this name or id; may be repeated."),
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
    as_json: JsonOption = False,
) -> None:
    """Plan what writing items of one tenant to another would change, and say what forbids it.

    The plan is stored and never changes; nothing is sent to Graph. Exit code 3 where items or collections are blocked.
    With --json the last line describes the plan.

    Example: python starter.py promote plan golden contoso --type deviceCompliancePolicies
    """
    with errors_for_people():
        settings = load_settings()
        here, there = tenant_id_of(settings, source), tenant_id_of(settings, target)
        if (here == there) is (version is None):
            raise UsageError(
                "name two different tenants; the same one twice with --item and --from-version restores a version"
            )
        if version is not None and not items:
            raise UsageError("--from-version restores items; name them with --item")
        wanted = PlanRequest("", None if not type_keys else known_type_keys(type_keys), items, version)

        async def ask() -> tuple[PlanRecord, PlanContent]:
            async with two_sessions(settings, here, there) as (one, other):
                names = TenantNames.load(settings)
                reading = await side(TenantRecord(tenant_id=here, name=names.of(here)), one)
                writing = await side(TenantRecord(tenant_id=there, name=names.of(there)), other)
                return await answer.make_plan(reading, writing, wanted, person())

        record, content = asyncio.run(without_collisions(ask))
        print_plan(record, content, as_json=as_json)
        if not content.is_complete:
            raise typer.Exit(ExitCode.PARTIAL)


@promote.command("show")
@prints_tables
def show_plan(
    tenant: TenantArgument,
    plan: PlanArgument,
    fields: Annotated[bool, typer.Option("--fields", help="Show the fields that would change.")] = False,
    requests: Annotated[bool, typer.Option("--requests", help="Show the requests that would be sent.")] = False,
    as_json: JsonOption = False,
) -> None:
    """A plan for a tenant: what would become of each item, and what forbids it. --json has the requests whole.

    Example: python starter.py promote show contoso 1f0c4d2e --fields
    """
    with errors_for_people():
        settings = load_settings()
        tenant_id = tenant_id_of(settings, tenant)

        async def ask() -> tuple[PlanRecord, PlanContent]:
            async with tenant_session(settings, tenant_id) as session:
                return await answer.plan_called(session, plan)

        record, content = asyncio.run(ask())
        print_plan(record, content, as_json=as_json, fields=fields, requests=requests)


@promote.command("list")
@prints_tables
def list_plans(tenant: TenantArgument, as_json: JsonOption = False) -> None:
    """The plans for a tenant, newest first: from where, by whom, and what was decided.

    Example: python starter.py promote list contoso
    """
    with errors_for_people():
        settings = load_settings()
        tenant_id = tenant_id_of(settings, tenant)
        names = TenantNames.load(settings)

        async def ask() -> list[PlanRecord]:
            async with tenant_session(settings, tenant_id) as session:
                target = TenantRecord(tenant_id=tenant_id, name=names.of(tenant_id))
                return await answer.plans(session, target, names.of)

        records = asyncio.run(ask())
        if as_json:
            for record in records:
                output.print_json(record)
            return
        if not records:
            output.stdout.print("no plan for this tenant; python starter.py promote plan SOURCE TARGET makes one")
        print_table(_PLAN_COLUMNS, records, record=PlanRecord)


@promote.command("approve")
def approve_plan(tenant: TenantArgument, plan: PlanArgument, reason: ReasonOption, as_json: JsonOption = False) -> None:
    """Approve a plan that somebody else made. It is recorded; no release carries a plan out.

    Refused, with exit code 4, where the plan has expired, or the target is not as the plan found it.

    Example: python starter.py promote approve contoso 1f0c4d2e --reason "CHG-1042"
    """
    with errors_for_people():
        settings = load_settings()
        tenant_id = tenant_id_of(settings, tenant)
        check_reason(reason)

        async def ask() -> tuple[PlanRecord, list[str]]:
            async with tenant_session(settings, tenant_id, read_only=False) as session:
                return await answer.approve(session, plan, person(), reason)

        record, refusals = asyncio.run(without_collisions(ask))
        for refusal in refusals:
            output.stderr.print(f"refused: {visible(refusal)}", style="red", markup=False)
        if as_json:
            output.print_json(record)
        elif not refusals:
            output.stdout.print(f"plan {record.plan_id} approved; nothing is written to Graph", markup=False)
        if refusals:
            raise typer.Exit(ExitCode.FAILED)


@promote.command("reject")
def reject_plan(tenant: TenantArgument, plan: PlanArgument, reason: ReasonOption, as_json: JsonOption = False) -> None:
    """Reject a plan, for good.

    Example: python starter.py promote reject contoso 1f0c4d2e --reason "too wide"
    """
    with errors_for_people():
        settings = load_settings()
        tenant_id = tenant_id_of(settings, tenant)
        check_reason(reason)

        async def ask() -> PlanRecord:
            async with tenant_session(settings, tenant_id, read_only=False) as session:
                return await answer.reject(session, plan, person(), reason)

        record = asyncio.run(without_collisions(ask))
        if as_json:
            output.print_json(record)
        else:
            output.stdout.print(f"plan {record.plan_id} rejected", markup=False)


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
