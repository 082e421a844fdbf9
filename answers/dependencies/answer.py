"""Answers about references, as `read_references` read them, with the collections whose gaps leave an answer open."""

from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from functools import cache
from operator import attrgetter
from typing import NamedTuple
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from answers.dependencies import queries
from answers.dependencies.evidence_words import code_in_words
from answers.dependencies.queries import Edge, ItemKey, UnassignedItem, UnknownAssignments
from answers.dependencies.records import (
    CannotSayRecord,
    DanglingRecord,
    DependencyRecord,
    Direction,
    FilterRecord,
    ObjectRecord,
    Presence,
    ReachRecord,
    UnassignedRecord,
)
from answers.dependencies.rules import ASSIGNMENTS_NOT_SHOWN, NEVER_ASSIGNED, are_old, assignments_to
from answers.dependencies.tenant_coverage import TenantCoverage
from answers.old_details import may_be_old
from answers.oldest_listing import OldestListing
from graph.catalog import kind_of, load_catalog
from inventory.coverage import NEVER_READ
from inventory.missing import Confidence
from inventory.name_key import list_place
from inventory.records import DamagedRecord
from inventory.references import ReferenceRole, collection_of
from storage import references
from storage.database import Database
from storage.unread_references import unread_references

MOST = 500
"""References followed from or to one item, by default."""

GROUPS = "groups"

READERS = references.READERS
"""Database connections that `read_references` uses."""

BasisRecord = CannotSayRecord | OldestListing
"""A gap of an answer, or the oldest listing on which it rests if the newest run did not read it."""

Follow = Callable[[AsyncSession, Sequence[ItemKey], int], Awaitable[list[Edge]]]


class Neighbourhood(NamedTuple):
    """An item's dependencies, then its dependants, nearest first. `is_cut`: there are more.

    `cannot_say`: collections that may hold more dependants, and the item's own if its references may have changed.
    """

    dependencies: list[DependencyRecord]
    is_cut: bool
    cannot_say: list[CannotSayRecord]

    def of(self, direction: Direction) -> list[DependencyRecord]:
        return [record for record in self.dependencies if record.direction is direction]


@cache
def _rules_hashes() -> dict[str, bytes]:
    return {type_key: rules.hash() for type_key, rules in load_catalog().reading_rules().items()}


async def read_tenants(session: AsyncSession, tenant_ids: Sequence[UUID]) -> set[UUID]:
    """Tenants whose references are all read."""
    return await references.read_tenants(session, tenant_ids, _rules_hashes())


async def coverage_as_read(session: AsyncSession, tenant_id: UUID) -> TenantCoverage:
    """Coverage that names unread references, for a read-only session."""
    unread = await unread_references(session, _rules_hashes())
    return await TenantCoverage.of(session, tenant_id, unread=unread)


async def read_references(database: Database, tenant_id: UUID, progress: Callable[[int], None]) -> list[DamagedRecord]:
    """Reads the documents' unread references; returns damaged versions."""
    return await references.catch_up(
        database, tenant_id, load_catalog().reading_rules(), in_turn=True, progress=progress
    )


async def neighbourhood(
    session: AsyncSession, tenant: TenantCoverage, item: ItemKey, *, depth: int = 1, most: int = MOST
) -> Neighbourhood:
    """Up to `depth` references away, `most` of each item."""
    records: list[DependencyRecord] = []
    is_cut = False
    for direction, follow in ((Direction.NEEDS, queries.of_items), (Direction.NEEDED_BY, queries.to_items)):
        async for distance, edges, cut in _followed(session, follow, direction, item, depth, most):
            records += [tenant.dependency(edge, direction, distance) for edge in edges]
            is_cut |= cut
    records.sort(key=_place)
    referring = referring_to(item[0])
    cannot_say = [*tenant.unread(referring | {item[0]}), *tenant.unreadable()]
    return Neighbourhood(records, is_cut, cannot_say)


def _place(record: DependencyRecord) -> tuple[bool, int, tuple[str, str, str]]:
    end = record.target if record.direction is Direction.NEEDS else record.item
    return (
        record.direction is Direction.NEEDED_BY,
        record.distance,
        list_place(" ".join(end.type_keys), end.display_name, end.external_id),
    )


async def item_record(session: AsyncSession, tenant: TenantCoverage, item: ItemKey) -> ObjectRecord:
    """Also for an item that was never seen."""
    type_key, external_id = item
    known = await queries.known_object(session, item)
    if known is not None:
        return tenant.item(known, external_id)
    return tenant.never_seen(type_key, external_id)


