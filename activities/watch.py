"""`watch`: reads items that audit logs name as changed, for many tenants in one activity."""

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence, Set
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from urllib.parse import quote
from uuid import UUID, uuid5

from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.failures import tenant_result
from activities.items_by_id import ItemReader, ReadItems
from activities.messages.watch import WatchChoice, WatchedTenants, WatchTenants, WatchTenantsResult
from activities.new_items import MadeItem, NewItemReader
from activities.observers import Observers
from activities.tenants import TenantsFile
from graph.catalog import AUDIT_EVENTS, DIRECTORY_AUDITS, Catalog
from graph.client import GraphClient
from graph.cpu_executor import crunch
from graph.errors import ReadFailure
from graph.tenants import TenantConfig
from inventory.error_codes import ErrorCode
from inventory.exact_json import JsonObject
from inventory.item_ids import item_key
from inventory.observation import Observation
from inventory.portfolio import MOST_TENANTS
from storage import references, watch
from storage.confirmations import UnlistedItem
from storage.database import Database
from storage.watch import LogLook, LogPosition, LookItems

LOGS = (AUDIT_EVENTS, DIRECTORY_AUDITS)

OVERLAP = timedelta(hours=2)
"""How far a look reaches back before the last: audit events are minutes late, at times an hour."""

LONGEST = timedelta(days=1)
"""How far a look reaches back after a pause; full runs cover older changes."""

MOST_ITEMS = 200
"""The most items of one look at a tenant; the next look reads the others."""

TENANT_SECONDS = 100
"""The limit of a look at one tenant; an activity looks at its tenants side by side."""

UNAVAILABLE_FOR = timedelta(hours=1)
"""The time until a missing or refused log is read again."""

REFERENCES_WITHIN = timedelta(seconds=20)

_NOT_AVAILABLE = frozenset(
    {
        ErrorCode.GRAPH_PERMISSION_MISSING,
        ErrorCode.GRAPH_NOT_LICENSED,
        ErrorCode.GRAPH_NOT_FOUND,
        ErrorCode.GRAPH_DELEGATED_ONLY,
    }
)


class _Log(NamedTuple):
    type_key: str
    events: Sequence[Observation] = ()
    requests: int = 0
    failure: ReadFailure | None = None


class _MadeItems(NamedTuple):
    """New items: `named` by event, `listed` as lists show them. `left`: events for the next look."""

    named: dict[str, list[UnlistedItem]]
    listed: dict[UnlistedItem, JsonObject]
    left: set[str]
    requests: int


class _Look(NamedTuple):
    """A look at a tenant.

    `new`: each log's unhandled events; `named`: items by event; `left`: events for the next look; `items`: the items of
    `named` that this look reads.
    """

    logs: Sequence[_Log]
    new: Mapping[str, Sequence[Observation]]
    named: Mapping[str, Sequence[UnlistedItem]]
    left: Set[str]
    items: Sequence[UnlistedItem]
    read: ReadItems
    requests: int

    def events_by_item(self) -> dict[tuple[str, str], list[Observation]]:
        """By type key and id."""
        events: defaultdict[tuple[str, str], list[Observation]] = defaultdict(list)
        for log in self.logs:
            for event in self.new[log.type_key]:
                for item in self.named.get(event.external_id, ()):
                    events[item.type_key, item.external_id].append(event)
        return events


