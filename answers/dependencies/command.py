"""`dependencies`, `dangling`, `unassigned`: references, references without a target, items without an assignment."""

import asyncio
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated, NamedTuple, TextIO
from uuid import UUID

import typer
from pydantic import BaseModel
from rich.text import Text
from sqlalchemy.ext.asyncio import AsyncSession

from answers.dependencies import answer
from answers.dependencies.graph import Graph, graph_of
from answers.dependencies.graph_formats import dot, graphml, mermaid
from answers.dependencies.records import (
    AssignmentRecord,
    CannotSayRecord,
    DanglingRecord,
    DependencyRecord,
    Direction,
    FilterRecord,
    ObjectRecord,
    Presence,
    ReachRecord,
    UnassignedRecord,
)
from answers.dependencies.rules import DAMAGED
from answers.dependencies.session import read_session, references_session
from answers.dependencies.tenant_coverage import TenantCoverage
from cli import output
from cli.basis_lines import rests_on_coverage
from cli.errors import ExitCode, UsageError, errors_for_people
from cli.options import (
    MOST,
    AllTenantsOption,
    AskedTenant,
    JsonOption,
    OptionalTenantArgument,
    TagOption,
    TenantArgument,
    TypeOption,
    asked_tenants,
    complete_type_key,
    known_type_keys,
    tenant_id_of,
)
from cli.output_options import output_options, prints_tables
from cli.sessions import find_item
from cli.table import Column, Shape, collection_column, collection_title, print_table
from cli.tenant_walk import NeverReadError, ask_each
from configuration import load_settings
from graph.catalog import load_catalog
from inventory.coverage import TENANT_NEVER_READ
from inventory.item_ids import item_key
from inventory.plurals import counted
from inventory.references import ReferenceRole
from inventory.visible_text import visible
from storage.database import Database

MAX_DEPTH = 5

UNREAD_SHOWN = 6
"""So many collections a line for people names."""


CUT = "left out: an item with more than {} has the first ones only; --limit draws more"
"""What a picture says that does not show all."""


class GraphFormat(StrEnum):
    """How an answer is written."""

    TABLE = "table"
    MERMAID = "mermaid"
    DOT = "dot"
    GRAPHML = "graphml"


_WRITERS = {
    GraphFormat.MERMAID: mermaid,
    GraphFormat.DOT: dot,
    GraphFormat.GRAPHML: graphml,
}


