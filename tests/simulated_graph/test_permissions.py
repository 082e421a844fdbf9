"""An app reads the paths of its granted permissions; Graph refuses everything else with 403."""

from typing import Any

from graph.catalog import load_catalog
from local.simulated_graph import SimulatedGraph, SimulatedTenant
from local.simulated_graph.permissions import readers


def test_each_request_of_the_catalog_is_read_by_its_permission() -> None:
    for entry in load_catalog().collections.values():
        listing = readers(entry.path.replace("{parent_id}", "{id}").replace("{tenant_id}", "{id}"))
        assert (entry.permission in listing) is not entry.delegated_only, entry.type_key
        for detail in entry.details:
            for path in (detail.path, *(child.path for child in detail.children)):
                allowed = readers(path.partition("?")[0])
                assert ((detail.permission or entry.permission) in allowed) is not entry.delegated_only, path


def test_app_reads_only_granted_paths(graph: SimulatedGraph, tenant: SimulatedTenant, connect: Any) -> None:
    client = connect(graph)

    def statuses() -> list[int]:
        domain = tenant.documents("domains")[0]["id"]
        return [
            client.get(f"/v1.0/{path}").status_code
            for path in ("domains", f"domains/{domain}/federationConfiguration", "policies/featureRolloutPolicies")
        ]

    assert statuses() == [200, 200, 200], "every permission"
    tenant.grant(["Domain.Read.All", "Domain-InternalFederation.Read.All", "Directory.Read.All"])
    assert statuses() == [200, 200, 403], "no permission of an app opens the third"
    tenant.grant(["Domain.Read.All"])
    assert statuses() == [200, 403, 403]
    tenant.grant([])
    assert statuses() == [403, 403, 403]
    tenant.grant(None)
    assert statuses() == [200, 200, 200]


def test_expansion_needs_its_own_permission(graph: SimulatedGraph, tenant: SimulatedTenant, connect: Any) -> None:
    client = connect(graph)

    def statuses() -> list[int]:
        queries = ("", "?$expand=scopedRoleMembers", "?$expand=nothing")
        return [client.get(f"/v1.0/directory/administrativeUnits{query}").status_code for query in queries]

    tenant.grant(["AdministrativeUnit.Read.All"])
    assert statuses() == [200, 403, 400]
    tenant.grant(["AdministrativeUnit.Read.All", "RoleManagement.Read.Directory"])
    assert statuses() == [200, 200, 400]


def test_refusal_has_the_services_error_format(graph: SimulatedGraph, tenant: SimulatedTenant, connect: Any) -> None:
    client = connect(graph)
    tenant.grant([])
    directory, intune = (client.get(f"/v1.0/{path}") for path in ("domains", "deviceManagement/deviceConfigurations"))
    assert directory.json()["error"]["code"] == "Authorization_RequestDenied"
    assert "Application is not authorized" in intune.json()["error"]["message"]
