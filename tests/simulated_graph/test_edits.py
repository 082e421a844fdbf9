"""Edits while the simulated Graph runs, hostile content, and generations."""

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from local.simulated_graph import SimulatedGraph, SimulatedTenant
from local.simulated_graph.endpoints import ENDPOINTS

CONFIGURATIONS = "deviceManagement/deviceConfigurations"
CATALOG = "deviceManagement/configurationPolicies"
SHOWN = f"/beta/{CONFIGURATIONS}"


def snapshot(tenant: SimulatedTenant) -> dict[tuple[str, str], Any]:
    """All documents that the tenant lists, by collection and id, without typed views, which repeat them."""
    collections = [endpoint for endpoint in ENDPOINTS.values() if not endpoint.singleton and not endpoint.cast_of]
    return {
        (endpoint.path, document[endpoint.key]): document
        for endpoint in collections
        if not endpoint.needs_filter
        for document in tenant.documents(endpoint.path)
    }


def test_edits_show_at_once(graph: SimulatedGraph, tenant: SimulatedTenant, connect: Any) -> None:
    client = connect(graph)
    key = tenant.add(CONFIGURATIONS, {"@odata.type": "#microsoft.graph.iosCustomConfiguration", "displayName": "New"})
    added = client.get(f"{SHOWN}/{key}").json()
    assert (added["displayName"], added["version"]) == ("New", 1)

    tenant.change(CONFIGURATIONS, key, {"description": "Other"})
    changed = client.get(f"{SHOWN}/{key}").json()
    assert (changed["description"], changed["version"]) == ("Other", 2)
    assert changed["createdDateTime"] == added["createdDateTime"] < changed["lastModifiedDateTime"]

    tenant.rename(CONFIGURATIONS, key, "Renamed")
    assert client.get(f"{SHOWN}/{key}").json()["displayName"] == "Renamed"

    tenant.reassign(CONFIGURATIONS, key, ["group 1", "group 2"])
    assigned = client.get(f"{SHOWN}/{key}?$expand=assignments").json()["assignments"]
    assert [assignment["target"]["groupId"] for assignment in assigned] == ["group 1", "group 2"]

    tenant.remove(CONFIGURATIONS, key)
    assert client.get(f"{SHOWN}/{key}").status_code == 404
    assert key not in {configuration["id"] for configuration in tenant.documents(CONFIGURATIONS)}


def test_rename_changes_the_collections_name_property(tenant: SimulatedTenant) -> None:
    key = tenant.documents(CATALOG)[0]["id"]
    tenant.rename(CATALOG, key, "Renamed")
    policy = tenant.get(f"{CATALOG}/{key}")
    assert policy["name"] == "Renamed"
    assert "displayName" not in policy


def test_object_added_through_a_typed_view_has_its_type(tenant: SimulatedTenant) -> None:
    key = tenant.add("deviceAppManagement/iosManagedAppProtections", {"displayName": "New"})
    assert key in {policy["id"] for policy in tenant.documents("deviceAppManagement/iosManagedAppProtections")}
    document = tenant.get(f"deviceAppManagement/managedAppPolicies/{key}")
    assert document["@odata.type"] == "#microsoft.graph.iosManagedAppProtection"


def test_edits_of_one_tenant_leave_the_others_alone(published_folder: Any) -> None:
    with SimulatedGraph(published_folder) as graph:
        first, second = graph.tenants
        before = second.documents(CATALOG)
        assert [document["id"] for document in before] == [document["id"] for document in first.documents(CATALOG)]
        first.rename(CATALOG, before[0]["id"], "Renamed")
        first.remove(CATALOG, before[1]["id"])
        assert second.documents(CATALOG) == before


def test_given_and_returned_documents_are_copied(tenant: SimulatedTenant) -> None:
    document: dict[str, Any] = {"displayName": "New", "nested": {"value": 1}}
    key = tenant.add(CONFIGURATIONS, document)
    document["nested"]["value"] = 2
    tenant.get(f"{CONFIGURATIONS}/{key}")["nested"]["value"] = 3
    assert tenant.get(f"{CONFIGURATIONS}/{key}")["nested"]["value"] == 1


