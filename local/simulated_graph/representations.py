"""Documents in answers: default properties, `$select`, `$expand`."""

import json
from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import orjson

from local.simulated_graph.content import Item
from local.simulated_graph.documents import Document
from local.simulated_graph.endpoints import Endpoint, Navigation, relations_of
from local.simulated_graph.query import Query, unknown_property


class Cut(Protocol):
    """Cuts a navigation in `$expand`; returns the shown part, and the link to the rest, if any."""

    def __call__(
        self, path: str, navigation: Navigation, nested: Query, related: list[Document]
    ) -> tuple[list[Document], str | None]:
        """`path` is the navigation's, `nested` its options."""
        ...


class Place(NamedTuple):
    """An object's `$metadata` address and path."""

    context: str
    path: str
    cut: Cut

    def below(self, *segments: str) -> "Place":
        added = "".join(f"/{segment}" for segment in segments)
        return self._replace(context=self.context + added, path=self.path + added)


def show(item: Item, endpoint: Endpoint, query: Query, place: Place, *, listed: bool) -> Any:
    """The item in a list or by id. A raw item is unchanged."""
    if item.raw:
        raw = item.document
        return orjson.Fragment(raw if isinstance(raw, bytes) else json.dumps(raw, separators=(",", ":")))
    document = item.document
    if listed:
        document = {**document, **{name: None for name in endpoint.bodies if name in document}}
    elif "assignments" in query.expand and _hides_assignments(endpoint, document):
        document = {**document, "assignments": []}
    if endpoint.cast_of is not None:
        document = {key: value for key, value in document.items() if key != "@odata.type"}
    if not query.select and not endpoint.only_selected.isdisjoint(document):
        document = {key: value for key, value in document.items() if key not in endpoint.only_selected}
    # A typed view's relations are never inline in the collection that holds its documents either.
    hidden = relations_of(endpoint.source).difference(navigation.name for navigation in endpoint.navigations)
    if not hidden.isdisjoint(document):
        document = {key: value for key, value in document.items() if key not in hidden}
    return show_related(document, endpoint.navigations, query, place)


def show_related(document: Document, navigations: Sequence[Navigation], query: Query, place: Place) -> Document:
    by_name = {navigation.name: navigation for navigation in navigations}
    representation = {
        key: value
        for key, value in document.items()
        if key not in by_name and (not query.select or key in query.select or key == "@odata.type")
    }
    for name, nested in query.expand.items():
        navigation = by_name[name]
        related = document.get(name)
        below = place.below(name)
        representation[f"{name}@odata.context"] = f"{below.context}/$entity" if navigation.single else below.context
        if navigation.single:
            representation[name] = related and show_related(related, navigation.children, nested, below)
            continue
        members, link = place.cut(below.path, navigation, nested, list(related or ()))
        representation[name] = [
            show_related(member, navigation.children, nested, below._replace(path=f"{below.path}/{member.get('id')}"))
            for member in members
        ]
        if link is not None:
            representation[f"{name}@odata.nextLink"] = link
    return representation


def check_expanded(navigations: Sequence[Navigation], query: Query, entity: str) -> None:
    by_name = {navigation.name: navigation for navigation in navigations if navigation.expandable}
    for name, nested in query.expand.items():
        if name not in by_name:
            raise unknown_property(name, entity)
        check_expanded(by_name[name].children, nested, name)


def check_selected(items: Sequence[Item], endpoint: Endpoint, query: Query) -> None:
    for name in query.select:
        if endpoint.base_properties is not None:
            known = name in endpoint.base_properties
        else:
            known = not items or any(isinstance(item.document, dict) and name in item.document for item in items)
        if not known:
            raise unknown_property(name, endpoint.entity)


def _hides_assignments(endpoint: Endpoint, document: Document) -> bool:
    """By id, `$expand=assignments` of endpoint-security policies is empty."""
    family = (document.get("templateReference") or {}).get("templateFamily") or ""
    return endpoint.hides_assignments_of is not None and family.startswith(endpoint.hides_assignments_of)