@prints_tables
def dependencies(
    tenant: TenantArgument,
    type_key: Annotated[
        str | None,
        typer.Argument(
            metavar="[TYPE]",
            help="The collection, by its type key.",
            autocompletion=complete_type_key,
            show_default=False,
        ),
    ] = None,
    item: Annotated[
        str | None, typer.Argument(metavar="[ID]", help="The item's Graph id, or its name.", show_default=False)
    ] = None,
    depth: Annotated[int, typer.Option("--depth", min=1, max=MAX_DEPTH, help="How many references to follow.")] = 1,
    limit: Annotated[
        int, typer.Option("--limit", min=1, max=MOST, help="Show at most this many references of each item.")
    ] = answer.MOST,
    reaches: Annotated[
        str | None,
        typer.Option("--reaches", metavar="GROUP", help="Items that include or exclude this group."),
    ] = None,
    everyone: Annotated[
        bool,
        typer.Option("--everyone", help="With --reaches: also items for all users or all devices only."),
    ] = False,
    everything: Annotated[bool, typer.Option("--all", help="All references of the tenant.")] = False,
    written_as: Annotated[GraphFormat, typer.Option("--format", help="The format of the answer.")] = GraphFormat.TABLE,
    file: Annotated[
        Path | None,
        typer.Option("--output", metavar="FILE", help="The file to write. Default: stdout.", show_default=False),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Items that an item needs, items that need it, or items that reach a group; as a table or a graph.

    Each item shows whether it is in the tenant, and with which confidence.

    Example: python starter.py dependencies contoso groups "Pilot devices" --format dot | dot -Tsvg -o pilot.svg
    """
    with errors_for_people():
        options = _OutputOptions(written_as, file, as_json)
        _check(options, item=(type_key, item), reaches=reaches, everyone=everyone, everything=everything)
        tenant_id = tenant_id_of(load_settings(), tenant)
        if reaches is not None:
            asyncio.run(_show_reach(tenant_id, reaches, everyone=everyone, as_json=as_json))
        elif type_key is not None and item is not None:
            known_type_keys([type_key])
            asyncio.run(_show_neighbourhood(tenant_id, (type_key, item), depth, limit, options))
        else:
            asyncio.run(_show_all(tenant_id, options))


class _OutputOptions(NamedTuple):
    """How an answer is written, and where to."""

    written_as: GraphFormat
    file: Path | None
    as_json: bool


def _check(
    options: _OutputOptions,
    *,
    item: tuple[str | None, str | None],
    reaches: str | None,
    everyone: bool,
    everything: bool,
) -> None:
    """Raises `UsageError` where the arguments ask for nothing, or for several things."""
    asked = (item[0] is not None, reaches is not None, everything)
    if sum(asked) != 1 or (item[0] is None) != (item[1] is None):
        raise UsageError("name an item by TYPE and ID, or give --reaches GROUP or --all")
    if everyone and reaches is None:
        raise UsageError("--everyone belongs to --reaches GROUP")
    if options.written_as is GraphFormat.TABLE and options.file is not None:
        raise UsageError("--output takes a graph: give --format mermaid, dot or graphml")
    is_data = options.as_json or output_options().as_csv
    if options.written_as is not GraphFormat.TABLE and (is_data or reaches is not None):
        raise UsageError("--format writes a graph of references: give it without --json, --csv and --reaches")


async def _show_neighbourhood(
    tenant_id: UUID, item: tuple[str, str], depth: int, limit: int, options: _OutputOptions
) -> None:
    type_key, sought = item
    async with read_session(load_settings(), tenant_id) as (session, coverage):
        key = type_key, await _id_of(session, type_key, sought)
        found = await answer.neighbourhood(session, coverage, load_catalog(), key, depth=depth, most=limit)
        start = await answer.item_record(session, coverage, key)
    if options.as_json:
        _print_json([*found.dependencies, *found.cannot_say])
    if _is_never_read(coverage):
        return
    if options.as_json:
        pass
    elif options.written_as is GraphFormat.TABLE:
        for direction in Direction:
            rows = [row for row in found.dependencies if row.direction is direction]
            print_table(_columns(direction), rows, record=DependencyRecord, title=_heading(direction, start, rows))
    else:
        left_out = [CUT.format(counted(limit, "reference"))] if found.is_cut else []
        left_out += _what_is_open(found.cannot_say, "more items that need it may be in")
        _write(graph_of(found.dependencies, start, left_out), options)
    if found.is_cut:
        output.stderr.print("some items have more references; --limit N shows more of each", style="dim")
    if not found.dependencies:
        _say_basis(coverage)
    _say_what_is_open(found.cannot_say, "more items that need it may be in")
    _end(found.cannot_say)


async def _show_all(tenant_id: UUID, options: _OutputOptions) -> None:
    async with read_session(load_settings(), tenant_id) as (session, coverage):
        rows: list[DependencyRecord] = []
        cannot_say: list[CannotSayRecord] = []
        async for record in answer.everything(session, coverage, load_catalog()):
            if options.as_json:
                output.print_json(record)
            elif isinstance(record, DependencyRecord):
                rows.append(record)
            if isinstance(record, CannotSayRecord):
                cannot_say.append(record)
    if _is_never_read(coverage):
        return
    if not options.as_json and options.written_as is GraphFormat.TABLE:
        print_table(_ALL_COLUMNS, rows, record=DependencyRecord, title=counted(len(rows), "reference"))
        if not rows:
            _say_basis(coverage)
    elif not options.as_json:
        _write(graph_of(rows, left_out=_what_is_open(cannot_say, "not drawn: references of items in")), options)
    _say_what_is_open(cannot_say, "more references may be in")
    _end(cannot_say)


async def _show_reach(tenant_id: UUID, sought: str, *, everyone: bool, as_json: bool) -> None:
    async with read_session(load_settings(), tenant_id) as (session, coverage):
        group_id = await _id_of(session, answer.GROUPS, sought)
        reaching = answer.reaching(session, coverage, load_catalog(), group_id, everyone=everyone)
        found = [record async for record in reaching]
        group = await answer.item_record(session, coverage, (answer.GROUPS, group_id))
    if as_json:
        _print_json(found)
    if _is_never_read(coverage):
        return
    if not as_json:
        rows = [record for record in found if isinstance(record, ReachRecord)]
        reached = sum(record.reaches for record in rows)
        excluding = len(rows) - reached
        print_table(
            _REACH_COLUMNS,
            rows,
            record=ReachRecord,
            title=f'{counted(reached, "item reaches", "items reach")} group "{_name(group)}",'
            f" {counted(excluding, 'excludes', 'exclude')} it",
        )
        if not rows:
            _say_basis(coverage)
    output.stderr.print(
        "groups within groups are not read: items that reach the group through a parent group are not in the answer",
        style="dim",
    )
    cannot_say = [record for record in found if isinstance(record, CannotSayRecord)]
    _say_what_is_open(cannot_say, "more items that reach it may be in")
    _end(cannot_say)


@prints_tables
def dangling(
    tenant: OptionalTenantArgument = None,
    all_tenants: AllTenantsOption = False,
    tags: TagOption = None,
    type_keys: TypeOption = None,
    as_json: JsonOption = False,
) -> None:
    """References to items that are not in the tenant, with the confidence. Collections that were not read are named.

    Example: python starter.py dangling contoso --type conditionalAccessPolicies
    """
    with errors_for_people():
        settings = load_settings()
        asked = asked_tenants(settings, tenant, tags, everyone=all_tenants)
        wanted = known_type_keys(type_keys)

        async def ask(database: Database, about: AskedTenant) -> None:
            async with references_session(database, about.tenant_id) as (session, coverage):
                found = [record async for record in answer.dangling(session, coverage, wanted)]
            _show_records(found, coverage, _DANGLING, as_json=as_json)

        ask_each(settings, asked, ask, pool_size=answer.READERS, as_json=as_json)


@prints_tables
def unassigned(
    tenant: OptionalTenantArgument = None,
    all_tenants: AllTenantsOption = False,
    tags: TagOption = None,
    type_keys: TypeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Items that are assigned to nobody, also those with exclusions only. Collections that were not read are named.

    Example: python starter.py unassigned --tag emea --type configurationPolicies
    """
    with errors_for_people():
        settings = load_settings()
        asked = asked_tenants(settings, tenant, tags, everyone=all_tenants)
        wanted = known_type_keys(type_keys)

        async def ask(database: Database, about: AskedTenant) -> None:
            async with references_session(database, about.tenant_id) as (session, coverage):
                unassigned = answer.unassigned(session, coverage, load_catalog(), wanted)
                found = [record async for record in unassigned]
            _show_records(found, coverage, _UNASSIGNED, as_json=as_json)

        ask_each(settings, asked, ask, pool_size=answer.READERS, as_json=as_json)


class _Question(NamedTuple):
    """How the answers of `dangling` and `unassigned` are said."""

    record: type[BaseModel]
    columns: tuple[Column, ...]
    title: Callable[[int], str]
    nothing: str
    open: str


def _show_records(found: Sequence[BaseModel], coverage: TenantCoverage, question: _Question, *, as_json: bool) -> None:
    """Prints an answer. Raises `NeverReadError`, or `typer.Exit` where stored documents are damaged."""
    cannot_say = [record for record in found if isinstance(record, CannotSayRecord)]
    rows = [record for record in found if not isinstance(record, CannotSayRecord)]
    if as_json:
        _print_json(found)
    elif rows:
        print_table(question.columns, rows, record=question.record, title=question.title(len(rows)))
    if not coverage.collections:
        raise NeverReadError(TENANT_NEVER_READ)
    if not as_json:
        if not rows:
            print_table(question.columns, [], record=question.record)
            output.stdout.print(f"{question.nothing}: {rests_on_coverage(coverage.collections.values())}")
        _say_what_is_open(cannot_say, question.open)
    _end(cannot_say)


def _is_never_read(coverage: TenantCoverage) -> bool:
    """Whether the tenant was never read, which is said on stderr."""
    if not coverage.collections:
        output.stderr.print(TENANT_NEVER_READ, style="yellow")
    return not coverage.collections


def _say_basis(coverage: TenantCoverage) -> None:
    """On stderr: what an empty answer rests on."""
    output.stderr.print(rests_on_coverage(coverage.collections.values()), style="dim")


def _end(cannot_say: Sequence[CannotSayRecord]) -> None:
    """Raises `typer.Exit` where stored documents are damaged: the answer lacks what they held."""
    if any(record.reason == DAMAGED for record in cannot_say):
        raise typer.Exit(ExitCode.PARTIAL)


async def _id_of(session: AsyncSession, type_key: str, sought: str) -> str:
    """The id of an item by id or name; an id that was never seen may be referred to all the same."""
    try:
        UUID(sought)
    except ValueError:
        return await find_item(session, type_key, sought)
    return item_key(sought)


def _print_json(records: Iterable[BaseModel]) -> None:
    for record in records:
        output.print_json(record)


def _write(graph: Graph, options: _OutputOptions) -> None:
    with _opened(options.file) as out:
        for line in _WRITERS[options.written_as](graph):
            out.write(line + "\n")
    if options.file is not None:
        drawn = f"{counted(len(graph.nodes), 'object')}, {counted(len(graph.links), 'reference')}"
        output.stderr.print(f"{drawn}: {options.file}", style="dim")


@contextmanager
def _opened(file: Path | None) -> Iterator[TextIO]:
    if file is None:
        yield sys.stdout
        return
    try:
        out = file.open("w", encoding="utf-8")
    except OSError as error:
        raise UsageError(f"cannot write {file}: {error.strerror}") from None
    with out:
        yield out


def _titles(type_keys: Sequence[str]) -> str:
    """The collections that an object may be in; of everyone that there is none."""
    return " or ".join(map(collection_title, type_keys)) or "Everyone"


def _columns(direction: Direction) -> tuple[Column, ...]:
    """What an item needs, or what needs it: the other ends, by collection."""
    far, near = ("target", "item") if direction is Direction.NEEDS else ("item", "target")

    def end(record: DependencyRecord, which: str) -> ObjectRecord:
        return record.target if which == "target" else record.item

    return (
        Column("collection", f"{far}.type_keys", lambda record: _titles(end(record, far).type_keys), Shape.HEADING),
        Column("name", f"{far}.title", lambda record: _name(end(record, far))),
        Column("id", f"{far}.external_id", shape=Shape.ID, is_kept=True),
        Column("role", "role", _role),
        Column("state", f"{far}.presence", lambda record: _state(end(record, far))),
        Column("confidence", f"{far}.confidence", lambda record: output.styled(end(record, far).confidence)),
        Column("through", near, lambda record: _name(end(record, near)) if record.distance > 1 else None),
        Column("path", "path", yields=True),
    )


def _reaches(record: ReachRecord) -> Text:
    return Text("yes", style="green") if record.reaches else Text("no, excluded", style="yellow")


def _filter(used: FilterRecord) -> str:
    return f'{used.role} "{used.display_name}"' if used.display_name else f"{used.role} {used.external_id}"


def _role(record: DependencyRecord | DanglingRecord) -> str:
    return str(record.role) if record.intent is None else f"{record.role} ({visible(record.intent)})"


def _assignment(assignment: AssignmentRecord) -> str:
    """`required: group`, `available: excludes the group`, `group through policy set "Pilot"`."""
    intent = "" if assignment.intent is None else f"{visible(assignment.intent)}: "
    way = assignment.through if assignment.role is ReferenceRole.INCLUDE else f"excludes the {assignment.through}"
    if assignment.policy_set_id is None:
        return intent + way
    name = (
        assignment.policy_set_id if assignment.policy_set_name is None else f'"{visible(assignment.policy_set_name)}"'
    )
    return f"{intent}{way} through policy set {name}"


def _why(record: UnassignedRecord) -> str:
    if record.exclusions:
        return f"only excludes {counted(record.exclusions, 'group')}"
    return record.evidence.replace("_", " ")


def _heading(direction: Direction, start: ObjectRecord, rows: Sequence[DependencyRecord]) -> str:
    name = _name(start)
    if direction is Direction.NEEDS:
        return f"{name} needs {counted(len(rows), 'object')}" if rows else f"{name} needs nothing"
    return f"{name} is needed by {counted(len(rows), 'item')}" if rows else f"{name} is needed by nothing that was read"


def _name(end: ObjectRecord) -> str:
    """The title, for a deleted object the last one that is known."""
    return visible(end.title)


_STYLES = {Presence.ABSENT: "red", Presence.NEVER_SEEN: "red", Presence.NOT_READ: "yellow", Presence.PRESENT: "green"}


def _state(end: ObjectRecord) -> Text:
    return Text(str(end.presence).replace("_", " "), style=_STYLES.get(end.presence, ""))


def _what_is_open(records: Sequence[CannotSayRecord], words: str) -> list[str]:
    """By reason, a line that names the collections that the answer leaves open."""
    by_reason: dict[str, list[str]] = {}
    lines = []
    for record in records:
        if record.read_at is not None:
            items = counted(record.references or 0, "item")
            lines.append(f"{record.type_key}: rests on details of {items} read from {output.when(record.read_at)} on")
            continue
        number = f" ({record.references:,})" if record.references is not None else ""
        by_reason.setdefault(answer.reason_in_words(record), []).append(f"{record.type_key}{number}")
    for reason, named in sorted(by_reason.items()):
        more = f" and {len(named) - UNREAD_SHOWN} more" if named[UNREAD_SHOWN:] else ""
        lines.append(f"{words} {', '.join(named[:UNREAD_SHOWN])}{more}: {reason}")
    return lines


def _say_what_is_open(records: Sequence[CannotSayRecord], words: str) -> None:
    """Says it on stderr."""
    for line in _what_is_open(records, words):
        output.stderr.print(line, style="yellow", markup=False)


_ALL_COLUMNS = (
    Column("collection", "item.type_keys", lambda record: _titles(record.item.type_keys), Shape.HEADING),
    Column("name", "item.title", lambda record: _name(record.item)),
    Column("id", "item.external_id", shape=Shape.ID, is_kept=True),
    Column("role", "role", _role),
    Column("target", "target.title", lambda record: _name(record.target), is_kept=True),
    Column("in", "target.type_keys", lambda record: " or ".join(record.target.type_keys)),
    Column("state", "target.presence", lambda record: _state(record.target)),
    Column("confidence", "target.confidence", lambda record: output.styled(record.target.confidence)),
    Column("target id", "target.external_id", shape=Shape.ID, yields=True),
    Column("path", "path", yields=True),
)

_DANGLING_COLUMNS = (
    *_ALL_COLUMNS[:2],
    _ALL_COLUMNS[4]._replace(heading="refers to"),
    _ALL_COLUMNS[5],
    *_ALL_COLUMNS[6:8],
    Column("evidence", "target.evidence"),
    *_ALL_COLUMNS[3:1:-1],
    *_ALL_COLUMNS[8:],
)

_REACH_COLUMNS = (
    Column("collection", "item.type_keys", lambda record: _titles(record.item.type_keys), Shape.HEADING),
    Column("name", "item.title", lambda record: _name(record.item)),
    Column("reaches", "reaches", _reaches, is_kept=True),
    Column("through", "through", lambda record: "; ".join(map(_assignment, record.assignments)), is_kept=True),
    Column("filters", "filters", lambda record: ", ".join(map(_filter, record.filters))),
    Column("id", "item.external_id", shape=Shape.ID),
    Column("state", "item.presence", lambda record: _state(record.item)),
)

_UNASSIGNED_COLUMNS = (
    collection_column(),
    Column("name", "title", lambda record: record.title),
    Column("id", "external_id", shape=Shape.ID, is_kept=True),
    Column("confidence", "confidence", lambda record: output.styled(record.confidence)),
    Column("why", "evidence", _why),
    Column("as of", "observed_at", lambda record: output.ago(record.observed_at)),
    Column("version", "version", shape=Shape.NUMBER),
)

_DANGLING = _Question(
    DanglingRecord,
    _DANGLING_COLUMNS,
    lambda number: counted(number, "dangling reference"),
    "no dangling references",
    "not known of targets in",
)
_UNASSIGNED = _Question(
    UnassignedRecord,
    _UNASSIGNED_COLUMNS,
    lambda number: f"{counted(number, 'item is', 'items are')} assigned to nobody",
    "nothing is assigned to nobody",
    "more may be in",
)
