"""The simulated Graph's endpoints, checked against Microsoft's metadata."""

from collections.abc import Iterator, Sequence

from graph.catalog.facts import Metadata, metadata
from local.simulated_graph.endpoints import ENDPOINTS, Navigation

DOCUMENTED = [endpoint for endpoint in ENDPOINTS.values() if not endpoint.undocumented]

UNDOCUMENTED = {
    "deviceManagement/inventoryPolicies",
    "deviceManagement/managementConditions",
    "deviceManagement/telecomExpenseManagementPartners",
    "identity/conditionalAccess/settings",
    "identityProtection/policy",
    "networkAccess/settings/enrichedAuditLogs",
    "officeConfiguration/clientConfigurations",
    "security/rules/detectionRules",
}
"""Served although unpublished, for the catalog's reasons (graph/catalog/deviations.toml)."""


def unknown_relations(facts: Metadata, type_name: str, navigations: Sequence[Navigation], path: str) -> Iterator[str]:
    """The relations below a path that no type has, or has as one object instead of many, or the reverse."""
    known = [facts.navigations(relative) | facts.properties(relative) for relative in facts.family(type_name)]
    for navigation in navigations:
        below = f"{path}/{navigation.name}"
        place = next((places[navigation.name] for places in known if navigation.name in places), None)
        if place is None or place.is_collection == navigation.single:
            yield below
        else:
            yield from unknown_relations(facts, place.type_name, navigation.children, below)


def test_unpublished_endpoints_are_listed() -> None:
    assert {path for path, endpoint in ENDPOINTS.items() if endpoint.undocumented} == UNDOCUMENTED


def test_endpoints_are_published_in_each_version_and_relations_in_one() -> None:
    for endpoint in DOCUMENTED:
        unknown = []
        for version in endpoint.versions:
            place = metadata(version).resolve(endpoint.path)
            assert place is not None, f"{version}/{endpoint.path}"
            assert place.is_collection != endpoint.singleton, f"{version}/{endpoint.path}"
            relations = unknown_relations(metadata(version), place.type_name, endpoint.navigations, endpoint.path)
            unknown.append(set(relations))
        assert set.intersection(*unknown) == set()


def test_endpoint_has_its_published_type() -> None:
    for endpoint in DOCUMENTED:
        facts = metadata("beta" if "beta" in endpoint.versions else "v1.0")
        place = facts.resolve(endpoint.path)
        assert place is not None
        family = {name.rpartition(".")[2] for name in facts.family(place.type_name)}
        assert endpoint.entity in family, endpoint.path