def test_edits_from_many_threads_are_all_kept(tenant: SimulatedTenant) -> None:
    with ThreadPoolExecutor(8) as threads:
        keys = list(threads.map(lambda number: tenant.add(CATALOG, {"name": f"New {number}"}), range(200)))
    assert len(set(keys)) == 200
    assert set(keys) <= {document["id"] for document in tenant.documents(CATALOG)}


def test_wrong_edits_are_refused(tenant: SimulatedTenant) -> None:
    key = tenant.add(CONFIGURATIONS, {"displayName": "New"})
    with pytest.raises(ValueError, match="already"):
        tenant.add(CONFIGURATIONS, {"id": key})
    with pytest.raises(KeyError, match="has no nothing"):
        tenant.remove(CONFIGURATIONS, "nothing")
    with pytest.raises(KeyError, match="unheardOf"):
        tenant.add("deviceManagement/unheardOf", {})
    with pytest.raises(ValueError, match="has no assignments"):
        tenant.reassign("groups", tenant.documents("groups")[0]["id"], [])


def nested(levels: int) -> dict[str, Any]:
    document: dict[str, Any] = {}
    for _ in range(levels):
        document = {"down": document}
    return document


@pytest.mark.parametrize(
    "hostile",
    [
        {"displayName": "no id"},
        {"id": "1", "displayName": "a\x00b"},
        {"id": 7, "displayName": ["no", "text"]},
        {"id": "3", "displayName": "\ud800"},
        {"id": "deep", "nested": nested(300)},
        {"id": "large", "description": "x" * 20_000_000},
        {"id": "inline", "assignments": "no list", "huge": 10**40},
        None,
        "text",
        [],
    ],
    ids=lambda hostile: str(hostile)[:30].encode("ascii", "replace").decode(),
)
def test_hostile_objects_are_served_as_they_are(
    graph: SimulatedGraph, tenant: SimulatedTenant, connect: Any, hostile: Any
) -> None:
    before = len(tenant.documents(CONFIGURATIONS))
    key = tenant.add(CONFIGURATIONS, hostile, raw=True)
    listed = json.loads(connect(graph).get(f"{SHOWN}?$expand=assignments&$select=id").content)["value"]
    assert listed[-1] == hostile
    assert len(listed) == before + 1
    tenant.remove(CONFIGURATIONS, key)
    assert len(tenant.documents(CONFIGURATIONS)) == before


def test_two_objects_may_share_an_id(graph: SimulatedGraph, tenant: SimulatedTenant, connect: Any) -> None:
    first = tenant.documents(CONFIGURATIONS)[0]
    key = tenant.add(CONFIGURATIONS, first | {"displayName": "Again"}, raw=True)
    ids = [document["id"] for document in connect(graph).get(SHOWN).json()["value"]]
    assert ids.count(first["id"]) == 2
    assert connect(graph).get(f"{SHOWN}/{first['id']}").json()["displayName"] == first["displayName"]
    assert key != first["id"]


def test_raw_bytes_need_not_be_json(graph: SimulatedGraph, tenant: SimulatedTenant, connect: Any) -> None:
    tenant.add(CONFIGURATIONS, b'{"id": "1", "unfinished": ', raw=True)
    assert connect(graph).get(SHOWN).content.endswith(b'{"id": "1", "unfinished": ]}')


def test_generation_adds_changes_and_removes_one_object(tenant: SimulatedTenant) -> None:
    before = snapshot(tenant)
    for generation in range(1, 8):
        tenant.set_generation(generation)
        after = snapshot(tenant)
        assert len(after.keys() - before.keys()) == 1
        assert len(before.keys() - after.keys()) == 1
        assert sum(before[key] != after[key] for key in before.keys() & after.keys()) == 1
        before = after


