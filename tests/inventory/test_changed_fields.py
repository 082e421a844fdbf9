"""What of two documents is a change of the tenant, and what only our own reading."""

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


def test_what_a_rule_begins_or_ceases_to_hide_cannot_be_told() -> None:
    hidden = KEYED.canonical_value({"secret": "hunter2"})
    assert paths({"secret": "hunter2"}, hidden) == paths(hidden, {"secret": "hunter2"}) == []
    assert paths(hidden, KEYED.canonical_value({"secret": "other"})) == ["secret"]
    assert paths({"secret": None}, hidden) == ["secret"], "a secret that was set is a change"


def test_the_number_of_a_setting_is_no_change() -> None:
    def settings(*definitions: str) -> dict[str, Any]:
        members = [{"settingDefinitionId": definition} for definition in definitions]
        return {
            "settings": [{"id": str(number), "settingInstance": instance} for number, instance in enumerate(members)]
        }

    assert paths(settings("a", "b", "c"), settings("b", "c")) == ["settings[a]"]
    assert paths({"items": [{"name": "x", "id": "1"}]}, {"items": [{"name": "x", "id": "2"}]}) != []


def test_what_the_rules_leave_out_today_is_no_change_to_a_document_from_before() -> None:
    assert paths({"version": 1, "a": 1}, {"a": 1}) == []


@pytest.mark.parametrize(
    ("completed_by", "after", "changed"),
    [
        (frozenset({"settings"}), {"name": "y", "settings": [1], "body": "b"}, ["name"]),
        (frozenset({"settings"}), {"name": "x", "settings": [1], "body": "b"}, []),
        (None, {"name": "y", "tags": ["other"], "body": "b"}, ["name"]),
    ],
)
def test_of_a_document_without_its_details_only_what_a_list_shows_right_is_compared(
    completed_by: frozenset[str] | None, after: dict[str, Any], changed: list[str]
) -> None:
    before: dict[str, Any] = {"name": "x", "body": None, "settings": []}
    if completed_by is None:
        before["tags"] = ["one"]
    found = changed_fields_of_listed(before, after, HOW._replace(completed_by=completed_by))
    assert [difference.path for difference in found] == changed


def test_what_an_earlier_release_did_not_ask_for_is_no_change() -> None:
    asking = HOW._replace(asked_for=frozenset({"owners"}))

    def told(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
        return [field.path for field in changed_fields(before, after, asking)]

    assert told({"a": 1}, {"a": 1, "owners": [{"id": "one"}]}) == []
    assert told({"a": 1}, {"a": 2, "owners": [{"id": "one"}]}) == ["a"]
    assert told({"owners": []}, {"owners": [{"id": "one"}]}) != []
    assert told({"owners": None}, {"owners": {"id": "one"}}) != [], "what there was none of"
