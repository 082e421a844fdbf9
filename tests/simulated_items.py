"""The items of a simulated tenant: whole documents, assembled without the product's reader."""

from collections.abc import Iterable
from typing import Any
from urllib.parse import quote
from uuid import UUID

from graph.catalog import ChildCall, Collection, DetailCall, load_catalog
from inventory.observation import Observer
from local.simulated_graph import SimulatedTenant

Item = tuple[str, str]
"""A type key and an id."""


def listing_documents(tenant: SimulatedTenant, collection: Collection) -> list[dict[str, Any]]:
    """The documents in the collection's listing."""
    version = collection.api_version
    if collection.singleton:
        return [tenant.get(collection.first_url(UUID(tenant.id)), version)]
    if collection.parent is None:
        documents = tenant.documents(collection.first_url(UUID(tenant.id)), version)
    else:
        parents = tenant.documents(load_catalog().collections[collection.parent].path, version)
        documents = [
            document
            for parent in parents
            for document in tenant.documents(collection.child_url(str(parent["id"])), version)
        ]
    return [document for document in documents if not _left_out(document, collection)]


def whole_document(tenant: SimulatedTenant, collection: Collection, document: dict[str, Any]) -> dict[str, Any]:
    """The document with the answers of its detail calls."""
    result = dict(document)
    for detail in collection.details:
        if not detail.is_of(document):
            continue
        external_id = str(document[collection.id_field])
        kind = str(document.get("@odata.type", "")).removeprefix("#")
        answer = _answer(tenant, collection, detail, kind, external_id)
        if detail.property is None:
            believed = {name: result[name] for name in detail.believe_list if name in result}
            result = {**result, **answer, **believed}
            continue
        for child in detail.children:
            for member in answer:
                member[child.property] = _answer(tenant, collection, child, kind, external_id, str(member["id"]))
        result[detail.property] = answer
    return result


def content_hashes(tenant: SimulatedTenant, type_keys: Iterable[str]) -> dict[Item, str]:
    """The content hashes of the tenant's items now."""
    hashes = {}
    for type_key in type_keys:
        collection = load_catalog().collections[type_key]
        documents = [whole_document(tenant, collection, document) for document in listing_documents(tenant, collection)]
        for observation in Observer(collection.observation_rules()).observe_page(documents)[0]:
            hashes[type_key, observation.external_id] = observation.content_hash.hex()
    return hashes


def _answer(
    tenant: SimulatedTenant,
    collection: Collection,
    call: DetailCall | ChildCall,
    kind: str,
    external_id: str,
    child_id: str = "",
) -> Any:
    path = call.path.replace("{id}", quote(external_id, safe="")).replace("{child_id}", quote(child_id, safe=""))
    path = path.replace("{type}", kind)
    try:
        if call.single:
            return tenant.get(path, collection.api_version)
        return tenant.documents(path, collection.api_version)
    except LookupError:
        if call.optional:
            return None
        raise


def _left_out(document: Any, collection: Collection) -> bool:
    return isinstance(document, dict) and (
        document.get("@odata.type") in collection.left_out_types
        or any(document.get(name) == value for name, value in collection.left_out_where.items())
    )
