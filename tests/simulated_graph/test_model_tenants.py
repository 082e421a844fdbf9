"""Sample tenants of one model: their common documents, and the few ways in which they differ."""

from typing import Any

from local.simulated_graph import SimulatedGraph, SimulatedTenant
from local.simulated_graph.endpoints import ENDPOINTS, casts_of


def _documents(tenant: SimulatedTenant, path: str) -> list[dict[str, Any]]:
    return [item.document for item in tenant._content.items(ENDPOINTS[path])]


def _names(tenant: SimulatedTenant, path: str) -> list[str]:
    return [str(document.get(ENDPOINTS[path].name)) for document in _documents(tenant, path)]


def _deviating_paths(golden: SimulatedTenant, other: SimulatedTenant) -> set[str]:
    named = [path for path, endpoint in ENDPOINTS.items() if endpoint.name not in ("", endpoint.key)]
    paths = [path for path in named if not ENDPOINTS[path].cast_of and not casts_of(path)]
    return {path for path in paths if _names(golden, path) != _names(other, path)}


def test_alike_tenants_share_names_except_in_deviating_collections() -> None:
    with SimulatedGraph(tenants=4, alike=True) as graph:
        golden, first, second, third = graph.tenants
        assert _deviating_paths(golden, third) == set()
        assert _deviating_paths(golden, first) == {
            "deviceManagement/deviceCompliancePolicies",
            "deviceManagement/deviceConfigurations",
        }
        assert _deviating_paths(golden, second) == {
            "deviceManagement/deviceConfigurations",
            "identity/conditionalAccess/policies",
        }


def test_alike_tenants_differ_in_a_setting_assignments_and_policies() -> None:
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


def test_documents_of_alike_tenants_have_different_ids() -> None:
    with SimulatedGraph(tenants=2, alike=True) as graph:
        golden, other = graph.tenants
        for path in ("groups", "deviceManagement/configurationPolicies", "deviceAppManagement/mobileApps"):
            assert {document["id"] for document in _documents(golden, path)}.isdisjoint(
                document["id"] for document in _documents(other, path)
            )


def test_deviations_stay_in_every_generation() -> None:
    with SimulatedGraph(tenants=2, alike=True, generation=2) as graph:
        _, other = graph.tenants
        configurations = "deviceManagement/deviceConfigurations"
        assert "Legacy Wi-Fi, to be retired" in _names(other, configurations)
        graph.set_generation(0)
        assert "Legacy Wi-Fi, to be retired" in _names(other, configurations)
