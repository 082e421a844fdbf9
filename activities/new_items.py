"""Reads new items that audit events name."""

from collections.abc import Collection as AnyCollection
from collections.abc import Mapping, Sequence
from typing import NamedTuple
from uuid import UUID

from activities.items_by_id import SHORT_WAIT, ItemReader
from activities.page_observations import cursor_failure
from activities.request_pace import Pace
from graph.catalog import Catalog, Collection
from graph.client import GraphClient, GraphGet
from graph.errors import BatchRefusedError, ReadFailure, classify
from graph.links import UntrustedLinkError
from graph.pages import MalformedPageError, read_page
from graph.tenants import TenantConfig
from inventory.error_codes import ErrorCode
from inventory.exact_json import JsonObject, JsonValue
from inventory.item_ids import item_key
from storage.confirmations import UnlistedItem
from storage.database import Database

MOST_NEW = 5
"""The most ids that one look searches for, perhaps in every collection; the next look goes on."""

MOST_PAGES = 10
"""The most pages of a list that one look reads."""


class MadeItem(NamedTuple):
    """A new object's id, and the event's word for the act, such as `Create DeviceConfiguration`."""

    graph_id: str
    activity: str


class NewItems(NamedTuple):
    """`listed`: found items, as their lists show them. `again`: ids to search for again."""

    listed: Mapping[UnlistedItem, JsonObject]
    again: AnyCollection[str]
    requests: int


class ListPages(NamedTuple):
    """`failure`: why the next page could not be read."""

    objects: list[JsonValue]
    requests: int
    failure: ReadFailure | None


class NewItemReader:
    """Reads new items from lists, since a GET by id may show more properties, and no earlier version tells which.

    An item that the list's first pages lack is left to the next full run.
    """

    def __init__(self, graph: GraphClient, database: Database, catalog: Catalog, items: ItemReader) -> None:
        self._graph = graph
        self._catalog = catalog
        self._items = items
        self._pace = Pace(database)

    async def find(
        self, tenant: TenantConfig, made: Sequence[MadeItem], type_keys: AnyCollection[str], *, within: UUID
    ) -> NewItems:
        """Raises `GraphRequestError` if Graph was not reached."""
        searched = list(dict.fromkeys(made))[:MOST_NEW]
        again = {item.graph_id for item in made} - {item.graph_id for item in searched}
        collections = [
            self._catalog.collections[key] for key in sorted(type_keys) if not self._catalog.collections[key].parent
        ]
        requests = 0
        there: list[UnlistedItem] = []
        for likely in (True, False):
            found_ids = {item.external_id for item in there}
            candidates = [
                UnlistedItem(collection.type_key, item_key(item.graph_id), graph_id=item.graph_id)
                for item in searched
                for collection in collections
                if _may_name(item.activity, collection) is likely and item_key(item.graph_id) not in found_ids
            ]
            answers = await self._items.existing(tenant, candidates)
            requests += len(candidates)
            there += answers.items
            again |= {item.graph_id for item in searched if item_key(item.graph_id) in answers.again}
        listed: dict[UnlistedItem, JsonObject] = {}
        for key in sorted({item.type_key for item in there}):
            collection = self._catalog.collections[key]
            read = await self.read_list(tenant, collection, collection.first_url(within))
            requests += read.requests
            items_by_id = {item.external_id: item for item in there if item.type_key == key}
            for member in read.objects:
                if not isinstance(member, dict) or not isinstance(graph_id := member.get(collection.id_field), str):
                    continue
                if item := items_by_id.get(item_key(graph_id)):
                    listed[item] = member
            if read.failure is not None and read.failure.retryable:
                again |= {item.graph_id or "" for item in items_by_id.values() if item not in listed}
        return NewItems(listed, again - {item.graph_id for item in listed}, requests)

    async def read_list(self, tenant: TenantConfig, collection: Collection, url: str) -> ListPages:
        family = collection.throttle_family
        objects: list[JsonValue] = []
        requests = 0
        failure: ReadFailure | None = None
        following: str | None = url
        while following is not None and requests < MOST_PAGES and failure is None:
            async with (
                self._graph.admission() as admission,
                self._pace.turn_within(tenant.id, family, SHORT_WAIT) as wait,
            ):
                if wait:
                    return ListPages(objects, requests, ReadFailure(ErrorCode.GRAPH_THROTTLED, retryable=True))
                requests += 1
                gets = [GraphGet(collection.type_key, following)]
                try:
                    answers = await self._graph.read_batch(tenant, collection.api_version, gets, admission)
                except BatchRefusedError as error:
                    failure = error.failure
                    break
            answer = answers[collection.type_key]
            failure = classify(answer, permission=collection.permission)
            if failure is not None:
                break
            try:
                page = read_page(answer)
                following = page.next_link
                if following is not None:
                    self._graph.check_link(tenant, collection.api_version, following)
            except MalformedPageError as error:
                failure = error.failure
                break
            except UntrustedLinkError as error:
                failure = ReadFailure(error.code)
                break
            objects += page.items
        if failure is not None:
            await self._pace.heed(tenant.id, family, [cursor_failure(failure)])
        return ListPages(objects, requests, failure)


def _may_name(activity: str, collection: Collection) -> bool:
    """A guess that only orders the search: Microsoft publishes no list of these words."""
    entity = collection.path.rpartition("/")[2].lower()
    words = "".join(letter for letter in activity.lower() if letter.isalpha())
    return entity[:-3] in words
