"""How a held document looks in an answer: what lists and default GETs leave out, `$select`, `$expand`."""

import json
from collections.abc import Sequence
from typing import Any

import orjson

from local.simulated_graph.content import Item
from local.simulated_graph.documents import Document
from local.simulated_graph.endpoints import Endpoint, Navigation
from local.simulated_graph.query import Query, QueryError


def show(item: Item, endpoint: Endpoint, query: Query, context: str, *, listed: bool) -> Any:
    """The item as the endpoint shows it, in a list or by its id; `context` is its own `$metadata` address.

    Raw items come out as they went in.
    """
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
    # A typed view's relations are never inline in the collection that holds its documents either.
    shown = show_related(document, endpoint.navigations, query, context, endpoint.entity)
    if "assignments" not in query.expand:
        shown.pop("assignments", None)
    return shown


def show_related(
    document: Document, navigations: Sequence[Navigation], query: Query, context: str, entity: str
) -> Document:
    """The properties that `query` selects, and the navigations that it expands, each with its own options."""
    by_name = {navigation.name: navigation for navigation in navigations}
    shown = {
        key: value
        for key, value in document.items()
        if key not in by_name and (not query.select or key in query.select or key == "@odata.type")
    }
    for name, nested in query.expand.items():
        navigation = by_name.get(name)
        if navigation is None:
            raise QueryError(
                f"Parsing OData Select and Expand failed: Could not find a property named '{name}' on type "
                f"'microsoft.graph.{entity}'."
            )
        related = document.get(name)
        below = f"{context}/{name}"
        shown[f"{name}@odata.context"] = f"{below}/$entity" if navigation.single else below
        if navigation.single:
            shown[name] = related and show_related(related, navigation.children, nested, below, name)
        else:
            shown[name] = [show_related(each, navigation.children, nested, below, name) for each in related or ()]
    return shown


def check_selected(items: Sequence[Item], endpoint: Endpoint, query: Query) -> None:
    """Refuse a selected property that the endpoint's declared type doesn't have (GRAPH_FACTS §5)."""
    for name in query.select:
        if endpoint.base_properties is not None:
            known = name in endpoint.base_properties
        else:
            known = not items or any(isinstance(item.document, dict) and name in item.document for item in items)
        if not known:
            raise QueryError(
                f"Parsing OData Select and Expand failed: Could not find a property named '{name}' on type "
                f"'microsoft.graph.{endpoint.entity}'."
            )


def _hides_assignments(endpoint: Endpoint, document: Document) -> bool:
    """Endpoint-security policies answer `$expand=assignments` by id with an empty list (GRAPH_FACTS §5)."""
    family = (document.get("templateReference") or {}).get("templateFamily") or ""
    return endpoint.hides_assignments_of is not None and family.startswith(endpoint.hides_assignments_of)
