"""Events in the order in which runs noticed them: new versions, items gone missing, items back."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from operator import attrgetter
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncSession

from inventory.records import DamagedRecord
from inventory.stale import Staleness, StalePart
from storage.bodies import Documents
from storage.new_versions import WITH_BEFORE
from storage.rows import Values, fetch, fetch_each
from storage.sql import statement
from storage.stale import OF_VERSION


class EventKind(StrEnum):
    VERSION = "version"
    ABSENT = "absent"
    RETURNED = "returned"


class Event(NamedTuple):
    """`version_number` is 0 for an absence or a return."""

    at: datetime
    type_key: str
    external_id: str
    kind: EventKind
    run_id: UUID
    version_number: int
    tenant_id: UUID | None = None

    @property
    def place(self) -> str:
        """The event's place among its tenant's events."""
        return f"{self.at.isoformat()}/{self.kind}/{self.type_key}/{self.external_id}"


class Window(NamedTuple):
    """Events after `since`, up to and including `until`."""

    since: datetime
    until: datetime
    type_keys: Sequence[str] | None = None
    left_out: Sequence[str] = ()
    run_id: UUID | None = None


class VersionFacts(NamedTuple):
    """A version and the one before, whose fields are None if it is deleted or there is none. A damaged document is
    None.
    """

    type_key: str
    external_id: str
    version_number: int
    display_name: str | None
    item_name: str | None
    """The item's present name, or title if Graph gives no name."""
    meta: dict[str, Any]
    details_complete: bool
    recreates_external_id: str | None
    returns_to_version: int | None
    document: bytes | None
    before_number: int | None
    before_name: str | None
    before_complete: bool | None
    before_first_observed_at: datetime | None
    before_last_observed_at: datetime | None
    document_before: bytes | None
    damaged: Sequence[DamagedRecord]
    stale: Staleness | None
    """Details unread when the version was first observed."""
    lacked_before: list[StalePart] | None
    """Details unread in the version before."""
    is_sorted: bool
    """Whether the document has normal form 0, in which only some orders can be compared."""
    was_sorted: bool


class AbsenceFacts(NamedTuple):
    """An absence that began or ended at the event's time."""

    type_key: str
    external_id: str
    at: datetime
    display_name: str | None
    meta: dict[str, Any]
    last_seen_at: datetime
    noticed_at: datetime
    evidence: str
    confidence: str


EPSILON = timedelta(microseconds=1)
"""PostgreSQL's resolution of time."""

_OLDEST_FIRST = statement("events", Path(__file__).parent, order="ASC", beyond=">")
_NEWEST_FIRST = statement("events", Path(__file__).parent, order="DESC", beyond="<")

FIRST_TENANTS = 2
"""Tenants of a page's first query; each further query has four times as many."""

# Each maximum is read from the end of its own index.
_NEWEST_MOMENTS = text("""
SELECT at, tenant_id FROM (
    SELECT tenant.tenant_id, greatest(
        (
            SELECT max(first_observed_at) FROM item_version AS v
            WHERE v.tenant_id = tenant.tenant_id AND first_observed_at > :since AND first_observed_at <= :until
        ),
        (
            SELECT max(noticed_at) FROM item_absence AS a
            WHERE a.tenant_id = tenant.tenant_id AND noticed_at > :since AND noticed_at <= :until
        ),
        (
            SELECT max(came_back_at) FROM item_absence AS a
            WHERE a.tenant_id = tenant.tenant_id AND came_back_at > :since AND came_back_at <= :until
        )
    ) AS at
    FROM unnest(CAST(:tenant_ids AS uuid[])) AS tenant (tenant_id)
) AS newest
WHERE at IS NOT NULL
ORDER BY at DESC, tenant_id DESC
""")

_VERSIONS = text(f"""
SELECT v.type_key, v.external_id, v.version_number, v.display_name, item.display_name AS item_name, item.meta,
    v.details_complete,
    CASE WHEN v.version_number = 1 THEN item.recreates_external_id END AS recreates_external_id,
    (
        SELECT max(version_number) FROM item_version AS earlier
        WHERE (earlier.type_key, earlier.external_id, earlier.content_hash)
                = (v.type_key, v.external_id, v.content_hash)
            AND earlier.version_number < v.version_number
    ) AS returns_to_version,
    d.body, d.body_hash, d.is_sorted, before_document.is_sorted IS TRUE AS was_sorted,
    before.version_number AS before_number, before.display_name AS before_name,
    before.details_complete AS before_complete, before.stale_parts AS lacked_before, {OF_VERSION},
    before.first_observed_at AS before_first_observed_at, before.last_observed_at AS before_last_observed_at,
    before_document.body AS body_before, before_document.body_hash AS hash_before
{WITH_BEFORE}
CROSS JOIN LATERAL (
    SELECT * FROM inventory_item AS item
    WHERE (item.type_key, item.external_id) = (named.type_key, named.external_id) LIMIT 1
) AS item
""")

