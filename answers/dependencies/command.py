"""`dependencies`."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated
from uuid import UUID

import typer

from answers.dependencies import answer
from answers.dependencies.columns import REFERENCE_COLUMNS, name_of, neighbour_columns
from answers.dependencies.graph import graph_of
from answers.dependencies.graph_command import GraphFormat, GraphOutput, write_graph
from answers.dependencies.open_lines import end_if_damaged, open_lines, refuse_never_read, say_basis, say_what_is_open
from answers.dependencies.reach_command import show_reach
from answers.dependencies.records import (
    CannotSayRecord,
    DependencyRecord,
    Direction,
    ObjectRecord,
)
from answers.dependencies.session import item_id, read_session
from cli import output
from cli.errors import UsageError
from cli.options import (
    MOST,
    TenantArgument,
    complete_type_key,
    known_type_keys,
    tenant_id_of,
)
from cli.output_options import output_options, prints_tables
from cli.table import print_table
from configuration import load_settings
from inventory.plurals import counted

MAX_DEPTH = 5

CUT = "left out: an item with more than {} has the first ones only; --limit draws more"


@prints_tables
def dependencies(
    tenant: TenantArgument,
    type_key: Annotated[
        str | None,
        typer.Argument(
            metavar="TYPE",
            help="The collection, by its type key.",
            autocompletion=complete_type_key,
            show_default=False,
        ),
    ] = None,
    item: Annotated[
        str | None, typer.Argument(metavar="ID", help="The item's Graph id, or its name.", show_default=False)
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
) -> None:
    """Items that an item needs, items that need it, or items that reach a group; as a table or a graph.

    Each item shows whether it is in the tenant, and with which confidence.

    Example: python starter.py dependencies contoso groups "Pilot devices" --format dot | dot -Tsvg -o pilot.svg
    """
    options = GraphOutput(written_as, file)
    _check(options, item=(type_key, item), reaches=reaches, everyone=everyone, everything=everything)
    tenant_id = tenant_id_of(load_settings(), tenant)
    if reaches is not None:
        asyncio.run(show_reach(tenant_id, reaches, everyone=everyone))
    elif type_key is not None and item is not None:
        known_type_keys([type_key])
        asyncio.run(_show_neighbourhood(tenant_id, (type_key, item), depth, limit, options))
    else:
        asyncio.run(_show_all(tenant_id, options))


def _check(
    options: GraphOutput,
    *,
    item: tuple[str | None, str | None],
    reaches: str | None,
    everyone: bool,
    everything: bool,
) -> None:
    choices = (item[0] is not None, reaches is not None, everything)
    if sum(choices) != 1 or (item[0] is None) != (item[1] is None):
        raise UsageError("name an item by TYPE and ID, or give --reaches GROUP or --all")
    if everyone and reaches is None:
        raise UsageError("--everyone belongs to --reaches GROUP")
    if options.written_as is GraphFormat.TABLE and options.file is not None:
        raise UsageError("--output takes a graph: give --format mermaid, dot or graphml")
    if options.written_as is not GraphFormat.TABLE and (output_options().is_data or reaches is not None):
        raise UsageError("--format writes a graph of references: give it without --json, --csv and --reaches")


async def _show_neighbourhood(
    tenant_id: UUID, item: tuple[str, str], depth: int, limit: int, options: GraphOutput
) -> None:
    type_key, sought = item
    async with read_session(load_settings(), tenant_id) as (session, coverage):
        key = type_key, await item_id(session, type_key, sought)
        neighbourhood = await answer.neighbourhood(session, coverage, key, depth=depth, most=limit)
        start = await answer.item_record(session, coverage, key)
    if output_options().as_json:
        output.print_json(*neighbourhood.dependencies, *neighbourhood.cannot_say)
    refuse_never_read(coverage)
    if output_options().as_json:
        pass
    elif options.written_as is GraphFormat.TABLE:
        for direction in Direction:
            rows = neighbourhood.of(direction)
            print_table(
                neighbour_columns(direction), rows, record=DependencyRecord, title=_heading(direction, start, rows)
            )
    else:
        left_out = [CUT.format(counted(limit, "reference"))] if neighbourhood.is_cut else []
        left_out += _open_lines(neighbourhood.cannot_say, type_key)
        write_graph(graph_of(neighbourhood.dependencies, start, left_out), options)
    if neighbourhood.is_cut:
        output.stderr.print("some items have more references; --limit N shows more of each", style="dim")
    if not neighbourhood.dependencies:
        say_basis(coverage)
    output.warn(*_open_lines(neighbourhood.cannot_say, type_key))
    end_if_damaged(neighbourhood.cannot_say)


def _open_lines(cannot_say: Sequence[CannotSayRecord], type_key: str) -> list[str]:
    own = [gap for gap in cannot_say if gap.type_key == type_key and type_key not in answer.referring_to(type_key)]
    others = [gap for gap in cannot_say if gap not in own]
    return [
        *open_lines(own, "its own references may have changed in"),
        *open_lines(others, "more items that need it may be in"),
    ]


async def _show_all(tenant_id: UUID, options: GraphOutput) -> None:
    async with read_session(load_settings(), tenant_id) as (session, coverage):
        rows: list[DependencyRecord] = []
        cannot_say: list[CannotSayRecord] = []
        async for record in answer.everything(session, coverage):
            if output_options().as_json:
                output.print_json(record)
            elif isinstance(record, DependencyRecord):
                rows.append(record)
            if isinstance(record, CannotSayRecord):
                cannot_say.append(record)
    refuse_never_read(coverage)
    if not output_options().as_json and options.written_as is GraphFormat.TABLE:
        print_table(REFERENCE_COLUMNS, rows, record=DependencyRecord, title=counted(len(rows), "reference"))
        if not rows:
            say_basis(coverage)
    elif not output_options().as_json:
        write_graph(graph_of(rows, left_out=open_lines(cannot_say, "not drawn: references of items in")), options)
    say_what_is_open(cannot_say, "more references may be in")
    end_if_damaged(cannot_say)


def _heading(direction: Direction, start: ObjectRecord, rows: Sequence[DependencyRecord]) -> str:
    name = name_of(start)
    if direction is Direction.NEEDS:
        return f"{name} needs {counted(len(rows), 'object')}" if rows else f"{name} needs nothing"
    return f"{name} is needed by {counted(len(rows), 'item')}" if rows else f"{name} is needed by nothing that was read"
