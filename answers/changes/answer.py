"""Changes of a tenant, and the coverage on which they rest."""

from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, aclosing
from datetime import datetime, timedelta
from itertools import islice
from typing import NamedTuple, cast
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from answers.changes.audit import AUDIT_LOGS, Attribution, AuditStatus
from answers.changes.audit_answer import UnattributedChange, attributed
from answers.changes.queries import (
    AbsenceFacts,
    EventKind,
    VersionFacts,
    absences_of,
    events,
    newest_events,
    versions_of,
)
from answers.changes.queries import Event as Event
from answers.changes.queries import Window as Window
from answers.changes.records import AuditLogCoverage, ChangeKind, ChangeRecord, ChangesSummary, UnlistedCollection
from answers.field_labels import field_change
from answers.object_names import object_names
from answers.old_details import old_details
from answers.oldest_listing import oldest_listing
from answers.runs.answer import ended_run
from answers.stale_items import stale_items
from answers.times import time_of
from graph.catalog import AUDIT_EVENTS, has_names, kind_of, load_catalog
from inventory.changed_fields import ComparedParts, changed_in, compared_parts
from inventory.coverage import NEVER_READ, Coverage
from inventory.differences import Difference
from inventory.missing import Confidence
from inventory.records import DamagedRecord, VersionRecord
from inventory.user_errors import NotHereError
from storage.coverage import coverage
from storage.documents import database_time

DEFAULT_DAYS = 7
"""The length of a window without a beginning."""

EVENTS_AT_A_TIME = 500

EVENTS_LOOKED_AT = 200

PAGES_LOOKED_AT = 5
"""Pages of events searched for one page of changes."""

SessionOf = Callable[[UUID], AbstractAsyncContextManager[AsyncSession]]

OnFailure = Callable[[UUID, Exception], Awaitable[object]]
"""Is told why a tenant has no answer. Raises to end the question."""

CHANGES_AT_A_TIME = 50
"""Events of one batch; each may have two documents of megabytes."""


class UnknownPlaceError(NotHereError):
    """The text is no place in a list of changes."""


async def window_of(
    session: AsyncSession,
    type_keys: tuple[str, ...] | None,
    *,
    since: datetime | None = None,
    run_id: UUID | None = None,
) -> Window:
    """A run's period, or from `since` (default: `DEFAULT_DAYS` ago) until now; without logs unless `type_keys` names
    them. Raises `UnknownRunError`.
    """
    left_out = sorted(load_catalog().logs) if type_keys is None else []
    if run_id is not None:
        run, finished_at = await ended_run(session, run_id)
        return Window(run.queued_at, finished_at, type_keys, left_out, run_id)
    now = await database_time(session)
    return Window(now - timedelta(days=DEFAULT_DAYS) if since is None else since, now, type_keys, left_out)


Place = Event
"""Where a feed goes on: after this event."""


def event_at(place: str) -> Place:
    """Reads a summary's `goes_on_after`. Raises `UnknownPlaceError`."""
    try:
        at, kind, type_key, external_id = place.split("/", 3)
        moment = time_of(at)
        if moment is not None:
            return Event(moment, type_key, external_id, EventKind(kind), UUID(int=0), 0)
    except ValueError:
        pass
    raise UnknownPlaceError(f"--after takes goes_on_after of a summary, not {place!r}")


class ChangeFilter(NamedTuple):
    """Empty `kinds` mean all; `actor` is a part of the author's name or id."""

    kinds: frozenset[ChangeKind] = frozenset()
    actor: str = ""

    def may_be(self, event: Event) -> bool:
        """False if the event cannot be such a change."""
        return not self.kinds or not self.kinds.isdisjoint(_KINDS_OF[event.kind, event.version_number == 1])

    def fits(self, change: ChangeRecord) -> bool:
        sought = self.actor.casefold()
        by = (name for event in change.audit.events for name in (event.actor, event.actor_id) if name)
        return (not self.kinds or change.kind in self.kinds) and (
            not sought or any(sought in name.casefold() for name in by)
        )


_KINDS_OF = {
    (EventKind.VERSION, True): {ChangeKind.APPEARED, ChangeKind.RECREATED},
    (EventKind.VERSION, False): {ChangeKind.CHANGED, ChangeKind.RENAMED},
    (EventKind.ABSENT, False): {ChangeKind.MISSING},
    (EventKind.RETURNED, False): {ChangeKind.CAME_BACK},
}
"""By the event's kind, and whether the version is the item's first."""


