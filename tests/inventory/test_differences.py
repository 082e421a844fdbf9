import copy
import random
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inventory.canonical import Canonicalizer
from inventory.data_keys import DataKey
from inventory.differences import Difference, DifferenceKind, differences
from inventory.exact_json import JsonObject
from inventory.normal_form import ArrayRules, NormalForm
from tests.conftest import needs_graph_data
from tests.real_documents import real_documents

FORM = NormalForm(ArrayRules(ordered=frozenset({"servers"})))
SETS = NormalForm().of_sorted()
UNORDERED_RULES = NormalForm(ArrayRules(unordered=frozenset({"rules", "omaSettings"})))
KEYED = Canonicalizer(sensitive=frozenset({"secret"}), data_key=DataKey(b"key"))

property_names = st.sampled_from(["id", "name", "key", "servers", "rules", "value", "target", "settingDefinitionId"])
leaves = st.none() | st.booleans() | st.integers(0, 2) | st.sampled_from([0.0, -0.0, 1.0, "", "a", "b"])
marks = st.sampled_from(["x", "y"]).map(lambda secret: KEYED.canonical_value({"secret": secret})["secret"])
documents = st.dictionaries(
    property_names,
    st.recursive(
        leaves | marks,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(property_names, inner, max_size=4),
        max_leaves=12,
    ),
    max_size=4,
)


def shuffled(value: Any, source: random.Random) -> Any:
    """The same content with the members of all arrays in another order."""
    if isinstance(value, dict):
        return {name: shuffled(child, source) for name, child in value.items()}
    if isinstance(value, list):
        members = [shuffled(member, source) for member in value]
        source.shuffle(members)
        return members
    return value


@given(documents, documents)
def test_differences_exist_exactly_if_content_hashes_differ(before: dict[str, Any], after: dict[str, Any]) -> None:
    found = differences(before, after, FORM)
    assert (found == []) is (FORM.hash(before) == FORM.hash(after))


@given(documents, st.randoms(use_true_random=False))
def test_a_new_order_is_a_difference_only_in_ordered_lists(document: dict[str, Any], source: random.Random) -> None:
    other = shuffled(document, source)
    assert differences(document, other, SETS) == []
    found = differences(document, other, FORM)
    assert (found == []) is (FORM.hash(document) == FORM.hash(other))


@given(documents, documents)
def test_additions_are_removals_in_the_opposite_direction(before: dict[str, Any], after: dict[str, Any]) -> None:
    there = differences(before, after)
    back = differences(after, before)
    assert sum(difference.kind is DifferenceKind.ADDED for difference in there) == sum(
        difference.kind is DifferenceKind.REMOVED for difference in back
    )


@given(documents, documents)
def test_each_changed_path_is_listed_once(before: dict[str, Any], after: dict[str, Any]) -> None:
    paths = [difference.path for difference in differences(before, after, FORM) if not difference.path.endswith("[]")]
    assert len(paths) == len(set(paths))


def policy(size: int) -> dict[str, Any]:
    """A document with every kind of array, of `size` members each."""
    return {
        "name": "Policy",
        "templateReference": {"templateId": "t", "templateFamily": "baseline"},
        "settings": [
            {
                "id": str(number),
                "settingInstance": {
                    "settingDefinitionId": f"definition_{number}",
                    "groupSettingCollectionValue": [
                        {
                            "settingValueTemplateReference": None,
                            "children": [
                                {"settingDefinitionId": f"child_{child}", "simpleSettingValue": {"value": f"{number}"}}
                                for child in range(3)
                            ],
                        }
                    ],
                },
            }
            for number in range(size)
        ],
        "definitionValues": [
            {
                "enabled": True,
                "definition": {"id": f"d{number}", "displayName": "x"},
                "presentationValues": [{"presentation": {"id": "p"}, "value": "v"}],
            }
            for number in range(size)
        ],
        "assignments": [
            {
                "id": f"policy_{number}",
                "intent": "apply",
                "target": {"@odata.type": "#microsoft.graph.groupAssignmentTarget", "groupId": f"g{number}"},
            }
            for number in range(size)
        ],
        "omaSettings": [{"omaUri": f"./{number}", "displayName": "same", "value": "x"} for number in range(size)],
        "rules": [
            {"action": f"action {number}", "ports": [f"{number}"], "from": f"{number}", "to": f"{number}"}
            for number in range(size)
        ],
        "roleScopeTagIds": [str(number) for number in range(size)],
    }


