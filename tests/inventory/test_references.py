"""The references of a document, by the catalog's rules."""

from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graph.catalog import load_catalog
from inventory import reference_extraction as reading
from inventory.reference_extraction import ASSIGNMENTS_UNKNOWN, NOBODY, ReadingRules, read
from inventory.references import ALL_DEVICES, ALL_USERS, Reference, ReferenceRole, id_in, references, translated
from tests.conftest import needs_graph_data
from tests.real_documents import real_documents

ASSIGNED = {
    "assignments.target.groupId": ("groups",),
    "assignments.target.deviceAndAppManagementAssignmentFilterId": ("assignmentFilters",),
    "roleScopeTagIds": ("roleScopeTags",),
}


def target(kind: str, **properties: Any) -> dict[str, Any]:
    return {"target": {"@odata.type": f"#microsoft.graph.{kind}AssignmentTarget", **properties}}


def test_references_keep_the_intent_and_policy_set_of_an_assignment() -> None:
    document: dict[str, Any] = {
        "assignments": [
            {"intent": "required", "source": "direct", "sourceId": "app", **target("group", groupId="g")},
            {"intent": "uninstall", "source": "policySets", "sourceId": "set", **target("group", groupId="g")},
            {"intent": "available", **target("allLicensedUsers")},
        ]
    }
    assert [
        (reference.target_id, reference.intent, reference.policy_set_id) for reference in references(document, ASSIGNED)
    ] == [
        (ALL_USERS, "available", ""),
        ("g", "required", ""),
        ("g", "uninstall", "set"),
    ]


def test_assignments_include_and_exclude_groups_and_filters() -> None:
    document: dict[str, Any] = {
        "roleScopeTagIds": ["0", "5"],
        "assignments": [
            target("group", groupId="in"),
            target(
                "exclusionGroup",
                groupId="out",
                deviceAndAppManagementAssignmentFilterId=None,
                deviceAndAppManagementAssignmentFilterType="none",
            ),
            target(
                "allDevices",
                deviceAndAppManagementAssignmentFilterId="filter",
                deviceAndAppManagementAssignmentFilterType="exclude",
            ),
        ],
    }
    assert references(document, ASSIGNED) == [
        Reference("assignments.target", ReferenceRole.INCLUDE, (), ALL_DEVICES),
        Reference(
            "assignments.target.deviceAndAppManagementAssignmentFilterId",
            ReferenceRole.EXCLUDE,
            ("assignmentFilters",),
            "filter",
        ),
        Reference("assignments.target.groupId", ReferenceRole.EXCLUDE, ("groups",), "out"),
        Reference("assignments.target.groupId", ReferenceRole.INCLUDE, ("groups",), "in"),
        Reference("roleScopeTagIds", ReferenceRole.USE, ("roleScopeTags",), "0"),
        Reference("roleScopeTagIds", ReferenceRole.USE, ("roleScopeTags",), "5"),
    ]


def test_keywords_in_place_of_ids_refer_to_no_item() -> None:
    rules = load_catalog().collections["conditionalAccessPolicies"].references
    document: dict[str, Any] = {
        "conditions": {
            "users": {"includeUsers": ["All"], "includeGroups": [], "excludeGroups": ["g"]},
            "locations": {"includeLocations": ["All"], "excludeLocations": ["AllTrusted", "l"]},
        },
        "grantControls": {"authenticationStrength": {"id": "s"}, "termsOfUse": ["t"]},
    }
    assert references(document, rules) == [
        Reference("conditions.locations.excludeLocations", ReferenceRole.EXCLUDE, ("namedLocations",), "l"),
        Reference("conditions.users.excludeGroups", ReferenceRole.EXCLUDE, ("groups",), "g"),
        Reference("conditions.users.includeUsers", ReferenceRole.INCLUDE, (), ALL_USERS),
        Reference(
            "grantControls.authenticationStrength.id", ReferenceRole.USE, ("authenticationStrengthPolicies",), "s"
        ),
        Reference("grantControls.termsOfUse", ReferenceRole.USE, ("termsOfUseAgreements",), "t"),
    ]


REUSED = "#microsoft.graph.deviceManagementConfigurationReferenceSettingValue"


def test_a_rule_for_a_type_applies_at_any_depth() -> None:
    rules = {f"{REUSED}/value": ("reusablePolicySettings",)}
    document: dict[str, Any] = {
        "settings": [
            {"settingInstance": {"simpleSettingValue": {"@odata.type": REUSED, "value": "one"}}},
            {"children": [{"simpleSettingCollectionValue": [{"@odata.type": REUSED, "value": "two"}]}]},
            {"settingInstance": {"simpleSettingValue": {"@odata.type": f"{REUSED}s", "value": "three"}}},
        ]
    }
    found = references(document, rules)
    assert [(reference.role, reference.target_types, reference.target_id) for reference in found] == [
        (ReferenceRole.USE, ("reusablePolicySettings",), "one"),
        (ReferenceRole.USE, ("reusablePolicySettings",), "two"),
    ]
    renamed = translated(document, rules, lambda _, external_id: external_id.upper())
    assert [reference.target_id for reference in references(renamed, rules)] == ["ONE", "TWO"]
    assert renamed["settings"] != document["settings"]


