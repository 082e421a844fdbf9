"""Unlisted objects that a GET by id finds: a run reads them again, and their evidence is `found_by_id`."""

import re
from typing import Any

import pytest

from graph.catalog import load_catalog
from inventory.meta import PARENT_ID
from tests.end_to_end.cases import TenantPair
from tests.end_to_end.system import System

APPS, CONFIGURATIONS, SCRIPTS = (
    "deviceAppManagement/mobileApps",
    "deviceManagement/deviceConfigurations",
    "deviceManagement/deviceManagementScripts",
)
LOCATIONS, GROUP = "identity/conditionalAccess/namedLocations", "10000000-0000-4000-8000-0000000000aa"
OTHER_GROUP = "10000000-0000-4000-8000-0000000000bb"
TOKENS = "deviceManagement/depOnboardingSettings"


def items(pair: TenantPair, type_key: str) -> dict[str, dict[str, Any]]:
    result = pair.command("items", "--type", type_key, "--json")
    assert result.code == 0, result.stderr
    return {record["external_id"]: record for record in result.objects() if "external_id" in record}


def state(pair: TenantPair, type_key: str, external_id: str) -> tuple[str, str, str]:
    item = items(pair, type_key)[external_id]
    return item["state"], item["confidence"], item["evidence"]


@pytest.mark.parametrize(
    ("type_key", "path", "name"),
    [
        ("deviceConfigurations", CONFIGURATIONS, "description"),
        pytest.param("namedLocations", LOCATIONS, "displayName", marks=pytest.mark.slow),
    ],
)
def test_unlisted_object_is_read_again_by_id(pair: TenantPair, type_key: str, path: str, name: str) -> None:
    pair.sync([type_key])
    key = next(iter(items(pair, type_key)))
    assert state(pair, type_key, key) == ("present", "high", "listed")
    pair.tenant.unlist(path, key)
    assert pair.sync([type_key]).counts.changed == 0
    assert state(pair, type_key, key) == ("present", "high", "found_by_id")
    pair.tenant.change(path, key, {name: "changed unseen"})
    record = pair.sync([type_key])
    assert (record.counts.changed, record.counts.missing, record.status) == (1, 0, "success")
    assert pair.show(type_key, key)[name] == "changed unseen"
    assert "present, high confidence, found_by_id" in pair.command("show", type_key, key).stderr
    pair.tenant.unlist(path, key, is_listed=True)
    assert pair.sync([type_key]).counts.changed == 0
    assert state(pair, type_key, key) == ("present", "high", "listed")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("type_key", "path", "expand"),
    [("deviceConfigurations", CONFIGURATIONS, "?$expand=assignments"), ("groups", "groups", "")],
)
def test_properties_shown_only_by_id_are_no_change(pair: TenantPair, type_key: str, path: str, expand: str) -> None:
    pair.sync([type_key])
    key = next(iter(items(pair, type_key)))
    answer = pair.tenant.get(f"{path}/{key}{expand}")
    pair.tenant.unlist(path, key)
    address = rf"/(beta|v1\.0)/{path}/{key}(\?.*)?"
    pair.answer_with(address, 200, {**answer, "shownByIdAlone": "x"})
    assert pair.sync([type_key]).counts.changed == 0
    assert state(pair, type_key, key) == ("present", "high", "found_by_id")
    pair.answer_with(address, 200, {**answer, "shownByIdAlone": "x", "description": "edited"})
    assert pair.sync([type_key]).counts.changed == 1
    document = pair.show(type_key, key)
    assert (document["description"], "shownByIdAlone" in document) == ("edited", False)


@pytest.mark.slow
def test_unlisted_objects_of_every_collection_are_found_by_id_unchanged(system: System) -> None:
    system.start_worker()
    system.sync("--all")
    collections = load_catalog().collections
    found = [
        item
        for item in system.items()
        if collections[item.type_key].confirmable and "{" not in collections[item.type_key].path
    ]
    for item in found:
        system.tenant.unlist(collections[item.type_key].path, item.external_id)
    record = system.sync("--all")
    assert (record.status, record.counts.changed, record.counts.missing) == ("success", 0, 0)
    states = {(item.type_key, item.external_id): item.evidence for item in system.items()}
    assert {states[item.type_key, item.external_id] for item in found} == {"found_by_id"}
    assert len(found) > 600


@pytest.mark.slow
def test_details_of_unlisted_object_are_read_again(pair: TenantPair) -> None:
    pair.sync(["mobileApps"])
    key = next(iter(items(pair, "mobileApps")))
    pair.tenant.unlist(APPS, key)
    pair.tenant.reassign(APPS, key, [GROUP])
    assert pair.sync(["mobileApps"]).counts.changed == 1
    assert [assignment["target"]["groupId"] for assignment in pair.show("mobileApps", key)["assignments"]] == [GROUP]
    assert state(pair, "mobileApps", key) == ("present", "high", "found_by_id")
    # This time the app's own properties are the same.
    pair.tenant.reassign(APPS, key, [OTHER_GROUP])
    assert pair.sync(["mobileApps"]).counts.changed == 1
    assert [assignment["target"]["groupId"] for assignment in pair.show("mobileApps", key)["assignments"]] == [
        OTHER_GROUP
    ]


def test_unlisted_script_is_no_change(pair: TenantPair) -> None:
    """A GET by id shows more properties of a script than its list."""
    pair.sync(["deviceManagementScripts"])
    key = next(iter(items(pair, "deviceManagementScripts")))
    pair.tenant.unlist(SCRIPTS, key)
    assert pair.sync(["deviceManagementScripts"]).counts.changed == 0
    pair.tenant.unlist(SCRIPTS, key, is_listed=True)
    assert pair.sync(["deviceManagementScripts"]).counts.changed == 0


@pytest.mark.slow
def test_unlisted_child_item_is_read_again_under_its_parent(pair: TenantPair) -> None:
    pair.sync(["depEnrollmentProfiles"])
    key, item = next(iter(items(pair, "depEnrollmentProfiles").items()))
    profiles = f"{TOKENS}/{item['meta'][PARENT_ID]}/enrollmentProfiles"
    pair.tenant.change(profiles, key, {"description": "changed unseen"})
    pair.answer_with(rf"/beta/{profiles}(\?.*)?", 200, {"value": []})
    assert pair.sync(["depEnrollmentProfiles"]).counts.changed == 1
    after = items(pair, "depEnrollmentProfiles")[key]
    assert (after["state"], after["evidence"], after["meta"][PARENT_ID]) == (
        "present",
        "found_by_id",
        item["meta"][PARENT_ID],
    )
    assert pair.show("depEnrollmentProfiles", key)["description"] == "changed unseen"


def test_unlisted_object_that_cannot_be_read_keeps_its_content(pair: TenantPair) -> None:
    pair.sync(["deviceConfigurations"])
    key = next(iter(items(pair, "deviceConfigurations")))
    before = pair.show("deviceConfigurations", key)
    pair.tenant.unlist(CONFIGURATIONS, key)
    pair.tenant.change(CONFIGURATIONS, key, {"description": "changed unseen"})
    pair.answer_with(rf"/beta/{CONFIGURATIONS}/{re.escape(key)}\?\$expand=.*", 500, {"error": {"code": "x"}})
    assert pair.sync(["deviceConfigurations"]).counts.changed == 0
    assert pair.show("deviceConfigurations", key) == before
    assert state(pair, "deviceConfigurations", key)[2] == "found_by_id"
