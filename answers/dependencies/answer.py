"""What an item needs and what needs it, what is dangling, what nobody is assigned, what reaches a group.

References are those that have been read (`storage.references.catch_up` reads what is left). Each answer says what it
rests on, and what it cannot say since a collection was not read.
"""

from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from answers.dependencies import queries as dependencies
from answers.dependencies.queries import Edge, ItemKey
from answers.dependencies.records import (
    CannotSayRecord,
    DanglingRecord,
    DependencyRecord,
    Direction,
    FilterRecord,
    ObjectRecord,
    ObjectState,
    Presence,
    ReachRecord,
    Seen,
    UnassignedRecord,
)
from answers.dependencies.rules import ASSIGNMENTS_NOT_SHOWN, DAMAGED, item_presence, not_listed_reason, unseen_presence
from graph.catalog import Catalog
from inventory.coverage import Coverage
from inventory.missing import Confidence
from inventory.records import DamagedRecord
from storage import coverage as coverages

MOST = 500
"""References that are followed from or to one item, where no other limit is given."""

GROUPS = "groups"

_LONG_AGO = datetime.min.replace(tzinfo=UTC)

Follow = Callable[[AsyncSession, Sequence[ItemKey], int], Awaitable[list[Edge]]]


class Neighbourhood(NamedTuple):
    """What an item needs and what needs it, nearest first. `is_cut`: there is more than was asked for.

    `cannot_say` names the collections that may hold items that need it and were not listed to their end.
    """

    dependencies: list[DependencyRecord]
    is_cut: bool
    cannot_say: list[CannotSayRecord]


class Reading:
    """How far the tenant has been read: what the presence of objects is judged by."""

    def __init__(
        self,
        catalog: Catalog,
        tenant_id: UUID,
        coverage: Mapping[str, Coverage],
        damaged: Sequence[DamagedRecord] = (),
    ) -> None:
        """`damaged` are the items whose references could not be read (`storage.references.catch_up`)."""
        self._damaged = damaged
        self._catalog = catalog
        self._tenant_id = tenant_id
        self.coverage = coverage
        self._known = frozenset(catalog.collections)

    @classmethod
    async def of(
        cls, session: AsyncSession, catalog: Catalog, tenant_id: UUID, damaged: Sequence[DamagedRecord] = ()
    ) -> "Reading":
        """Of the session's tenant."""
        return cls(catalog, tenant_id, await coverages.coverage(session), damaged)

    def item(self, seen: Seen, external_id: str) -> ObjectRecord:
        """An item that was seen."""
        state = item_presence(seen, self.coverage.get(seen.type_key))
        return _record([seen.type_key], external_id, seen, state)

    def target(self, edge: Edge) -> ObjectRecord:
        """What a reference is to."""
        if edge.target is not None:
            return self.item(edge.target, edge.target_id)
        if not edge.target_type_keys:
            audience = ObjectState(Presence.AUDIENCE, None, "")
            return _record([], edge.target_id, None, audience)
        state = unseen_presence(edge.target_type_keys, edge.referred_at, self.coverage, self._known)
        return _record(edge.target_type_keys, edge.target_id, None, state)

    def never_seen(self, type_key: str, external_id: str) -> ObjectRecord:
        """What somebody asks about and no listing has shown so far."""
        began = self.coverage[type_key].listed_from if type_key in self.coverage else None
        state = unseen_presence([type_key], began or _LONG_AGO, self.coverage, self._known)
        return _record([type_key], external_id, None, state)

    def dependency(self, edge: Edge, direction: Direction, distance: int) -> DependencyRecord:
        """One reference as the answer shows it."""
        return DependencyRecord(
            tenant_id=edge.tenant_id,
            direction=direction,
            distance=distance,
            item=self.item(edge.item, edge.external_id),
            version=edge.version,
            referred_at=edge.referred_at,
            path=edge.path,
            role=edge.role,
            target=self.target(edge),
        )

    def unread(self, type_keys: Iterable[str]) -> list[CannotSayRecord]:
        """Those of the collections whose items are not all known, and why."""
        reasons = {key: self._why_unread(key) for key in sorted(set(type_keys))}
        return [self.cannot_say(key, reason, None) for key, reason in reasons.items() if reason is not None]

    def _why_unread(self, type_key: str) -> str | None:
        return not_listed_reason(type_key, self.coverage, self._known)

    def unread_targets(self, edges: Counter[tuple[str, ...]]) -> list[CannotSayRecord]:
        """What is open of references whose targets were not found, counted by the collections they may be in."""
        counted: Counter[tuple[str, str]] = Counter()
        for type_keys, times in edges.items():
            for key in type_keys:
                reason = self._why_unread(key)
                if reason is not None:
                    counted[key, reason] += times
        return [self.cannot_say(key, reason, times) for (key, reason), times in sorted(counted.items())]

    def unreadable(self) -> list[CannotSayRecord]:
        """What is open since stored documents are damaged, by collection."""
        counted = Counter(one.type_key for one in self._damaged)
        return [self.cannot_say(key, DAMAGED, times) for key, times in sorted(counted.items())]

    def cannot_say(self, type_key: str, reason: str, references: int | None) -> CannotSayRecord:
        """What is open of one collection."""
        return CannotSayRecord(tenant_id=self._tenant_id, type_key=type_key, reason=reason, references=references)