def _setting(document: dict[str, Any], number: int) -> dict[str, Any]:
    group = document["settings"][number]["settingInstance"]["groupSettingCollectionValue"]
    value: dict[str, Any] = group[0]["children"][1]["simpleSettingValue"]
    return value


FIELDS: list[tuple[str, Callable[[dict[str, Any], int], dict[str, Any]], str]] = [
    (
        "settings[definition_{}].settingInstance.groupSettingCollectionValue[#1].children[child_1].simpleSettingValue.value",
        _setting,
        "value",
    ),
    ("settings[definition_{}].id", lambda document, number: document["settings"][number], "id"),
    ("definitionValues[d{}].enabled", lambda document, number: document["definitionValues"][number], "enabled"),
    (
        "definitionValues[d{}].presentationValues[p].value",
        lambda document, number: document["definitionValues"][number]["presentationValues"][0],
        "value",
    ),
    ("assignments[group g{}].intent", lambda document, number: document["assignments"][number], "intent"),
    ("omaSettings[./{}].value", lambda document, number: document["omaSettings"][number], "value"),
    ("name", lambda document, _: document, "name"),
    ("templateReference.templateFamily", lambda document, _: document["templateReference"], "templateFamily"),
]


@given(st.data(), st.randoms(use_true_random=False))
def test_differences_are_exactly_the_edited_fields(data: st.DataObject, source: random.Random) -> None:
    size = data.draw(st.integers(1, 4))
    edits = data.draw(st.sets(st.tuples(st.integers(0, len(FIELDS) - 1), st.integers(0, size - 1))))
    before, after = policy(size), policy(size)
    expected = {}
    for position, (field, number) in enumerate(sorted(edits)):
        path, place, name = FIELDS[field]
        old = place(before, number)[name]
        place(after, number)[name] = f"edited {position}"
        expected[path.format(number)] = (old, f"edited {position}")
    found = differences(before, shuffled(after, source), UNORDERED_RULES)
    assert {difference.path: (difference.before, difference.after) for difference in found} == expected
    assert all(difference.kind is DifferenceKind.CHANGED for difference in found)


@given(st.data(), st.randoms(use_true_random=False))
def test_added_and_removed_members_are_listed_whole(data: st.DataObject, source: random.Random) -> None:
    name = data.draw(st.sampled_from(["settings", "definitionValues", "assignments", "omaSettings"]))
    kept = data.draw(st.sets(st.integers(0, 4)))
    before, after = policy(5), policy(5)
    after[name] = [after[name][number] for number in kept]
    removed_members = [member for number, member in enumerate(before[name]) if number not in kept]
    shuffled_after = shuffled(after, source)
    removed = differences(before, shuffled_after, UNORDERED_RULES)
    assert [difference.kind for difference in removed] == [DifferenceKind.REMOVED] * len(removed_members)
    assert removed_members == [
        difference.before for difference in sorted(removed, key=lambda difference: difference.path)
    ]
    assert [
        (difference.path, difference.after) for difference in differences(shuffled_after, before, UNORDERED_RULES)
    ] == [(difference.path, difference.before) for difference in removed]


@given(st.integers(0, 4), st.sampled_from(["action", "from", "to"]), st.randoms(use_true_random=False))
def test_an_edited_field_of_a_member_without_identity_is_one_difference(
    number: int, field: str, source: random.Random
) -> None:
    before, after = policy(5), policy(5)
    after["rules"][number][field] = "edited"
    (found,) = differences(before, shuffled(after, source), UNORDERED_RULES)
    assert found == Difference(
        f"rules[#{number + 1}].{field}", DifferenceKind.CHANGED, before["rules"][number][field], "edited"
    )


