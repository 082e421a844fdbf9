"""The versions of an item: their history and pins, the document of one, the differences of two."""

from collections.abc import Sequence
from typing import NamedTuple, cast

import orjson
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from answers.document_text import document_lines
from answers.field_labels import FieldChange, field_change
from answers.object_names import object_names
from answers.versions.records import DifferenceRecord, ShownRecord
from graph.catalog import kind_of, load_catalog
from inventory.canonical import Canonicalizer
from inventory.differences import Difference, DifferenceKind, differences
from inventory.exact_json import JsonObject, decode, encode
from inventory.normal_form import NormalForm
from inventory.records import VersionRecord
from inventory.user_errors import UserError
from storage import documents, queries, versions


class UnknownVersionError(UserError):
    """The item has no such version, or no longer; the message says which versions are kept."""


class ComparedVersions(NamedTuple):
    """Two versions of an item and their differences.

    `unread` are the details that an earlier release did not read for one of them.
    """

    before: VersionRecord
    after: VersionRecord
    differences: list[DifferenceRecord]
    unread: list[str]


async def history(session: AsyncSession, type_key: str, external_id: str) -> list[VersionRecord]:
    """The versions of an item that are kept, newest first."""
    return await versions.history(session, type_key, external_id)


async def pin(
    session: AsyncSession, type_key: str, external_id: str, number: int, pinned_by: str, reason: str | None
) -> None:
    """Keeps a version until it is unpinned. Raises `UnknownVersionError`."""
    try:
        pinned = await versions.pin(session, type_key, external_id, number, pinned_by, reason)
    except IntegrityError:
        raise UnknownVersionError(f"version {number} was deleted by retention at this moment") from None
    if not pinned:
        raise UnknownVersionError(_not_kept(await history(session, type_key, external_id), number))


async def unpin(session: AsyncSession, type_key: str, external_id: str, number: int, pinned_by: str) -> None:
    """Removes a person's pin of a version. Raises `UnknownVersionError`."""
    if not await versions.unpin(session, type_key, external_id, number, pinned_by):
        raise UnknownVersionError(f"version {number} has no pin of {pinned_by}")


async def readable(session: AsyncSession, type_key: str, document: bytes) -> list[str]:
    """A document as people read it, line by line."""
    said = _object(document)
    collection = load_catalog().collections.get(type_key)
    rules = {} if collection is None else collection.references
    return list(document_lines(said, rules, await object_names(session, [(type_key, said)])))


async def show(session: AsyncSession, type_key: str, external_id: str, number: int | None) -> tuple[ShownRecord, bytes]:
    """A version, or the current one, and its document as canonical JSON. Raises `UnknownVersionError`."""
    version, document = await _kept(session, await history(session, type_key, external_id), number)
    item = await queries.item(session, type_key, external_id)
    if item is None:
        raise UnknownVersionError(f"{type_key} {external_id} is not in this tenant's inventory any more")
    shown = {**item.model_dump(), **version.model_dump(), "stale": version.stale, "kind": kind_of(type_key, item.meta)}
    return ShownRecord(**{name: shown[name] for name in ShownRecord.model_fields}), document


async def compare(
    session: AsyncSession, type_key: str, external_id: str, older: int | None, newer: int | None
) -> ComparedVersions | None:
    """Two versions, by default the current one and its predecessor; None where version 1 has none to compare with.

    Raises `UnknownVersionError`.
    """
    kept = await history(session, type_key, external_id)
    after, document_after = await _kept(session, kept, newer)
    if older is None and after.version == 1:
        return None
    before, document_before = await _kept(session, kept, after.version - 1 if older is None else older)
    collection = load_catalog().collections.get(type_key)
    form, details, masked = NormalForm(), frozenset[str](), frozenset[str]()
    if collection is not None:
        form, details, masked = collection.form, collection.detail_properties, collection.masked
    if await documents.are_sorted(session, type_key, external_id, [before.version, after.version]):
        form = form.of_sorted()
    old, new = _object(document_before), _object(document_after)
    names = await object_names(session, [(type_key, old), (type_key, new)])
    rules = {} if collection is None else collection.references
    canonicalizer = Canonicalizer(masked=masked)
    found = [
        _record(difference, field_change(difference, rules, names))
        for difference in differences(canonicalizer.canonical_value(old), canonicalizer.canonical_value(new), form)
        # A release before this one noted no edit.
        if not (difference.untold and difference.kind is DifferenceKind.MAY_HAVE_CHANGED)
    ]
    unread = sorted(details & (old.keys() ^ new.keys())) if before.details_complete and after.details_complete else []
    return ComparedVersions(before, after, found, unread)


def with_all_digits(difference: DifferenceRecord) -> bytes:
    """A difference as JSON, with every digit of its values."""
    before, after = (orjson.Fragment(encode(value)) for value in (difference.before, difference.after))
    plain = {**dict(difference), "before": before, "after": after, "text": difference.text}
    return orjson.dumps(plain, default=str)


def _record(difference: Difference, named: FieldChange) -> DifferenceRecord:
    return DifferenceRecord(
        path=difference.path,
        kind=difference.kind,
        before=difference.before,
        after=difference.after,
        hidden=difference.hidden,
        label=named.label,
        before_named=named.before_named,
        after_named=named.after_named,
    )


async def _kept(
    session: AsyncSession, kept: Sequence[VersionRecord], number: int | None
) -> tuple[VersionRecord, bytes]:
    """A version, or the current one, with its document. Raises `UnknownVersionError`."""
    for version in kept:
        if number == version.version or (number is None and version.is_current):
            document = await documents.document(session, version.type_key, version.external_id, version.version)
            if document is not None:
                return version, document
    raise UnknownVersionError(_not_kept(kept, number))


def _not_kept(kept: Sequence[VersionRecord], number: int | None) -> str:
    """Why there is no such version."""
    if not kept:
        return "no document of this item has been read yet"
    numbers = ", ".join(str(version.version) for version in reversed(kept))
    if number is not None and number > kept[0].version:
        return f"there is no version {number}; the current one is {kept[0].version}"
    return f"version {number} was deleted by retention; kept: {numbers}"


def _object(document: bytes) -> JsonObject:
    return cast("JsonObject", decode(document))
