"""`versions`, `show`, `diff`."""

import getpass
import sys
from typing import Annotated

import orjson
import typer
from sqlalchemy.ext.asyncio import AsyncSession

from answers.field_text import field_text, path_beside, shown_fields
from answers.item_states import told_state
from answers.versions import answer
from answers.versions.answer import ComparedVersions
from answers.versions.records import DifferenceRecord, ShownRecord, not_compared_in_words, version_in_words
from cli import output
from cli.errors import UsageError
from cli.options import MOST, TenantArgument, complete_type_key, known_type_keys, tenant_id_of
from cli.output_options import output_options, prints_tables, prints_times, refuse_columns_without_csv
from cli.sessions import answer_of_tenant, find_item
from cli.stale_lines import stale_words
from cli.table import Column, Shape, print_table
from configuration import load_settings
from graph.catalog import has_names
from inventory.differences import DifferenceKind
from inventory.exact_json import decode, encode
from inventory.records import VersionRecord
from inventory.visible_text import escaped_json, visible, with_spaces

TypeArgument = Annotated[
    str,
    typer.Argument(
        metavar="TYPE", help="The collection, by its type key.", autocompletion=complete_type_key, show_default=False
    ),
]
ItemArgument = Annotated[
    str,
    typer.Argument(metavar="ID", help="The item's Graph id, or its name if that is unique.", show_default=False),
]


@prints_tables
def show_versions(
    tenant: TenantArgument,
    type_key: TypeArgument,
    item: ItemArgument,
    pin: Annotated[
        int | None, typer.Option("--pin", metavar="N", min=1, max=MOST, help="Pin version N: retention keeps it.")
    ] = None,
    unpin: Annotated[
        int | None, typer.Option("--unpin", metavar="N", min=1, max=MOST, help="Remove your pin of version N.")
    ] = None,
    reason: Annotated[str | None, typer.Option("--reason", help="Why the version is pinned.")] = None,
) -> None:
    """All versions of an item, newest first: their kinds, times of observation and pins.

    Example: python starter.py versions contoso conditionalAccessPolicies "Require MFA" --pin 3 --reason "audit"
    """
    if reason is not None and pin is None:
        raise UsageError("--reason says why a version is pinned, so it needs --pin N")
    settings = load_settings()
    tenant_id = tenant_id_of(settings, tenant)
    known_type_keys([type_key])

    async def ask(session: AsyncSession) -> list[VersionRecord]:
        external_id = await find_item(session, type_key, item)
        if pin is not None:
            await answer.pin(session, type_key, external_id, pin, getpass.getuser(), reason)
        if unpin is not None:
            await answer.unpin(session, type_key, external_id, unpin, getpass.getuser())
        return await answer.history(session, type_key, external_id)

    records = answer_of_tenant(settings, tenant_id, ask, read_only=pin is None and unpin is None)
    if output_options().as_json:
        output.print_json(*records)
        return
    print_table(
        _COLUMNS,
        records,
        record=VersionRecord,
        title=f"versions of {type_key} {records[0].external_id}" if records else "no document has been read yet",
    )
    for record in records:
        say_version_stale(record)


def say_version_stale(version: VersionRecord) -> None:
    if version.stale is not None:
        words = f"version {version.version} is {stale_words(version.stale)}"
        if not version.is_current:
            words = f"version {version.version} was {stale_words(version.stale)} when it was first observed"
        output.warn(words)


def _pins(record: VersionRecord) -> str:
    return "; ".join(pin.pinned_by + (f" ({pin.reason})" if pin.reason else "") for pin in record.pins)


_COLUMNS = (
    Column("version", "version", shape=Shape.NUMBER),
    Column("what", "change", version_in_words, is_kept=True),
    Column("name then", "display_name", lambda record: record.display_name if has_names(record.type_key) else None),
    Column("first observed", "first_observed_at", is_kept=True),
    Column("in run", "first_observed_run_id", shape=Shape.ID),
    Column("last observed", "last_observed_at", lambda version: output.ago(version.last_observed_at) or "not recorded"),
    Column("bytes", "size_bytes", shape=Shape.NUMBER),
    Column("details", "details_complete", lambda record: "" if record.details_complete else "incomplete"),
    Column("pinned by", "pins", _pins),
)


