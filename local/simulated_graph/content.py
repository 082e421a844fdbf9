"""One tenant's content by collection, and its edits."""

import time
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from threading import RLock
from typing import Any

from local.simulated_graph.assignments import drawn_assignments, group_assignments, with_assignments
from local.simulated_graph.child_edits import Edit, appending, changing, edited, removing
from local.simulated_graph.documents import Document, complete, made_id, with_new_id
from local.simulated_graph.endpoints import ENDPOINTS, Endpoint, casts_of, endpoint_at, located
from local.simulated_graph.moments import edit_moment
from local.simulated_graph.sample import sample_document, sample_documents


@dataclass(frozen=True, slots=True)
class Item:
    """A served object. `key` is the handle for edits: the object's own id, else a made-up one.

    A raw item is served as given: any JSON value, or bytes.
    """

    key: str
    document: Any
    raw: bool = False

    @property
    def kind(self) -> str | None:
        return self.document.get("@odata.type") if isinstance(self.document, dict) else None


class Content:
    """One tenant's documents: a folder's, else a sample's, made at first use. Thread-safe.

    Items are replaced, never changed, so returned lists stay as they are.
    """

    def __init__(
        self,
        tenant_id: str,
        folder: Mapping[str, list[Document]],
        items_per_collection: int | None = None,
        model: str | None = None,
    ) -> None:
        """Tenants of one `model` have the same sample, under their own ids."""
        self._tenant_id = tenant_id
        self._model = model
        self._folder = folder
        self._scale = items_per_collection
        self._collections: dict[str, list[Item]] = {}
        self._listed_from: dict[tuple[str, str], float] = {}
        """When lists show an unlisted object again, by `time.monotonic()`."""
        self._expanded_size: int | None = None
        self._edits = 0
        self._state = 0
        self._lock = RLock()

    @property
    def lock(self) -> RLock:
        """Held by each edit; hold the lock over several edits to show them together."""
        return self._lock

    @property
    def state(self) -> int:
        """A number that every edit changes."""
        with self._lock:
            due = [place for place, moment in self._listed_from.items() if moment <= time.monotonic()]
            for place in due:
                del self._listed_from[place]
            self._state += bool(due)
            return self._state

    def items(self, endpoint: Endpoint) -> list[Item]:
        with self._lock:
            items = self._collection(endpoint)
            if endpoint.cast_of is None:
                return list(items)
            return [item for item in items if item.kind == endpoint.odata_type]

    @property
    def expanded_size(self) -> int | None:
        return self._expanded_size

    def cut_expansions(self, size: int | None) -> None:
        """Makes `$expand` show `size` items, with a link to the rest; None for Graph's own number."""
        with self._lock:
            self._expanded_size = size
            self._state += 1

    def listed(self, endpoint: Endpoint) -> list[Item]:
        with self._lock:
            items, now = self.items(endpoint), time.monotonic()
            return [item for item in items if self._listed_from.get((endpoint.source, item.key), now) <= now]

    def unlist(self, path: str, key: str, seconds: float) -> None:
        """A GET by id still finds the object."""
        endpoint = endpoint_at(path)
        with self._lock:
            self._located(endpoint, key)
            self._listed_from[endpoint.source, key] = time.monotonic() + seconds
            self._state += 1

    def find(self, endpoint: Endpoint, object_id: str) -> Item | None:
        for item in self.items(endpoint):
            if isinstance(item.document, dict) and item.document.get(endpoint.key) == object_id:
                return item
        return None

    def add(self, path: str, document: Any, *, raw: bool = False) -> str:
        """Adds missing id, times and version; returns the key for edits.

        A `raw` document is served as it is, even with another's id or as no JSON.
        """
        endpoint, below = _addressed(path)
        if below:
            with self._lock:
                self._next_edit()
                made = made_id(f"{self._tenant_id}/{path.strip('/')}/added/{self._edits}")
                self._edit_below(endpoint, below, appending(document, made))
                return str(document.get("id", made))
        with self._lock:
            items = self._collection(endpoint)
            moment = self._next_edit()
            taken = {item.key for item in items}
            made = made_id(f"{self._tenant_id}/{endpoint.path}/added/{self._edits}")
            document = deepcopy(document)
            if raw:
                own = document.get(endpoint.key) if isinstance(document, dict) else None
                item = Item(own if isinstance(own, str) and own not in taken else made, document, raw=True)
            else:
                if endpoint.cast_of is not None:
                    document = {"@odata.type": endpoint.odata_type, **document}
                times = {name: moment for name in (endpoint.created, endpoint.modified) if name}
                document = complete({**times, **document}, endpoint, made)
                item = Item(document[endpoint.key], document)
                if item.key in taken:
                    raise ValueError(f"{endpoint.path} has {item.key} already; add a second one with raw=True")
            items.append(item)
            self._state += 1
            return item.key

    def change(self, path: str, key: str, changes: Mapping[str, Any], *, silently: bool = False) -> None:
        """Modified time and version follow unless `silently`; after a change below the object, only if
        `Navigation.noted`. A single relation's key is its id, or any text without one.
        """
        endpoint, below = _addressed(path)
        with self._lock:
            if below:
                self._edit_below(endpoint, below, changing(key, changes), silently=silently)
                return
            position, item = self._located(endpoint, key)
            bumped = {} if silently else self._bumped(endpoint, item)
            self._collection(endpoint)[position] = Item(
                key, {**item.document, **bumped, **deepcopy(dict(changes))}, item.raw
            )
            self._state += 1

    def rename(self, path: str, key: str, name: str) -> None:
        """Changes the property that holds the name (`displayName`, `tokenName` …)."""
        self.change(path, key, {endpoint_at(path).name: name})

    def remove(self, path: str, key: str) -> None:
        endpoint, below = _addressed(path)
        with self._lock:
            if below:
                self._edit_below(endpoint, below, removing(key))
                return
            position, _ = self._located(endpoint, key)
            del self._collection(endpoint)[position]
            self._state += 1

    def reassign(self, path: str, key: str, group_ids: Sequence[str]) -> None:
        """Assigns these groups only. The modified time stays, as in Intune."""
        endpoint = endpoint_at(path)
        if endpoint.navigation("assignments") is None:
            raise ValueError(f"{endpoint.path} has no assignments")
        with self._lock:
            position, item = self._located(endpoint, key)
            assigned = group_assignments(endpoint, item.document["id"], group_ids)
            self._collection(endpoint)[position] = Item(
                key, with_assignments(endpoint, item.document, assigned), item.raw
            )
            self._state += 1

    def hold(self, path: str, documents: Sequence[Document]) -> None:
        endpoint = ENDPOINTS[path]
        with self._lock:
            self._collections[endpoint.path] = [
                Item(document.get(endpoint.key) or made_id(f"{self._tenant_id}/{path}/{number}"), document)
                for number, document in enumerate(documents)
            ]
            self._state += 1

    def reset(self) -> None:
        with self._lock:
            self._collections.clear()
            self._listed_from.clear()
            self._edits = 0
            self._state += 1

    def _edit_below(self, endpoint: Endpoint, below: Sequence[str], edit: Edit, *, silently: bool = False) -> None:
        items = self._collection(endpoint)
        if endpoint.singleton:
            below = (items[0].key, *below)
        position, item = self._located(endpoint, below[0])
        document, noted = edited(item.document, endpoint, below[1:], edit)
        if noted and not silently:
            document.update(self._bumped(endpoint, item))
        items[position] = Item(item.key, document, item.raw)
        self._state += 1

    def _next_edit(self) -> str:
        self._edits += 1
        return edit_moment(self._edits)

    def _located(self, endpoint: Endpoint, key: str) -> tuple[int, Item]:
        for position, item in enumerate(self._collection(endpoint)):
            if item.key == key:
                return position, item
        raise KeyError(f"{endpoint.path} has no {key}")

    def _bumped(self, endpoint: Endpoint, item: Item) -> Document:
        bumped: Document = {endpoint.modified: self._next_edit()} if endpoint.modified else {}
        version = item.document.get("version")
        if isinstance(endpoint.first_version, int) and isinstance(version, int):
            bumped["version"] = version + 1
        elif isinstance(endpoint.first_version, str):
            bumped["version"] = f'"{made_id(f"{item.key}/version/{self._edits}")}"'
        return {} if item.raw else bumped

    def _collection(self, endpoint: Endpoint) -> list[Item]:
        source = ENDPOINTS[endpoint.source]
        if source.path not in self._collections:
            self._collections[source.path] = [Item(document[source.key], document) for document in self._made(source)]
        return self._collections[source.path]

    def _made(self, source: Endpoint) -> list[Document]:
        documents = self._scaled(source, self._folder.get(source.path, []))
        views = casts_of(source.path)
        present = {document.get("@odata.type") for document in documents}
        for endpoint in views or [source]:
            if (endpoint.odata_type not in present) if views else not documents:
                documents += sample_documents(endpoint, self._tenant_id, self._scale, self._model)
        if not any(endpoint.navigation("assignments") for endpoint in (source, *views)):
            return documents
        group_ids = [item.key for item in self._collection(ENDPOINTS["groups"])]
        return [self._assigned(source, document, number, group_ids) for number, document in enumerate(documents)]

    def sample(self, endpoint: Endpoint, number: int) -> Document:
        return sample_document(endpoint, self._tenant_id, number, self._model)

    def _assigned(self, endpoint: Endpoint, document: Document, number: int, group_ids: Sequence[str]) -> Document:
        # Apps that Graph offers every tenant have no assignments at first.
        offered = document.get("appAvailability") == "global"
        seed = f"{self._model}/{endpoint.path}/{number}" if self._model else document["id"]
        drawn = [] if offered else drawn_assignments(endpoint, document["id"], group_ids, seed)
        assigned = document.get("assignments") or drawn
        return with_assignments(endpoint, document, assigned)

    def _scaled(self, source: Endpoint, documents: list[Document]) -> list[Document]:
        if self._scale is None or not documents:
            return list(documents)
        copies = documents[: self._scale]
        for number in range(len(documents), self._scale):
            original = documents[number % len(documents)]
            copy = with_new_id(original, made_id(f"{source.path}/{original['id']}/copy/{number}"))
            copies.append({**copy, source.name: f"{original.get(source.name)} ({number})"})
        return copies


def _addressed(path: str) -> tuple[Endpoint, list[str]]:
    """The endpoint, and the segments below one of its objects."""
    found = located(path)
    if found is None or (found[1] and not found[0].singleton and len(found[1]) == 1):
        raise KeyError(path.strip("/"))
    return found
