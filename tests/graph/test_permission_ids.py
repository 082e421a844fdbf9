"""Ids of permissions: each that the catalog names has one, and Microsoft knows each name as an application's."""

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
"""App roles that Graph has, and for whose paths the published map lists signed-in users only, or nobody."""

needs_published = pytest.mark.skipif(not PUBLISHED.is_file(), reason="Microsoft's published permission map is not here")


def test_each_permission_of_the_catalog_has_an_id_and_no_other_has() -> None:
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
