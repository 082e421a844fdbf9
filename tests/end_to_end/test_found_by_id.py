"""Unlisted objects that a GET by id finds: a run reads them again, and their evidence is `found_by_id`."""

import re
from typing import Any

import pytest

from graph.catalog import load_catalog
from inventory.meta import PARENT_ID
from tests.end_to_end.cases import Stage
from tests.end_to_end.system import System

APPS, CONFIGURATIONS, SCRIPTS = (
    "deviceAppManagement/mobileApps",
    "deviceManagement/deviceConfigurations",
    "deviceManagement/deviceManagementScripts",
)
LOCATIONS, GROUP = "identity/conditionalAccess/namedLocations", "10000000-0000-4000-8000-0000000000aa"
OTHER_GROUP = "10000000-0000-4000-8000-0000000000bb"
TOKENS = "deviceManagement/depOnboardingSettings"


def items(stage: Stage, type_key: str) -> dict[str, dict[str, Any]]:
    done = stage.command("items", "--type", type_key, "--json")
    assert done.code == 0, done.stderr
    return {record["external_id"]: record for record in done.objects()}


def state(stage: Stage, type_key: str, external_id: str) -> tuple[str, str, str]:
    item = items(stage, type_key)[external_id]
    return item["state"], item["confidence"], item["evidence"]


@pytest.mark.parametrize(
    ("type_key", "path", "name"),
    [
        ("deviceConfigurations", CONFIGURATIONS, "description"),
        pytest.param("namedLocations", LOCATIONS, "displayName", marks=pytest.mark.slow),
    ],
)
def test_unlisted_object_is_read_again_by_id(stage: Stage, type_key: str, path: str, name: str) -> None:
    stage.sync([type_key])
    key = next(iter(items(stage, type_key)))
    assert state(stage, type_key, key) == ("present", "high", "listed")
    stage.tenant.unlist(path, key)
    assert stage.sync([type_key]).counts.changed == 0
    assert state(stage, type_key, key) == ("present", "high", "found_by_id")
    stage.tenant.change(path, key, {name: "changed unseen"})
    record = stage.sync([type_key])
    assert (record.counts.changed, record.counts.missing, record.status) == (1, 0, "success")
    assert stage.show(type_key, key)[name] == "changed unseen"
    assert "present, high confidence, found_by_id" in stage.command("show", type_key, key).stderr
    stage.tenant.unlist(path, key, is_listed=True)
    assert stage.sync([type_key]).counts.changed == 0
    assert state(stage, type_key, key) == ("present", "high", "listed")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("type_key", "path", "expand"),
    [("deviceConfigurations", CONFIGURATIONS, "?$expand=assignments"), ("groups", "groups", "")],
)
def test_properties_shown_only_by_id_are_no_change(stage: Stage, type_key: str, path: str, expand: str) -> None:
    stage.sync([type_key])
    key = next(iter(items(stage, type_key)))
    shown = stage.tenant.get(f"{path}/{key}{expand}")
    stage.tenant.unlist(path, key)
    address = rf"/(beta|v1\.0)/{path}/{key}(\?.*)?"
    stage.answer_with(address, 200, {**shown, "shownByIdAlone": "x"})
    assert stage.sync([type_key]).counts.changed == 0
    assert state(stage, type_key, key) == ("present", "high", "found_by_id")
    stage.answer_with(address, 200, {**shown, "shownByIdAlone": "x", "description": "edited"})
    assert stage.sync([type_key]).counts.changed == 1
    document = stage.show(type_key, key)
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
def test_details_of_unlisted_object_are_read_again(stage: Stage) -> None:
    stage.sync(["mobileApps"])
    key = next(iter(items(stage, "mobileApps")))
    stage.tenant.unlist(APPS, key)
    stage.tenant.reassign(APPS, key, [GROUP])
    assert stage.sync(["mobileApps"]).counts.changed == 1
    assert [assignment["target"]["groupId"] for assignment in stage.show("mobileApps", key)["assignments"]] == [GROUP]
    assert state(stage, "mobileApps", key) == ("present", "high", "found_by_id")
    # This time the app's own properties are the same.
    stage.tenant.reassign(APPS, key, [OTHER_GROUP])
    assert stage.sync(["mobileApps"]).counts.changed == 1
    assert [assignment["target"]["groupId"] for assignment in stage.show("mobileApps", key)["assignments"]] == [
        OTHER_GROUP
    ]


def test_unlisted_script_is_no_change(stage: Stage) -> None:
    """A GET by id shows more properties of a script than its list."""
    stage.sync(["deviceManagementScripts"])
    key = next(iter(items(stage, "deviceManagementScripts")))
    stage.tenant.unlist(SCRIPTS, key)
    assert stage.sync(["deviceManagementScripts"]).counts.changed == 0
    stage.tenant.unlist(SCRIPTS, key, is_listed=True)
    assert stage.sync(["deviceManagementScripts"]).counts.changed == 0


@pytest.mark.slow
def test_unlisted_child_item_is_read_again_under_its_parent(stage: Stage) -> None:
    stage.sync(["depEnrollmentProfiles"])
    key, item = next(iter(items(stage, "depEnrollmentProfiles").items()))
    profiles = f"{TOKENS}/{item['meta'][PARENT_ID]}/enrollmentProfiles"
    stage.tenant.change(profiles, key, {"description": "changed unseen"})
    stage.answer_with(rf"/beta/{profiles}(\?.*)?", 200, {"value": []})
    assert stage.sync(["depEnrollmentProfiles"]).counts.changed == 1
    after = items(stage, "depEnrollmentProfiles")[key]
    assert (after["state"], after["evidence"], after["meta"][PARENT_ID]) == (
        "present",
        "found_by_id",
        item["meta"][PARENT_ID],
    )
    assert stage.show("depEnrollmentProfiles", key)["description"] == "changed unseen"


def test_unlisted_object_that_cannot_be_read_keeps_its_content(stage: Stage) -> None:
    stage.sync(["deviceConfigurations"])
    key = next(iter(items(stage, "deviceConfigurations")))
    before = stage.show("deviceConfigurations", key)
    stage.tenant.unlist(CONFIGURATIONS, key)
    stage.tenant.change(CONFIGURATIONS, key, {"description": "changed unseen"})
    stage.answer_with(rf"/beta/{CONFIGURATIONS}/{re.escape(key)}\?\$expand=.*", 500, {"error": {"code": "x"}})
    assert stage.sync(["deviceConfigurations"]).counts.changed == 0
    assert stage.show("deviceConfigurations", key) == before
    assert state(stage, "deviceConfigurations", key)[2] == "found_by_id"