def test_generation_does_not_depend_on_the_steps(tenant: SimulatedTenant) -> None:
    beginning = snapshot(tenant)
    tenant.set_generation(2)
    tenant.set_generation(5)
    stepwise = snapshot(tenant)
    tenant.set_generation(0)
    assert snapshot(tenant) == beginning
    with SimulatedGraph(tenants=1, generation=5) as other:
        assert other.tenants[0].generation == 5
        assert snapshot(other.tenants[0]) == stepwise


def test_the_smallest_tenants_have_generations_too() -> None:
    with SimulatedGraph(tenants=1, items_per_collection=1) as graph:
        graph.set_generation(12)
        assert graph.tenants[0].generation == 12


def test_changed_setting_shows_only_in_details_and_modified_time(tenant: SimulatedTenant) -> None:
    policy = tenant.documents(CATALOG)[0]
    settings = f"{CATALOG}/{policy['id']}/settings"
    others = tenant.documents(settings)[1:]
    tenant.change(settings, "0", {"settingInstance": {"settingDefinitionId": "other"}})
    assert tenant.documents(settings)[0]["settingInstance"] == {"settingDefinitionId": "other"}
    assert tenant.documents(settings)[1:] == others
    listed = tenant.documents(CATALOG)[0]
    assert listed.pop("lastModifiedDateTime") > policy.pop("lastModifiedDateTime")
    assert listed == policy


def test_replaced_settings_show_only_in_details_and_modified_time(tenant: SimulatedTenant) -> None:
    policy = tenant.documents(CATALOG)[0]
    settings = tenant.documents(f"{CATALOG}/{policy['id']}/settings")
    tenant.change(CATALOG, policy["id"], {"settings": settings[::-1]})
    assert tenant.documents(f"{CATALOG}/{policy['id']}/settings") == settings[::-1]
    listed = tenant.documents(CATALOG)[0]
    assert listed.pop("lastModifiedDateTime") > policy.pop("lastModifiedDateTime")
    assert listed == policy


def test_silent_change_shows_only_in_the_details(tenant: SimulatedTenant) -> None:
    before = tenant.documents(CATALOG)
    settings = f"{CATALOG}/{before[0]['id']}/settings"
    tenant.change(settings, "0", {"settingInstance": None}, silently=True)
    assert tenant.documents(settings)[0]["settingInstance"] is None
    tenant.change(CATALOG, before[1]["id"], {"settings": []}, silently=True)
    assert tenant.documents(CATALOG) == before


def test_setting_count_follows_edits(tenant: SimulatedTenant) -> None:
    policy = tenant.documents(CATALOG)[0]
    settings = f"{CATALOG}/{policy['id']}/settings"
    key = tenant.add(settings, {"settingInstance": None})
    assert tenant.get(f"{settings}/{key}")["settingInstance"] is None
    assert tenant.documents(CATALOG)[0]["settingCount"] == policy["settingCount"] + 1
    tenant.remove(settings, key)
    assert tenant.documents(CATALOG)[0]["settingCount"] == policy["settingCount"]


def test_edited_servers_and_messages_leave_their_owner_unchanged(tenant: SimulatedTenant) -> None:
    tunnels = "deviceManagement/microsoftTunnelSites"
    templates = "deviceManagement/notificationMessageTemplates"
    for path, relation in ((tunnels, "microsoftTunnelServers"), (templates, "localizedNotificationMessages")):
        owner = tenant.documents(path)[0]
        below = f"{path}/{owner['id']}/{relation}"
        tenant.change(below, tenant.documents(below)[0]["id"], {"displayName": "Other"})
        assert tenant.documents(below)[0]["displayName"] == "Other"
        assert tenant.documents(path)[0] == owner


