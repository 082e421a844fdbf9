"""`promote`: plans of what a promotion of items into a tenant would write. Nothing is written."""

import asyncio
import getpass
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Annotated
from uuid import UUID

import typer
from rich.text import Text
from sqlalchemy.ext.asyncio import AsyncSession

from answers.compare.answer import side
from answers.compare.records import TenantRecord
from answers.field_text import field_text, told
from answers.promotion import answer
from answers.promotion.planner import PlanRequest
from answers.promotion.records import MappingRecord, PlanAction, PlanContent, PlannedItem, PlanRecord
from cli import output
from cli.errors import ExitCode, UsageError, errors_for_people
from cli.options import (
    MOST,
    JsonOption,
    TenantArgument,
    TenantNames,
    TypeOption,
    complete_tenant_name,
    complete_type_key,
    known_type_keys,
    tenant_id_of,
)
from cli.output_options import output_options, prints_tables
from cli.sessions import opened_database, tenant_session, without_collisions
from cli.spool import printed_afterwards
from cli.table import Column, Shape, collection_column, print_table
from configuration import Settings, load_settings
from inventory.people import Person, Role
from inventory.plurals import counted
from inventory.references import NOT_READ
from inventory.visible_text import visible

promote = typer.Typer(
    no_args_is_help=True,
    help="Plans of what a promotion of items from one tenant to another would write. Nothing is written to Graph.",
)

PlanArgument = Annotated[
    str, typer.Argument(metavar="PLAN", help="The plan's id, or its beginning.", show_default=False)
]
SourceArgument = Annotated[
    str,
    typer.Argument(
        metavar="SOURCE",
        help="The tenant whose items are to be written: its id or name.",
        autocompletion=complete_tenant_name,
        show_default=False,
    ),
]
TargetArgument = Annotated[
    str,
    typer.Argument(
        metavar="TARGET",
        help="The tenant to write them to: its id or name.",
        autocompletion=complete_tenant_name,
        show_default=False,
    ),
]
ReasonOption = Annotated[str, typer.Option("--reason", metavar="TEXT", help="Kept with the decision.")]
LOCAL = "local/"
"""Before the login of somebody at a terminal, as the audit names people."""

STYLES = {
    PlanAction.CREATE: "green",
    PlanAction.UPDATE: "yellow",
    PlanAction.NOTHING_TO_DO: "dim",
    PlanAction.BLOCKED: "red",
}
ORDER = (PlanAction.BLOCKED, PlanAction.UPDATE, PlanAction.CREATE, PlanAction.NOTHING_TO_DO)
"""What a reviewer reads first."""


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
            async with _two_sessions(settings, here, there) as (one, other):
                names = TenantNames.load(settings)
                reading = await side(TenantRecord(tenant_id=here, name=names.of(here)), one)
                writing = await side(TenantRecord(tenant_id=there, name=names.of(there)), other)
                return await answer.make_plan(reading, writing, wanted, _person())

        record, content = asyncio.run(without_collisions(ask))
        _print_plan(record, content, as_json=as_json)
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
        _print_plan(record, content, as_json=as_json, fields=fields, requests=requests)


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
        _check_reason(reason)

        async def ask() -> tuple[PlanRecord, list[str]]:
            async with tenant_session(settings, tenant_id, read_only=False) as session:
                return await answer.approve(session, plan, _person(), reason)

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
        _check_reason(reason)

        async def ask() -> PlanRecord:
            async with tenant_session(settings, tenant_id, read_only=False) as session:
                return await answer.reject(session, plan, _person(), reason)

        record = asyncio.run(without_collisions(ask))
        if as_json:
            output.print_json(record)
        else:
            output.stdout.print(f"plan {record.plan_id} rejected", markup=False)


