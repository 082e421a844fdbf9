"""Assignments of current versions, and collections that the latest run did not read to their end."""

from collections import Counter
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from answers.assignments import queries
from answers.assignments.queries import AssignableItem
from answers.assignments.records import ItemAssignment
from answers.assignments.rules import (
    EVERYONE,
    FILTERS,
    GROUPS,
    NOBODY,
    POLICY_SETS,
    AssignmentParts,
    assignments_of,
    is_for_everyone,
)
from answers.coverage.records import UnreadCollections
from answers.dependencies.records import CannotSayRecord
from answers.named_ids import ObjectNames
from answers.old_details import OLD_DETAILS, may_be_old, old_details
from answers.oldest_listing import OldestListing, oldest_listing
from graph.catalog import kind_of, load_catalog
from inventory.coverage import NEVER_READ, TENANT_NEVER_READ, Coverage
from inventory.exact_json import decode_object
from inventory.reference_extraction import ASSIGNMENTS
from inventory.references import ReferenceRole
from inventory.user_errors import NeverReadError, UserError
from storage.coverage import coverage, is_read
from storage.current_documents import current_documents
from storage.detail_ages import with_old_details
from storage.object_names import display_names

AT_ONCE = 200
"""Documents read together."""

ASSIGNMENTS_NOT_SHOWN = "assignments_not_shown"


class AssignmentPage(NamedTuple):
    """`goes_on` is its last item's type key and id, None on the last page."""

    assignments: list[ItemAssignment]
    cannot_say: list[CannotSayRecord]
    oldest: OldestListing | None
    goes_on: tuple[str, str] | None


class FirstAssignments(NamedTuple):
    """`is_cut`: there are more items. `unknown` counts items with unknown assignments, `unread` collections."""

    assignments: list[ItemAssignment]
    is_cut: bool
    unknown: int
    unread: int
    oldest: OldestListing | None


class NothingAssignableError(UserError):
    """No assignable item that was read has this id or name. It may be in the `unread` collections."""

    def __init__(self, message: str, unread: Sequence[CannotSayRecord] = ()) -> None:
        super().__init__(message)
        self.unread = unread


async def covered(session: AsyncSession) -> dict[str, Coverage]:
    """Empty before a completed run."""
    return await coverage(session)


async def assignments(
    session: AsyncSession,
    tenant_id: UUID,
    sought: str | None = None,
    type_keys: Sequence[str] | None = None,
) -> AsyncIterator[ItemAssignment | CannotSayRecord | OldestListing]:
    """Assignments by collection and name, then gaps, then the oldest listing if the newest run did not read it.

    `sought` is an item's id, its beginning, or its name. Raises `NothingAssignableError` or `NeverReadError`.
    """
    assignable = assignable_types(type_keys)
    items = await _items(session, tenant_id, assignable, sought)
    async for record in _of_all(session, tenant_id, items):
        yield record
    basis = assignable if sought is None else _type_keys(items)
    covered = await coverage(session)
    for unread in _unread(covered, tenant_id, basis):
        yield unread
    for old in await _old(session, tenant_id, items):
        yield old
    oldest = oldest_listing(tenant_id, covered, basis)
    if oldest is not None:
        yield oldest


async def assignment_page(
    session: AsyncSession,
    tenant_id: UUID,
    sought: str | None,
    type_keys: Sequence[str] | None,
    *,
    after: tuple[str, str] | None,
    most: int,
) -> AssignmentPage:
    """Assignments of up to `most` items after the type key and id `after`; raises as `assignments`."""
    assignable = assignable_types(type_keys)
    items = await _items(session, tenant_id, assignable, sought)
    basis = assignable if sought is None else _type_keys(items)
    if after is not None:
        place = next((number for number, item in enumerate(items, 1) if item[:2] == after), None)
        if place is None:
            raise NothingAssignableError("the list does not go on after this item; go back to its beginning")
        items = items[place:]
    records, cannot_say = list[ItemAssignment](), list[CannotSayRecord]()
    async for record in _of_all(session, tenant_id, items[:most]):
        if isinstance(record, ItemAssignment):
            records.append(record)
        else:
            cannot_say.append(record)
    covered = await coverage(session)
    cannot_say += _unread(covered, tenant_id, basis)
    cannot_say += await _old(session, tenant_id, items[:most])
    last = items[most - 1] if len(items) > most else None
    goes_on = None if last is None else (last.type_key, last.external_id)
    return AssignmentPage(records, cannot_say, oldest_listing(tenant_id, covered, basis), goes_on)


async def first_assignments(
    session: AsyncSession, tenant_id: UUID, sought: str | None, type_keys: Sequence[str] | None, most: int
) -> FirstAssignments:
    """Assignments of the first `most` items; there may be none."""
    assignable = assignable_types(type_keys)
    items = await queries.items(session, assignable, sought, most + 1)
    records, unknown = list[ItemAssignment](), 0
    async for record in _of_all(session, tenant_id, items[:most]):
        if isinstance(record, ItemAssignment):
            records.append(record)
        else:
            unknown += record.references or 0
    covered = await coverage(session)
    unread, oldest = len(_unread(covered, tenant_id, assignable)), oldest_listing(tenant_id, covered, assignable)
    return FirstAssignments(records, len(items) > most, unknown, unread, oldest)