class WatchActivities:
    """One transaction records a tenant's look; a repeated look finds the events handled."""

    def __init__(
        self, graph: GraphClient, database: Database, catalog: Catalog, tenants: TenantsFile, observers: Observers
    ) -> None:
        self._database = database
        self._catalog = catalog
        self._tenants = tenants
        self._observers = observers
        self._reader = ItemReader(graph, database, catalog, observers)
        self._new_items = NewItemReader(graph, database, catalog, self._reader)
        self._rules = catalog.reading_rules()

    @activity.defn
    async def watched_tenants(self, request: WatchChoice) -> WatchedTenants:
        """Raises `ApplicationError` for more enabled tenants than one watch may have."""
        chosen, disabled = await self._tenants.enabled(request.chosen)
        for tenant_id in disabled:
            activity.logger.info("%s: tenant %s is not looked at", ErrorCode.TENANT_DISABLED, tenant_id)
        if len(chosen) > MOST_TENANTS:
            raise ApplicationError(
                f"{len(chosen)} tenants are more than the {MOST_TENANTS} that can be watched; divide them by tags",
                type=ErrorCode.UNEXPECTED_ERROR,
                non_retryable=True,
            )
        return WatchedTenants(tenant_ids=chosen)

    @activity.defn
    async def watch_tenants(self, request: WatchTenants) -> WatchTenantsResult:
        """The next look retries a tenant that fails, and all of them if PostgreSQL refuses every tenant's rows: an
        activity that Temporal retries would read all their logs again each time.
        """
        looks = await asyncio.gather(
            *(
                tenant_result(
                    tenant_id,
                    self._look(request, tenant_id),
                    seconds=TENANT_SECONDS,
                    if_late=ErrorCode.GRAPH_UNAVAILABLE,
                )
                for tenant_id in request.tenant_ids
            ),
            return_exceptions=True,
        )
        for look in looks:
            if isinstance(look, BaseException):
                raise ApplicationError(str(look), type=ErrorCode.STORAGE_UNAVAILABLE, non_retryable=True)
        failed = {
            tenant_id: look
            for tenant_id, look in zip(request.tenant_ids, looks, strict=True)
            if isinstance(look, ErrorCode)
        }
        done = [look for look in looks if isinstance(look, WatchTenantsResult)]
        counts = {
            name: sum(getattr(look, name) for look in done)
            for name in WatchTenantsResult.model_fields
            if name != "failed"
        }
        return WatchTenantsResult(**counts, failed=failed)

    async def _look(self, request: WatchTenants, tenant_id: UUID) -> WatchTenantsResult:
        async with self._database.tenant(tenant_id, read_only=True) as session:
            start = await watch.begin_look(session)
        readable = self._readable(start.listed)
        due = [log for log in LOGS if readable[log] and _is_due(start.positions.get(log), start.at)]
        if not due:
            return WatchTenantsResult()
        tenant = await self._tenants.configured(tenant_id)
        logs = [await self._read_log(tenant, log, start.positions.get(log), start.at) for log in due]
        new = {
            log.type_key: [
                event
                for event in log.events
                if event.external_id not in _handled(start.positions.get(log.type_key)) and _is_change(event)
            ]
            for log in logs
        }
        named = await self._named(tenant_id, readable, new)
        made = await self._made(tenant, readable, new, named)
        named |= made.named
        every = {(item.type_key, item.external_id): item for of_event in named.values() for item in of_event}
        items = [every[key] for key in sorted(every)[:MOST_ITEMS]]
        read = await self._reader.read(tenant, items, made.listed) if items else ReadItems([], [], {}, 0)
        requests = sum(log.requests for log in logs) + made.requests + read.requests
        look = _Look(logs, new, named, made.left, items, read, requests)
        result, unknown = await self._record(request, tenant_id, start.at, look)
        if result.created or result.changed:
            await self._catch_up(tenant_id)
        return WatchTenantsResult(
            looked=1,
            requests=requests,
            read=len(read.observations),
            created=result.created,
            changed=result.changed,
            gone=result.gone,
            unknown_events=unknown,
        )

    def _readable(self, listed: Set[str]) -> dict[str, set[str]]:
        collections = self._catalog.collections
        return {
            log: {
                key
                for key in listed & collections.keys()
                if collections[key].audit_log == log and collections[key].confirmable
            }
            for log in LOGS
        }

    async def _record(
        self, request: WatchTenants, tenant_id: UUID, at: datetime, look: _Look
    ) -> tuple[watch.LookResult, int]:
        """Writes items and positions in one transaction; also returns the number of events that name no known item."""
        read = look.read
        events = look.events_by_item()
        waiting = {(item.type_key, item.external_id) for item in read.again}
        waiting |= {
            (item.type_key, item.external_id)
            for of_event in look.named.values()
            for item in of_event
            if item not in look.items
        }
        result = watch.LookResult()
        async with self._database.tenant(tenant_id) as session:
            if read.observations or read.gone:
                result = await watch.record_items(
                    session,
                    uuid5(request.look_id, str(tenant_id)),
                    request.workflow_id,
                    at,
                    LookItems(read.observations, read.gone, look.requests, set(read.again.values())),
                    events,
                    self._observers.comparison(tenant_id),
                )
                waiting |= result.contested
            left = look.left | {event.external_id for key in waiting for event in events.get(key, ())}
            unknown = 0
            for log in look.logs:
                named_none = sum(event.external_id not in look.named.keys() | left for event in look.new[log.type_key])
                unknown += named_none
                handled = [event.external_id for event in log.events if event.external_id not in left]
                code = None if log.failure is None else log.failure.code
                await watch.keep_position(session, LogLook(log.type_key, handled, named_none, code), at)
        return result, unknown

    async def _named(
        self, tenant_id: UUID, readable: dict[str, set[str]], new: dict[str, list[Observation]]
    ) -> dict[str, list[UnlistedItem]]:
        """Items by event id. Only ids identify items, since Microsoft does not list its names for types."""
        named: dict[str, list[UnlistedItem]] = {}
        for log, events in new.items():
            ids = {name for event in events for name in _ids(event)}
            if not ids:
                continue
            async with self._database.tenant(tenant_id, read_only=True) as session:
                found = await watch.items_named(session, readable[log], ids)
            by_id: defaultdict[str, list[UnlistedItem]] = defaultdict(list)
            for item in found:
                by_id[item.external_id].append(item)
            for event in events:
                if items := [item for name in _ids(event) for item in by_id.get(item_key(name), ())]:
                    named[event.external_id] = items
        return named

    async def _made(
        self,
        tenant: TenantConfig,
        readable: Mapping[str, set[str]],
        new: Mapping[str, Sequence[Observation]],
        named: Mapping[str, Sequence[UnlistedItem]],
    ) -> _MadeItems:
        items: dict[str, list[UnlistedItem]] = {}
        listed: dict[UnlistedItem, JsonObject] = {}
        left: set[str] = set()
        requests = 0
        for log, events in new.items():
            made = {event.external_id: _made_ids(event) for event in events if event.external_id not in named}
            ids = [item for of_event in made.values() for item in of_event]
            if not ids:
                continue
            new_items = await self._new_items.find(tenant, ids, readable[log], within=tenant.id)
            requests += new_items.requests
            listed |= new_items.listed
            for event_id, of_event in made.items():
                keys = {item_key(item.graph_id) for item in of_event}
                if of_this := [item for item in new_items.listed if item.external_id in keys]:
                    items[event_id] = of_this
                elif any(item.graph_id in new_items.again for item in of_event):
                    left.add(event_id)
        return _MadeItems(items, listed, left, requests)

    async def _read_log(self, tenant: TenantConfig, type_key: str, position: LogPosition | None, now: datetime) -> _Log:
        collection = self._catalog.collections[type_key]
        after = now - OVERLAP
        if position is not None and position.read_at is not None:
            after = max(min(position.read_at, now) - OVERLAP, now - LONGEST)
        since = after.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        url = f"{collection.path}?$filter={quote(f'activityDateTime ge {since}', safe='')}"
        read = await self._new_items.read_list(tenant, collection, url)
        observers = await self._observers.of_tenant(tenant.id)
        events, _ = await crunch(tenant.id, observers.observer(type_key).observe_page, read.objects)
        return _Log(type_key, events, read.requests, read.failure)

    async def _catch_up(self, tenant_id: UUID) -> None:
        for damaged in await references.catch_up(
            self._database, tenant_id, self._rules, within=REFERENCES_WITHIN, readers=1
        ):
            activity.logger.warning(damaged.in_words)


def _is_due(position: LogPosition | None, now: datetime) -> bool:
    if position is None or position.error_code not in _NOT_AVAILABLE:
        return True
    return position.tried_at <= now - UNAVAILABLE_FOR


def _handled(position: LogPosition | None) -> frozenset[str]:
    return frozenset() if position is None else frozenset(position.handled)


def _is_change(event: Observation) -> bool:
    result, operation = event.meta.get("result"), event.meta.get("operation")
    return str(result).lower() == "success" and str(operation).lower() != "get"


def _made_ids(event: Observation) -> list[MadeItem]:
    if str(event.meta.get("operation")).lower() not in ("create", "add"):
        return []
    return [MadeItem(name, str(event.meta.get("activity"))) for name in _ids(event)]


def _ids(event: Observation) -> list[str]:
    ids: Any = event.meta.get("resource_ids")
    return [name for name in ids if isinstance(name, str) and name] if isinstance(ids, list) else []
