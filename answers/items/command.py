"""`items`, `missing`."""

from collections.abc import AsyncIterator, Sequence
from functools import partial
from typing import Annotated, NamedTuple
from uuid import UUID

import typer

from answers.coverage.records import UnreadCollections
from answers.items import answer
from answers.items.records import ItemsBasis, UnreadCollection
from answers.search.answer import Sought, UnknownSettingError
from answers.stale_items import stale_item
from cli import output
from cli.basis_lines import rests_on, say_unread
from cli.errors import UsageError
from cli.item_columns import CERTAINTY, COLLECTION, KIND_AND_ID, NAME, STATE
from cli.item_options import (
    KindOption,
    NameOption,
    PlatformOption,
    SettingOption,
    StateOption,
    chosen_type_keys,
    item_filter,
    setting_condition,
)
from cli.options import (
    AllTenantsOption,
    CategoryOption,
    CommandTenant,
    CommandTenants,
    LimitOption,
    OptionalTenantArgument,
    SelectionOption,
    TagOption,
    TypeOption,
    command_tenants,
    known_type_keys,
)
from cli.output_options import output_options, prints_tables
from cli.stale_lines import say_stale
from cli.table import Column, Shape, Table, print_table
from cli.tenant_walk import RowLimit, ask_each, read_session
from configuration import load_settings
from inventory.coverage import NEVER_READ, TENANT_NEVER_READ
from inventory.missing import Confidence, EvidenceKind
from inventory.plurals import counted
from inventory.records import ItemRecord, MissingRecord
from inventory.user_errors import NeverReadError
from inventory.visible_text import visible
from storage.database import Database

LOOKED_FOR = [EvidenceKind.CONFIRMED, EvidenceKind.NOT_LISTED]

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
    tenant: OptionalTenantArgument = None,
    tags: TagOption = None,
    everyone: AllTenantsOption = False,
    type_keys: TypeOption = None,
    categories: CategoryOption = None,
    name: NameOption = None,
    platform: PlatformOption = None,
    kind: KindOption = None,
    state: StateOption = None,
    setting: SettingOption = None,
    selection: SelectionOption = None,
    limit: LimitOption = None,
    after: AfterOption = None,
) -> None:
    """The inventory of a tenant, each item with its state relative to a selection.

    With --tag or --all-tenants in place of TENANT, of each of these tenants; `search` finds items over all at once.

    Example: python starter.py items contoso --type conditionalAccessPolicies --json
    """
    settings = load_settings()
    chosen = command_tenants(settings, tenant, tags, everyone=everyone)
    _refuse_place(after, selection, chosen)
    sought = Sought(name, setting_condition(setting), None, item_filter(platform, kind, state))
    listing = _Listing(
        None if sought == Sought() else sought,
        chosen_type_keys(type_keys, categories),
        selection,
        RowLimit(limit),
        _place(after),
        chosen.are_many,
    )
    ask_each(settings, chosen, partial(_show_items, listing), limit=listing.limit)


class _Listing(NamedTuple):
    sought: Sought | None
    type_keys: tuple[str, ...] | None
    selection: str | None
    limit: RowLimit
    after: tuple[str, str] | None
    are_many: bool
    """Among several tenants, a setting that one does not know is no mistake."""


@prints_tables
def missing(
    tenant: OptionalTenantArgument = None,
    tags: TagOption = None,
    everyone: AllTenantsOption = False,
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
) -> None:
    """Items that runs looked for and did not find: since when, by which run, with which confidence and evidence.

    A line for each collection that could not be read follows, with the number of its items, whose state is unknown.
    With --tag or --all-tenants in place of TENANT, of each of these tenants.

    Example: python starter.py missing contoso
    """
    settings = load_settings()
    tenants = command_tenants(settings, tenant, tags, everyone=everyone)
    _refuse_place(after, selection, tenants)
    chosen_keys = known_type_keys(type_keys)
    place = _place(after)
    rows = RowLimit(limit)
    if not_read and evidence:
        raise UsageError("--not-read is --evidence not_read: give one of them")
    chosen = (
        [EvidenceKind.NOT_READ]
        if not_read
        else evidence or (list(EvidenceKind) if output_options().is_data else LOOKED_FOR)
    )

    async def show(database: Database, tenant: CommandTenant) -> None:
        async with read_session(database, tenant) as session:
            missing_list = await answer.missing(
                session, selection, chosen_keys, evidence=chosen, confidence=confidence, limit=rows.to_read, after=place
            )
            if missing_list is None:
                raise NeverReadError(f"{TENANT_NEVER_READ}, so nothing can be called missing")
            never_read = dict.fromkeys(missing_list.never_read, NEVER_READ)
            if output_options().as_json:
                rows.count(await _print_json(missing_list.items))
                reasons = {collection.type_key: collection.reason for collection in missing_list.not_read}
                say_unread(UnreadCollections.of_tenant(tenant.tenant_id, reasons | never_read))
                return
            if not await _print(MissingRecord, _MISSING_COLUMNS, missing_list.items, rows, _title(missing_list.basis)):
                which = "nothing is missing" if chosen == LOOKED_FOR and confidence is None else "no such item"
                output.stdout.print(f"{which}: {rests_on(missing_list.basis.listed, missing_list.basis.listed_from)}")
            _print_not_read(missing_list.not_read)
            say_unread(UnreadCollections.of_tenant(tenant.tenant_id, never_read))

    ask_each(settings, tenants, show, limit=rows)


