"""`items`, `missing`: what the database knows of a tenant."""

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated

import typer

from answers.items import answer
from answers.items.records import ItemsBasis, UnreadCollection
from cli import output
from cli.errors import UsageError, errors_for_people
from cli.options import MOST, JsonOption, SelectionOption, TenantArgument, TypeOption, known_type_keys, tenant_id_of
from cli.output_options import output_options, prints_tables
from cli.sessions import tenant_session
from cli.stale_lines import say_stale
from cli.table import Column, Shape, Table, collection_column
from configuration import load_settings
from graph.catalog import kind_of, load_catalog
from inventory.missing import Confidence, EvidenceKind, State
from inventory.plurals import counted
from inventory.records import ItemRecord, MissingRecord
from inventory.stale import StaleItem
from inventory.visible_text import visible

LOOKED_FOR = [EvidenceKind.CONFIRMED, EvidenceKind.NOT_LISTED]

NEVER_READ = "this tenant was never read: no run has completed"

LimitOption = Annotated[
    int | None, typer.Option("--limit", min=1, max=MOST, help="Show at most this many.", show_default=False)
]
AfterOption = Annotated[
    str | None,
    typer.Option(
        "--after",
        metavar="TYPE/ID",
        help="Continue after this item, the last one of the page before.",
        show_default=False,
    ),
]


@prints_tables
def items(
    tenant: TenantArgument,
    type_keys: TypeOption = None,
    selection: SelectionOption = None,
    limit: LimitOption = None,
    after: AfterOption = None,
    as_json: JsonOption = False,
) -> None:
    """The inventory of a tenant, each item with its state relative to a selection.

    Example: python starter.py items contoso --type conditionalAccessPolicies --json
    """
    with errors_for_people():
        _show_items(tenant, type_keys, selection, limit, after, as_json=as_json)


@prints_tables
def missing(
    tenant: TenantArgument,
    type_keys: TypeOption = None,
    selection: SelectionOption = None,
    confidence: Annotated[
        Confidence | None, typer.Option("--confidence", help="Only items of this confidence.", show_default=False)
    ] = None,
    evidence: Annotated[
        list[EvidenceKind] | None,
        typer.Option(
            "--evidence",
            help="Only items of this evidence; may be repeated. Default: all with --json, else those looked for.",
            show_default=False,
        ),
    ] = None,
    not_read: Annotated[
        bool, typer.Option("--not-read", help="Items of collections that were not read; short for --evidence not_read.")
    ] = False,
    limit: LimitOption = None,
    after: AfterOption = None,
    as_json: JsonOption = False,
) -> None:
    """Items that runs looked for and did not find: since when, by which run, with which confidence and evidence.

    A line for each collection that could not be read follows, with the number of its items, whose state is unknown.

    Example: python starter.py missing contoso
    """
    with errors_for_people():
        settings = load_settings()
        tenant_id = tenant_id_of(settings, tenant)
        wanted = known_type_keys(type_keys)
        place = _place(after)
        if not_read and evidence:
            raise UsageError("--not-read is --evidence not_read: give one of them")
        chosen = (
            [EvidenceKind.NOT_READ]
            if not_read
            else evidence or (list(EvidenceKind) if as_json or output_options().as_csv else LOOKED_FOR)
        )

        async def show() -> None:
            async with tenant_session(settings, tenant_id) as session:
                found = await answer.missing(
                    session, selection, wanted, evidence=chosen, confidence=confidence, limit=limit, after=place
                )
                if found is None:
                    output.stderr.print(f"{NEVER_READ}, so nothing can be called missing", style="yellow")
                    return
                if as_json:
                    async for item in found.items:
                        output.print_json(item)
                    return
                if not await _print(Table(MissingRecord, _MISSING_COLUMNS), found.items, limit, _title(found.basis)):
                    which = "nothing is missing" if chosen == LOOKED_FOR and confidence is None else "no such item"
                    output.stdout.print(f"{which}: {_rests_on(found.basis)}")
                for collection in found.not_read:
                    output.stdout.print(_not_read(collection), style="yellow")

        asyncio.run(show())