async def _followed(
    session: AsyncSession, follow: Follow, direction: Direction, start: ItemKey, depth: int, most: int
) -> AsyncIterator[tuple[int, list[Edge], bool]]:
    reached, level = {start}, [start]
    for distance in range(1, depth + 1):
        if not level:
            return
        edges = await follow(session, level, most + 1)
        ends = attrgetter("item_key"), attrgetter("target_key")
        near, far = ends if direction is Direction.NEEDS else ends[::-1]
        kept = _first_of_each(edges, near, most)
        yield distance, kept, len(kept) < len(edges)
        level = sorted({key for edge in kept if (key := far(edge)) is not None} - reached)
        reached.update(level)


def _first_of_each(edges: Iterable[Edge], near: Callable[[Edge], ItemKey | None], most: int) -> list[Edge]:
    times: Counter[ItemKey | None] = Counter()
    first_edges = []
    for edge in edges:
        times[near(edge)] += 1
        if times[near(edge)] <= most:
            first_edges.append(edge)
    return first_edges


async def everything(
    session: AsyncSession, tenant: TenantCoverage
) -> AsyncIterator[DependencyRecord | CannotSayRecord]:
    """All references by type key and id, then collections that may hold more."""
    async for edge in queries.all_references(session):
        yield tenant.dependency(edge, Direction.NEEDS, 1)
    others = tenant.collections.keys() - _referring()
    for record in (*tenant.unread(_referring()), *tenant.old(others), *tenant.unreadable()):
        yield record


def _referring() -> set[str]:
    return {key for key, collection in load_catalog().collections.items() if collection.references}


def reason_in_words(record: CannotSayRecord) -> str:
    if record.reason == NEVER_READ:
        collection = load_catalog().collections.get(record.type_key)
        is_opt_in = collection is not None and collection.opt_in
        return "opt-in, so never read without --type" if is_opt_in else "never read"
    return code_in_words(record.reason)


async def dangling(
    session: AsyncSession, tenant: TenantCoverage, type_keys: Sequence[str] | None = None
) -> AsyncIterator[DanglingRecord | BasisRecord]:
    """References without a present target, by collection and name, then gaps: unread targets, and unread collections of
    referring items, which `type_keys` are.
    """
    open_ones: Counter[tuple[str, ...]] = Counter()
    async for edge in queries.not_there(session, [tenant.tenant_id], type_keys):
        record = _dangling(tenant, edge, open_ones)
        if record is not None:
            yield record
    for left_open in _open_after_dangling(tenant, open_ones, type_keys):
        yield left_open


async def dangling_of_tenants(
    session: AsyncSession, tenants: Mapping[UUID, TenantCoverage], type_keys: Sequence[str] | None = None
) -> dict[UUID, list[DanglingRecord | BasisRecord]]:
    """As `dangling`, by one query in a transaction that sees all the tenants."""
    by_tenant: dict[UUID, list[DanglingRecord | BasisRecord]] = {tenant_id: [] for tenant_id in tenants}
    open_ones: dict[UUID, Counter[tuple[str, ...]]] = {tenant_id: Counter() for tenant_id in tenants}
    async for edge in queries.not_there(session, list(tenants), type_keys):
        record = _dangling(tenants[edge.tenant_id], edge, open_ones[edge.tenant_id])
        if record is not None:
            by_tenant[edge.tenant_id].append(record)
    for tenant_id, tenant in tenants.items():
        by_tenant[tenant_id] += _open_after_dangling(tenant, open_ones[tenant_id], type_keys)
    return by_tenant


def _dangling(tenant: TenantCoverage, edge: Edge, open_ones: Counter[tuple[str, ...]]) -> DanglingRecord | None:
    target = tenant.target(edge)
    if target.presence is Presence.NOT_READ:
        open_ones[edge.target_type_keys] += 1
        return None
    return DanglingRecord(
        tenant_id=edge.tenant_id,
        item=tenant.item(edge.item, edge.external_id, edge.path),
        version=edge.version,
        referred_at=edge.referred_at,
        path=edge.path,
        role=edge.role,
        intent=edge.intent or None,
        target=target,
    )


def _open_after_dangling(
    tenant: TenantCoverage, unread_targets: Counter[tuple[str, ...]], type_keys: Sequence[str] | None
) -> list[BasisRecord]:
    keys = set(tenant.collections.keys() | load_catalog().everything() if type_keys is None else type_keys)
    sources = tenant.unread(keys & _referring())
    gaps = [*tenant.unread_targets(unread_targets), *sources, *tenant.old(keys - _referring()), *tenant.unreadable()]
    return [*gaps, *tenant.oldest()]


async def unassigned(
    session: AsyncSession, tenant: TenantCoverage, type_keys: Sequence[str] | None = None
) -> AsyncIterator[UnassignedRecord | BasisRecord]:
    """Unassigned items by collection and name, then gaps. Without `type_keys`, leaves out collections that nobody
    assigns.
    """
    unknown = await queries.unknown_assignments(session, [tenant.tenant_id], type_keys)
    async for found in queries.unassigned(session, [tenant.tenant_id], type_keys):
        if type_keys is not None or found.item.type_key not in NEVER_ASSIGNED:
            yield _unassigned(tenant, found)
    for left_open in _open_after_unassigned(tenant, assignable_types(type_keys), unknown, type_keys):
        yield left_open


