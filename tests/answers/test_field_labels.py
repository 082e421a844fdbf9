"""Labels of fields that differ, with names in place of ids."""

from typing import Any

import pytest

from answers.field_labels import FieldChange, field_change
from graph.catalog import load_catalog
from inventory.differences import DifferenceKind, differences

PILOT, ALL_STAFF = "1f0c4d2e-6a3b-4c55-9d0e-2b7a8c9d0e1f", "77a1b0c2-0000-4c55-9d0e-2b7a8c9d0e1f"
NAMES = {("groups", PILOT): "Pilot", ("groups", ALL_STAFF): "All staff", ("roleScopeTags", "5"): "Berlin"}


def changed(type_key: str, before: dict[str, Any], after: dict[str, Any]) -> list[FieldChange]:
    rules = load_catalog().collections[type_key].references
    return [field_change(difference, rules, NAMES) for difference in differences(before, after)]


def assigned(group_id: str, **properties: Any) -> dict[str, Any]:
    return {"target": {"@odata.type": "#microsoft.graph.groupAssignmentTarget", "groupId": group_id}, **properties}


def test_assignment_label_has_the_groups_name() -> None:
    (added,) = changed("deviceConfigurations", {"assignments": []}, {"assignments": [assigned(PILOT)]})
    assert added.path == f"assignments[group {PILOT}]"
    assert added.label == 'assignments[group "Pilot"]'
    assert added.after == assigned(PILOT)
    assert added.after_named == assigned("Pilot")
    assert (added.kind, added.before, added.before_named) == (DifferenceKind.ADDED, None, None)


def test_ids_in_lists_are_named() -> None:
    (scope,) = changed("deviceConfigurations", {"roleScopeTagIds": ["0"]}, {"roleScopeTagIds": ["0", "5"]})
    assert (scope.label, scope.after, scope.after_named) == ("roleScopeTagIds[]", "5", "Berlin")
    before = {"conditions": {"users": {"excludeGroups": [PILOT]}}}
    after = {"conditions": {"users": {"excludeGroups": [ALL_STAFF]}}}
    found = changed("conditionalAccessPolicies", before, after)
    assert [(field.kind, field.before_named, field.after_named) for field in found] == [
        (DifferenceKind.ADDED, None, "All staff"),
        (DifferenceKind.REMOVED, "Pilot", None),
    ]


def test_unknown_group_keeps_its_id() -> None:
    unknown = PILOT.replace("1f0c", "ffff")
    (added,) = changed("deviceConfigurations", {"assignments": []}, {"assignments": [assigned(unknown)]})
    assert added.label == f"assignments[group {unknown}]"
    assert added.after_named is None


def setting(definition: str, value: str, children: list[Any] | None = None) -> dict[str, Any]:
    chosen = {"value": value, "children": children or []}
    return {"settingInstance": {"settingDefinitionId": definition, "choiceSettingValue": chosen}}


def test_setting_label_is_the_path_of_its_definitions() -> None:
    child = {"settingDefinitionId": "device_inner.x", "simpleSettingValue": {"value": 1}}
    grown = {"settingDefinitionId": "device_inner.x", "simpleSettingValue": {"value": 2}}
    before = {"settings": [setting("device_outer", "on", [child]), setting("device_other", "off")]}
    after = {"settings": [setting("device_outer", "on", [grown]), setting("device_other", "on")]}
    assert [(field.label, field.before, field.after) for field in changed("configurationPolicies", before, after)] == [
        ("device_other", "off", "on"),
        ("device_outer → device_inner.x", 1, 2),
    ]


@pytest.mark.parametrize("number", [2**64, -(2**70)])
def test_numbers_beyond_64_bits_become_text(number: int) -> None:
    (found,) = changed("groups", {"a": 1}, {"a": number})
    assert found.after == str(number)


@pytest.mark.parametrize("name", ["a[b", "a]b", "a.b", "[", "]]", "", "a[b]c[d"])
def test_names_with_brackets_and_dots_have_labels(name: str) -> None:
    found = changed("configurationPolicies", {"settings": []}, {"settings": [setting(name, "on")]})
    assert [field.label for field in found]