def _place(after: str | None) -> tuple[str, str]:
    """The type key and id of `--after`. A type key holds no slash; an id may hold some. Raises `UsageError`."""
    if after is None:
        return "", ""
    type_key, slash, external_id = after.partition("/")
    if not (type_key and slash and external_id):
        raise UsageError(f"--after takes the type key and the id of an item as TYPE/ID, not {after!r}")
    return type_key, external_id


def _show_items(
    tenant: str,
    type_keys: list[str] | None,
    selection: str | None,
    limit: int | None,
    after: str | None,
    *,
    as_json: bool,
) -> None:
    settings = load_settings()
    tenant_id = tenant_id_of(settings, tenant)
    wanted = known_type_keys(type_keys)
    place = _place(after)

    async def show() -> None:
        async with tenant_session(settings, tenant_id) as session:
            found = await answer.items(session, selection, wanted, limit=limit, after=place)
            if as_json:
                async for item in found.items:
                    output.print_json(item)
                return
            table, stale = Table(ItemRecord, _ITEM_COLUMNS), list[ItemRecord]()
            if await _print(table, found.items, limit, _title(found.basis), stale):
                say_stale([StaleItem.model_validate(item, from_attributes=True) for item in stale])
                return
            if found.basis is None:
                output.stderr.print(f"{NEVER_READ}, so it has no items here", style="yellow")
            else:
                output.stdout.print(f"no items: {_rests_on(found.basis)}")

    asyncio.run(show())


async def _print(
    table: Table,
    items: AsyncIterator[ItemRecord],
    limit: int | None,
    title: str,
    stale: list[ItemRecord] | None = None,
) -> int:
    """Prints the items, and whether there may be more; how many there were. `stale` takes in those that are."""
    shown, last = 0, None
    async for last in items:
        table.add(last)
        shown += 1
        if stale is not None and last.stale:
            stale.append(last)
    table.print(title if shown else None)
    if last is not None and shown == limit:
        output.stderr.print(f"there may be more: --after {last.type_key}/{visible(last.external_id)}", style="dim")
    return shown


def _name(item: ItemRecord) -> str:
    return item.display_name or output.NAMELESS


def _kind(item: ItemRecord) -> str:
    """The kind, where it says more than the heading does."""
    kind = kind_of(item.type_key, item.meta)
    collection = load_catalog().collections.get(item.type_key)
    return "" if collection is not None and kind == collection.title else kind


_WHICH_ITEM = (
    collection_column(),
    Column("name", "display_name", _name),
    Column("kind", "kind", _kind),
    Column("id", "external_id", shape=Shape.ID, is_kept=True),
)

_ITEM_COLUMNS = (
    *_WHICH_ITEM,
    Column("state", "state", lambda item: output.styled(item.state)),
    Column("confidence", "confidence", lambda item: output.styled(item.confidence)),
    Column("evidence", "evidence", lambda item: None if item.state is State.PRESENT else item.evidence),
    Column("last seen", "last_seen_at", lambda item: output.ago(item.last_seen_at)),
)

_MISSING_COLUMNS = (
    *_WHICH_ITEM,
    Column("confidence", "confidence", lambda item: output.styled(item.confidence)),
    Column("evidence", "evidence"),
    Column("last seen", "last_seen_at", lambda item: output.ago(item.last_seen_at)),
    Column("first missed", "first_missed_at", lambda item: output.ago(item.first_missed_at)),
    Column("by run", "first_missed_run_id", shape=Shape.ID),
)


def _not_read(collection: UnreadCollection) -> str:
    """A collection that could not be read, in a line."""
    items = counted(collection.items, "item")
    when = "never" if collection.listed_at is None else output.ago(collection.listed_at)
    return f"not read: {collection.type_key} ({collection.reason}), {items}; last read to its end: {when}"


def _rests_on(basis: ItemsBasis) -> str:
    """What an empty answer rests on."""
    if basis.listed_from is None:
        return "no collection was read to its end"
    its = "its" if basis.listed == 1 else "their"
    return f"{counted(basis.listed, 'collection')} read to {its} end since {output.when(basis.listed_from)}"


def _title(basis: ItemsBasis | None) -> str:
    if basis is None:
        return "no run has completed yet, so items have no state"
    started = output.when(basis.started_at)
    if basis.selection_hash is None:
        return f"relative to the latest run of each collection, the last one {started} ({basis.status})"
    return f"relative to run {basis.run_id} ({basis.status}, {started}) of selection {basis.selection_hash[:12]}"
