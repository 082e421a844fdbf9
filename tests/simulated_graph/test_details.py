"""Details of objects: secrets, expansions, filters, and objects whose key is not `id`."""

import json
from typing import Any

import pytest

from local.simulated_graph import SimulatedGraph

CATALOG = "deviceManagement/configurationPolicies"
CONFIGURATIONS = "deviceManagement/deviceConfigurations"


def test_references_to_secrets_differ_between_reads(sample: SimulatedGraph, connect: Any) -> None:
    client = connect(sample)
    policy = next(
        setting["id"]
        for setting in sample.tenants[0].documents(f"{CATALOG}?$expand=settings")
        if "encryptedValueToken" in str(setting)
    )
    first, second = (client.get(f"/beta/{CATALOG}/{policy}/settings").json()["value"] for _ in range(2))
    differing = [(old, new) for old, new in zip(first, second, strict=True) if old != new]
    ((earlier, later),) = differing
    secret = earlier["settingInstance"]["simpleSettingValue"]
    assert secret.pop("value") != later["settingInstance"]["simpleSettingValue"].pop("value")
    assert secret["@odata.type"] == "#microsoft.graph.deviceManagementConfigurationSecretSettingValue"
    assert earlier == later
    assert len({str(sample.tenants[0].documents(f"{CATALOG}/{policy}/settings")) for _ in range(2)}) == 1


def test_encrypted_oma_settings_are_masked_and_others_are_in_clear(sample: SimulatedGraph, connect: Any) -> None:
    client = connect(sample)
    address = f"/v1.0/{CONFIGURATIONS}?$filter=isof('microsoft.graph.windows10CustomConfiguration')"
    first, second = (
        [setting for configuration in client.get(address).json()["value"] for setting in configuration["omaSettings"]]
        for _ in range(2)
    )
    for old, new in zip(first, second, strict=True):
        assert (old["value"] == "****") is old["isEncrypted"] is (old["secretReferenceValueId"] is not None)
        changed = {name for name in old if old[name] != new[name]}
        assert changed == ({"secretReferenceValueId"} if old["isEncrypted"] else set())
    assert {setting["isEncrypted"] for setting in first} == {True, False}


def test_plain_text_of_a_secret_is_refused(sample: SimulatedGraph, connect: Any) -> None:
    policy = sample.tenants[0].documents(CONFIGURATIONS)[0]
    reference = policy["omaSettings"][0]["secretReferenceValueId"]
    answer = connect(sample).get(
        f"/beta/{CONFIGURATIONS}/{policy['id']}/getOmaSettingPlainTextValue(secretReferenceValueId='{reference}')"
    )
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "Forbidden")


@pytest.mark.parametrize(
    "address",
    [
        "deviceManagement/assignmentFilters?$expand=assignments",
        "identity/conditionalAccess/policies?$expand=assignments",
        f"{CATALOG}?$expand=settings($expand=unheardOf)",
        "deviceManagement/intuneBrandingProfiles?$expand=themeColorLogo",
        "organization/{tenant}/branding/localizations?$expand=settings",
    ],
)
def test_unknown_expansions_are_refused_even_on_empty_lists(connect: Any, address: str) -> None:
    with SimulatedGraph(tenants=1) as graph:
        path = address.partition("?")[0]
        tenant = graph.tenants[0]
        answers = [connect(graph).get(f"/beta/{address.format(tenant=tenant.id)}")]
        if "{" not in path:
            for document in tenant.documents(path):
                tenant.remove(path, document["id"])
            answers.append(connect(graph).get(f"/beta/{address}"))
        assert [answer.status_code for answer in answers] == [400] * len(answers)
        assert "Could not find a property named" in answers[-1].json()["error"]["message"]


def test_role_policies_are_listed_only_with_their_filter(sample: SimulatedGraph, connect: Any) -> None:
    client = connect(sample)
    for name in ("roleManagementPolicies", "roleManagementPolicyAssignments"):
        assert client.get(f"/v1.0/policies/{name}").status_code == 400
        assert client.get(f"/v1.0/policies/{name}?$filter=scopeId eq '/'").status_code == 400
        listed = client.get(f"/v1.0/policies/{name}?$filter=scopeId eq '/' and scopeType eq 'DirectoryRole'").json()
        assert {assignment["scopeType"] for assignment in listed["value"]} == {"DirectoryRole"}
        assert len(listed["value"]) == 4


def test_filter_leaves_out_unassigned_global_apps(graph: SimulatedGraph) -> None:
    expression = (
        "(microsoft.graph.managedApp/appAvailability eq null or "
        "microsoft.graph.managedApp/appAvailability eq 'lineOfBusiness' or isAssigned eq true)"
    )
    path = "deviceAppManagement/mobileApps"
    tenant = graph.tenants[0]
    every = {document["id"]: document for document in tenant.documents(path)}
    chosen = next(app_id for app_id in every if every[app_id].get("appAvailability") == "global")
    tenant.reassign(path, chosen, ["group 1"])
    left_out = every.keys() - {document["id"] for document in tenant.documents(f"{path}?$filter={expression}")}
    assert {(every[app_id]["appAvailability"], every[app_id]["isAssigned"]) for app_id in left_out} == {
        ("global", False)
    }
    assert chosen not in left_out


def test_organization_is_found_by_its_tenants_id(sample: SimulatedGraph, connect: Any) -> None:
    mine, other = (tenant.id for tenant in sample.tenants)
    for below in ("branding/localizations", "certificateBasedAuthConfiguration"):
        assert connect(sample).get(f"/v1.0/organization/{mine}/{below}").json()["value"]
        assert connect(sample).get(f"/v1.0/organization/{other}/{below}").status_code == 404


def test_partners_have_their_tenants_id_as_key(graph: SimulatedGraph) -> None:
    tenant, path = graph.tenants[0], "policies/crossTenantAccessPolicy/partners"
    partner = tenant.documents(path)[0]
    assert "id" not in partner
    tenant.change(path, partner["tenantId"], {"isServiceProvider": True})
    assert tenant.get(f"{path}/{partner['tenantId']}")["isServiceProvider"] is True
    key = tenant.add(path, {"isServiceProvider": None})
    assert tenant.get(f"{path}/{key}")["tenantId"] == key


def test_credentials_of_applications_show_no_secret(sample: SimulatedGraph) -> None:
    applications = sample.tenants[0].documents("applications")
    passwords = [credential for application in applications for credential in application["passwordCredentials"]]
    keys = [credential for application in applications for credential in application["keyCredentials"]]
    assert passwords
    assert all(credential["secretText"] is None for credential in passwords)
    assert keys
    assert all(credential["key"] is None for credential in keys)


def test_sample_tenant_holds_secrets_where_real_tenants_do(sample: SimulatedGraph) -> None:
    tenant = sample.tenants[0]
    for path in (
        CONFIGURATIONS,
        "deviceAppManagement/vppTokens",
        "deviceAppManagement/defaultManagedAppProtections",
        "deviceManagement/androidDeviceOwnerEnrollmentProfiles",
    ):
        assert "sample-secret-" in json.dumps(tenant.documents(path)), path


def test_group_assignments_repeat_assignments(graph: SimulatedGraph) -> None:
    tenant, path = graph.tenants[0], "deviceManagement/deviceShellScripts"
    key = tenant.documents(path)[0]["id"]
    tenant.reassign(path, key, ["group 1"])
    assert [assignment["targetGroupId"] for assignment in tenant.documents(f"{path}/{key}/groupAssignments")] == [
        "group 1"
    ]
    assert "groupAssignments" not in tenant.get(f"{path}/{key}")