class ChangePage(NamedTuple):
    """May have fewer changes than a page holds. `goes_on` is the next page's place, None at the end."""

    changes: list[ChangeRecord]
    goes_on: str | None


async def newest_changes(
    opened: Callable[[], AbstractAsyncContextManager[AsyncSession]],
    session_of: SessionOf,
    window: Window,
    *,
    change_filter: ChangeFilter,
    limit: int,
    before: Event | None = None,
    tenant_ids: Sequence[UUID] | None = None,
    on_failure: OnFailure | None = None,
) -> ChangePage:
    """`before`: where the last page ended. `opened` opens the session that finds events, a portfolio session for
    several `tenant_ids`. `on_failure` is told once why a tenant's changes are left out; without it, its error ends all.

    One session is open at a time.
    """
    failed: set[UUID] = set()
    noticed_events: list[tuple[Event, ChangeRecord]] = []
    for _ in range(PAGES_LOOKED_AT):
        async with opened() as session:
            page = await newest_events(session, window, EVENTS_LOOKED_AT, before, tenant_ids)
        for some in _batches((event for event in page if change_filter.may_be(event)), limit + 1):
            noticed = await _of_tenants(session_of, some, failed, on_failure)
            noticed_events += [(event, change) for event, change in noticed if change_filter.fits(change)]
            if len(noticed_events) > limit:
                last, _ = noticed_events[limit - 1]
                return ChangePage([change for _, change in noticed_events[:limit]], place_among_tenants(last))
        if len(page) < EVENTS_LOOKED_AT:
            return ChangePage([change for _, change in noticed_events], None)
        before = page[-1]
    return ChangePage([change for _, change in noticed_events], None if before is None else place_among_tenants(before))


async def _of_tenants(
    session_of: SessionOf, events: Sequence[Event], failed: set[UUID], on_failure: OnFailure | None
) -> list[tuple[Event, ChangeRecord]]:
    """Adds tenants to `failed` and leaves them out."""
    by_tenant: dict[UUID, list[Event]] = {}
    for event in events:
        by_tenant.setdefault(cast("UUID", event.tenant_id), []).append(event)
    noticed: dict[Event, ChangeRecord] = {}
    for tenant_id, events_of_tenant in by_tenant.items():
        if tenant_id in failed:
            continue
        try:
            async with session_of(tenant_id) as session:
                logs = await coverage(session, AUDIT_LOGS)
                async with aclosing(_changes_of(session, tenant_id, events_of_tenant, logs)) as changes_of_tenant:
                    noticed |= {event: change async for event, change in changes_of_tenant}
        except Exception as error:
            if on_failure is None:
                raise
            await on_failure(tenant_id, error)
            failed.add(tenant_id)
    return [(event, noticed[event]) for event in events if event in noticed]


def place_among_tenants(event: Event) -> str:
    return f"{event.tenant_id}/{event.place}"


def event_among_tenants(place: str) -> Event:
    """Reads a page's `goes_on`. Raises `UnknownPlaceError`."""
    tenant_id, _, rest = place.partition("/")
    try:
        return event_at(rest)._replace(tenant_id=UUID(tenant_id))
    except (ValueError, UnknownPlaceError):
        raise UnknownPlaceError(f"{place!r} is no place in a list of changes") from None


