"""Query options and paths, and how they are refused."""

from typing import Any

import pytest

from local.simulated_graph import SimulatedGraph, SimulatedTenant

POLICIES = "/v1.0/deviceManagement/deviceCompliancePolicies"


def test_expansions_are_as_deep_as_requested(sample: SimulatedGraph) -> None:
    path = "deviceManagement/deviceCompliancePolicies"
    tenant = sample.tenants[0]
    plain, expanded, deep = (
        tenant.documents(path + query)[0]
        for query in (
            "",
            "?$expand=scheduledActionsForRule",
            "?$expand=assignments,scheduledActionsForRule($expand=scheduledActionConfigurations)",
        )
    )
    assert "scheduledActionsForRule" not in plain
    assert "scheduledActionConfigurations" not in expanded["scheduledActionsForRule"][0]
    assert deep["scheduledActionsForRule"][0]["scheduledActionConfigurations"][0]["actionType"] == "block"
    assert "assignments" in deep


def test_select_shows_only_its_properties(sample: SimulatedGraph) -> None:
    tenant = sample.tenants[0]
    assert tenant.documents("groups?$select=id,displayName")[0].keys() == {"id", "displayName"}
    policy = tenant.documents("deviceManagement/deviceConfigurations?$select=id,version")[0]
    assert policy.keys() == {"@odata.type", "id", "version"}
    expanded = tenant.documents("deviceManagement/configurationPolicies?$select=id&$expand=assignments")[0]
    assert expanded.keys() == {"id", "assignments", "assignments@odata.context"}


@pytest.mark.parametrize(
    ("path", "filtered", "count"),
    [
        ("deviceManagement/deviceConfigurations", "isof('microsoft.graph.iosUpdateConfiguration')", 4),
        ("deviceManagement/deviceConfigurations", "not isof('microsoft.graph.iosUpdateConfiguration')", 84),
        ("deviceManagement/deviceConfigurations", "omaSettings ne null or contains(displayName,' 028')", 8),
        ("deviceManagement/deviceConfigurations", "omaSettings ne null and endswith(displayName,' 001')", 1),
        ("deviceManagement/deviceConfigurations", "description eq 'it''s nothing'", 0),
        ("deviceManagement/configurationPolicies", "templateReference/templateFamily eq 'none'", 28),
        ("deviceManagement/roleDefinitions", "isBuiltIn eq false", 4),
        ("groups", "startswith(displayName,'gr')", 20),
        (
            "deviceAppManagement/mobileApps",
            "(microsoft.graph.managedApp/appAvailability eq 'global' or dependentAppCount eq 0) and isAssigned eq true",
            None,
        ),
    ],
)
def test_filter_selects_documents(sample: SimulatedGraph, path: str, filtered: str, count: int | None) -> None:
    tenant = sample.tenants[0]
    if count is None:
        count = sum(document["isAssigned"] for document in tenant.documents(path))
        assert 0 < count < len(tenant.documents(path))
    assert len(tenant.documents(f"{path}?$filter={filtered}")) == count


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("/v1.0/deviceManagement/configurationPolicies", "segment 'configurationPolicies'"),
        ("/beta/deviceManagement/unheardOf", "segment 'unheardOf'"),
        ("/beta/nothing/at/all", "segment 'nothing'"),
        ("/v2.0/groups", "segment 'v2.0'"),
        ("/v1.0/groups/{group}/unheardOf", "segment 'unheardOf'"),
        (f"{POLICIES}?$expand=settings", "property named 'settings' on type 'microsoft.graph.deviceCompliancePolicy'"),
        (f"{POLICIES}?$select=passwordRequired", "property named 'passwordRequired'"),
        ("/v1.0/groups?$select=shoeSize", "property named 'shoeSize' on type 'microsoft.graph.group'"),
        (f"{POLICIES}?$top=0", "$top"),
        (f"{POLICIES}?$orderby=id", "'$orderby' is not supported"),
        (f"{POLICIES}?$top=1&top=2", "more than once"),
        (f"{POLICIES}?$filter=version gt 3", "operator 'gt'"),
        (f"{POLICIES}?$filter=version eq", "at the end"),
    ],
)
def test_bad_requests_are_refused_in_graphs_words(
    sample: SimulatedGraph, connect: Any, address: str, message: str
) -> None:
    group = sample.tenants[0].documents("groups")[0]["id"]
    answer = connect(sample).get(address.format(group=group), headers={"client-request-id": "mine"})
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert error["code"] == "BadRequest"
    assert message in error["message"]
    assert error["innerError"]["request-id"] == answer.headers["request-id"]
    assert error["innerError"]["client-request-id"] == answer.headers["client-request-id"] == "mine"