def test_a_rule_can_require_the_value_of_a_sibling_property() -> None:
    rules = {"relationships.targetId?targetType=child": ("mobileApps",), "imageId?imageType=custom": ("images",)}
    document: dict[str, Any] = {
        "imageId": "gallery image",
        "imageType": "gallery",
        "relationships": [
            {"targetId": "needed", "targetType": "child"},
            {"targetId": "needs this", "targetType": "parent"},
        ],
    }
    assert references(document, rules) == [
        Reference("relationships.targetId", ReferenceRole.USE, ("mobileApps",), "needed")
    ]
    assert translated(document, rules, lambda *_: "x") == {
        **document,
        "relationships": [{"targetId": "x", "targetType": "child"}, document["relationships"][1]],
    }


def test_a_prefix_that_graph_adds_is_not_part_of_the_id() -> None:
    rules = {"notificationTemplates": ("notificationMessageTemplates",), "granted": ("permissionGrantPolicies",)}
    document: dict[str, Any] = {
        "notificationTemplates": ["Email_7d1b", "push_00000000-0000-0000-0000-000000000000"],
        "granted": ["ManagePermissionGrantsForSelf.microsoft-user-default-low"],
    }
    assert [reference.target_id for reference in references(document, rules)] == ["microsoft-user-default-low", "7d1b"]
    assert translated(document, rules, lambda _, external_id: "Low" if external_id != "7d1b" else None) == {
        **document,
        "granted": ["ManagePermissionGrantsForSelf.Low"],
    }


@pytest.mark.parametrize(
    ("scope", "target_id"),
    [
        ("/", None), ("/administrativeUnits/one", "one"), ("/AccessPackageCatalog/one", "one"), ("/one", "one"),
        ("one", "one"),
    ],
)  # fmt: skip
def test_a_role_scope_is_the_whole_tenant_or_an_id(scope: str, target_id: str | None) -> None:
    assert id_in(scope) == target_id


@pytest.mark.parametrize(
    ("query", "target_id"),
    [
        ("/groups/one/transitiveMembers/microsoft.graph.user", "one"), ("/v1.0/groups/one", "one"),
        ("/beta/users/one", "one"), ("/groups?$filter=(groupTypes/any(c:c+eq+'Unified'))", None), ("./manager", None),
        ("/directory/roles/one", None), ("/groups", None), ("/v1.0/users", None),
    ],
)  # fmt: skip
def test_a_reviewer_query_refers_to_its_group_or_user(query: str, target_id: str | None) -> None:
    document: dict[str, Any] = {"reviewers": [{"query": query}]}
    rules = {"reviewers.query": ("groups", "users")}
    assert [reference.target_id for reference in references(document, rules)] == ([target_id] if target_id else [])
    renamed = query.replace("one", "Board") if target_id else query
    assert translated(document, rules, lambda *_: "Board") == {"reviewers": [{"query": renamed}]}


APP_ID = "11111111-0000-4000-8000-00000000000a"


@pytest.mark.parametrize(
    ("app_id", "target_ids"), [(APP_ID, [APP_ID]), (ALL_USERS, []), (NOBODY, []), (7, []), (None, [])]
)
def test_alternate_keys_are_read_if_they_are_guids(app_id: Any, target_ids: list[str]) -> None:
    rules = ReadingRules({}, assignable=False, alternate_keys=frozenset({"appId"}))
    assert read({"appId": app_id}, rules) == [
        Reference("appId", ReferenceRole.USE, (), target_id) for target_id in target_ids
    ]
    assert not rules.find_nothing


def test_intune_ids_for_everyone_are_audiences() -> None:
    document: dict[str, Any] = {"assignments": [target("group", groupId="adadadad-808e-44e2-905a-0b7873a8a531")]}
    assert references(document, ASSIGNED) == [
        Reference("assignments.target.groupId", ReferenceRole.INCLUDE, (), ALL_DEVICES)
    ]


@pytest.mark.parametrize("no_id", ["x" * 513, "a\0b", "line\nbreak", "", "email_"])
def test_an_invalid_id_is_no_reference(no_id: str) -> None:
    assert references({"assignments": [target("group", groupId=no_id)]}, ASSIGNED) == []


ASSIGNABLE = ReadingRules(ASSIGNED, assignable=True)


