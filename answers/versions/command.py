"""`versions`, `show`, `diff`: what an item says and has said."""

import asyncio
import getpass
import sys
from collections.abc import Sequence
from typing import Annotated, Any, NamedTuple, cast

import orjson
import typer
from rich.text import Text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from cli import output
from cli.errors import UsageError, errors_for_people
from cli.options import MOST, JsonOption, TenantArgument, complete_type_key, known_type_keys, tenant_id_of
from cli.sessions import find_item, tenant_session, without_collisions
from configuration import load_settings
from graph.catalog import kind_of, load_catalog
from inventory.differences import Difference, DifferenceKind, differences
from inventory.exact_json import JsonObject, decode, encode
from inventory.records import DifferenceRecord, ShownRecord, VersionChange, VersionRecord
from inventory.visible_text import escaped_json, visible
from storage import documents, queries, versions

TypeArgument = Annotated[
    str,
    typer.Argument(
        metavar="TYPE", help="The collection, by its type key.", autocompletion=complete_type_key, show_default=False
    ),
]
ItemArgument = Annotated[
    str,
    typer.Argument(metavar="ID", help="The item's Graph id; or its name, where only one has it.", show_default=False),
]


def show_versions(
    tenant: TenantArgument,
    type_key: TypeArgument,
    item: ItemArgument,
    pin: Annotated[
        int | None, typer.Option("--pin", metavar="N", min=1, max=MOST, help="Keep version N for good.")
    ] = None,
    unpin: Annotated[
        int | None, typer.Option("--unpin", metavar="N", min=1, max=MOST, help="Take your pin away again.")
    ] = None,
    reason: Annotated[str | None, typer.Option("--reason", help="Why it is pinned.")] = None,
    as_json: JsonOption = False,
) -> None:
    """All versions of an item, newest first: what each is, when it was observed, who has pinned it.

    Example: python starter.py versions contoso conditionalAccessPolicies "Require MFA" --pin 3 --reason "audit"
    """
    with errors_for_people():
        if reason is not None and pin is None:
            raise UsageError("--reason says why a version is pinned, so it needs --pin N")
        settings = load_settings()
        tenant_id = tenant_id_of(settings, tenant)
        known_type_keys([type_key])

        async def ask() -> list[VersionRecord]:
            read_only = pin is None and unpin is None
            async with tenant_session(settings, tenant_id, read_only=read_only) as session:
                external_id = await find_item(session, type_key, item)
                if pin is not None:
                    await _pin(session, type_key, external_id, pin, reason)
                if unpin is not None:
                    await _unpin(session, type_key, external_id, unpin)
                return await versions.history(session, type_key, external_id)

        records = asyncio.run(without_collisions(ask))
        if as_json:
            for record in records:
                output.print_json(record)
            return
        output.print_table(
            ("version#", "what", "name then", "first observed", "last observed", "bytes#", "details", "pinned by"),
            [_version_row(record) for record in records],
            title=f"versions of {type_key} {records[0].external_id}" if records else "no document has been read yet",
        )


async def _pin(session: AsyncSession, type_key: str, external_id: str, number: int, reason: str | None) -> None:
    try:
        pinned = await versions.pin(session, type_key, external_id, number, getpass.getuser(), reason)
    except IntegrityError:
        raise UsageError(f"version {number} was forgotten at this very moment") from None
    if not pinned:
        raise UsageError(_not_kept(await versions.history(session, type_key, external_id), number))


async def _unpin(session: AsyncSession, type_key: str, external_id: str, number: int) -> None:
    user = getpass.getuser()
    if not await versions.unpin(session, type_key, external_id, number, user):
        raise UsageError(f"version {number} has no pin of {user}")


def _version_row(record: VersionRecord) -> tuple[object, ...]:
    return (
        record.version,
        _what(record),
        record.display_name,
        f"{output.when(record.first_observed_at)} in {record.first_observed_run_id}",
        f"{output.when(record.last_observed_at)} in {record.last_observed_run_id}"
        if record.last_observed_at
        else "not recorded",
        record.size_bytes,
        "complete" if record.details_complete else "incomplete",
        "; ".join(pin.pinned_by + (f" ({pin.reason})" if pin.reason else "") for pin in record.pins),
    )


