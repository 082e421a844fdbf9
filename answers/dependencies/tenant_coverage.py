"""A tenant's coverage, and the presence of referred objects that follows from it."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from answers.dependencies.queries import Edge
from answers.dependencies.records import (
    CannotSayRecord,
    DependencyRecord,
    Direction,
    KnownObject,
    ObjectRecord,
    ObjectState,
    Presence,
)
from answers.dependencies.rules import (
    DAMAGED,
    REFERENCES_NOT_READ,
    item_presence,
    not_current_reason,
    not_listed_reason,
    unseen_presence,
)
from answers.old_details import OLD_DETAILS, OldDetailsRecord, may_be_old, old_details, old_details_of_tenants
from answers.oldest_listing import OldestListing, oldest_listing
from answers.times import EARLIEST
from graph.catalog import kind_of, load_catalog
from inventory.coverage import Coverage
from inventory.records import DamagedRecord
from storage.coverage import coverage as coverage_of
from storage.coverage import coverage_of_tenants
from storage.unread_references import UnreadReferences


class TenantCoverage:
    def __init__(
        self,
        tenant_id: UUID,
        collections: Mapping[str, Coverage],
        damaged: Sequence[DamagedRecord] = (),
        old_details: Sequence[OldDetailsRecord] = (),
        unread: Sequence[UnreadReferences] = (),
    ) -> None:
        """`damaged`: items whose references could not be read; `unread`: collections with unread references."""
        self._unread_references = unread
        self._old_details = old_details
        self._damaged = damaged
        self.tenant_id = tenant_id
        self.collections = collections
        self._known = frozenset(load_catalog().collections)

    @classmethod
    async def of(
        cls,
        session: AsyncSession,
        tenant_id: UUID,
        damaged: Sequence[DamagedRecord] = (),
        unread: Sequence[UnreadReferences] = (),
    ) -> "TenantCoverage":
        return cls(tenant_id, await coverage_of(session), damaged, await old_details(session), unread)

    @classmethod
    async def of_tenants(cls, session: AsyncSession, tenant_ids: Sequence[UUID]) -> dict[UUID, "TenantCoverage"]:
        """The tenants' references must be read; the transaction sees all tenants."""
        collections = await coverage_of_tenants(session, tenant_ids)
        old = await old_details_of_tenants(session, tenant_ids)
        return {tenant_id: cls(tenant_id, collections[tenant_id], (), old[tenant_id]) for tenant_id in old}

    def item(self, item: KnownObject, external_id: str, path: str | None = None) -> ObjectRecord:
        """`path`: the place in the item's document that the answer rests on."""
        rests_on_details = path is not None and may_be_old(item.type_key, path)
        state = item_presence(item, self.collections.get(item.type_key), rests_on_details=rests_on_details)
        return _record([item.type_key], external_id, item, state)

    def target(self, edge: Edge) -> ObjectRecord:
        if edge.target is not None:
            return self.item(edge.target, edge.target_id)
        if not edge.target_type_keys:
            audience = ObjectState(Presence.AUDIENCE, None, "")
            return _record([], edge.target_id, None, audience)
        state = unseen_presence(edge.target_type_keys, edge.referred_at, self.collections, self._known)
        return _record(edge.target_type_keys, edge.target_id, None, state)

    def never_seen(self, type_key: str, external_id: str) -> ObjectRecord:
        began = self.collections[type_key].listed_from if type_key in self.collections else None
        state = unseen_presence([type_key], began or EARLIEST, self.collections, self._known)
        return _record([type_key], external_id, None, state)

    def dependency(self, edge: Edge, direction: Direction, distance: int) -> DependencyRecord:
        return DependencyRecord(
            tenant_id=edge.tenant_id,
            direction=direction,
            distance=distance,
            item=self.item(edge.item, edge.external_id, edge.path),
            version=edge.version,
            referred_at=edge.referred_at,
            path=edge.path,
            role=edge.role,
            intent=edge.intent or None,
            target=self.target(edge),
        )

    def unread(self, type_keys: Iterable[str]) -> list[CannotSayRecord]:
        """Gaps for collections whose items are not all known, since the latest run did not list them to their end."""
        keys = sorted(set(type_keys))
        reasons = {key: not_current_reason(key, self.collections, self._known) for key in keys}
        unread = [self.cannot_say(key, reason, None) for key, reason in reasons.items() if reason is not None]
        return [*unread, *self.old(keys)]

    def old(self, type_keys: Collection[str] | None = None) -> list[CannotSayRecord]:
        """Gaps for collections with details older than their latest listing."""
        return [
            self.cannot_say(old.type_key, OLD_DETAILS, old.items).model_copy(update={"read_at": old.read_at})
            for old in self._old_details
            if type_keys is None or old.type_key in type_keys
        ]

    def oldest(self, type_keys: Collection[str] | None = None) -> list[OldestListing]:
        """At most one."""
        oldest = oldest_listing(self.tenant_id, self.collections, type_keys)
        return [] if oldest is None else [oldest]

    def unread_targets(self, edges: Counter[tuple[str, ...]]) -> list[CannotSayRecord]:
        """`edges` counts references by possible collections."""
        counted: Counter[tuple[str, str]] = Counter()
        for type_keys, times in edges.items():
            for key in type_keys:
                reason = not_listed_reason(key, self.collections, self._known)
                if reason is not None:
                    counted[key, reason] += times
        return [self.cannot_say(key, reason, times) for (key, reason), times in sorted(counted.items())]

    def unreadable(self) -> list[CannotSayRecord]:
        """Gaps for items with unread references or damaged documents."""
        counted = Counter(version.type_key for version in self._damaged)
        damaged = [self.cannot_say(key, DAMAGED, times) for key, times in sorted(counted.items())]
        unread = [
            self.cannot_say(unread_reference.type_key, REFERENCES_NOT_READ, unread_reference.items)
            for unread_reference in self._unread_references
        ]
        return [*damaged, *unread]

    def cannot_say(self, type_key: str, reason: str, references: int | None) -> CannotSayRecord:
        return CannotSayRecord(tenant_id=self.tenant_id, type_key=type_key, reason=reason, references=references)


def _record(type_keys: Collection[str], external_id: str, item: KnownObject | None, state: ObjectState) -> ObjectRecord:
    return ObjectRecord(
        type_keys=list(type_keys),
        external_id=external_id,
        display_name=None if item is None else item.display_name,
        kind=None if item is None else kind_of(item.type_key, item.meta),
        presence=state.presence,
        confidence=state.confidence,
        evidence=state.evidence,
        last_seen_at=None if item is None else item.last_seen_at,
    )
