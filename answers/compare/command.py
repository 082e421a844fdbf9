"""`compare`: one tenant against another, or a golden tenant against many."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import KW_ONLY, dataclass
from enum import StrEnum
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Annotated
from uuid import UUID

import typer
from rich.text import Text

from answers.compare.answer import Comparison, SessionOf, side
from answers.compare.matrix import Matrix
from answers.compare.page import comparison_page, matrix_page, occurring, settings_page
from answers.compare.records import (
    CellStatus,
    CollectionComparison,
    ComparisonRecord,
    ItemComparison,
    ItemName,
    MatrixRecord,
    MatrixRow,
    MatrixTenant,
    Status,
    TenantRecord,
)
from answers.compare.setting_command import print_gaps, print_settings
from answers.compare.setting_comparison import SETTING_COLLECTIONS, SettingsComparison
from answers.field_text import field_text, told
from cli import output
from cli.errors import ExitCode, UsageError, errors_for_people
from cli.html_file import HtmlOption, check_count, check_html, collection_titles, write_html
from cli.options import (
    CategoryOption,
    JsonOption,
    TenantNames,
    TypeOption,
    chosen_tenants,
    complete_tenant_name,
    selection_of,
    tenant_id_of,
)
from cli.output_options import output_options, prints_tables
from cli.sessions import opened_database, say_what_is_damaged
from cli.spool import printed_afterwards
from cli.stale_lines import say_stale, stale_words
from cli.table import Column, Shape, Table, collection_column, collection_title, print_table
from configuration import Settings, load_settings
from graph.tenants import load_tenants
from inventory.plurals import counted
from inventory.stale import StaleItem, Staleness
from inventory.tenant_neutral import Uncertainty
from inventory.visible_text import visible

GoldenOption = Annotated[
    str | None,
    typer.Option(
        "--golden",
        metavar="A",
        help="The tenant that the others are compared with.",
        autocompletion=complete_tenant_name,
    ),
]

_CELLS_OF: dict[Status, tuple[StrEnum, ...]] = {Status.ONLY_HERE: (CellStatus.MISSING, CellStatus.CANNOT_HAVE)}
"""The words for a status of two tenants in a cell of a matrix, if they differ."""

_STYLES = {
    "same": "green",
    "different": "yellow",
    "renamed": "yellow",
    "undecided": "dim",
    "ambiguous": "magenta",
    "only_here": "red",
    "missing": "red",
    "only_there": "cyan",
    "cannot_have": "dim",
    "not_covered": "dim",
}


@prints_tables
def compare(
    tenants: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[A B | B C …]",
            help="Two tenants; with --golden, the tenants to compare with it.",
            autocompletion=complete_tenant_name,
            show_default=False,
        ),
    ] = None,
    golden: GoldenOption = None,
    everyone: Annotated[bool, typer.Option("--all", help="With --golden: all tenants of the tenants file.")] = False,
    tags: Annotated[
        list[str] | None,
        typer.Option("--tag", metavar="TAG", help="With --golden: all tenants with this tag; may be repeated."),
    ] = None,
    type_keys: TypeOption = None,
    categories: CategoryOption = None,
    only: Annotated[
        list[Status] | None, typer.Option("--only", help="Only items with this result; may be repeated.")
    ] = None,
    fields: Annotated[
        bool, typer.Option("--fields", help="Show the fields that differ, and the ids that have no name.")
    ] = False,
    by_setting: Annotated[
        bool, typer.Option("--by-setting", help="Compare settings, whatever policies hold them; conflicts first.")
    ] = False,
    html: HtmlOption = None,
    as_json: JsonOption = False,
) -> None:
    """Compare the items of two tenants, or of a golden one and others, by name and kind, then by content.

    Ids are compared by their meaning: a group by its name, a filter by its rule. Collections that a latest run did
    not list to their end and damaged items are left out and named, and the exit code is 3. With --json the last line
    describes the whole comparison.

    --by-setting tells which settings conflict, whatever policies hold them: settings catalog, administrative templates,
    compliance and device configuration, and CSPs behind OMA-URIs.

    Example: python starter.py compare contoso fabrikam --type conditionalAccessPolicies --fields
    """
    with errors_for_people():
        settings = load_settings()
        check_html(html, as_json=as_json)
        options = _OutputOptions(only, html, fields=fields, as_json=as_json)
        named = bool(type_keys or categories)
        wanted = selection_of(type_keys, categories, everything=False).type_keys if named else None
        if by_setting:
            _check_by_setting(golden, only, wanted, fields=fields)
        if golden is None:
            if everyone or tags or tenants is None or len(tenants) != 2:
                raise UsageError("name two tenants, or one with --golden and others, --tag TAG or --all")
            here, there = (tenant_id_of(settings, tenant) for tenant in tenants)
            if here == there:
                raise UsageError("a tenant is the same as itself; name two different ones")
            answer = _settings if by_setting else _pair
            complete = asyncio.run(answer(settings, here, there, wanted, options))
        else:
            if fields:
                raise UsageError("--fields goes with two tenants; of many, --html and --json show the fields")
            if only and Status.ONLY_THERE in only:
                raise UsageError("with --golden each row is an item of that tenant, so --only only_there shows none")
            golden_id = tenant_id_of(settings, golden)
            others = _others(settings, golden_id, tenants, tags, everyone=everyone)
            complete = asyncio.run(_matrix(settings, golden_id, others, wanted, options))
        if not complete:
            raise typer.Exit(ExitCode.PARTIAL)


def _check_by_setting(
    golden: str | None, only: Sequence[Status] | None, type_keys: Sequence[str] | None, *, fields: bool
) -> None:
    """Raises `UsageError` where a comparison by setting cannot be what was asked for."""
    if golden is not None:
        raise UsageError("--by-setting compares two tenants; name two without --golden")
    if fields:
        raise UsageError("--fields shows fields of items; leave it out with --by-setting")
    if {Status.RENAMED, Status.AMBIGUOUS}.intersection(only or ()):
        raise UsageError("a setting is never renamed or ambiguous; choose another --only with --by-setting")
    if type_keys is not None and not set(SETTING_COLLECTIONS).intersection(type_keys):
        raise UsageError(f"no settings are compared there; --by-setting compares {', '.join(SETTING_COLLECTIONS)}")


@dataclass(frozen=True)
class _OutputOptions:
    """How a comparison is shown."""

    only: Sequence[Status] | None
    html: Path | None
    _: KW_ONLY
    fields: bool
    as_json: bool


def _others(
    settings: Settings, golden: UUID, tenants: Sequence[str] | None, tags: Sequence[str] | None, *, everyone: bool
) -> list[UUID]:
    """The tenants that the golden one is held against. Raises `UsageError` where none are named."""
    if everyone or tags:
        choice = chosen_tenants(settings, tenants, tags, everyone=everyone)
        found = list(choice.resolve(load_tenants(settings.tenants_file).tags()))
    else:
        found = [tenant_id_of(settings, tenant) for tenant in tenants or ()]
    others = [tenant for tenant in dict.fromkeys(found) if tenant != golden]
    if not others:
        raise UsageError("name the tenants to compare with the golden one, or give --tag TAG or --all")
    return others


@asynccontextmanager
async def _sessions(settings: Settings) -> AsyncIterator[SessionOf]:
    """Opens sessions of tenants, each a transaction that sees one moment."""
    async with opened_database(settings, pool_size=2) as database:
        yield partial(database.tenant, read_only=True, snapshot=True)


def _named(names: TenantNames, tenant_id: UUID) -> TenantRecord:
    return TenantRecord(tenant_id=tenant_id, name=names.of(tenant_id))


async def _pair(
    settings: Settings,
    here: UUID,
    there: UUID,
    type_keys: Sequence[str] | None,
    options: _OutputOptions,
) -> bool:
    """Prints a comparison of two tenants; whether it covers the whole request."""
    shown: list[ItemComparison] = []
    rows = Table(ItemComparison, _ITEM_COLUMNS)
    names = TenantNames.load(settings)
    with printed_afterwards():
        async with _sessions(settings) as session_of, session_of(here) as one, session_of(there) as other:
            sides = (await side(_named(names, here), one), await side(_named(names, there), other))
            comparison = Comparison(*sides, type_keys)
            async for item in comparison.items():
                if options.only and item.status not in options.only:
                    continue
                if options.as_json:
                    output.print_json(item)
                elif output_options().as_csv:
                    rows.add(item)
                elif options.only or item.status is not Status.SAME:
                    shown.append(item)
            record = comparison.record()
    if options.as_json:
        output.print_json(record)
    elif options.html is not None:
        check_count(len(shown))
        write_html(options.html, comparison_page(record, shown))
    else:
        if output_options().as_csv:
            rows.print()
        else:
            _print_counts(record)
            _print_items(record, shown, fields=options.fields)
        unread = _never_read(record)
        for name in unread:
            output.stderr.print(f"{name} was never read: no run has completed, so nothing is compared", style="yellow")
        for left_out in () if unread else record.collections:
            if not left_out.is_compared:
                output.stderr.print(
                    f"not compared: {left_out.type_key} ({record.here.name}: {left_out.here.in_words};"
                    f" {record.there.name}: {left_out.there.in_words})",
                    style="yellow",
                    markup=False,
                )
    say_what_is_damaged(record.damaged)
    _say_if_empty(is_empty=not record.collections)
    return record.is_complete


def _never_read(record: ComparisonRecord) -> list[str]:
    """The tenant of which no collection was ever read, if only one was."""
    runs = {
        record.here.name: [collection.here.run_id for collection in record.collections],
        record.there.name: [collection.there.run_id for collection in record.collections],
    }
    return [name for name, run_ids in runs.items() if run_ids and not any(run_ids)]


async def _settings(
    settings: Settings,
    here: UUID,
    there: UUID,
    type_keys: Sequence[str] | None,
    options: _OutputOptions,
) -> bool:
    """Prints a comparison of two by setting; whether all that was asked for was covered."""
    names = TenantNames.load(settings)
    async with _sessions(settings) as session_of, session_of(here) as one, session_of(there) as other:
        sides = (await side(_named(names, here), one), await side(_named(names, there), other))
        comparison = SettingsComparison(*sides, type_keys)
        found = await comparison.settings()
        record = comparison.record()
    chosen = [setting for setting in found if not options.only or setting.status in options.only]
    differing = [setting for setting in chosen if setting.status is not Status.SAME or setting.differs_within]
    shown = chosen if options.only or output_options().as_csv else differing
    if options.as_json:
        for setting in chosen:
            output.print_json(setting)
        output.print_json(record)
    elif options.html is not None:
        check_count(len(shown))
        write_html(options.html, settings_page(record, shown))
    else:
        print_settings(record, shown)
        print_gaps(record)
    say_what_is_damaged(record.damaged)
    _say_if_empty(is_empty=not record.collections)
    return record.is_complete


def _print_counts(record: ComparisonRecord) -> None:
    """The collections that differ, the most different first, and how many are the same."""
    rows = record.differing
    names = occurring(Status, [collection.counts for collection in rows])
    print_table(
        (Column("collection", "title"), *map(_counts_column, names)),
        rows,
        record=CollectionComparison,
        title=f"here: {record.here.name}, there: {record.there.name}, as of {output.when(record.asked_at)}",
        is_summary=True,
    )
    alike = sum(collection.counts.same for collection in record.same)
    items, others = counted(alike, "item"), counted(len(record.same), "other collection")
    output.stdout.print(f"{items} of {others} {'is' if alike == 1 else 'are'} the same", style="dim")


def _counts_column(name: str) -> Column:
    return Column(
        name.replace("_", " "),
        f"counts.{name}",
        lambda row: getattr(row.counts, name) or None,
        Shape.NUMBER,
        is_kept=True,
    )


def _name(item: ItemComparison) -> str:
    """The name on both sides, or both names."""
    here, there = (" / ".join(visible(end.title) for end in ends) for ends in (item.here, item.there))
    return here if here == there or not there else f"{here} ↔ {there}" if here else there


def _print_items(record: ComparisonRecord, items: Sequence[ItemComparison], *, fields: bool) -> None:
    """The items by collection and name; with `fields` each with those that differ."""
    if not fields:
        print_table(_ITEM_COLUMNS, items, record=ItemComparison)
        _say_stale(record, items)
        return
    ordered = sorted(items, key=lambda item: (collection_title(item.type_key).casefold(), _name(item).casefold()))
    for type_key, members in groupby(ordered, key=lambda item: item.type_key):
        output.stdout.print(collection_title(type_key), style="bold cyan")
        for item in members:
            _print_item(item)


def _say_stale(record: ComparisonRecord, items: Sequence[ItemComparison]) -> None:
    """Which of the items are stale, of each tenant."""
    here = [stale for item in items for stale in _stale(item.type_key, item.here, item.stale_here)]
    there = [stale for item in items for stale in _stale(item.type_key, item.there, item.stale_there)]
    say_stale(here, tenant=record.here.name)
    say_stale(there, tenant=record.there.name)


def _stale(type_key: str, items: Sequence[ItemName], stale: Staleness | None) -> list[StaleItem]:
    if stale is None:
        return []
    first = items[0]
    return [StaleItem(type_key=type_key, stale=stale, **first.model_dump())]


def _status(item: ItemComparison) -> Text:
    words = str(item.status).replace("_", " ")
    if item.status is Status.DIFFERENT:
        words += f" in {counted(len(told(item.fields)), 'field')}"
    return Text(words, style=_STYLES[item.status])


_WORDS = {Uncertainty.HIDDEN_WITHOUT_KEY: "masked by Graph or hidden without key"}
"""What an uncertainty is called where its code alone would mislead: the marks of both look alike."""


def _uncertain(item: ItemComparison) -> str:
    return ", ".join(_WORDS.get(reason, str(reason).replace("_", " ")) for reason in item.uncertain)


def _kind(item: ItemComparison) -> str:
    """The kind, where it says more than the heading does."""
    return "" if collection_title(item.type_key).startswith(f"{item.kind} (") else item.kind


_ITEM_COLUMNS = (
    collection_column(),
    Column("name", "here", _name),
    Column("kind", "kind", _kind),
    Column("what", "status", _status, is_kept=True),
    Column("not certain", "uncertain", _uncertain),
)


def _print_item(item: ItemComparison) -> None:
    """One item, and the fields that differ."""
    words = _status(item)
    if item.uncertain:
        words.append(f"; not certain: {_uncertain(item)}")
    kind = f"{item.kind}: " if _kind(item) else ""
    output.stdout.print(Text.assemble("  ", words, f"  {kind}", (_name(item), "bold")))
    for where, stale in (("here", item.stale_here), ("there", item.stale_there)):
        if stale is not None:
            output.stdout.print(f"    {where} {stale_words(stale)}", style="yellow", markup=False)
    for field in told(item.fields):
        output.print_field(field_text(field).of_two_sides(), indent="    ", between=" | ")
    for where, unresolved in (("here", item.unresolved_here), ("there", item.unresolved_there)):
        for reference in unresolved:
            output.stdout.print(
                f"    {where} not translated: {visible(reference.path)}: {visible(reference.target_id)}"
                f" ({' or '.join(reference.target_types)}: {str(reference.reason).replace('_', ' ')})",
                style="dim",
                markup=False,
            )


async def _matrix(
    settings: Settings,
    golden: UUID,
    others: Sequence[UUID],
    type_keys: Sequence[str] | None,
    options: _OutputOptions,
) -> bool:
    """Prints a golden tenant compared with others; whether it covers the whole request."""
    shown: list[MatrixRow] = []
    names = TenantNames.load(settings)
    shows_all = bool(options.only) or output_options().as_csv
    wanted = {str(cell) for status in options.only or () for cell in _CELLS_OF.get(status, (status,))}
    with printed_afterwards():
        async with _sessions(settings) as session_of, session_of(golden) as session:
            matrix = await Matrix.of(
                await side(_named(names, golden), session),
                [_named(names, other) for other in others],
                session_of,
                type_keys,
            )
            async for row in matrix.rows():
                if options.only and not any(str(cell.status) in wanted for cell in row.cells):
                    continue
                if options.as_json:
                    output.print_json(row)
                elif shows_all or any(cell.status is not CellStatus.SAME for cell in row.cells):
                    shown.append(row)
            record = matrix.record()
    if options.as_json:
        output.print_json(record)
    elif options.html is not None:
        check_count(len(shown))
        write_html(options.html, matrix_page(record, shown, collection_titles()))
    else:
        _print_matrix(record, shown)
    for tenant in record.without_inventory:
        output.stderr.print(
            f"{tenant.name} was never read: no run has completed, so it has no column", style="yellow", markup=False
        )
    say_what_is_damaged(record.damaged)
    _say_if_empty(is_empty=not any(tenant.collections for tenant in record.tenants))
    return record.is_complete


def _cell_column(tenant: str, number: int) -> Column:
    """A tenant's counterpart of each item of the golden one."""

    def text(row: MatrixRow) -> Text:
        cell = row.cells[number]
        words = str(cell.status).replace("_", " ")
        if cell.status is CellStatus.DIFFERENT:
            words = f"{words} ({len(cell.fields)})"
        return Text(words, style=_STYLES[cell.status])

    return Column(tenant, f"cells.{number}", text, is_kept=True)