class ChangeFeed:
    """The changes of a window, oldest first. Read `records`, then `summary`."""

    def __init__(
        self,
        session: AsyncSession,
        tenant_id: UUID,
        window: Window,
        *,
        after: Event | None = None,
        limit: int | None = None,
    ) -> None:
        self._session = session
        self._tenant_id = tenant_id
        self._window = window
        self._after = after
        self._limit = limit
        self._counts: Counter[ChangeKind] = Counter()
        self._audit: Counter[AuditStatus] = Counter()
        self._without_log: Counter[str] = Counter()
        self._damaged: dict[DamagedRecord, None] = {}
        self._goes_on_after: str | None = None

    async def records(self) -> AsyncGenerator[ChangeRecord, None]:
        last: Event | None = None
        async with aclosing(changes(self._session, self._tenant_id, self._window, self._after)) as found:
            async for event, change in found:
                if last is not None and self._counts.total() == self._limit:
                    self._goes_on_after = last.place
                    return
                last = event
                self.count(change)
                yield change

    def count(self, change: ChangeRecord) -> None:
        self._counts[change.kind] += 1
        self._audit[change.audit.status] += 1
        if change.audit.status is AuditStatus.NOT_READ and change.audit.log is not None:
            self._without_log[change.audit.log] += 1
        for version in change.damaged_versions:
            damaged = DamagedRecord(type_key=change.type_key, external_id=change.external_id, version=version)
            self._damaged[damaged] = None

    async def summary(self) -> ChangesSummary:
        window = self._window
        of_tenant = await coverage(self._session)
        type_keys = of_tenant.keys() if window.type_keys is None else set(window.type_keys)
        covered = {key: collection for key, collection in of_tenant.items() if key in type_keys}
        covered_collections = [collection for key, collection in covered.items() if key not in window.left_out]
        return ChangesSummary(
            tenant_id=self._tenant_id,
            since=window.since,
            until=window.until,
            run_id=window.run_id,
            changes=dict(self._counts),
            listed=sum(collection.is_current for collection in covered_collections),
            not_read=[
                UnlistedCollection(
                    type_key=collection.type_key, reason=collection.reason, listed_at=collection.listed_at
                )
                for collection in covered_collections
                if not collection.is_current and not (collection.is_skipped and collection.listed_at is None)
            ]
            + [
                UnlistedCollection(type_key=key, reason=NEVER_READ, listed_at=None)
                for key in sorted(set(window.type_keys or ()) - covered.keys())
            ],
            goes_on_after=self._goes_on_after,
            audit=dict(self._audit),
            audit_log_read_from=_listed_from(of_tenant, AUDIT_EVENTS),
            audit_logs={
                key: AuditLogCoverage(read_from=_listed_from(of_tenant, key), not_read=self._without_log[key])
                for key in AUDIT_LOGS
            },
            damaged=list(self._damaged),
            stale=await stale_items(self._session, window.type_keys, window.left_out),
            old_details=await old_details(self._session, [collection.type_key for collection in covered_collections]),
            oldest_listing=None
            if window.run_id is not None
            else oldest_listing(self._tenant_id, of_tenant, window.type_keys),
        )


def _listed_from(logs: Mapping[str, Coverage], key: str) -> datetime | None:
    return logs[key].listed_from if key in logs else None


async def changes(
    session: AsyncSession, tenant_id: UUID, window: Window, after: Event | None = None
) -> AsyncGenerator[tuple[Event, ChangeRecord], None]:
    """Oldest first. Skips versions that only add details, or differ only by a new release's rules."""
    logs: Mapping[str, Coverage] | None = None
    while page := await events(session, window, EVENTS_AT_A_TIME, after):
        if logs is None:
            logs = await coverage(session, AUDIT_LOGS)
        async with aclosing(_changes_of(session, tenant_id, page, logs)) as noticed:
            async for event, change in noticed:
                yield event, change
        if len(page) < EVENTS_AT_A_TIME:
            return
        after = page[-1]


async def authors(
    session: AsyncSession, type_key: str, external_id: str, history: Sequence[VersionRecord]
) -> dict[int, Attribution]:
    """Authors by version number, for versions that tell a change; `history` is newest first."""
    collection = load_catalog().collections.get(type_key)
    has_details = collection is not None and bool(collection.details)
    unattributed: list[UnattributedChange] = []
    for version, before in zip(history, [*history[1:], None], strict=True):
        if not version.tells_change:
            continue
        first = ChangeKind.RECREATED if version.recreates_external_id else ChangeKind.APPEARED
        change = ChangeRecord(
            tenant_id=version.tenant_id,
            run_id=version.first_observed_run_id,
            noticed_at=version.first_observed_at,
            seen_before_at=None if before is None else before.last_observed_at,
            type_key=type_key,
            external_id=external_id,
            display_name=version.display_name,
            item_kind="",
            kind=first if version.version == 1 else ChangeKind.CHANGED,
            confidence=Confidence.HIGH,
            evidence="observed",
            version=version.version,
        )
        unattributed.append(UnattributedChange(change, before.first_observed_at if has_details and before else None))
    logs = await coverage(session, AUDIT_LOGS)
    return {cast("int", change.version): change.audit for change in await attributed(session, unattributed, logs)}


class _ComparedVersion(NamedTuple):
    """`facts` no longer have documents."""

    facts: VersionFacts
    parts: ComparedParts | None
    differences: list[Difference] | None


