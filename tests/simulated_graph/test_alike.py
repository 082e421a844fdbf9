"""Sample tenants of one model: their common documents, and the few ways in which they differ."""

from typing import Any

from local.simulated_graph import SimulatedGraph, SimulatedTenant
from local.simulated_graph.endpoints import ENDPOINTS, casts_of


def _documents(tenant: SimulatedTenant, path: str) -> list[dict[str, Any]]:
    return [item.document for item in tenant._content.items(ENDPOINTS[path])]


def _names(tenant: SimulatedTenant, path: str) -> list[str]:
    return [str(document.get(ENDPOINTS[path].name)) for document in _documents(tenant, path)]


def _deviating(golden: SimulatedTenant, other: SimulatedTenant) -> set[str]:
    named = [path for path, endpoint in ENDPOINTS.items() if endpoint.name not in ("", endpoint.key)]
    paths = [path for path in named if not ENDPOINTS[path].cast_of and not casts_of(path)]
    return {path for path in paths if _names(golden, path) != _names(other, path)}


def test_tenants_that_are_alike_share_all_names_but_for_what_is_missing_extra_or_renamed() -> None:
    with SimulatedGraph(tenants=4, alike=True) as graph:
        golden, first, second, third = graph.tenants
        assert _deviating(golden, third) == set()
        assert _deviating(golden, first) == {
            "deviceManagement/deviceCompliancePolicies",
            "deviceManagement/deviceConfigurations",
        }
        assert _deviating(golden, second) == {
            "deviceManagement/deviceConfigurations",
            "identity/conditionalAccess/policies",
        }


def test_the_deviations_are_a_weaker_setting_other_assignments_and_one_policy_more_and_less() -> None:
    with SimulatedGraph(tenants=3, alike=True) as graph:
        golden, first, second = graph.tenants
        policies = "identity/conditionalAccess/policies"
        assert _documents(golden, policies)[0]["state"] != _documents(first, policies)[0]["state"]
        catalog = "deviceManagement/configurationPolicies"
        assigned = [len(_documents(tenant, catalog)[1]["assignments"]) for tenant in (golden, second, first)]
        assert assigned[0] == assigned[1] != assigned[2]
        compliance = "deviceManagement/deviceCompliancePolicies"
        assert len(set(_names(golden, compliance)) - set(_names(first, compliance))) == 1
        configurations = "deviceManagement/deviceConfigurations"
        assert set(_names(first, configurations)) - set(_names(golden, configurations)) == {
            "Legacy Wi-Fi, to be retired"
        }


def test_documents_of_tenants_that_are_alike_have_ids_of_their_own() -> None:
    with SimulatedGraph(tenants=2, alike=True) as graph:
        golden, other = graph.tenants
        for path in ("groups", "deviceManagement/configurationPolicies", "deviceAppManagement/mobileApps"):
            assert {document["id"] for document in _documents(golden, path)}.isdisjoint(
                document["id"] for document in _documents(other, path)
            )


def test_deviations_are_there_in_every_generation() -> None:
    with SimulatedGraph(tenants=2, alike=True, generation=2) as graph:
        _, other = graph.tenants
        configurations = "deviceManagement/deviceConfigurations"
        assert "Legacy Wi-Fi, to be retired" in _names(other, configurations)
        graph.set_generation(0)
        assert "Legacy Wi-Fi, to be retired" in _names(other, configurations)