@pytest.mark.parametrize(
    ("path", "code", "message"),
    [
        ("deviceManagement/deviceConfigurations", "ResourceNotFound", '"_version": 3'),
        ("groups", "Request_ResourceNotFound", "does not exist"),
        ("identity/conditionalAccess/policies", "ResourceNotFound", "does not exist"),
    ],
)
def test_unknown_id_is_not_found(sample: SimulatedGraph, connect: Any, path: str, code: str, message: str) -> None:
    answer = connect(sample).get(f"/v1.0/{path}/00000000-0000-0000-0000-000000000000")
    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == code
    assert message in answer.json()["error"]["message"]


def test_writes_are_refused_and_recorded(graph: SimulatedGraph, connect: Any) -> None:
    client = connect(graph)
    for method in ("POST", "PATCH", "PUT", "DELETE", "HEAD", "OPTIONS"):
        assert client.request(method, "/v1.0/groups").status_code == 405
    assert client.get("/v1.0/$batch").status_code == 405
    assert [(request.method, request.status) for request in graph.requests()][:2] == [("POST", 405), ("PATCH", 405)]


def test_count_is_per_page_in_intune_and_total_in_the_directory(sample: SimulatedGraph, connect: Any) -> None:
    client = connect(sample)
    intune = client.get("/v1.0/deviceManagement/deviceConfigurations?$top=5&$count=true").json()
    directory = client.get("/v1.0/groups?$top=5&$count=true").json()
    assert (intune["@odata.count"], directory["@odata.count"]) == (5, 20)
    assert "@odata.count" not in client.get(directory["@odata.nextLink"]).json()
    assert "@odata.count" not in client.get("/v1.0/groups").json()


def test_v1_leaves_newer_apps_out_of_the_list_but_shows_them_by_id(sample: SimulatedGraph) -> None:
    tenant = sample.tenants[0]
    path = "deviceAppManagement/mobileApps"
    store_app = next(
        document for document in tenant.documents(path) if document["@odata.type"] == "#microsoft.graph.winGetApp"
    )
    assert store_app["id"] not in {document["id"] for document in tenant.documents(path, version="v1.0")}
    assert tenant.get(f"{path}/{store_app['id']}", version="v1.0")["id"] == store_app["id"]


def test_single_relations_and_related_objects_are_read(sample: SimulatedGraph) -> None:
    tenant = sample.tenants[0]
    token = tenant.documents("deviceManagement/depOnboardingSettings")[0]["id"]
    below = f"deviceManagement/depOnboardingSettings/{token}"
    profile = tenant.documents(f"{below}/enrollmentProfiles")[0]
    assert tenant.get(f"{below}/enrollmentProfiles/{profile['id']}")["displayName"] == profile["displayName"]
    assert tenant.get(f"{below}/defaultIosEnrollmentProfile")["id"] == profile["id"]
    with pytest.raises(LookupError, match="404"):
        tenant.get(f"{below}/defaultMacOsEnrollmentProfile")
    with pytest.raises(LookupError, match="404"):
        tenant.get(f"{below}/enrollmentProfiles/other")


def test_cut_expansion_has_a_link_to_the_rest(graph: SimulatedGraph, tenant: SimulatedTenant) -> None:
    path = "deviceManagement/deviceConfigurations"
    key = tenant.documents(path)[0]["id"]
    tenant.reassign(path, key, [str(number) for number in range(5)])
    assert len(tenant.get(f"{path}/{key}?$expand=assignments")["assignments"]) == 5
    tenant.cut_expansions(2)
    cut = tenant.get(f"{path}/{key}?$expand=assignments")
    link = cut["assignments@odata.nextLink"]
    assert link.startswith(f"{graph.base_url}/beta/{path}/{key}/assignments?$skiptoken=")
    rest = tenant.documents(link.partition("/beta/")[2])
    assert [assignment["target"]["groupId"] for assignment in (*cut["assignments"], *rest)] == [
        str(number) for number in range(5)
    ]


def test_directory_expansion_stops_at_twenty_without_a_link(tenant: SimulatedTenant) -> None:
    key = tenant.documents("applications")[0]["id"]
    tenant.change("applications", key, {"owners": [{"id": str(number)} for number in range(25)]})
    application = tenant.get(f"applications/{key}?$expand=owners")
    assert (len(application["owners"]), "owners@odata.nextLink" in application) == (20, False)
    assert len(tenant.documents(f"applications/{key}/owners")) == 25