@promote.command("map")
@prints_tables
def map_references(
    source: SourceArgument,
    target: TargetArgument,
    type_key: Annotated[
        str | None,
        typer.Option("--type", metavar="KEY", help="The collection of both objects.", autocompletion=complete_type_key),
    ] = None,
    source_id: Annotated[str | None, typer.Option("--from", metavar="ID|NAME", help="The object of SOURCE.")] = None,
    target_id: Annotated[str | None, typer.Option("--to", metavar="ID|NAME", help="The object of TARGET.")] = None,
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Kept with the mapping.")] = "",
    remove: Annotated[bool, typer.Option("--remove", help="Take the mapping of --from back.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Map references to an object of one tenant to an object of another; without --from list what is mapped.

    Plans then use it whatever the objects are called. People are given by id: the inventory does not read them.

    Example: python starter.py promote map golden contoso --type groups --from Pilot --to "Pilot EU" --reason "CHG-7"
    """
    with errors_for_people():
        settings = load_settings()
        here, there = tenant_id_of(settings, source), tenant_id_of(settings, target)
        if source_id is None:
            if type_key or target_id or remove:
                raise UsageError("name the object of SOURCE with --from; without options the mappings are listed")
            _print_mappings(settings, here, there, as_json=as_json)
            return
        if type_key is None or (target_id is None) is not remove:
            raise UsageError("give --type KEY, --from and --to; to take a mapping back --type KEY, --from and --remove")
        _check_reason(reason)
        if type_key not in NOT_READ:
            known_type_keys([type_key])
        wish = answer.MappingWish(type_key, source_id, target_id or "", reason)

        async def ask() -> MappingRecord | None:
            async with _two_sessions(settings, here, there) as (one, other):
                if remove:
                    if not await answer.unmap_reference(other, there, here, wish, _person()):
                        raise UsageError(
                            f"{type_key} {source_id} is not mapped; without options the mappings are listed"
                        )
                    return None
                names = TenantNames.load(settings)
                reading = await side(TenantRecord(tenant_id=here, name=names.of(here)), one)
                writing = await side(TenantRecord(tenant_id=there, name=names.of(there)), other)
                return await answer.map_reference(reading, writing, wish, _person())

        record = asyncio.run(without_collisions(ask))
        if record is None:
            output.stdout.print(f"{type_key} {visible(source_id)} is no longer mapped", markup=False)
        elif as_json:
            output.print_json(record)
        else:
            output.stdout.print(f"{type_key} {record.source_id} → {record.target_id}", markup=False)


def _print_mappings(settings: Settings, here: UUID, there: UUID, *, as_json: bool) -> None:
    async def ask() -> list[MappingRecord]:
        async with tenant_session(settings, there) as session:
            return await answer.mappings(session, here)

    records = asyncio.run(ask())
    if as_json:
        for record in records:
            output.print_json(record)
        return
    if not records:
        output.stdout.print("nothing is mapped; --type KEY --from ID --to ID --reason TEXT maps an object")
    print_table(_MAPPING_COLUMNS, records, record=MappingRecord)


def _check_reason(reason: str) -> None:
    if not reason.strip():
        raise UsageError("--reason: say why, for those who come later")


def _person() -> Person:
    """Who is at the terminal. Its right is that of whoever may reach the database."""
    login = getpass.getuser()
    return Person(person_id=f"{LOCAL}{login}", name=login, role=Role.APPROVER)


@asynccontextmanager
async def _two_sessions(
    settings: Settings, here: UUID, there: UUID
) -> AsyncIterator[tuple[AsyncSession, AsyncSession]]:
    """A session of the source that reads, and one of the target that writes the plan."""
    with printed_afterwards():
        async with (
            opened_database(settings, pool_size=2) as database,
            database.tenant(here, read_only=True, snapshot=True) as one,
            database.tenant(there, snapshot=True) as other,
        ):
            yield one, other


def _print_plan(
    record: PlanRecord, content: PlanContent, *, as_json: bool, fields: bool = False, requests: bool = False
) -> None:
    ordered = sorted(content.items, key=lambda item: ORDER.index(item.action))
    if as_json:
        for item in content.items:
            output.print_json(item)
        output.print_json(record)
        return
    if output_options().as_csv:
        print_table(_ITEM_COLUMNS, ordered, record=PlannedItem)
        return
    counts = record.counts
    output.stdout.print(f"plan {record.plan_id}: {_source(content)} → {record.target.name}", markup=False)
    output.stdout.print(
        f"{counts.create} to create, {counts.update} to update, {counts.nothing_to_do} with nothing to do,"
        f" {counts.blocked} blocked; {counted(counts.requests, 'request')}",
        markup=False,
    )
    output.stdout.print(
        f"{record.state}; made by {record.created_by} {output.ago(record.created_at)}, can be approved until"
        f" {output.when(record.expires_at)}; nothing is written to Graph",
        markup=False,
        style="dim",
    )
    if record.decided is not None:
        decided = record.decided
        output.stdout.print(
            f"{decided.decision} by {decided.decided_by} {output.ago(decided.decided_at)}: {visible(decided.reason)}",
            markup=False,
        )
    if fields or requests:
        for item in ordered:
            _print_item(item, fields=fields, requests=requests)
    else:
        shown = [item for item in ordered if item.action is not PlanAction.NOTHING_TO_DO]
        print_table(_ITEM_COLUMNS, shown, record=PlannedItem)
    _print_reasons(ordered)
    for collection in content.collections:
        if not collection.is_planned:
            output.stderr.print(
                f"not planned: {collection.type_key} ({content.source.name}: {collection.source.in_words};"
                f" {content.target.name}: {collection.target.in_words})",
                style="yellow",
                markup=False,
            )


def _source(content: PlanContent) -> str:
    if content.source_version is None:
        return content.source.name
    return f"version {content.source_version} of {content.source.name}"


def _print_item(item: PlannedItem, *, fields: bool, requests: bool) -> None:
    action = Text(str(item.action).replace("_", " "), style=STYLES[item.action])
    output.stdout.print(Text.assemble(action, f"  {item.kind}: ", (visible(item.title), "bold")))
    for reason in item.reasons:
        output.stdout.print(f"    {visible(reason.text)}; {visible(reason.unblocked_by)}", style="red", markup=False)
    if fields:
        for field in told(item.fields):
            output.print_field(field_text(field), indent="    ")
    if requests:
        for request in item.requests:
            output.stdout.print(
                f"    {request.number:>4} {request.step}: {request.method} {visible(request.path)}", markup=False
            )


def _print_reasons(items: Sequence[PlannedItem]) -> None:
    """The reasons of blocked items, each with how many items it blocks, and what would unblock them."""
    found: dict[tuple[str, str], int] = {}
    for item in items:
        for reason in {(str(reason.code), reason.unblocked_by) for reason in item.reasons}:
            found[reason] = found.get(reason, 0) + 1
    for (code, unblocked_by), number in sorted(found.items(), key=lambda pair: -pair[1]):
        words = f"{counted(number, 'item')} blocked ({code.replace('_', ' ')}): {visible(unblocked_by)}"
        output.stderr.print(words, style="yellow", markup=False)


def _why(item: PlannedItem) -> str:
    if item.reasons:
        more = f" (and {len(item.reasons) - 1} more)" if len(item.reasons) > 1 else ""
        return visible(item.reasons[0].text) + more
    if item.action is PlanAction.UPDATE:
        return counted(len(told(item.fields)), "field")
    return ""


_ITEM_COLUMNS = (
    collection_column(),
    Column("name", "title", lambda item: visible(item.title)),
    Column(
        "what", "action", lambda item: Text(str(item.action).replace("_", " "), style=STYLES[item.action]), is_kept=True
    ),
    Column("requests", "requests", lambda item: len(item.requests) or None, Shape.NUMBER),
    Column("why", "reasons", _why),
)

_MAPPING_COLUMNS = (
    collection_column(),
    Column("from", "source_id", is_kept=True),
    Column("to", "target_id", is_kept=True),
    Column("by", "mapped_by"),
    Column("mapped", "mapped_at", lambda record: output.ago(record.mapped_at)),
    Column("reason", "reason", lambda record: visible(record.reason)),
)

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
