"""References: what a document refers to, by the catalog's rules."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graph.catalog import load_catalog
from inventory.references import ALL_DEVICES, ALL_USERS, Reference, ReferenceRole, references, translated

ASSIGNED = {
    "assignments.target.groupId": ("groups",),
    "assignments.target.deviceAndAppManagementAssignmentFilterId": ("assignmentFilters",),
    "roleScopeTagIds": ("roleScopeTags",),
}


def target(kind: str, **properties: Any) -> dict[str, Any]:
    return {"target": {"@odata.type": f"#microsoft.graph.{kind}AssignmentTarget", **properties}}


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


def test_words_that_stand_where_an_id_could_are_no_references() -> None:
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
def test_documents_of_any_shape_are_read(hostile: dict[str, Any]) -> None:
    assert references(hostile, ASSIGNED) == []


def test_translation_replaces_what_is_known_and_leaves_the_rest() -> None:
    document: dict[str, Any] = {
        "assignments": [target("group", groupId="in"), target("group", groupId="?")],
        "name": "in",
    }

    def known(target_types: tuple[str, ...], target_id: str) -> str | None:
        return "Pilot" if (target_types, target_id) == (("groups",), "in") else None

    assert translated(document, ASSIGNED, known) == {
        "assignments": [target("group", groupId="Pilot"), target("group", groupId="?")],
        "name": "in",
    }
    assert document["assignments"][0]["target"]["groupId"] == "in", "the document itself stays as it is"


@given(st.lists(st.text(min_size=1, max_size=5), max_size=5), st.randoms())
def test_order_and_repetition_do_not_matter(ids: list[str], random: Any) -> None:
    assigned: list[Any] = [target("group", groupId=one) for one in ids]
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
def test_translating_by_the_id_itself_changes_nothing(value: Any) -> None:
    document = {"assignments": value, "roleScopeTagIds": value}
    assert translated(document, ASSIGNED, lambda _, one: one) == document