def test_lists_of_scalars_are_compared_as_sets() -> None:
    found = differences({"roleScopeTagIds": ["0", "1"]}, {"roleScopeTagIds": ["1", "5"]})
    assert found == [
        Difference("roleScopeTagIds[]", DifferenceKind.ADDED, None, "5"),
        Difference("roleScopeTagIds[]", DifferenceKind.REMOVED, "0", None),
    ]


def test_ordered_lists_list_order_and_members_as_separate_differences() -> None:
    before: JsonObject = {"servers": ["a", "b", "c"]}
    after: JsonObject = {"servers": ["c", "b", "d"]}
    assert [(difference.path, difference.kind.value) for difference in differences(before, after, FORM)] == [
        ("servers[]", "added"),
        ("servers[]", "removed"),
        ("servers[order]", "changed"),
    ]


TARGET = "#microsoft.graph."


@pytest.mark.parametrize(
    ("target", "label"),
    [
        ({"@odata.type": TARGET + "allDevicesAssignmentTarget"}, "all devices"),
        ({"@odata.type": TARGET + "allLicensedUsersAssignmentTarget"}, "all licensed users"),
        ({"@odata.type": TARGET + "groupAssignmentTarget", "groupId": "1234"}, "group 1234"),
        (
            {
                "@odata.type": TARGET + "groupAssignmentTarget",
                "groupId": "1234",
                "deviceAndAppManagementAssignmentFilterId": "f",
                "deviceAndAppManagementAssignmentFilterType": "include",
            },
            "group 1234, include filter f",
        ),
    ],
)
def test_an_assignment_is_identified_by_its_target(target: dict[str, Any], label: str) -> None:
    before: JsonObject = {"assignments": [{"id": "1", "intent": "available", "target": target}]}
    after: JsonObject = {"assignments": [{"id": "2", "intent": "required", "target": target}]}
    assert {difference.path for difference in differences(before, after)} == {
        f"assignments[{label}].{name}" for name in ("id", "intent")
    }


def test_an_exclusion_is_identified_by_its_target_and_intent() -> None:
    target: JsonObject = {"@odata.type": TARGET + "exclusionGroupAssignmentTarget", "groupId": "1234"}

    def excluded(*intents: str) -> JsonObject:
        return {"assignments": [{"id": intent, "intent": intent, "target": target} for intent in intents]}

    def path_kinds(before: JsonObject, after: JsonObject) -> list[tuple[str, str]]:
        return [(difference.path, difference.kind.value) for difference in differences(before, after)]

    available, required = (f"assignments[exclusion group 1234, {intent}]" for intent in ("available", "required"))
    assert path_kinds(excluded("available", "required"), excluded("required")) == [(available, "removed")]
    assert path_kinds(excluded("required"), excluded("available")) == [(available, "added"), (required, "removed")]
    of_a_policy = path_kinds({"assignments": [{"id": "1", "target": target}]}, {"assignments": []})
    assert of_a_policy == [("assignments[exclusion group 1234]", "removed")]


def test_a_new_filter_changes_the_assignment() -> None:
    def assignment(kind: str, external_id: str | None) -> dict[str, Any]:
        return {
            "target": {
                "@odata.type": TARGET + "groupAssignmentTarget",
                "groupId": "1234",
                "deviceAndAppManagementAssignmentFilterId": external_id,
                "deviceAndAppManagementAssignmentFilterType": kind,
            }
        }

    found = differences({"assignments": [assignment("none", None)]}, {"assignments": [assignment("include", "f")]})
    assert [difference.path for difference in found] == [
        "assignments[group 1234].target.deviceAndAppManagementAssignmentFilterId",
        "assignments[group 1234].target.deviceAndAppManagementAssignmentFilterType",
    ]


def test_settings_of_different_definitions_are_never_matched() -> None:
    def settings(definition: str) -> dict[str, Any]:
        return {"settings": [{"id": "0", "settingInstance": {"settingDefinitionId": definition, "value": "same"}}]}

    found = differences(settings("a"), settings("b"))
    assert [(difference.path, difference.kind) for difference in found] == [
        ("settings[a]", DifferenceKind.REMOVED),
        ("settings[b]", DifferenceKind.ADDED),
    ]