async def neighbourhood(
    session: AsyncSession, reading: Reading, catalog: Catalog, item: ItemKey, *, depth: int = 1, most: int = MOST
) -> Neighbourhood:
    """What an item needs and what needs it, through up to `depth` references and up to `most` of each item."""
    found: list[DependencyRecord] = []
    is_cut = False
    for direction, follow in ((Direction.NEEDS, dependencies.of_items), (Direction.NEEDED_BY, dependencies.to_items)):
        async for distance, edges, cut in _followed(session, follow, direction, item, depth, most):
            found += [reading.dependency(edge, direction, distance) for edge in edges]
            is_cut |= cut
    cannot_say = [*reading.unread(referring_to(catalog, item[0])), *reading.unreadable()]
    return Neighbourhood(found, is_cut, cannot_say)


async def item_record(session: AsyncSession, reading: Reading, item: ItemKey) -> ObjectRecord:
    """An item by its key; one that was never seen may be referred to all the same."""
    type_key, external_id = item
    seen = await dependencies.seen(session, item)
    if seen is not None:
        return reading.item(seen, external_id)
    return reading.never_seen(type_key, external_id)


async def _followed(
    session: AsyncSession, follow: Follow, direction: Direction, start: ItemKey, depth: int, most: int
) -> AsyncIterator[tuple[int, list[Edge], bool]]:
    """The references at each distance, breadth first, each item followed once."""
    reached, level = {start}, [start]
    for distance in range(1, depth + 1):
        if not level:
            return
        edges = await follow(session, level, most + 1)
        near, far = (_item_key, _target_key) if direction is Direction.NEEDS else (_target_key, _item_key)
        kept = _first_of_each(edges, near, most)
        yield distance, kept, len(kept) < len(edges)
        level = sorted({key for edge in kept if (key := far(edge)) is not None} - reached)
        reached.update(level)


def _item_key(edge: Edge) -> ItemKey | None:
    return edge.item_key


def _target_key(edge: Edge) -> ItemKey | None:
    return edge.target_key


def _first_of_each(edges: Iterable[Edge], near: Callable[[Edge], ItemKey | None], most: int) -> list[Edge]:
    times: Counter[ItemKey | None] = Counter()
    kept = []
    for edge in edges:
        times[near(edge)] += 1
        if times[near(edge)] <= most:
            kept.append(edge)
    return kept


async def everything(session: AsyncSession, reading: Reading) -> AsyncIterator[DependencyRecord | CannotSayRecord]:
    """All references of the tenant, by type key and id, streamed; at the end what cannot be said."""
    async for edge in dependencies.all_references(session):
        yield reading.dependency(edge, Direction.NEEDS, 1)
    for record in reading.unreadable():
        yield record


