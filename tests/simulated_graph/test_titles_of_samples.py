"""Titles of the sample tenants' objects: each is a name that people can read."""

import re
from collections.abc import Iterator
from typing import Any
from uuid import UUID

from graph.catalog import Collection, item_title, kind_of, load_catalog
from inventory.observation import Observation, Observer
from local.simulated_graph import SimulatedGraph, SimulatedTenant

COLLECTIONS = load_catalog().collections
GUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


def collection_documents(tenant: SimulatedTenant, entry: Collection) -> list[dict[str, Any]]:
    """A collection's documents; none if the tenant lacks it."""
    try:
        if entry.singleton:
            return [tenant.get(entry.first_url(UUID(tenant.id)).lstrip("/"), entry.api_version)]
        if entry.parent is None:
            return tenant.documents(entry.first_url(UUID(tenant.id)).lstrip("/"), entry.api_version)
        parents = collection_documents(tenant, COLLECTIONS[entry.parent])
        urls = [entry.child_url(str(parent["id"])) for parent in parents]
        return [found for url in urls for found in tenant.documents(url.lstrip("/"), entry.api_version)]
    except LookupError:
        return []


def observed(tenant: SimulatedTenant) -> Iterator[Observation]:
    for entry in COLLECTIONS.values():
        yield from Observer(entry.observation_rules()).observe_page(collection_documents(tenant, entry))[0]


def test_every_sample_object_has_a_title_without_a_guid() -> None:
    with SimulatedGraph(tenants=1, alike=True) as graph:
        items = [item for tenant in graph.tenants for item in observed(tenant)]
    assert {item.type_key for item in items} >= {key for key, entry in COLLECTIONS.items() if entry.singleton}
    assert len(items) > 700
    unnamed = {
        (item.type_key, title)
        for item in items
        for title in [item_title(item.type_key, item.external_id, item.display_name, kind_of(item.type_key, item.meta))]
        if not title.strip() or GUID.search(title)
    }
    assert unnamed == set()