@pytest.mark.parametrize(
    ("assignments", "audience"),
    [
        ([], NOBODY),
        ([target("exclusionGroup", groupId="a"), target("exclusionGroup", groupId="a")], NOBODY),
        ([target("exclusionGroup", groupId="a"), target("group", groupId="b")], None),
        ([target("allDevices")], None),
        ([target("somethingNew")], None),
        ([{"target": None}], None),
        (None, ASSIGNMENTS_UNKNOWN),
        ("text", ASSIGNMENTS_UNKNOWN),
    ],
)
def test_an_empty_or_unknown_audience_is_a_reference(assignments: Any, audience: str | None) -> None:
    document = {"assignments": assignments}
    without = [
        reference.target_id
        for reference in read(document, ASSIGNABLE)
        if reference.target_id in (NOBODY, ASSIGNMENTS_UNKNOWN)
    ]
    assert without == ([audience] if audience else [])
    assert read(document, ReadingRules(ASSIGNED, assignable=False)) == references(document, ASSIGNED)


def test_different_reading_rules_have_different_hashes() -> None:
    hashes = {
        rules.hash()
        for rules in (
            ASSIGNABLE,
            ReadingRules(ASSIGNED, assignable=False),
            ReadingRules({**ASSIGNED, "x": ("groups",)}, assignable=True),
            ReadingRules({**ASSIGNED, "x": ("groups", "users")}, assignable=True),
            ReadingRules(ASSIGNED, assignable=True, alternate_keys=frozenset({"appId"})),
        )
    }
    assert len(hashes) == 5
    assert ReadingRules(dict(reversed(ASSIGNED.items())), assignable=True).hash() == ASSIGNABLE.hash()


def test_a_new_edition_keeps_the_hash_of_rules_that_find_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    nothing = ReadingRules({}, assignable=False)
    before = (nothing.hash(), ASSIGNABLE.hash())
    monkeypatch.setattr(reading, "EDITION", reading.EDITION + 1)
    assert nothing.hash() == before[0]
    assert ASSIGNABLE.hash() != before[1]


def test_the_catalog_has_reading_rules_for_every_collection() -> None:
    rules = load_catalog().reading_rules()
    assert set(rules) == set(load_catalog().collections)
    assert rules["attributeSets"].find_nothing
    assert not rules["deviceConfigurations"].find_nothing


@needs_graph_data
def test_references_are_found_in_real_documents() -> None:
    rules = {
        collection.path.lstrip("/"): collection.reading_rules for collection in load_catalog().collections.values()
    }
    found: Counter[str] = Counter()
    for path, document in real_documents():
        if path in rules:
            found.update({reference.path for reference in read(document, rules[path])})
            assert translated(document, rules[path].references, lambda _, external_id: external_id) == document
    assert found["assignments.target.groupId"] > 5
    assert found["conditions.users.excludeGroups"] > 20
    assert found["conditions.locations.excludeLocations"] + found["conditions.locations.includeLocations"] > 3


@pytest.mark.parametrize(
    "hostile",
    [
        {},
        {"assignments": None},
        {"assignments": "text"},
        {"assignments": [None, 3, "x", {"target": None}, {"target": {"groupId": {"sensitive": True}}}]},
        {"assignments": {"target": {"groupId": [[]]}}, "roleScopeTagIds": [1, None, {}]},
    ],
)
def test_malformed_documents_yield_no_references(hostile: dict[str, Any]) -> None:
    assert references(hostile, ASSIGNED) == []


def test_translation_replaces_only_known_ids() -> None:
    document: dict[str, Any] = {
        "assignments": [target("group", groupId="in"), target("group", groupId="?")],
        "name": "in",
    }

    def known_type(target_types: tuple[str, ...], target_id: str) -> str | None:
        return "Pilot" if (target_types, target_id) == (("groups",), "in") else None

    assert translated(document, ASSIGNED, known_type) == {
        "assignments": [target("group", groupId="Pilot"), target("group", groupId="?")],
        "name": "in",
    }
    assert document["assignments"][0]["target"]["groupId"] == "in", "the document itself stays as it is"


@given(st.lists(st.text(min_size=1, max_size=5), max_size=5), st.randoms())
def test_references_ignore_order_and_repetition(ids: list[str], random: Any) -> None:
    assigned: list[Any] = [target("group", groupId=group_id) for group_id in ids]
    shuffled = [*assigned, *assigned]
    random.shuffle(shuffled)
    assert references({"assignments": assigned}, ASSIGNED) == references({"assignments": shuffled}, ASSIGNED)


@given(
    st.recursive(
        st.none() | st.booleans() | st.text(max_size=4),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(["assignments", "target", "groupId", "x"]), inner, max_size=3)
        ),
    )
)
def test_translation_to_the_same_ids_changes_nothing(value: Any) -> None:
    document = {"assignments": value, "roleScopeTagIds": value}
    assert translated(document, ASSIGNED, lambda _, external_id: external_id) == document
