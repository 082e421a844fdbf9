"""The documents that the simulated Graph serves from published data and for sample tenants."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from local.simulated_graph import SimulatedGraph, SimulatedTenant
from local.simulated_graph.endpoints import ENDPOINTS, Endpoint, relations_of
from local.simulated_graph.sample.directory import RESTRICTED_GUEST

COLLECTIONS = [endpoint for endpoint in ENDPOINTS.values() if not endpoint.singleton]
SINGLETONS = [endpoint for endpoint in ENDPOINTS.values() if endpoint.singleton]

SAME_IDS_IN_EVERY_TENANT = {
    "directory/attributeSets",
    "directory/customSecurityAttributeDefinitions",
    "deviceManagement/roleScopeTags",
    "identity/b2cUserFlows",
    "identity/b2xUserFlows",
    "identity/conditionalAccess/authenticationContextClassReferences",
    "policies/crossTenantAccessPolicy/default/m365Capabilities",
}

NOT_SCALED = {
    "organization",
    "subscribedSkus",
    "directory/onPremisesSynchronization",
    "policies/crossTenantAccessPolicy/default/m365Capabilities",
}


def listing(endpoint: Endpoint, options: str = "") -> str:
    """The address of the endpoint's whole list, with any filter that it requires."""
    demanded = {
        (): "",
        ("groupId",): "$filter=groupId ne null",
        ("scopeId", "scopeType"): "$filter=scopeId eq '/' and scopeType eq 'DirectoryRole'",
    }
    filtered = demanded[endpoint.needs_filter]
    query = "&".join(filter(None, (filtered, options)))
    return f"{endpoint.path}?{query}" if query else endpoint.path


def keys(value: Any) -> set[str]:
    """Every key in a document, at any depth."""
    if isinstance(value, list):
        return set().union(*map(keys, value)) if value else set()
    return set(value).union(*map(keys, value.values())) if isinstance(value, dict) else set()


def published_documents(folder: Path) -> dict[str, list[dict[str, Any]]]:
    """The documents as they were published, by endpoint."""
    paths = {path.replace("/", "_"): path for path in ENDPOINTS}
    documents: dict[str, list[dict[str, Any]]] = {}
    for file in folder.glob("*.jsonl.gz"):
        with gzip.open(file) as lines:
            path = paths[file.name.removesuffix(".jsonl.gz")]
            documents[path] = [json.loads(line)["document"] for line in lines]
    return documents


def test_every_published_document_is_served_under_its_own_id(published: SimulatedGraph, published_folder: Path) -> None:
    tenant = published.tenants[0]
    total = 0
    for path, documents in published_documents(published_folder).items():
        tenant_documents = tenant.documents(path)
        name = ENDPOINTS[path].name
        ids = [document["id"] for document in tenant_documents]
        assert len(set(ids)) == len(ids), path
        assert {document["id"] for document in documents if "id" in document} <= set(ids), path
        assert [document[name] for document in tenant_documents][: len(documents)] == [
            document[name] for document in documents
        ], path
        total += len(documents)
    assert total == 953


def test_only_minimal_metadata_is_served(published: SimulatedGraph) -> None:
    tenant = published.tenants[0]
    for endpoint in COLLECTIONS:
        relations = ",".join(navigation.name for navigation in endpoint.navigations if navigation.expandable)
        found = keys(tenant.documents(listing(endpoint, f"$expand={relations}" if relations else "")))
        annotations = {key for key in found if "@odata." in key or key.startswith("#")}
        # The context of an expanded relation is part of minimal metadata.
        assert {key for key in annotations if not key.endswith("@odata.context")} <= {"@odata.type"}, endpoint.path


def test_declared_types_are_omitted(published: SimulatedGraph) -> None:
    tenant = published.tenants[0]
    catalog = tenant.documents("deviceManagement/configurationPolicies?$expand=settings")
    assert not any("@odata.type" in policy for policy in catalog)
    kinds = {setting["settingInstance"]["@odata.type"] for policy in catalog for setting in policy["settings"]}
    assert "#microsoft.graph.deviceManagementConfigurationChoiceSettingInstance" in kinds
    assert not any("@odata.type" in setting for policy in catalog for setting in policy["settings"])


@pytest.mark.parametrize("source", ["published", "sample"])
def test_every_endpoint_serves_complete_documents(source: str, request: pytest.FixtureRequest) -> None:
    graph: SimulatedGraph = request.getfixturevalue(source)
    for endpoint in COLLECTIONS:
        documents = graph.tenants[0].documents(listing(endpoint))
        assert documents, endpoint.path
        for document in documents:
            assert document[endpoint.key]
            assert endpoint.name in document, endpoint.path
            assert not endpoint.modified or endpoint.modified in document
            assert not endpoint.created or endpoint.created in document
            assert endpoint.first_version is None or document["version"]
            assert not relations_of(endpoint.source) & document.keys(), endpoint.path
    for endpoint in SINGLETONS:
        assert graph.tenants[0].get(endpoint.path)["id"]


