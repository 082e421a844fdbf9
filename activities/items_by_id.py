"""Reads items by id, as a listing and its detail calls would show them."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any, NamedTuple
from uuid import UUID

from activities.document_gaps import completed
from activities.observers import Observers, TenantObservers
from activities.page_observations import cursor_failure
from activities.request_pace import Pace
from graph.catalog import AUDIT_EVENTS, Catalog, Collection, ThrottleFamily
from graph.client import GraphAnswer, GraphClient, GraphGet
from graph.cpu_executor import crunch
from graph.details import DetailReading
from graph.errors import BatchRefusedError, ReadFailure, classify
from graph.links import UntrustedLinkError
from graph.pages import is_found, is_gone
from graph.tenants import TenantConfig
from inventory.error_codes import ErrorCode
from inventory.exact_json import JsonObject, decode, decode_object
from inventory.meta import PARENT_ID, edit_in
from inventory.observation import Observation
from storage import details
from storage.confirmations import UnlistedItem
from storage.database import Database
from storage.details import LastVersion

Answers = Mapping[UnlistedItem, GraphAnswer | ReadFailure]

SHORT_WAIT = timedelta(seconds=10)
"""The longest wait for a throttle family. After a longer pause, the next look reads the items."""

ROUNDS = 50
"""The most batches of details for a wave; items that need more are left to the next look."""


class ShownById(NamedTuple):
    """Properties that a GET by id shows otherwise than the last version.

    `more`: the version lacks them. `filled`: null in lists of Intune. `emptied`: expanded lists, perhaps wrongly empty
    (https://github.com/microsoftgraph/msgraph-sdk-powershell/issues/3337).
    """

    more: frozenset[str] = frozenset()
    filled: frozenset[str] = frozenset()
    emptied: frozenset[str] = frozenset()

    @classmethod
    def of(cls, collection: Collection, observed: Sequence[Observation], last: LastVersion | None) -> "ShownById":
        """Nothing differs without an observation or a last version."""
        if not observed or last is None or last.document is None:
            return cls()
        now, before = (decode_object(document) for document in (observed[0].document, last.document))
        common = now.keys() & before.keys()
        return cls(
            frozenset(now.keys() - before.keys()),
            frozenset(
                name
                for name in common
                if collection.audit_log == AUDIT_EVENTS and before[name] is None and now[name] is not None
            ),
            frozenset(name for name in common if name in collection.expanded and before[name] and not now[name]),
        )

    def as_listed(self, item: JsonObject) -> JsonObject:
        """The object without `more`, and with null for `filled`."""
        return {name: None if name in self.filled else value for name, value in item.items() if name not in self.more}


class ReadItems(NamedTuple):
    """`again`: items to read later. An item in none of the three cannot be read by id."""

    observations: list[Observation]
    gone: list[UnlistedItem]
    again: dict[UnlistedItem, ErrorCode]
    requests: int


class ExistingItems(NamedTuple):
    """`again`: ids to ask for again, since Graph throttled the requests."""

    items: list[UnlistedItem]
    again: frozenset[str]


class _Item:
    def __init__(self, listed: Observation, reading: DetailReading, last: LastVersion | None) -> None:
        self.listed = listed
        self.reading = reading
        self.last = last
        self.failure: ReadFailure | None = None


class ItemReader:
    """Reads items at the pace of each throttle family. Items of a paused family wait for a later look."""

    def __init__(self, graph: GraphClient, database: Database, catalog: Catalog, observers: Observers) -> None:
        self._graph = graph
        self._database = database
        self._catalog = catalog
        self._observers = observers
        self._pace = Pace(database)

    async def existing(self, tenant: TenantConfig, items: Sequence[UnlistedItem]) -> ExistingItems:
        """Asks Graph whether items exist. Raises `GraphRequestError` if Graph was not reached."""
        existing: list[UnlistedItem] = []
        again: set[str] = set()
        for api_version, family, wave in self._waves(items):
            answers = await self._ask(tenant, api_version, family, {item: self._id_url(item) for item in wave})
            for item, answer in answers.items():
                if isinstance(answer, GraphAnswer):
                    existing += [] if is_gone(answer) else [item]
                elif answer.code is ErrorCode.GRAPH_THROTTLED:
                    again.add(item.external_id)
        return ExistingItems(existing, frozenset(again - {item.external_id for item in existing}))

    async def read(
        self, tenant: TenantConfig, items: Sequence[UnlistedItem], listed_now: Mapping[UnlistedItem, JsonObject]
    ) -> ReadItems:
        """`listed_now` holds new items as their lists show them."""
        observers = await self._observers.of_tenant(tenant.id)
        observations: list[Observation] = []
        gone: list[UnlistedItem] = []
        again: dict[UnlistedItem, ErrorCode] = {}
        requests = 0
        for api_version, family, wave in self._waves(items):
            urls = {item: self._whole_url(item) for item in wave if item not in listed_now}
            answers = await self._ask(tenant, api_version, family, urls) if urls else {}
            requests += len(urls)
            absent = [item for item in urls if isinstance(answer := answers[item], GraphAnswer) and is_gone(answer)]
            if absent:
                # An item may be 404 with all properties of a listing, and yet answer to its id.
                confirmed = await self._ask(tenant, api_version, family, {item: self._id_url(item) for item in absent})
                requests += len(absent)
                gone += [
                    item for item in absent if isinstance(answer := confirmed[item], GraphAnswer) and is_gone(answer)
                ]
            again |= {
                item: answer.code
                for item, answer in answers.items()
                if (isinstance(answer, ReadFailure) and answer.retryable)
            }
            shown = {item: answer for item, answer in answers.items() if isinstance(answer, GraphAnswer)}
            async with self._database.tenant(tenant.id, read_only=True) as session:
                last = await details.last_versions(session, wave)
            listed = await crunch(tenant.id, self._observed, observers, shown, last)
            new = {item: listed_now[item] for item in wave if item in listed_now}
            listed |= await crunch(tenant.id, _as_listed, observers, new)
            reading = {
                item: _Item(
                    observation,
                    await crunch(tenant.id, self._reading, observers, item, observation),
                    last.get((item.type_key, item.external_id)),
                )
                for item, observation in listed.items()
            }
            requests += await self._read_details(tenant, api_version, family, list(reading.values()))
            for item, read in reading.items():
                if read.failure is not None:
                    if read.failure.retryable:
                        again[item] = read.failure.code
                elif read.reading.gone:
                    gone += [] if item in listed_now else [item]
                elif whole := await crunch(tenant.id, self._whole, observers, item, read):
                    observations.append(whole)
        return ReadItems(observations, gone, again, requests)

    def _waves(self, items: Sequence[UnlistedItem]) -> Iterator[tuple[str, ThrottleFamily, list[UnlistedItem]]]:
        groups: defaultdict[tuple[str, ThrottleFamily], list[UnlistedItem]] = defaultdict(list)
        for item in items:
            collection = self._catalog.collections[item.type_key]
            groups[collection.api_version, collection.throttle_family].append(item)
        for (api_version, family), of_group in groups.items():
            for start in range(0, len(of_group), family.wave_limit):
                yield api_version, family, of_group[start : start + family.wave_limit]

    def _whole_url(self, item: UnlistedItem) -> str:
        collection = self._catalog.collections[item.type_key]
        return collection.whole_item_url(item.graph_id or item.external_id, item.parent_id)

    def _id_url(self, item: UnlistedItem) -> str:
        return self._catalog.collections[item.type_key].item_url(item.graph_id or item.external_id, item.parent_id)

    async def _ask(
        self, tenant: TenantConfig, api_version: str, family: ThrottleFamily, urls: Mapping[UnlistedItem, str]
    ) -> Answers:
        """Raises `GraphRequestError` if Graph was not reached."""
        gets = [GraphGet(str(number), url) for number, url in enumerate(urls.values())]
        async with self._pace.turn_within(tenant.id, family, SHORT_WAIT) as wait:
            if wait:
                return dict.fromkeys(urls, ReadFailure(ErrorCode.GRAPH_THROTTLED, retryable=True, retry_after=wait))
            try:
                answers = await self._graph.read_batch(tenant, api_version, gets)
            except BatchRefusedError as error:
                await self._heed(tenant.id, family, [error.failure])
                return dict.fromkeys(urls, error.failure)
        judged = {item: self._judged(item, answers[get.key]) for item, get in zip(urls, gets, strict=True)}
        await self._heed(
            tenant.id, family, [failure for failure in judged.values() if isinstance(failure, ReadFailure)]
        )
        return judged

    def _judged(self, item: UnlistedItem, answer: GraphAnswer) -> GraphAnswer | ReadFailure:
        collection = self._catalog.collections[item.type_key]
        if is_gone(answer) or is_found(answer, collection.id_field, item.external_id):
            return answer
        failure = classify(answer, permission=collection.permission)
        return failure or ReadFailure(ErrorCode.GRAPH_MALFORMED_RESPONSE, retryable=True)

    async def _heed(self, tenant_id: UUID, family: ThrottleFamily, failures: Sequence[ReadFailure]) -> None:
        await self._pace.heed(tenant_id, family, [cursor_failure(failure) for failure in failures])

    def _observed(
        self,
        observers: TenantObservers,
        answers: Mapping[UnlistedItem, GraphAnswer],
        last: Mapping[tuple[str, str], LastVersion],
    ) -> dict[UnlistedItem, Observation]:
        """Items as if they had been listed. An item whose difference cannot be judged is left to full runs."""
        read = {}
        for item, answer in answers.items():
            if is_gone(answer):
                continue
            observer = observers.observer(item.type_key)
            valid, _ = observer.observe_page([answer.body])
            before = last.get((item.type_key, item.external_id))
            differs = ShownById.of(self._catalog.collections[item.type_key], valid, before)
            if before is None or before.document is None or differs.filled or differs.emptied:
                continue
            if differs.more:
                valid, _ = observer.observe_page([differs.as_listed(answer.body)])
            if valid:
                read[item] = valid[0]
        return read

    def _reading(self, observers: TenantObservers, item: UnlistedItem, observation: Observation) -> DetailReading:
        collection = self._catalog.collections[item.type_key]
        document: Any = decode(observation.document)
        graph_id = item.graph_id or item.external_id
        return DetailReading(collection, observers.canonicalizer(item.type_key), graph_id, {**document})

    async def _read_details(
        self, tenant: TenantConfig, api_version: str, family: ThrottleFamily, items: Sequence[_Item]
    ) -> int:
        requests = 0
        for _ in range(ROUNDS):
            calls = [(item, call) for item in items if item.failure is None for call in item.reading.open]
            calls = calls[: family.wave_limit]
            if not calls:
                return requests
            requests += len(calls)
            gets = [GraphGet(str(number), call.url) for number, (_, call) in enumerate(calls)]
            async with self._pace.turn_within(tenant.id, family, SHORT_WAIT) as wait:
                if wait:
                    break
                try:
                    answers = await self._graph.read_batch(tenant, api_version, gets)
                except BatchRefusedError as error:
                    await self._heed(tenant.id, family, [error.failure])
                    for item, _ in calls:
                        item.failure = error.failure
                    continue
            failures = []
            for get, (item, call) in zip(gets, calls, strict=True):
                failure = await crunch(tenant.id, item.reading.take, call, answers[get.key])
                if failure is None and self._follows_untrusted(tenant, api_version, item.reading):
                    failure = ReadFailure(ErrorCode.GRAPH_UNTRUSTED_LINK)
                if failure is not None:
                    item.failure = failure
                    failures.append(failure)
            await self._heed(tenant.id, family, failures)
        for item in items:
            if item.failure is None and item.reading.open:
                item.failure = ReadFailure(ErrorCode.GRAPH_THROTTLED, retryable=True)
        return requests

    def _follows_untrusted(self, tenant: TenantConfig, api_version: str, reading: DetailReading) -> bool:
        try:
            for call in reading.open:
                if call.page > 1:
                    self._graph.check_link(tenant, api_version, call.url)
        except UntrustedLinkError:
            return True
        return False

    def _whole(self, observers: TenantObservers, item: UnlistedItem, read: _Item) -> Observation | None:
        listed = read.listed
        whole = listed
        if listed.list_hash is not None:
            made = completed(read.reading, read.last) if read.reading.is_at_end else None
            if made is None or made.stale:
                return None
            valid, _ = observers.observer(item.type_key).observe_page(
                [made.document], with_references=True, edit=edit_in(listed.meta), has_details=True
            )
            if not valid:
                return None
            meta = {**listed.meta, **valid[0].meta}
            whole = valid[0]._replace(
                display_name=listed.display_name, meta=meta, list_hash=listed.list_hash, is_cut=listed.is_cut
            )
        meta = {**whole.meta, PARENT_ID: item.parent_id} if item.parent_id else whole.meta
        return whole._replace(external_id=item.external_id, meta=meta)


def _as_listed(
    observers: TenantObservers, listed: Mapping[UnlistedItem, JsonObject]
) -> dict[UnlistedItem, Observation]:
    observed = {item: observers.observer(item.type_key).observe_page([shown])[0] for item, shown in listed.items()}
    return {item: valid[0] for item, valid in observed.items() if valid}