@prints_times
def show(
    tenant: TenantArgument,
    type_key: TypeArgument,
    item: ItemArgument,
    version: Annotated[
        int | None,
        typer.Option("--version", metavar="N", min=1, max=MOST, help="The version. Default: the current one."),
    ] = None,
    raw: Annotated[bool, typer.Option("--raw", help="The stored JSON: all ids, content encoded.")] = False,
) -> None:
    """An item's content, as it is or was: names for ids, scripts and profiles as text, without empty values.

    Sensitive values are hidden; --raw shows their marks.

    Example: python starter.py show contoso deviceHealthScripts 1f0c4d2e-6a3b-4c55-9d0e-2b7a8c9d0e1f --version 2
    """
    settings = load_settings()
    tenant_id = tenant_id_of(settings, tenant)
    known_type_keys([type_key])

    async def ask(session: AsyncSession) -> tuple[ShownRecord, bytes, list[str]]:
        shown = await answer.show(session, type_key, await find_item(session, type_key, item), version)
        is_machine = raw or output_options().as_json
        return *shown, [] if is_machine else await answer.readable(session, type_key, shown[1])

    record, document, lines = answer_of_tenant(settings, tenant_id, ask)
    if output_options().as_json:
        output.print_json({**record.model_dump(mode="json"), "document": orjson.Fragment(document)})
        return
    for line in _header(record):
        output.stderr.print(line, style="dim")
    if raw:
        text = encode(decode(document), indented=True).decode()
        sys.stdout.write(f"{escaped_json(text)}\n")
    for line in lines:
        output.stdout.print(with_spaces(line))


def _header(record: ShownRecord) -> list[str]:
    current = "current" if record.is_current else "not the current one"
    last = output.when(record.last_observed_at) or "a moment that was not recorded"
    details = "complete" if record.details_complete else "incomplete: some could not be read"
    if record.details_read_at is not None:
        details += f", last read {output.when(record.details_read_at)}"
    return [
        visible(f"{record.kind_of_one}: {record.title} ({record.type_key} {record.external_id})"),
        f"version {record.version} ({current}), observed from {output.when(record.first_observed_at)} to {last}",
        f"item: {told_state(record)}; details: {details}",
        *([stale_words(record.stale)] if record.stale is not None else []),
    ]


@prints_tables
def diff(
    tenant: TenantArgument,
    type_key: TypeArgument,
    item: ItemArgument,
    older: Annotated[
        int | None,
        typer.Option("--from", metavar="N", min=1, max=MOST, help="The older version. Default: the one before --to."),
    ] = None,
    newer: Annotated[
        int | None,
        typer.Option("--to", metavar="N", min=1, max=MOST, help="The newer version. Default: the current one."),
    ] = None,
) -> None:
    """The differences between two versions of an item, field by field. A sensitive value shows only that it changed.

    Example: python starter.py diff contoso configurationPolicies "Windows baseline" --from 2 --to 5
    """
    settings = load_settings()
    tenant_id = tenant_id_of(settings, tenant)
    known_type_keys([type_key])
    refuse_columns_without_csv()

    async def ask(session: AsyncSession) -> ComparedVersions | None:
        return await answer.compare(session, type_key, await find_item(session, type_key, item), older, newer)

    compared = answer_of_tenant(settings, tenant_id, ask)
    if compared is None:
        output.stderr.print("version 1 is the first: there is nothing before it", style="dim")
        return
    _say_what_is_compared(compared)
    if output_options().as_json:
        output.print_json(*map(answer.with_all_digits, compared.differences))
        return
    if output_options().as_csv:
        print_table((), compared.differences, record=DifferenceRecord)
        return
    for difference in shown_fields(compared.differences):
        _print(difference)


def _say_what_is_compared(compared: ComparedVersions) -> None:
    before, after, fields, not_compared = compared
    item = visible(f"{after.type_key} {after.external_id}")
    output.stderr.print(
        f"{item}: version {before.version} ({output.when(before.first_observed_at)})"
        f" against {after.version} ({output.when(after.first_observed_at)})",
        style="dim",
    )
    for version in (before, after):
        say_version_stale(version)
        if not version.details_complete:
            output.warn(f"version {version.version} is incomplete: it lacks details")
    if not_compared:
        output.warn(visible(not_compared_in_words(not_compared)))
    if not fields:
        output.stderr.print("no other difference" if not_compared else "no difference")


_SIGNS = {
    DifferenceKind.ADDED: ("+", "green"),
    DifferenceKind.REMOVED: ("-", "red"),
    DifferenceKind.CHANGED: ("~", "yellow"),
    DifferenceKind.MAY_HAVE_CHANGED: ("?", "yellow"),
}


def _print(difference: DifferenceRecord) -> None:
    sign, style = _SIGNS[difference.kind]
    text = field_text(difference)
    output.print_field(text, indent="", sign=(f"{sign} ", style), most=sys.maxsize)
    if path := path_beside(difference, text.label):
        output.stdout.print(f"    {visible(path)}", style="dim")