def test_same_seed_makes_the_same_tenant_and_another_seed_another() -> None:
    def documents_of(seed: int) -> dict[tuple[str, str], dict[str, Any]]:
        with SimulatedGraph(tenants=1, seed=seed) as graph:
            tenant = graph.tenants[0]
            collections = [collection for collection in COLLECTIONS if collection.path not in SAME_IDS_IN_EVERY_TENANT]
            return {
                (collection.path, document[collection.key]): document
                for collection in collections
                for document in tenant.documents(listing(collection))
            }

    first = documents_of(1)
    assert first == documents_of(1)
    assert {key for _, key in first.keys() & documents_of(2).keys()} == {RESTRICTED_GUEST}, "a role of Microsoft's"


@pytest.mark.parametrize("count", [2, 60])
def test_collections_are_scaled_to_the_requested_size(published_folder: Path, count: int) -> None:
    with SimulatedGraph(published_folder, tenants=1, items_per_collection=count) as graph:
        for endpoint in COLLECTIONS:
            documents = graph.tenants[0].documents(listing(endpoint))
            if endpoint.path in NOT_SCALED or endpoint.needs_filter or is_union(endpoint):
                continue
            assert len({document[endpoint.key] for document in documents}) == len(documents), endpoint.path
            assert endpoint.cast_of or len(documents) == count, endpoint.path


def is_union(endpoint: Endpoint) -> bool:
    """Whether the endpoint also lists the objects of its typed views."""
    return any(collection.cast_of == endpoint.path for collection in COLLECTIONS)


def test_app_protection_is_listed_by_type_and_together(published: SimulatedGraph) -> None:
    tenant = published.tenants[0]
    together = {policy["id"]: policy for policy in tenant.documents("deviceAppManagement/managedAppPolicies")}
    for platform in ("ios", "android"):
        typed = tenant.documents(f"deviceAppManagement/{platform}ManagedAppProtections")
        assert len(typed) == 7
        for document in typed:
            assert "@odata.type" not in document
            assert together[document["id"]]["@odata.type"] == f"#microsoft.graph.{platform}ManagedAppProtection"


def test_definition_values_are_below_their_policy(published: SimulatedGraph) -> None:
    tenant = published.tenants[0]
    path = "deviceManagement/groupPolicyConfigurations"
    count = 0
    for policy in tenant.documents(path):
        for value in tenant.documents(f"{path}/{policy['id']}/definitionValues?$expand=definition"):
            assert value["definition"]["id"]
            assert "presentationValues" not in value
            below = f"{path}/{policy['id']}/definitionValues/{value['id']}"
            for presented in tenant.documents(f"{below}/presentationValues?$expand=presentation"):
                assert presented["presentation"]["id"]
                count += 1
    assert count > 5


def test_script_bodies_are_shown_only_by_id(sample: SimulatedGraph) -> None:
    tenant = sample.tenants[0]
    for endpoint in COLLECTIONS:
        for body in endpoint.bodies:
            count = 0
            for listed in tenant.documents(endpoint.path):
                if body in listed:
                    assert listed[body] is None
                    count += bool(tenant.get(f"{endpoint.path}/{listed['id']}")[body])
            assert count, f"{endpoint.path} has no {body}"


def test_assignments_target_the_tenants_groups(tenant: SimulatedTenant) -> None:
    groups = {group["id"] for group in tenant.documents("groups")}
    path = "deviceManagement/deviceConfigurations"
    policies = tenant.documents(f"{path}?$expand=assignments")
    targets = [assignment["target"] for policy in policies for assignment in policy["assignments"]]
    assert {target["groupId"] for target in targets if "groupId" in target} <= groups
    kinds = {target["@odata.type"].removeprefix("#microsoft.graph.") for target in targets}
    assert {"groupAssignmentTarget", "exclusionGroupAssignmentTarget"} < kinds
    assert all("assignments" not in policy for policy in tenant.documents(path))
    for policy in policies:
        assert tenant.documents(f"{path}/{policy['id']}/assignments") == policy["assignments"]


def test_get_by_id_hides_endpoint_security_assignments(published: SimulatedGraph) -> None:
    tenant = published.tenants[0]
    path = "deviceManagement/configurationPolicies"
    policy = next(
        policy
        for policy in tenant.documents(f"{path}?$expand=assignments")
        if policy["templateReference"]["templateFamily"].startswith("endpointSecurity") and policy["assignments"]
    )
    assert tenant.get(f"{path}/{policy['id']}?$expand=assignments")["assignments"] == []
    assert tenant.documents(f"{path}/{policy['id']}/assignments") == policy["assignments"]


def test_contexts_of_expanded_assignments_grow_along_the_page(sample: SimulatedGraph) -> None:
    policies = sample.tenants[0].documents("deviceManagement/deviceConfigurations?$expand=assignments&$top=3")
    casts = [policy["assignments@odata.context"].count("/microsoft.graph.") for policy in policies[:4]]
    assert casts == [1, 2, 3, 1]


def test_folder_with_an_unknown_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "deviceManagement_unheardOf.jsonl.gz").write_bytes(gzip.compress(b"{}"))
    with pytest.raises(ValueError, match="unheardOf"):
        SimulatedGraph(tmp_path)
    with pytest.raises(FileNotFoundError, match="nowhere"):
        SimulatedGraph(tmp_path / "nowhere")