async def unassigned_of_tenants(
    session: AsyncSession, tenants: Mapping[UUID, TenantCoverage], type_keys: Sequence[str] | None = None
) -> dict[UUID, list[UnassignedRecord | BasisRecord]]:
    """As `unassigned`, by one query in a transaction that sees all the tenants."""
    by_tenant: dict[UUID, list[UnassignedRecord | BasisRecord]] = {tenant_id: [] for tenant_id in tenants}
    unknown: dict[UUID, list[UnknownAssignments]] = {tenant_id: [] for tenant_id in tenants}
    for counted in await queries.unknown_assignments(session, list(tenants), type_keys):
        unknown[counted.tenant_id].append(counted)
    async for item in queries.unassigned(session, list(tenants), type_keys):
        if type_keys is not None or item.item.type_key not in NEVER_ASSIGNED:
            by_tenant[item.tenant_id].append(_unassigned(tenants[item.tenant_id], item))
    assignable = assignable_types(type_keys)
    for tenant_id, tenant in tenants.items():
        by_tenant[tenant_id] += _open_after_unassigned(tenant, assignable, unknown[tenant_id], type_keys)
    return by_tenant


def _unassigned(tenant: TenantCoverage, unassigned: UnassignedItem) -> UnassignedRecord:
    covered = tenant.collections.get(unassigned.item.type_key)
    is_sure = covered is not None and covered.is_current and bool(covered.listed_cleanly) and not unassigned.lags
    if may_be_old(unassigned.item.type_key, "assignments"):
        is_sure = is_sure and not are_old(unassigned.item.details_read_at, covered)
    return UnassignedRecord(
        tenant_id=unassigned.tenant_id,
        type_key=unassigned.item.type_key,
        external_id=unassigned.external_id,
        display_name=unassigned.item.display_name,
        kind=kind_of(unassigned.item.type_key, unassigned.item.meta),
        version=unassigned.version,
        observed_at=unassigned.observed_at,
        exclusions=unassigned.exclusions,
        confidence=Confidence.HIGH if is_sure else Confidence.LOW,
        evidence="only_exclusions" if unassigned.exclusions else "no_assignments",
        details_read_at=unassigned.item.details_read_at,
    )


def assignable_types(type_keys: Sequence[str] | None) -> set[str]:
    assignable = {key for key, collection in load_catalog().collections.items() if collection.assignable}
    return assignable - NEVER_ASSIGNED if type_keys is None else assignable & set(type_keys)


def _open_after_unassigned(
    tenant: TenantCoverage,
    assignable: Collection[str],
    unknown: Sequence[UnknownAssignments],
    type_keys: Sequence[str] | None,
) -> list[BasisRecord]:
    untold = [
        tenant.cannot_say(counted.type_key, ASSIGNMENTS_NOT_SHOWN, counted.items)
        for counted in sorted(unknown, key=lambda counted: counted.type_key)
        if type_keys is not None or counted.type_key not in NEVER_ASSIGNED
    ]
    return [*untold, *tenant.unread(assignable), *tenant.unreadable(), *tenant.oldest(assignable)]


async def reaching(
    session: AsyncSession, tenant: TenantCoverage, group_id: str, *, everyone: bool = False
) -> AsyncIterator[ReachRecord | CannotSayRecord]:
    """Items that name a group in an assignment or condition, then unread collections.

    `everyone` adds items for all users or devices. An exclusion wins in Conditional Access, and in Intune within an
    intent.
    """
    async for assigned in queries.reaching(session, group_id, everyone=everyone):
        assignments = assignments_to(assigned.assignments)
        includes = [assignment for assignment in assignments if assignment.role is ReferenceRole.INCLUDE]
        through = sorted({assignment.through for assignment in includes}, key=lambda way: (way != "group", way))
        yield ReachRecord(
            tenant_id=assigned.tenant_id,
            group_id=group_id,
            item=tenant.item(assigned.item, assigned.external_id, "assignments"),
            version=assigned.version,
            reaches=any(not assignment.is_overridden for assignment in includes),
            through=through,
            excluded=any(assignment.role is ReferenceRole.EXCLUDE for assignment in assignments),
            assignments=assignments,
            filters=[
                FilterRecord(external_id=filter_id, display_name=name, role=role)
                for filter_id, name, role in assigned.filters
            ],
        )
    for record in (*tenant.unread(referring_to(GROUPS)), *tenant.unreadable()):
        yield record


def referring_to(type_key: str) -> set[str]:
    """Collections whose items may refer to items of this one."""
    return {
        key
        for key, collection in load_catalog().collections.items()
        if any(type_key == collection_of(target) for targets in collection.references.values() for target in targets)
    }