async def _changes_of(
    session: AsyncSession, tenant_id: UUID, events: Sequence[Event], logs: Mapping[str, Coverage]
) -> AsyncGenerator[tuple[Event, ChangeRecord], None]:
    absences = await absences_of(session, [event for event in events if event.kind is not EventKind.VERSION])
    for some in _batches(events, CHANGES_AT_A_TIME):
        stored = await versions_of(session, [event for event in some if event.kind is EventKind.VERSION])
        versions = {event: _compared(facts) for event, facts in stored}
        names = await _names(session, versions)
        noticed: dict[Event, UnattributedChange] = {}
        for event in some:
            if event in versions:
                record = _of_version(tenant_id, event, versions[event], names)
                if record is not None:
                    noticed[event] = UnattributedChange(record, _unlisted_since(event, versions[event].facts))
            elif event in absences:
                noticed[event] = UnattributedChange(_of_absence(tenant_id, event, absences[event]), None)
        for event, change in zip(noticed, await attributed(session, list(noticed.values()), logs), strict=True):
            yield event, change


def _compared(facts: VersionFacts) -> _ComparedVersion:
    parts = compared_parts(facts)
    differences = None if parts is None else changed_in(parts, facts, load_catalog().comparability(facts.type_key))
    return _ComparedVersion(facts._replace(document=None, document_before=None), parts, differences)


def _unlisted_since(event: Event, version: VersionFacts) -> datetime | None:
    """Since when details may have changed unseen by a list; None if lists tell everything."""
    collection = load_catalog().collections.get(event.type_key)
    return version.before_first_observed_at if collection is not None and collection.details else None


def _of_version(
    tenant_id: UUID,
    event: Event,
    compared: _ComparedVersion,
    names: Mapping[tuple[str, str], str],
) -> ChangeRecord | None:
    version, _, differences = compared
    kind = _kind_of_version(event, version)
    if kind in (ChangeKind.CHANGED, ChangeKind.RENAMED) and differences == []:
        return None
    rules = load_catalog().references_of(event.type_key)
    is_first = event.version_number == 1
    return ChangeRecord(
        tenant_id=tenant_id,
        run_id=event.run_id,
        noticed_at=event.at,
        seen_before_at=version.before_last_observed_at,
        type_key=event.type_key,
        external_id=event.external_id,
        display_name=version.display_name if has_names(event.type_key) else version.item_name,
        item_kind=kind_of(event.type_key, version.meta),
        kind=kind,
        confidence=Confidence.HIGH,
        evidence="not_listed_before" if is_first else "observed",
        version=event.version_number,
        renamed_from=version.before_name if kind is ChangeKind.RENAMED else None,
        recreates_external_id=version.recreates_external_id,
        returns_to_version=version.returns_to_version,
        damaged_versions=[damaged.version for damaged in version.damaged],
        created_at=version.meta.get("created_at") if is_first else None,
        was_incomplete=version.before_complete is False,
        stale=version.stale,
        fields=None if differences is None else [field_change(difference, rules, names) for difference in differences],
    )


def _kind_of_version(event: Event, version: VersionFacts) -> ChangeKind:
    if event.version_number == 1:
        return ChangeKind.APPEARED if version.recreates_external_id is None else ChangeKind.RECREATED
    renamed = (
        version.before_number is not None
        and version.before_name not in (None, version.display_name)
        and has_names(event.type_key)
    )
    return ChangeKind.RENAMED if renamed else ChangeKind.CHANGED


def _of_absence(tenant_id: UUID, event: Event, absence: AbsenceFacts) -> ChangeRecord:
    is_gone = event.kind is EventKind.ABSENT
    return ChangeRecord(
        tenant_id=tenant_id,
        run_id=event.run_id,
        noticed_at=event.at,
        seen_before_at=absence.last_seen_at if is_gone else absence.noticed_at,
        type_key=event.type_key,
        external_id=event.external_id,
        display_name=absence.display_name,
        item_kind=kind_of(event.type_key, absence.meta),
        kind=ChangeKind.MISSING if is_gone else ChangeKind.CAME_BACK,
        confidence=Confidence(absence.confidence) if is_gone else Confidence.HIGH,
        evidence=absence.evidence if is_gone else "observed",
    )


async def _names(session: AsyncSession, versions: Mapping[Event, _ComparedVersion]) -> dict[tuple[str, str], str]:
    """Names of objects in the parts that differ."""
    shown = ((event.type_key, version.parts) for event, version in versions.items() if version.differences)
    documents = (
        (key, document) for key, parts in shown if parts is not None for document in (parts.after, parts.before)
    )
    return await object_names(session, documents)


def _batches(events: Iterable[Event], size: int) -> Iterable[list[Event]]:
    remaining = iter(events)
    while batch := list(islice(remaining, size)):
        yield batch
