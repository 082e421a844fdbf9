"""`compare A B`: two tenants, item by item."""

from collections.abc import Sequence
from itertools import groupby
from uuid import UUID

from rich.text import Text

from answers.compare.answer import Comparison, side
from answers.compare.page import comparison_page, occurring
from answers.compare.records import CollectionComparison, ComparisonRecord, ItemComparison, Status
from answers.compare.session import (
    STYLES,
    ComparisonOutput,
    counts_column,
    named,
    opened_sessions,
    say_never_read,
    say_what_is_left_out,
    stale_items,
)
from answers.field_text import field_text, shown_fields
from cli import output
from cli.html_file import check_count, write_html
from cli.options import TenantNames
from cli.output_options import output_options
from cli.sessions import say_what_is_damaged
from cli.spool import printed_afterwards
from cli.stale_lines import say_stale, stale_words
from cli.table import COLLECTION_COLUMN, Column, Table, collection_title, print_table
from configuration import Settings
from inventory.plurals import counted
from inventory.tenant_neutral import Uncertainty
from inventory.visible_text import visible


async def compare_pair(
    settings: Settings,
    here: UUID,
    there: UUID,
    type_keys: Sequence[str] | None,
    options: ComparisonOutput,
) -> bool:
    """True if the whole request was compared."""
    shown: list[ItemComparison] = []
    rows = Table(ItemComparison, _ITEM_COLUMNS)
    names = TenantNames.load(settings)
    with printed_afterwards():
        async with (
            opened_sessions(settings) as session_of,
            session_of(here) as session_here,
            session_of(there) as session_there,
        ):
            sides = (await side(named(names, here), session_here), await side(named(names, there), session_there))
            comparison = Comparison(*sides, type_keys)
            async for item in comparison.items():
                if options.only and item.status not in options.only:
                    continue
                if output_options().as_json:
                    output.print_json(item)
                elif output_options().as_csv:
                    rows.add(item)
                elif options.only or item.status is not Status.SAME:
                    shown.append(item)
            record = comparison.record()
    if output_options().as_json:
        output.print_json(record)
    elif options.html is not None:
        check_count(len(shown))
        write_html(options.html, comparison_page(record, shown))
    elif say_never_read(*sides):
        return False
    elif output_options().as_csv:
        rows.print()
        say_what_is_left_out(record)
    else:
        _print_counts(record)
        _print_items(record, shown, fields=options.fields)
        say_what_is_left_out(record)
    say_what_is_damaged(record.damaged)
    return record.is_complete


def _print_counts(record: ComparisonRecord) -> None:
    rows = record.differing
    names = occurring(Status, [collection.counts for collection in rows])
    print_table(
        (Column("collection", "title"), *map(counts_column, names)),
        rows,
        record=CollectionComparison,
        title=f"here: {record.here.name}, there: {record.there.name}, as of {output.when(record.asked_at)}",
        is_summary=True,
    )
    if record.same_in_words:
        output.stdout.print(record.same_in_words, style="dim")


def _name(item: ItemComparison) -> str:
    here, there = (" / ".join(visible(end.title) for end in ends) for ends in (item.here, item.there))
    return here if here == there or not there else f"{here} ↔ {there}" if here else there


def _print_items(record: ComparisonRecord, items: Sequence[ItemComparison], *, fields: bool) -> None:
    if not fields:
        print_table(_ITEM_COLUMNS, items, record=ItemComparison)
        _say_stale(record, items)
        return
    for type_key, members in groupby(items, key=lambda item: item.type_key):
        output.stdout.print(collection_title(type_key), style="bold cyan")
        for item in members:
            _print_item(item)


def _say_stale(record: ComparisonRecord, items: Sequence[ItemComparison]) -> None:
    here = [stale for item in items for stale in stale_items(item, item.here, item.stale_here)]
    there = [stale for item in items for stale in stale_items(item, item.there, item.stale_there)]
    say_stale(here, tenant=record.here.name)
    say_stale(there, tenant=record.there.name)


def _status(item: ItemComparison) -> Text:
    words = str(item.status).replace("_", " ")
    if item.status is Status.DIFFERENT:
        words += f" in {counted(len(shown_fields(item.fields)), 'field')}"
    return Text(words, style=STYLES[item.status])


_WORDS = {Uncertainty.HIDDEN_WITHOUT_KEY: "masked by Graph or hidden without key"}
"""For codes that would mislead: Graph's mask looks like a mark without a key."""


def _uncertain(item: ItemComparison) -> str:
    return ", ".join(_WORDS.get(reason, str(reason).replace("_", " ")) for reason in item.uncertain)


def _kind(item: ItemComparison) -> str:
    return "" if collection_title(item.type_key).startswith(f"{item.kind} (") else item.kind


_ITEM_COLUMNS = (
    COLLECTION_COLUMN,
    Column("name", "here", _name),
    Column("kind", "kind", _kind),
    Column("what", "status", _status, is_kept=True),
    Column("not certain", "uncertain", _uncertain, yields=True),
)


def _print_item(item: ItemComparison) -> None:
    words = _status(item)
    if item.uncertain:
        words.append(f"; not certain: {_uncertain(item)}")
    kind = f"{item.kind}: " if _kind(item) else ""
    output.stdout.print(Text.assemble("  ", words, f"  {kind}", (_name(item), "bold")))
    for where, stale in (("here", item.stale_here), ("there", item.stale_there)):
        if stale is not None:
            output.stdout.print(f"    {where} {stale_words(stale)}", style="yellow")
    for field in shown_fields(item.fields):
        output.print_field(field_text(field).of_two_sides(), indent="    ", between=" | ")
    for where, unresolved in (("here", item.unresolved_here), ("there", item.unresolved_there)):
        for reference in unresolved:
            output.stdout.print(
                f"    {where} not translated: {visible(reference.path)}: {visible(reference.target_id)}"
                f" ({' or '.join(reference.target_types)}: {str(reference.reason).replace('_', ' ')})",
                style="dim",
            )
