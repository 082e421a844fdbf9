"""`dependencies`, `dangling`, `unassigned`: what refers to what, to nothing, and what is for nobody."""

import asyncio
import sys
from collections.abc import Iterable, Iterator, Sequence
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
    ObjectRecord,
    Presence,
    ReachRecord,
    UnassignedRecord,
)
from answers.dependencies.rules import DAMAGED
from answers.dependencies.session import read_session
from cli import output
from cli.errors import ExitCode, UsageError, errors_for_people
from cli.options import MOST, JsonOption, TenantArgument, TypeOption, complete_type_key, known_type_keys, tenant_id_of
from cli.sessions import find_item
from configuration import load_settings
from graph.catalog import load_catalog
from inventory.item_ids import item_key
from inventory.references import ReferenceRole
from inventory.visible_text import visible

MAX_DEPTH = 5

UNREAD_SHOWN = 6
"""So many collections a line for people names."""


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
    depth: Annotated[int, typer.Option("--depth", min=1, max=MAX_DEPTH, help="Through how many references.")] = 1,
    limit: Annotated[
        int, typer.Option("--limit", min=1, max=MOST, help="References of each item, at most.")
    ] = answer.MOST,
    reaches: Annotated[
        str | None,
        typer.Option("--reaches", metavar="GROUP", help="What includes this group, and what excludes it."),
    ] = None,
    everyone: Annotated[
        bool,
        typer.Option("--everyone", help="With --reaches: also what is for all users or devices alone."),
    ] = False,
    everything: Annotated[bool, typer.Option("--all", help="All references of the tenant.")] = False,
    written_as: Annotated[GraphFormat, typer.Option("--format", help="How to write it.")] = GraphFormat.TABLE,
    file: Annotated[
        Path | None, typer.Option("--output", metavar="FILE", help="Where to; else to stdout.", show_default=False)
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """What an item needs and what needs it, or what reaches a group; as a table or a graph.

    Each end says whether it is in the tenant and how sure that is.

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
        raise UsageError("say what to look at: TYPE and ID of an item, --reaches GROUP, or --all")
    if everyone and reaches is None:
        raise UsageError("--everyone belongs to --reaches GROUP")
    if options.written_as is GraphFormat.TABLE and options.file is not None:
        raise UsageError("--output takes a graph: give --format mermaid, dot or graphml")
    if options.written_as is not GraphFormat.TABLE and (options.as_json or reaches is not None):
        raise UsageError("--format writes a graph of references: give it without --json and --reaches")


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
    elif options.written_as is GraphFormat.TABLE:
        for direction in Direction:
            rows = [row for row in found.dependencies if row.direction is direction]
            output.print_table(_COLUMNS, map(_row, rows), title=_heading(direction, start, rows))
    else:
        _write(graph_of(found.dependencies, start), options)
    if found.is_cut:
        output.stderr.print("there is more of some items: --limit N shows more of each", style="dim")
    _say_what_is_open(found.cannot_say, "what else needs it may be in")
    _end(found.cannot_say)


async def _show_all(tenant_id: UUID, options: _OutputOptions) -> None:
    async with read_session(load_settings(), tenant_id) as (session, coverage):
        rows: list[DependencyRecord] = []
        cannot_say: list[CannotSayRecord] = []
        async for record in answer.everything(session, coverage):
            if options.as_json:
                output.print_json(record)
            elif isinstance(record, DependencyRecord):
                rows.append(record)
            if isinstance(record, CannotSayRecord):
                cannot_say.append(record)
    if not options.as_json and options.written_as is GraphFormat.TABLE:
        output.print_table(_COLUMNS, map(_row, rows), title=f"{len(rows)} references")
    elif not options.as_json:
        _write(graph_of(rows), options)
    _end(cannot_say)


async def _show_reach(tenant_id: UUID, sought: str, *, everyone: bool, as_json: bool) -> None:
    async with read_session(load_settings(), tenant_id) as (session, coverage):
        group_id = await _id_of(session, answer.GROUPS, sought)
        reaching = answer.reaching(session, coverage, load_catalog(), group_id, everyone=everyone)
        found = [record async for record in reaching]
    if as_json:
        _print_json(found)
    else:
        rows = [record for record in found if isinstance(record, ReachRecord)]
        rows.sort(key=lambda record: not record.reaches)
        reached = sum(record.reaches for record in rows)
        output.print_table(
            ("reaches", "collection", "name", "id", "through", "filters", "state"),
            map(_reach_row, rows),
            title=f"{reached} items reach the group, {len(rows) - reached} exclude it",
        )
    output.stderr.print(
        "groups within groups are not read: what the group gets from one around it is not in the answer", style="dim"
    )
    cannot_say = [record for record in found if isinstance(record, CannotSayRecord)]
    _say_what_is_open(cannot_say, "what else reaches it may be in")
    _end(cannot_say)


def dangling(tenant: TenantArgument, type_keys: TypeOption = None, as_json: JsonOption = False) -> None:
    """References to what is not in the tenant, with how sure that is. Where a collection was not read, it says so.

    Example: python starter.py dangling contoso --type conditionalAccessPolicies
    """
    with errors_for_people():
        settings = load_settings()
        tenant_id = tenant_id_of(settings, tenant)
        wanted = known_type_keys(type_keys)

        async def ask() -> list[DanglingRecord | CannotSayRecord]:
            async with read_session(settings, tenant_id) as (session, coverage):
                return [record async for record in answer.dangling(session, coverage, wanted)]

        found = asyncio.run(ask())
        cannot_say = [record for record in found if isinstance(record, CannotSayRecord)]
        if as_json:
            _print_json(found)
        else:
            rows = [record for record in found if isinstance(record, DanglingRecord)]
            output.print_table(
                ("collection", "name", "id", "role", "path", "target", "target id", "state", "confidence", "evidence"),
                map(_dangling_row, rows),
                title=f"{len(rows)} dangling references",
            )
            _say_what_is_open(cannot_say, "it cannot be said of targets in")
        _end(cannot_say)


def unassigned(tenant: TenantArgument, type_keys: TypeOption = None, as_json: JsonOption = False) -> None:
    """Items that are assigned to nobody, also those that only exclude. Where that is not known, it says so.

    Example: python starter.py unassigned contoso --type configurationPolicies
    """
    with errors_for_people():
        settings = load_settings()
        tenant_id = tenant_id_of(settings, tenant)
        wanted = known_type_keys(type_keys)

        async def ask() -> list[UnassignedRecord | CannotSayRecord]:
            async with read_session(settings, tenant_id) as (session, coverage):
                return [record async for record in answer.unassigned(session, coverage, load_catalog(), wanted)]

        found = asyncio.run(ask())
        cannot_say = [record for record in found if isinstance(record, CannotSayRecord)]
        if as_json:
            _print_json(found)
        else:
            rows = [record for record in found if isinstance(record, UnassignedRecord)]
            output.print_table(
                ("collection", "name", "id", "version#", "confidence", "evidence", "as of"),
                map(_unassigned_row, rows),
                title=f"{len(rows)} items are assigned to nobody",
            )
            _say_what_is_open(cannot_say, "more may be in")
        _end(cannot_say)


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
        output.stderr.print(f"{len(graph.nodes)} objects, {len(graph.links)} references: {options.file}", style="dim")


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


_COLUMNS = ("item", "name", "id", "role", "path", "target", "target name", "target id", "state", "confidence")


def _row(record: DependencyRecord) -> tuple[object, ...]:
    other = record.target if record.direction is Direction.NEEDS else record.item
    return (
        _type_of(record.item),
        _name(record.item),
        record.item.external_id,
        _role(record),
        record.path,
        _type_of(record.target),
        _name(record.target),
        visible(record.target.external_id),
        _state(other),
        output.styled(other.confidence),
    )


def _reach_row(record: ReachRecord) -> tuple[object, ...]:
    filters = (f"{filter_.role} {visible(filter_.display_name or filter_.external_id)}" for filter_ in record.filters)
    return (
        Text("yes", style="green") if record.reaches else Text("no, excluded", style="yellow"),
        _type_of(record.item),
        _name(record.item),
        record.item.external_id,
        ", ".join(map(_assignment, record.assignments)),
        ", ".join(filters),
        _state(record.item),
    )


def _role(record: DependencyRecord | DanglingRecord) -> str:
    return str(record.role) if record.intent is None else f"{record.role} ({visible(record.intent)})"


def _assignment(one: AssignmentRecord) -> str:
    """`required: group`, `available: excludes the group`."""
    intent = "" if one.intent is None else f"{visible(one.intent)}: "
    way = one.through if one.role is ReferenceRole.INCLUDE else f"excludes the {one.through}"
    return intent + way + ("" if one.policy_set_id is None else " by a policy set")


def _dangling_row(record: DanglingRecord) -> tuple[object, ...]:
    return (
        _type_of(record.item),
        _name(record.item),
        record.item.external_id,
        _role(record),
        record.path,
        _type_of(record.target),
        visible(record.target.external_id),
        _state(record.target),
        output.styled(record.target.confidence),
        record.target.evidence,
    )


def _unassigned_row(record: UnassignedRecord) -> tuple[object, ...]:
    return (
        record.type_key,
        visible(record.display_name or ""),
        record.external_id,
        record.version,
        output.styled(record.confidence),
        record.evidence if not record.exclusions else f"{record.evidence} ({record.exclusions})",
        output.when(record.observed_at),
    )


def _heading(direction: Direction, start: ObjectRecord, rows: Sequence[DependencyRecord]) -> str:
    name = _name(start) or start.external_id
    if direction is Direction.NEEDS:
        return f"{name} needs {len(rows)}" if rows else f"{name} needs nothing"
    return f"{name} is needed by {len(rows)}" if rows else f"{name} is needed by nothing that was read"


def _name(end: ObjectRecord) -> str:
    return visible(end.display_name or "")


def _type_of(end: ObjectRecord) -> str:
    return " or ".join(end.type_keys)


_STYLES = {Presence.ABSENT: "red", Presence.NEVER_SEEN: "red", Presence.NOT_READ: "yellow", Presence.PRESENT: "green"}


def _state(end: ObjectRecord) -> Text:
    return Text(str(end.presence).replace("_", " "), style=_STYLES.get(end.presence, ""))


def _say_what_is_open(records: Sequence[CannotSayRecord], words: str) -> None:
    """On stderr, by reason: the collections that the answer leaves open."""
    by_reason: dict[str, list[str]] = {}
    for record in records:
        if record.read_at is not None:
            items = "1 item" if record.references == 1 else f"{record.references} items"
            read = f"{record.type_key}: rests on details of {items} read from {output.when(record.read_at)} on"
            output.stderr.print(read, style="yellow", markup=False)
            continue
        counted = f" ({record.references})" if record.references is not None else ""
        by_reason.setdefault(record.reason, []).append(f"{record.type_key}{counted}")
    for reason, named in sorted(by_reason.items()):
        shown = ", ".join(named[:UNREAD_SHOWN]) + (
            f" and {len(named) - UNREAD_SHOWN} more" if named[UNREAD_SHOWN:] else ""
        )
        output.stderr.print(f"{words} {shown}: {reason.replace('_', ' ')}", style="yellow", markup=False)