def test_single_and_nested_relations_are_edited(tenant: SimulatedTenant) -> None:
    tokens = "deviceManagement/depOnboardingSettings"
    below = f"{tokens}/{tenant.documents(tokens)[0]['id']}/defaultIosEnrollmentProfile"
    tenant.change(below, tenant.get(below)["id"], {"displayName": "Other"})
    assert tenant.get(below)["displayName"] == "Other"
    tenant.remove(below, tenant.get(below)["id"])
    with pytest.raises(LookupError, match="404"):
        tenant.get(below)

    templates = "deviceManagement/groupPolicyConfigurations"
    values = f"{templates}/{tenant.documents(templates)[0]['id']}/definitionValues"
    presented = f"{values}/{tenant.documents(values)[0]['id']}/presentationValues"
    tenant.change(presented, tenant.documents(presented)[0]["id"], {"value": "other"})
    assert tenant.documents(presented)[0]["value"] == "other"

    localizations = f"organization/{tenant.id}/branding/localizations"
    tenant.change(localizations, "fr-FR", {"signInPageText": "Bonjour"})
    assert tenant.get(f"{localizations}/fr-FR")["signInPageText"] == "Bonjour"


@pytest.mark.parametrize(
    ("path", "key"),
    [
        (f"{CATALOG}/{{id}}/unheardOf", "0"),
        (f"{CATALOG}/{{id}}/settings", "unheardOf"),
        (f"{CATALOG}/{{id}}/settings/0", "0"),
        (f"{CATALOG}/{{id}}/settings/unheardOf/settingDefinitions", "0"),
        (f"{CATALOG}/unheardOf/settings", "0"),
        (f"{CATALOG}/{{id}}", "0"),
    ],
)
def test_wrong_edits_below_an_object_are_refused(tenant: SimulatedTenant, path: str, key: str) -> None:
    policy = tenant.documents(CATALOG)[0]["id"]
    with pytest.raises(KeyError):
        tenant.change(path.format(id=policy), key, {})


def test_removed_singleton_is_not_found(tenant: SimulatedTenant) -> None:
    path = "deviceManagement/androidForWorkSettings"
    tenant.remove(path, tenant.get(path)["id"])
    with pytest.raises(LookupError, match="404"):
        tenant.get(path)


def test_cached_answers_show_every_edit() -> None:
    with SimulatedGraph(tenants=2, keeps_answers=True) as graph:
        tenant, other = graph.tenants
        everything = (snapshot(tenant), snapshot(other))
        assert (snapshot(tenant), snapshot(other)) == everything

        def answers() -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
            (policy, *_) = tenant.documents(CATALOG)
            listed = tenant.documents(f"{CONFIGURATIONS}?$expand=assignments")
            return listed, tenant.documents(f"{CATALOG}/{policy['id']}/settings")

        key = tenant.documents(CONFIGURATIONS)[0]["id"]
        policy = tenant.documents(CATALOG)[0]["id"]
        setting = tenant.documents(f"{CATALOG}/{policy}/settings")[0]["id"]
        edits = (
            lambda: tenant.add(CONFIGURATIONS, {"displayName": "New"}),
            lambda: tenant.change(CONFIGURATIONS, key, {"description": "Other"}, silently=True),
            lambda: tenant.rename(CONFIGURATIONS, key, "Renamed"),
            lambda: tenant.reassign(CONFIGURATIONS, key, ["a group"]),
            lambda: tenant.change(f"{CATALOG}/{policy}/settings", setting, {"description": "Below"}),
            lambda: tenant.remove(CONFIGURATIONS, key),
            lambda: tenant.set_generation(3),
            lambda: tenant.set_generation(0),
        )
        for edit in edits:
            before = answers()
            edit()
            assert answers() != before

        assert (snapshot(tenant), snapshot(other)) == everything


def test_unlisted_object_is_found_by_id(graph: SimulatedGraph, tenant: SimulatedTenant, connect: Any) -> None:
    client = connect(graph)
    first, *others = [configuration["id"] for configuration in tenant.documents(CONFIGURATIONS)]
    tenant.unlist(CONFIGURATIONS, first)
    assert [configuration["id"] for configuration in tenant.documents(CONFIGURATIONS)] == others
    assert client.get(f"{SHOWN}/{first}").json()["id"] == first
    tenant.unlist(CONFIGURATIONS, first, is_listed=True)
    assert [configuration["id"] for configuration in tenant.documents(CONFIGURATIONS)] == [first, *others]