def assignable_types(type_keys: Sequence[str] | None) -> list[str]:
    assignable = [key for key, collection in sorted(load_catalog().collections.items()) if collection.assignable]
    return [key for key in assignable if type_keys is None or key in type_keys]


def _type_keys(items: Iterable[AssignableItem]) -> list[str]:
    return sorted({item.type_key for item in items})


async def _items(
    session: AsyncSession, tenant_id: UUID, type_keys: Sequence[str], sought: str | None
) -> list[AssignableItem]:
    items = await queries.items(session, type_keys, sought)
    if sought is not None and not items and not await is_read(session):
        raise NeverReadError(f"{TENANT_NEVER_READ}, so nothing is known of {sought!r}")
    if sought is not None and not items:
        unread = _unread(await coverage(session), tenant_id, type_keys)
        gaps = UnreadCollections.of_tenant(tenant_id, {gap.type_key: gap.reason for gap in unread})
        not_read = f"; not read: {'; '.join(gap.in_words for gap in gaps)}" if gaps else ""
        raise NothingAssignableError(
            f"nothing that can be assigned has the id or name {sought!r} in this tenant's inventory{not_read}", unread
        )
    return items


async def _of_all(
    session: AsyncSession, tenant_id: UUID, listed: Sequence[AssignableItem]
) -> AsyncIterator[ItemAssignment | CannotSayRecord]:
    unknown: Counter[str] = Counter()
    for type_key, members in groupby(listed, key=lambda item: item.type_key):
        items = list(members)
        for start in range(0, len(items), AT_ONCE):
            async for record in _of_items(session, tenant_id, type_key, items[start : start + AT_ONCE]):
                if isinstance(record, ItemAssignment):
                    yield record
                else:
                    unknown[type_key] += 1
    for key, times in sorted(unknown.items()):
        yield CannotSayRecord(tenant_id=tenant_id, type_key=key, reason=ASSIGNMENTS_NOT_SHOWN, references=times)


def _unread(covered: Mapping[str, Coverage], tenant_id: UUID, type_keys: Sequence[str]) -> list[CannotSayRecord]:
    unread = []
    for key in type_keys:
        basis = covered.get(key)
        if basis is None or not (basis.is_current or basis.is_skipped):
            reason = NEVER_READ if basis is None else basis.reason
            unread.append(CannotSayRecord(tenant_id=tenant_id, type_key=key, reason=reason, references=None))
    return unread


async def _old(session: AsyncSession, tenant_id: UUID, items: Sequence[AssignableItem]) -> list[CannotSayRecord]:
    """Collections whose assignments come from old details."""
    keys_asked = [(item.type_key, item.external_id) for item in items if may_be_old(item.type_key, ASSIGNMENTS)]
    keys = {type_key for type_key, _ in await with_old_details(session, keys_asked)}
    return [
        CannotSayRecord(
            tenant_id=tenant_id, type_key=old.type_key, reason=OLD_DETAILS, references=old.items, read_at=old.read_at
        )
        for old in await old_details(session, keys)
    ]


async def _of_items(
    session: AsyncSession, tenant_id: UUID, type_key: str, items: Sequence[AssignableItem]
) -> AsyncIterator[ItemAssignment | None]:
    """None for an item whose assignments are unknown."""
    rules = load_catalog().collections[type_key].reading_rules
    found = await current_documents(session, type_key, [item.external_id for item in items])
    documents = {row.external_id: decode_object(row.document) for row in found}
    listed = {external_id: assignments_of(document) for external_id, document in documents.items()}
    assignable = {pair for parts in listed.values() for part in parts or () for pair in part.wanted_names()}
    names = await display_names(session, assignable)
    absent = await queries.absent_groups(session, [external_id for key, external_id in assignable if key == GROUPS])
    for item in items:
        parts = listed.get(item.external_id)
        if item.external_id in documents and is_for_everyone(documents[item.external_id], rules):
            yield _unlisted(tenant_id, item, EVERYONE, ReferenceRole.INCLUDE)
        elif parts is None:
            yield None
        elif not parts:
            yield _unlisted(tenant_id, item, NOBODY, None)
        else:
            for part in parts:
                yield _record(tenant_id, item, part, names, absent)


def _unlisted(tenant_id: UUID, item: AssignableItem, words: str, role: ReferenceRole | None) -> ItemAssignment:
    target = None if role is None else words
    return ItemAssignment(**_item(tenant_id, item), role=role, target=target, text=words)


def _item(tenant_id: UUID, item: AssignableItem) -> dict[str, Any]:
    return {
        "tenant_id": tenant_id,
        "type_key": item.type_key,
        "external_id": item.external_id,
        "display_name": item.display_name,
        "kind": kind_of(item.type_key, item.meta),
    }


def _record(
    tenant_id: UUID, item: AssignableItem, part: AssignmentParts, names: ObjectNames, absent: set[str]
) -> ItemAssignment:
    return ItemAssignment(
        **_item(tenant_id, item),
        role=part.role,
        target=part.target,
        target_id=part.group_id,
        target_name=names.get((GROUPS, part.group_id or "")),
        target_is_absent=part.group_id in absent,
        intent=part.intent,
        filter_id=part.filter_id,
        filter_name=names.get((FILTERS, part.filter_id or "")),
        filter_mode=part.filter_mode,
        policy_set_id=part.policy_set_id,
        policy_set_name=names.get((POLICY_SETS, part.policy_set_id or "")),
        text=part.text(names),
    )