async def dangling(
    session: AsyncSession, reading: Reading, type_keys: Sequence[str] | None = None
) -> AsyncIterator[DanglingRecord | CannotSayRecord]:
    """References whose targets are not there, by target; at the end, by collection, those of which it cannot be said.

    `type_keys`: of these collections' items alone.
    """
    open_ones: Counter[tuple[str, ...]] = Counter()
    async for edge in dependencies.not_there(session, type_keys):
        target = reading.target(edge)
        if target.presence is Presence.NOT_READ:
            open_ones[edge.target_type_keys] += 1
            continue
        yield DanglingRecord(
            tenant_id=edge.tenant_id,
            item=reading.item(edge.item, edge.external_id),
            version=edge.version,
            referred_at=edge.referred_at,
            path=edge.path,
            role=edge.role,
            target=target,
        )
    for record in (*reading.unread_targets(open_ones), *reading.unreadable()):
        yield record


async def unassigned(
    session: AsyncSession, reading: Reading, catalog: Catalog, type_keys: Sequence[str] | None = None
) -> AsyncIterator[UnassignedRecord | CannotSayRecord]:
    """Items that are assigned to nobody; at the end, by collection, what cannot be said."""
    unknown: Counter[str] = Counter()
    async for found in dependencies.unassigned(session, type_keys):
        if not found.is_known:
            unknown[found.item.type_key] += 1
            continue
        covered = reading.coverage.get(found.item.type_key)
        is_sure = covered is not None and covered.is_current and bool(covered.listed_cleanly) and not found.lags
        yield UnassignedRecord(
            tenant_id=found.tenant_id,
            type_key=found.item.type_key,
            external_id=found.external_id,
            display_name=found.item.display_name,
            version=found.version,
            observed_at=found.observed_at,
            exclusions=found.exclusions,
            confidence=Confidence.HIGH if is_sure else Confidence.LOW,
            evidence="only_exclusions" if found.exclusions else "no_assignments",
        )
    for key, times in sorted(unknown.items()):
        yield reading.cannot_say(key, ASSIGNMENTS_NOT_SHOWN, times)
    assignable = {key for key, one in catalog.collections.items() if one.assignable}
    unread = reading.unread(assignable if type_keys is None else assignable & set(type_keys))
    for record in (*unread, *reading.unreadable()):
        yield record


async def reaching(
    session: AsyncSession, reading: Reading, catalog: Catalog, group_id: str, *, everyone: bool = False
) -> AsyncIterator[ReachRecord | CannotSayRecord]:
    """Items that name a group in an assignment or a condition; at the end, the collections that were not read.

    With `everyone` also those that are for all users or all devices. An exclusion wins over an inclusion: in Intune's
    assignments and in Conditional Access.
    """
    async for found in dependencies.reaching(session, group_id, everyone=everyone):
        through = [*(["group"] if found.includes else []), *found.audiences]
        yield ReachRecord(
            tenant_id=found.tenant_id,
            group_id=group_id,
            item=reading.item(found.item, found.external_id),
            version=found.version,
            reaches=bool(through) and not found.excludes,
            through=through,
            excluded=found.excludes,
            filters=[
                FilterRecord(external_id=filter_id, display_name=name, role=role)
                for filter_id, name, role in found.filters
            ],
        )
    for record in (*reading.unread(referring_to(catalog, GROUPS)), *reading.unreadable()):
        yield record


def referring_to(catalog: Catalog, type_key: str) -> set[str]:
    """The collections whose items may refer to items of another."""
    return {
        key
        for key, one in catalog.collections.items()
        if any(type_key in targets for targets in one.references.values())
    }


def _record(type_keys: Collection[str], external_id: str, seen: Seen | None, state: ObjectState) -> ObjectRecord:
    return ObjectRecord(
        type_keys=list(type_keys),
        external_id=external_id,
        display_name=None if seen is None else seen.display_name,
        presence=state.presence,
        confidence=state.confidence,
        evidence=state.evidence,
        last_seen_at=None if seen is None else seen.last_seen_at,
    )
