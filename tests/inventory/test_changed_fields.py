"""Differences between documents: changes in the tenant, or effects of our own reading."""

from typing import Any

import pytest

from inventory.canonical import Canonicalizer
from inventory.changed_fields import Comparability, changed_fields, changed_fields_of_listed
from inventory.data_keys import DataKey
from inventory.normal_form import NormalForm

HOW = Comparability(Canonicalizer(volatile=frozenset({"version"})), NormalForm(), frozenset({"settings"}))
KEYED = Canonicalizer(sensitive=frozenset({"secret"}), data_key=DataKey(b"a key of this test alone"))


def paths(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    return [field.path for field in changed_fields(before, after, HOW)]


def test_hiding_or_revealing_a_value_is_no_change() -> None:
    hidden = KEYED.canonical_value({"secret": "hunter2"})
    assert paths({"secret": "hunter2"}, hidden) == paths(hidden, {"secret": "hunter2"}) == []
    assert paths(hidden, KEYED.canonical_value({"secret": "other"})) == ["secret"]
    assert paths({"secret": None}, hidden) == ["secret"], "a secret that was set is a change"


def test_a_renumbered_setting_is_no_change() -> None:
    def settings(*definitions: str) -> dict[str, Any]:
        members = [{"settingDefinitionId": definition} for definition in definitions]
        return {
            "settings": [{"id": str(number), "settingInstance": instance} for number, instance in enumerate(members)]
        }

    assert paths(settings("a", "b", "c"), settings("b", "c")) == ["settings[a]"]
    assert paths({"items": [{"name": "x", "id": "1"}]}, {"items": [{"name": "x", "id": "2"}]}) != []


def test_a_property_dropped_by_new_rules_is_no_change() -> None:
    assert paths({"version": 1, "a": 1}, {"a": 1}) == []


@pytest.mark.parametrize(
    ("completed_by", "after", "changed"),
    [
        (frozenset({"settings"}), {"name": "y", "settings": [1], "body": "b"}, ["name"]),
        (frozenset({"settings"}), {"name": "x", "settings": [1], "body": "b"}, []),
        (None, {"name": "y", "tags": ["other"], "body": "b"}, ["name"]),
    ],
)
def test_without_details_only_reliable_values_of_a_list_are_compared(
    completed_by: frozenset[str] | None, after: dict[str, Any], changed: list[str]
) -> None:
    before: dict[str, Any] = {"name": "x", "body": None, "settings": []}
    if completed_by is None:
        before["tags"] = ["one"]
    found = changed_fields_of_listed(before, after, HOW._replace(completed_by=completed_by))
    assert [difference.path for difference in found] == changed


def test_a_newly_requested_property_is_no_change() -> None:
    asking = HOW._replace(asked_for=frozenset({"owners"}))

    def changed_paths(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
        return [field.path for field in changed_fields(before, after, asking)]

    assert changed_paths({"a": 1}, {"a": 1, "owners": [{"id": "one"}]}) == []
    assert changed_paths({"a": 1}, {"a": 2, "owners": [{"id": "one"}]}) == ["a"]
    assert changed_paths({"owners": []}, {"owners": [{"id": "one"}]}) != []
    assert changed_paths({"owners": None}, {"owners": {"id": "one"}}) != [], "the property was null, not unread"
