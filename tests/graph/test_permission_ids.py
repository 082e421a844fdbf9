"""Ids of permissions: each permission of the catalog has an id, and an application can have it."""

import gzip
import json
from pathlib import Path

import pytest

from graph.catalog import load_catalog
from graph.permission_ids import permission_ids, required_resource_access

PUBLISHED = Path(__file__).resolve().parents[3] / "shared" / "reference" / "schema" / "permissions.json.gz"

NOT_MAPPED = {
    "APIConnectors.Read.All",
    "Agreement.Read.All",
    "OnPremDirectorySynchronization.Read.All",
    "Policy.Read.IdentityProtection",
}
"""App roles of Graph whose paths the published map lists for signed-in users only, or not at all."""

needs_published = pytest.mark.skipif(not PUBLISHED.is_file(), reason="Microsoft's published permission map is not here")


def test_exactly_the_catalogs_permissions_have_ids() -> None:
    assert set(permission_ids()) == set().union(
        *(collection.permissions for collection in load_catalog().collections.values())
    )


def test_no_two_permissions_share_an_id() -> None:
    assert len(set(permission_ids().values())) == len(permission_ids())


def test_a_manifest_names_each_permission_once() -> None:
    (graph,) = required_resource_access(permission_ids())["requiredResourceAccess"]
    assert {role["type"] for role in graph["resourceAccess"]} == {"Role"}
    assert len({role["id"] for role in graph["resourceAccess"]}) == len(permission_ids())


@needs_published
def test_an_application_can_be_granted_each_permission() -> None:
    with gzip.open(PUBLISHED) as content:
        published = {name for permissions in json.load(content).values() for name in permissions}
    assert set(permission_ids()) - published == NOT_MAPPED