def _say_if_empty(*, is_empty: bool) -> None:
    if is_empty:
        output.stderr.print(
            "these tenants were never read: no run has completed, so there is nothing to compare", style="yellow"
        )


def _print_matrix(record: MatrixRecord, rows: Sequence[MatrixRow]) -> None:
    names = occurring((*CellStatus, "extra"), [tenant.counts for tenant in record.tenants])
    print_table(
        (Column("tenant", "name"), *map(_counts_column, names)),
        sorted(record.tenants, key=lambda tenant: -tenant.counts.differing),
        record=MatrixTenant,
        title=f"golden: {record.golden.name}, as of {output.when(record.asked_at)}",
        is_summary=True,
    )
    columns = (
        collection_column(),
        Column("item", "title", lambda row: row.title),
        *(_cell_column(tenant.name, number) for number, tenant in enumerate(record.tenants)),
    )
    print_table(columns, rows, record=MatrixRow)
    golden = [
        stale
        for row in rows
        for known in [next((cell.stale_here for cell in row.cells if cell.stale_here is not None), None)]
        for stale in _stale(
            row.type_key, [ItemName(external_id=row.external_id, display_name=row.display_name, title=row.title)], known
        )
    ]
    say_stale(golden, tenant=record.golden.name)
    for number, tenant in enumerate(record.tenants):
        cells = [(row.type_key, row.cells[number]) for row in rows]
        say_stale(
            [stale for type_key, cell in cells for stale in _stale(type_key, cell.there, cell.stale_there)],
            tenant=tenant.name,
        )
    for tenant in record.tenants:
        left_out = [collection for collection in tenant.collections if not collection.is_compared]
        if left_out:
            named = ", ".join(
                f"{collection.type_key} (golden: {collection.golden.in_words};"
                f" {tenant.name}: {collection.tenant.in_words})"
                for collection in left_out
            )
            output.stderr.print(f"not compared with {tenant.name}: {named}", style="yellow", markup=False)
