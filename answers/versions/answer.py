"""An item's versions: history, pins, documents, differences."""

from collections.abc import Sequence
from typing import NamedTuple

import orjson
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from answers.document_text import document_lines
from answers.field_labels import field_change
from answers.object_names import object_names
from answers.versions.records import DifferenceRecord, ShownRecord
from graph.catalog import has_names, kind_of, load_catalog
from inventory.changed_fields import changed_by, not_compared
from inventory.differences import Difference
from inventory.exact_json import decode_object, encode
from inventory.records import VersionChange, VersionRecord
from inventory.stale import StalePart
from inventory.user_errors import NotHereError
from storage import documents, queries, versions
from storage.bodies import DOCUMENTS_AT_A_TIME
from storage.new_versions import NewVersion, new_versions


class UnknownVersionError(NotHereError):
    """The item has no such version, or no longer."""


class ComparedVersions(NamedTuple):
    """Two versions and their differences, by the rules of `changes`. `not_compared`: paths that were not read alike."""

    before: VersionRecord
    after: VersionRecord
    differences: list[DifferenceRecord]
    not_compared: list[str]


class DocumentPair(NamedTuple):
    """A `VersionPair` of `inventory.changed_fields`."""

    document: bytes
    document_before: bytes
    details_complete: bool
    before_complete: bool
    is_sorted: bool
    was_sorted: bool
    lacked_before: Sequence[StalePart]


async def history(session: AsyncSession, type_key: str, external_id: str) -> list[VersionRecord]:
    """Kept versions, newest first; each is a change only if `changes` tells one."""
    records = await versions.history(session, type_key, external_id)
    following = [version.version for version in records if version.version > 1]
    tells_change: dict[int, bool] = {}
    for start in range(0, len(following), DOCUMENTS_AT_A_TIME):
        numbers = following[start : start + DOCUMENTS_AT_A_TIME]
        pairs = await new_versions(session, [(type_key, external_id, number) for number in numbers])
        tells_change |= {pair.version_number: _tells_change(pair) for pair in pairs if pair.document_before is not None}
    return [_judged(version, tells_change.get(version.version)) for version in records]


def _tells_change(pair: NewVersion) -> bool:
    return changed_by(pair, load_catalog().comparability(pair.type_key)) != []


def _judged(version: VersionRecord, tells_change: bool | None) -> VersionRecord:
    """`tells_change` is None if the version before is forgotten or damaged."""
    kind, renamed_from = version.change, version.renamed_from
    if tells_change is False and kind is not VersionChange.COMPLETED:
        kind = VersionChange.REREAD
    elif tells_change and kind is VersionChange.COMPLETED:
        kind = VersionChange.CHANGED
    if tells_change is False or not has_names(version.type_key):
        renamed_from = None
    return version.model_copy(update={"change": kind, "renamed_from": renamed_from})


async def pin(
    session: AsyncSession, type_key: str, external_id: str, number: int, pinned_by: str, reason: str | None
) -> None:
    """Raises `UnknownVersionError`."""
    try:
        pinned = await versions.pin(session, type_key, external_id, number, pinned_by, reason)
    except IntegrityError:
        raise UnknownVersionError(f"version {number} was deleted by retention at this moment") from None
    if not pinned:
        raise UnknownVersionError(_not_kept(await versions.history(session, type_key, external_id), number))


async def unpin(session: AsyncSession, type_key: str, external_id: str, number: int, pinned_by: str) -> None:
    """Raises `UnknownVersionError`."""
    if not await versions.unpin(session, type_key, external_id, number, pinned_by):
        raise UnknownVersionError(f"version {number} has no pin of {pinned_by}")


async def readable(session: AsyncSession, type_key: str, document: bytes) -> list[str]:
    content = decode_object(document)
    rules = load_catalog().references_of(type_key)
    return list(document_lines(content, rules, await object_names(session, [(type_key, content)])))


async def show(session: AsyncSession, type_key: str, external_id: str, number: int | None) -> tuple[ShownRecord, bytes]:
    """A version (default: current) and its canonical JSON. Raises `UnknownVersionError`."""
    version, document = await _stored_version(session, await versions.history(session, type_key, external_id), number)
    item = await queries.item(session, type_key, external_id)
    if item is None:
        raise UnknownVersionError(f"{type_key} {external_id} is not in this tenant's inventory any more")
    fields = {
        **item.model_dump(),
        **version.model_dump(),
        "display_name": version.display_name if has_names(type_key) else item.display_name,
        "stale": version.stale,
        "kind": kind_of(type_key, item.meta),
    }
    return ShownRecord(**{name: fields[name] for name in ShownRecord.model_fields}), document


async def compare(
    session: AsyncSession, type_key: str, external_id: str, older: int | None, newer: int | None
) -> ComparedVersions | None:
    """By default the current version and its predecessor; None if version 1 has none.

    Raises `UnknownVersionError`.
    """
    history = await versions.history(session, type_key, external_id)
    after, document_after = await _stored_version(session, history, newer)
    if older is None and after.version == 1:
        return None
    before, document_before = await _stored_version(session, history, after.version - 1 if older is None else older)
    is_sorted = await documents.sorted_versions(session, type_key, external_id, [before.version, after.version])
    old, new = (before, document_before), (after, document_after)
    is_backwards = before.version > after.version
    (first, document_first), (last, document_last) = (new, old) if is_backwards else (old, new)
    pair = DocumentPair(
        document_last,
        document_first,
        last.details_complete,
        first.details_complete,
        last.version in is_sorted,
        first.version in is_sorted,
        () if first.stale is None else first.stale.parts,
    )
    comparability = load_catalog().comparability(type_key)
    fields = changed_by(pair, comparability) or []
    uncompared = not_compared(pair, comparability, fields)
    rules = load_catalog().references_of(type_key)
    names = await object_names(
        session, [(type_key, decode_object(document)) for document in (document_first, document_last)]
    )
    records = [
        DifferenceRecord(
            **{**dict(field_change(difference, rules, names)), "before": difference.before, "after": difference.after}
        )
        for difference in (map(Difference.backwards, fields) if is_backwards else fields)
    ]
    return ComparedVersions(before, after, records, uncompared)


def with_all_digits(difference: DifferenceRecord) -> bytes:
    before, after = (orjson.Fragment(encode(value)) for value in (difference.before, difference.after))
    plain = {**dict(difference), "before": before, "after": after, "text": difference.text}
    return orjson.dumps(plain, default=str)


async def _stored_version(
    session: AsyncSession, records: Sequence[VersionRecord], number: int | None
) -> tuple[VersionRecord, bytes]:
    """The current version by default. Raises `UnknownVersionError`."""
    for version in records:
        if number == version.version or (number is None and version.is_current):
            document = await documents.document(session, version.type_key, version.external_id, version.version)
            if document is not None:
                return version, document
    raise UnknownVersionError(_not_kept(records, number))


def _not_kept(records: Sequence[VersionRecord], number: int | None) -> str:
    if not records:
        return "no document of this item has been read yet"
    numbers = ", ".join(str(version.version) for version in reversed(records))
    if number is not None and number > records[0].version:
        return f"there is no version {number}; the current one is {records[0].version}"
    return f"version {number} was deleted by retention; kept: {numbers}"