_ABSENCES = text("""
SELECT named.type_key, named.external_id, named.at, item.display_name, item.meta,
    a.last_seen_at, a.noticed_at, a.evidence, a.confidence
FROM unnest(CAST(:type_keys AS text[]), CAST(:external_ids AS text[]), CAST(:moments AS timestamptz[]))
    AS named (type_key, external_id, at)
CROSS JOIN LATERAL (
    SELECT * FROM item_absence AS absence
    WHERE (absence.type_key, absence.external_id) = (named.type_key, named.external_id)
        AND (absence.noticed_at = named.at OR absence.came_back_at = named.at)
    ORDER BY absent_from DESC LIMIT 1
) AS a
CROSS JOIN LATERAL (
    SELECT * FROM inventory_item AS item
    WHERE (item.type_key, item.external_id) = (named.type_key, named.external_id) LIMIT 1
) AS item
""")


async def events(session: AsyncSession, window: Window, limit: int, after: Event | None = None) -> list[Event]:
    """Events of the session's tenant, oldest first, following `after`."""
    first = Event(window.since, "", "", EventKind.ABSENT, UUID(int=0), 0)
    return await _page(session, _OLDEST_FIRST, window, limit, after or first)


async def newest_events(
    session: AsyncSession,
    window: Window,
    limit: int,
    before: Event | None = None,
    tenant_ids: Sequence[UUID] | None = None,
) -> list[Event]:
    """Events older than `before`, newest first; several `tenant_ids` need a portfolio session."""
    place = before or Event(window.until + EPSILON, "", "", EventKind.ABSENT, UUID(int=0), 0)
    if tenant_ids is None:
        return await _page(session, _NEWEST_FIRST, window, limit, place)
    waiting = await _newest_moments(session, window, place.at, tenant_ids)
    events: list[Event] = []
    at_a_time = FIRST_TENANTS
    while waiting:
        if len(events) == limit:
            last = events[-1]
            if last.tenant_id is not None and waiting[0] < (last.at, last.tenant_id):
                break
            window = window._replace(since=max(window.since, last.at - EPSILON))
        batch, waiting = waiting[:at_a_time], waiting[at_a_time:]
        at_a_time *= 4
        tenants = [newest.tenant_id for newest in batch]
        events += await _page(session, _NEWEST_FIRST, window, limit, place, tenants)
        # The sort is stable: events of one tenant keep the database's order.
        events = sorted(events, key=attrgetter("at", "tenant_id"), reverse=True)[:limit]
    return events


class NewestMoment(NamedTuple):
    """A tenant's latest possible event."""

    at: datetime
    tenant_id: UUID


async def _newest_moments(
    session: AsyncSession, window: Window, until: datetime, tenant_ids: Sequence[UUID]
) -> list[NewestMoment]:
    """Tenants that may have events, newest first: few of many tenants fill a page."""
    parameters = {"since": window.since, "until": min(window.until, until), "tenant_ids": list(tenant_ids)}
    return await fetch(session, _NEWEST_MOMENTS, NewestMoment, parameters)


async def _page(
    session: AsyncSession,
    events_in_order: TextClause,
    window: Window,
    limit: int,
    after: Event,
    tenant_ids: Sequence[UUID] | None = None,
) -> list[Event]:
    parameters = {
        "since": window.since,
        "until": window.until,
        "type_keys": None if window.type_keys is None else list(window.type_keys),
        "left_out": list(window.left_out),
        "run_id": window.run_id,
        "tenant_ids": None if tenant_ids is None else list(tenant_ids),
        "limit": limit,
        "after_at": after.at,
        "after_tenant_id": after.tenant_id,
        "after_type_key": after.type_key,
        "after_external_id": after.external_id,
        "after_kind": after.kind if after.type_key else "",
    }
    return await fetch(session, events_in_order, Event, parameters)


async def versions_of(session: AsyncSession, events: Sequence[Event]) -> Iterator[tuple[Event, VersionFacts]]:
    """Decompresses the documents of one version at a time."""
    by_version = {(event.type_key, event.external_id, event.version_number): event for event in events}
    parameters = {
        "type_keys": [key for key, _, _ in by_version],
        "external_ids": [external_id for _, external_id, _ in by_version],
        "numbers": [number for _, _, number in by_version],
    }
    rows = await fetch_each(session, _VERSIONS, VersionFacts, parameters, shape=_with_documents) if by_version else ()
    return ((by_version[row.type_key, row.external_id, row.version_number], row) for row in rows)


def _with_documents(row: Values) -> Values:
    read, item = Documents(), (row["type_key"], row["external_id"])
    document = read.of(row.pop("body"), row.pop("body_hash"), *item, row["version_number"])
    before = read.of(row.pop("body_before"), row.pop("hash_before"), *item, row["before_number"])
    return {**row, "document": document, "document_before": before, "damaged": read.damaged}


async def absences_of(session: AsyncSession, events: Sequence[Event]) -> dict[Event, AbsenceFacts]:
    by_moment = {(event.type_key, event.external_id, event.at): event for event in events}
    parameters = {
        "type_keys": [key for key, _, _ in by_moment],
        "external_ids": [external_id for _, external_id, _ in by_moment],
        "moments": [at for _, _, at in by_moment],
    }
    rows = await fetch(session, _ABSENCES, AbsenceFacts, parameters) if by_moment else ()
    return {by_moment[row.type_key, row.external_id, row.at]: row for row in rows}