def _what(record: VersionRecord) -> str:
    """What a version is, in words."""
    words = {
        VersionChange.FIRST: "first",
        VersionChange.CHANGED: "changed",
        VersionChange.RETURNED: f"returned to version {record.returns_to_version}'s document",
        VersionChange.COMPLETED: "completed",
    }
    said = [words[record.change]]
    if record.recreates_external_id is not None:
        said.append(f"re-creation of {record.recreates_external_id}")
    if record.renamed_from is not None:
        said.append(f'renamed from "{record.renamed_from}"')
    if record.is_current:
        said.append("current")
    return ", ".join(said)


def show(
    tenant: TenantArgument,
    type_key: TypeArgument,
    item: ItemArgument,
    version: Annotated[
        int | None, typer.Option("--version", metavar="N", min=1, max=MOST, help="That version; else the current one.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """The whole document of an item, as it is or as it was. What is sensitive is a mark in it.

    Example: python starter.py show contoso deviceHealthScripts 1f0c4d2e-6a3b-4c55-9d0e-2b7a8c9d0e1f --version 2
    """
    with errors_for_people():
        settings = load_settings()
        tenant_id = tenant_id_of(settings, tenant)
        known_type_keys([type_key])

        async def ask() -> tuple[ShownRecord, bytes]:
            async with tenant_session(settings, tenant_id) as session:
                return await _shown(session, type_key, await find_item(session, type_key, item), version)

        record, document = asyncio.run(ask())
        if as_json:
            output.print_json({**record.model_dump(mode="json"), "document": orjson.Fragment(document)})
            return
        for line in _header(record):
            output.stderr.print(line, style="dim", markup=False)
        text = encode(decode(document), indented=True).decode()
        sys.stdout.write(f"{escaped_json(text)}\n")


async def _shown(
    session: AsyncSession, type_key: str, external_id: str, number: int | None
) -> tuple[ShownRecord, bytes]:
    """What `show` prints. Raises `UsageError` where the version is not kept."""
    history = await versions.history(session, type_key, external_id)
    version, document = await _kept(session, history, number)
    item = await queries.item(session, type_key, external_id)
    if item is None:
        raise UsageError(f"{type_key} {external_id} is not in this tenant's inventory any more")
    shown = {**item.model_dump(), **version.model_dump(), "kind": kind_of(type_key, item.meta)}
    return ShownRecord(**{name: shown[name] for name in ShownRecord.model_fields}), document


async def _kept(
    session: AsyncSession, history: Sequence[VersionRecord], number: int | None
) -> tuple[VersionRecord, bytes]:
    """A version, or the current one, with its document. Raises `UsageError` where it is not kept."""
    for version in history:
        if number == version.version or (number is None and version.is_current):
            document = await documents.document(session, version.type_key, version.external_id, version.version)
            if document is not None:
                return version, document
    raise UsageError(_not_kept(history, number))


def _not_kept(history: Sequence[VersionRecord], number: int | None) -> str:
    """Why there is no such version."""
    if not history:
        return "no document of this item has been read yet"
    kept = ", ".join(str(version.version) for version in reversed(history))
    if number is not None and number > history[0].version:
        return f"there is no version {number}; the current one is {history[0].version}"
    return f"version {number} has been forgotten; kept: {kept}"


def _header(record: ShownRecord) -> list[str]:
    """What a person should know before reading a document."""
    current = "current" if record.is_current else "not the current one"
    last = output.when(record.last_observed_at) or "a moment that was not recorded"
    state = f"{record.state}, {record.confidence} confidence, {record.evidence}" if record.state else "no state yet"
    details = "complete" if record.details_complete else "incomplete: some could not be read"
    return [
        visible(f"{record.kind}: {record.display_name or 'without a name'} ({record.type_key} {record.external_id})"),
        f"version {record.version} ({current}), observed from {output.when(record.first_observed_at)} to {last}",
        f"item: {state}; details: {details}",
    ]


class _Compared(NamedTuple):
    """Two versions of an item and what is different.

    `unread` are the details that an earlier release did not read for one of them.
    """

    before: VersionRecord
    after: VersionRecord
    found: list[Difference]
    unread: list[str]


def diff(
    tenant: TenantArgument,
    type_key: TypeArgument,
    item: ItemArgument,
    older: Annotated[
        int | None, typer.Option("--from", metavar="N", min=1, max=MOST, help="That version; else the one before --to.")
    ] = None,
    newer: Annotated[
        int | None, typer.Option("--to", metavar="N", min=1, max=MOST, help="That version; else the current one.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """What changed between two versions of an item, field by field. Of a sensitive value only that it changed.

    Example: python starter.py diff contoso configurationPolicies "Windows baseline" --from 2 --to 5
    """
    with errors_for_people():
        settings = load_settings()
        tenant_id = tenant_id_of(settings, tenant)
        known_type_keys([type_key])

        async def ask() -> _Compared | None:
            async with tenant_session(settings, tenant_id) as session:
                return await _compare(session, type_key, await find_item(session, type_key, item), older, newer)

        compared = asyncio.run(ask())
        if compared is None:
            output.stderr.print("version 1 is the first: there is nothing before it", style="dim")
            return
        _say_what_is_compared(compared)
        for difference in compared.found:
            if as_json:
                output.print_json(_plain(difference))
            else:
                output.stdout.print(_line(difference))


async def _compare(
    session: AsyncSession, type_key: str, external_id: str, older: int | None, newer: int | None
) -> _Compared | None:
    """Two versions, compared; None where there is none before the first. Raises `UsageError` where one is not kept."""
    history = await versions.history(session, type_key, external_id)
    after, document_after = await _kept(session, history, newer)
    if older is None and after.version == 1:
        return None
    before, document_before = await _kept(session, history, after.version - 1 if older is None else older)
    collection = load_catalog().collections.get(type_key)
    ordered, details = frozenset[str](), frozenset[str]()
    if collection is not None:
        ordered, details = collection.ordered, collection.detail_properties
    one, other = _object(document_before), _object(document_after)
    unread = sorted(details & (one.keys() ^ other.keys())) if before.details_complete and after.details_complete else []
    return _Compared(before, after, differences(one, other, ordered=ordered), unread)


def _object(document: bytes) -> JsonObject:
    return cast("JsonObject", decode(document))


def _say_what_is_compared(compared: _Compared) -> None:
    """On stderr: which versions, whether one lacks details, whether they are the same."""
    before, after, found, unread = compared
    item = visible(f"{after.type_key} {after.external_id}")
    output.stderr.print(
        f"{item}: version {before.version} ({output.when(before.first_observed_at)})"
        f" against {after.version} ({output.when(after.first_observed_at)})",
        style="dim",
        markup=False,
    )
    for version in (before, after):
        if not version.details_complete:
            output.stderr.print(
                f"version {version.version} is incomplete: what only the other one has need not have changed",
                style="yellow",
            )
    if unread:
        output.stderr.print(
            f"one of the two was read without {', '.join(unread)}: that need not have changed", style="yellow"
        )
    if not found:
        output.stderr.print("no difference")


_SIGNS = {
    DifferenceKind.ADDED: ("+", "green"),
    DifferenceKind.REMOVED: ("-", "red"),
    DifferenceKind.CHANGED: ("~", "yellow"),
}


def _line(difference: Difference) -> Text:
    """One difference for people, on one line."""
    sign, style = _SIGNS[difference.kind]
    if difference.hidden:
        said = f'"hidden" {difference.kind}'
    elif difference.kind is DifferenceKind.ADDED:
        said = output.short_value(difference.after)
    elif difference.kind is DifferenceKind.REMOVED:
        said = output.short_value(difference.before)
    else:
        said = f"{output.short_value(difference.before)} → {output.short_value(difference.after)}"
    return Text.assemble((f"{sign} ", style), (visible(difference.path), "bold"), ": ", (said, style))


def _plain(difference: Difference) -> dict[str, Any]:
    """One difference for machines, with every digit of its values."""
    path, kind, before, after, hidden, _ = difference
    record = DifferenceRecord(path=path, kind=kind, before=before, after=after, hidden=hidden)
    return {**dict(record), "before": orjson.Fragment(encode(before)), "after": orjson.Fragment(encode(after))}