@pytest.mark.parametrize(
    ("before", "after", "kind"),
    [
        ({"secret": "x"}, {"secret": "y"}, DifferenceKind.CHANGED),
        ({"secret": "x"}, {"secret": None}, DifferenceKind.CHANGED),
        ({"secret": "x"}, {}, DifferenceKind.REMOVED),
        ({}, {"secret": "y"}, DifferenceKind.ADDED),
    ],
)
def test_a_changed_sensitive_value_is_listed_without_its_mark(
    before: dict[str, Any], after: dict[str, Any], kind: DifferenceKind
) -> None:
    found = differences(KEYED.canonical_value(before), KEYED.canonical_value(after))
    assert found == [Difference("secret", kind, None, None, hidden=True)]


def test_a_value_that_became_sensitive_is_not_shown() -> None:
    found = differences({"secret": "hunter2"}, KEYED.canonical_value({"secret": "hunter2"}))
    assert found == [Difference("secret", DifferenceKind.CHANGED, None, None, hidden=True, untold=True)]


def test_an_added_member_shows_no_keyed_mark() -> None:
    found = differences({"rules": []}, KEYED.canonical_value({"rules": [{"name": "r", "secret": "x"}]}))
    assert [difference.after for difference in found] == [{"name": "r", "secret": {"sensitive": True}}]


@needs_graph_data
def test_an_edited_real_document_differs_in_the_edited_fields() -> None:
    for _, document in real_documents():
        assert differences(document, document) == []
        edited = copy.deepcopy(document)
        edited["description"] = "edited"
        for setting in edited.get("settings", [])[:1]:
            setting["added"] = "edited"
        found = differences(document, edited)
        assert len(found) == 1 + bool(document.get("settings"))
        assert all("edited" in str(difference.after) for difference in found)


@pytest.mark.parametrize(("before", "after"), [(1, True), (1, 1.5), (0, False), ("", 0), ("1", 1)])
def test_values_of_different_types_differ(before: Any, after: Any) -> None:
    assert differences({"value": before}, {"value": after}) == [
        Difference("value", DifferenceKind.CHANGED, before, after)
    ]
    assert len(differences({"values": [before]}, {"values": [after]})) == 2


@pytest.mark.parametrize(
    ("before", "after", "paths"),
    [
        ({"value": "x"}, {"value": "y"}, ["rules[#1].value"]),
        (
            {"action": "allow", "from": "1", "to": "2", "protocol": 6},
            {"action": "block", "from": "1", "to": "3", "protocol": 6},
            ["rules[#1].action", "rules[#1].to"],
        ),
        (
            {"action": "allow", "from": "1", "to": "2", "protocol": 6},
            {"action": "block", "from": "3", "to": "4", "protocol": 6},
            ["rules[#1]", "rules[#2]"],
        ),
    ],
    ids=["one field", "half the same", "mostly other"],
)
def test_similar_members_without_identity_are_matched(
    before: dict[str, Any], after: dict[str, Any], paths: list[str]
) -> None:
    assert [difference.path for difference in differences({"rules": [before]}, {"rules": [after]})] == paths


def test_members_are_matched_by_ids_in_any_case() -> None:
    group = "1f0c4d2e-6a3b-4c55-9d0e-2b7a8c9d0e1f"

    def assigned(group_id: str, filter_type: str) -> dict[str, Any]:
        return {
            "id": f"x_{group_id}",
            "source": filter_type,
            "target": {"@odata.type": "#microsoft.graph.groupAssignmentTarget", "groupId": group_id},
        }

    pairs: list[tuple[Any, Any, str]] = [
        ([assigned(group, "direct")], [assigned(group.upper(), "policySets")], f"things[group {group}].source"),
        ([{"id": group, "a": 1}], [{"id": group.upper(), "a": 2}], f"things[{group}].a"),
        ([{"settingDefinitionId": group, "a": 1}], [{"settingDefinitionId": group.upper(), "a": 2}],
         f"things[{group}].a"),
    ]  # fmt: skip
    for before, after, path in pairs:
        assert [(found.path, found.kind) for found in differences({"things": before}, {"things": after})
                if not found.path.endswith(".id")] == [(path, DifferenceKind.CHANGED)]  # fmt: skip