def _refuse_place(after: str | None, selection: str | None, chosen: CommandTenants) -> None:
    for option, value in (("--after", after), ("--selection", selection)):
        if value is not None and chosen.are_many:
            raise UsageError(f"{option} is about one tenant: give it with TENANT")


def _place(after: str | None) -> tuple[str, str] | None:
    """Only an id may hold slashes."""
    if after is None:
        return None
    type_key, slash, external_id = after.partition("/")
    if not (type_key and slash and external_id):
        raise UsageError(f"--after takes the type key and the id of an item as TYPE/ID, not {after!r}")
    return type_key, external_id


async def _show_items(listing: _Listing, database: Database, tenant: CommandTenant) -> None:
    async with read_session(database, tenant) as session:
        item_list = await answer.items(
            session,
            listing.selection,
            listing.type_keys,
            sought=listing.sought,
            limit=listing.limit.to_read,
            after=listing.after,
        )
        try:
            await _print_items(tenant.tenant_id, item_list, listing.limit)
        except UnknownSettingError as unknown:
            if not listing.are_many:
                raise
            if item_list.basis is None:
                raise NeverReadError(f"{TENANT_NEVER_READ}, so it has no items here") from None
            output.stderr.print(f"no items: {unknown}", style="dim")


async def _print_items(tenant_id: UUID, item_list: answer.ItemList, limit: RowLimit) -> None:
    stale = list[ItemRecord]()
    if output_options().as_json:
        printed = await _print_json(item_list.items)
        limit.count(printed)
    else:
        printed = await _print(ItemRecord, _ITEM_COLUMNS, item_list.items, limit, _title(item_list.basis), stale)
        say_stale([stale_item(item, item.stale) for item in stale if item.stale is not None])
    if not printed and item_list.basis is None:
        raise NeverReadError(f"{TENANT_NEVER_READ}, so it has no items here")
    if not printed and item_list.basis is not None and not output_options().as_json:
        output.stdout.print(f"no items: {rests_on(item_list.basis.listed, item_list.basis.listed_from)}")
    say_unread(UnreadCollections.of_tenant(tenant_id, item_list.unread))


async def _print_json(items: AsyncIterator[ItemRecord]) -> int:
    printed = 0
    async for item in items:
        output.print_json(item)
        printed += 1
    return printed


async def _print(
    record: type[ItemRecord],
    columns: Sequence[Column],
    items: AsyncIterator[ItemRecord],
    limit: RowLimit,
    title: str,
    stale: list[ItemRecord] | None = None,
) -> int:
    """Returns the number of items; adds stale ones to `stale`."""
    table, printed, last = Table(record, columns, most=limit.most), 0, None
    async for last in items:
        table.add(last)
        printed += 1
        if stale is not None and last.stale:
            stale.append(last)
    table.print(title if printed else None)
    if last is not None and printed == limit.to_read and not output_options().about:
        output.stderr.print(
            f"the first by collection and name; there may be more: --after {last.type_key}/{visible(last.external_id)}",
            style="dim",
        )
    limit.count(printed)
    return printed


_WHICH_ITEM = (COLLECTION, NAME, *KIND_AND_ID)

_ITEM_COLUMNS = (*_WHICH_ITEM, *STATE)

_MISSING_COLUMNS = (
    *_WHICH_ITEM,
    *CERTAINTY,
    Column("last seen", "last_seen_at", lambda item: output.ago(item.last_seen_at)),
    Column("first missed", "first_missed_at", lambda item: output.ago(item.first_missed_at)),
    Column("by run", "first_missed_run_id", shape=Shape.ID),
)


def _print_not_read(collections: Sequence[UnreadCollection]) -> None:
    if not collections:
        return
    its = "its" if len(collections) == 1 else "their"
    items = counted(sum(collection.items for collection in collections), "item")
    line = f"not read to {its} end: {counted(len(collections), 'collection')}; {items} of unknown state"
    output.stdout.print(line, style="yellow")
    print_table(_NOT_READ_COLUMNS, collections, record=UnreadCollection, is_summary=True)


_NOT_READ_COLUMNS = (
    Column("collection", "type_key"),
    Column("items", "items", shape=Shape.NUMBER, is_kept=True),
    Column("why", "reason"),
    Column(
        "last read", "listed_at", lambda unread: "never" if unread.listed_at is None else output.ago(unread.listed_at)
    ),
)


def _title(basis: ItemsBasis | None) -> str:
    if basis is None:
        return "no run has completed yet, so items have no state"
    started = output.when(basis.started_at)
    if basis.selection_hash is None:
        is_older = basis.listed_from is not None and basis.listed_from < basis.started_at
        oldest = f", the oldest {output.when(basis.listed_from)}" if is_older else ""
        return f"relative to the latest run of each collection, the last one {started} ({basis.status}){oldest}"
    return f"relative to run {basis.run_id} ({basis.status}, {started}) of selection {basis.selection_hash[:12]}"
