"""Drift rules: fingerprints, decisions, severity."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from answers.drift.rules import (
    CurrentDecision,
    Decision,
    DecisionLapse,
    DriftDocument,
    DriftRules,
    FindingKind,
    current_decision,
    deviations,
    fingerprint,
    item_added,
    item_missing,
)
from answers.drift.severity import severity_of
from graph.catalog import load_catalog
from inventory.canonical import Canonicalizer
from inventory.normal_form import NormalForm
from inventory.severity import Severity

TENANT, OTHER = UUID(int=1), UUID(int=2)
RULES = DriftRules(Canonicalizer(volatile=frozenset({"version"})), NormalForm())
NOW = datetime(2026, 6, 1, tzinfo=UTC)

documents = st.dictionaries(
    st.sampled_from("abcde"),
    st.none() | st.booleans() | st.integers(-3, 3) | st.text(max_size=3) | st.lists(st.sampled_from("xyz"), max_size=4),
    max_size=5,
)


def as_document(document: dict[str, Any], *, is_whole: bool = True) -> DriftDocument:
    return DriftDocument(orjson.dumps(document), is_whole)


def fingerprints(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    return [
        fingerprint(TENANT, "golden", "groups", "1", deviation)
        for deviation in deviations(as_document(before), as_document(after), RULES)
    ]


def test_newly_requested_properties_are_no_drift() -> None:
    asking = RULES._replace(asked_for=frozenset({"owners"}))

    def paths(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
        return [deviation.path for deviation in deviations(as_document(before), as_document(after), asking)]

    assert paths({"a": 1}, {"a": 1, "owners": [{"id": "one"}]}) == []
    assert paths({"a": 1, "owners": []}, {"a": 2}) == ["a"]
    assert paths({"owners": []}, {"owners": [{"id": "one"}]}) != []
    assert paths({"owners": None}, {"owners": {"id": "one"}}) != [], "the property was null, not unread"


def test_properties_that_a_form_0_baseline_lacks_are_no_drift() -> None:
    expanding = RULES._replace(expanded=frozenset({"policy"}))
    before: dict[str, Any] = {"a": 1, "links": [{"id": "1"}], "nothing": None}
    after = {**before, "new": 1, "apps": [{"size": 2}], "links": [{"id": "1", "policy": {"id": "2"}, "size": 3}]}

    def paths(before: dict[str, Any], after: dict[str, Any], *, is_sorted: bool) -> list[str]:
        baseline = as_document(before)._replace(is_sorted=is_sorted)
        return [deviation.path for deviation in deviations(baseline, as_document(after), expanding)]

    assert paths(before, after, is_sorted=True) == []
    assert paths(before, {**after, "a": 2, "nothing": 3}, is_sorted=True) == ["a", "nothing"]
    assert paths(before, {}, is_sorted=True) == ["a", "links"], "a removed property is drift"
    assert paths(before, after, is_sorted=False) == ["apps", "links[1].policy", "links[1].size", "new"]


@given(documents, documents, st.randoms())
def test_findings_do_not_depend_on_order(before: dict[str, Any], after: dict[str, Any], random: Any) -> None:
    found = fingerprints(before, after)
    assert len(set(found)) == len(found), "no two findings have the same fingerprint"
    shuffled = {
        name: random.sample(value, len(value)) if isinstance(value, list) else value
        for name, value in random.sample(sorted(after.items()), len(after))
    }
    assert fingerprints(before, shuffled) == found
    assert fingerprints(before, before) == []


@given(documents, documents, documents)
def test_a_fingerprint_identifies_the_field_and_not_its_value(
    before: dict[str, Any], after: dict[str, Any], later: dict[str, Any]
) -> None:
    changed = deviations(as_document({**before, "f": 1}), as_document({**after, "f": "2"}), RULES)
    again = deviations(as_document({**before, "f": 1}), as_document({**later, "f": "3"}), RULES)
    (first,) = (deviation for deviation in changed if deviation.path == "f")
    (second,) = (deviation for deviation in again if deviation.path == "f")
    assert fingerprint(TENANT, "g", "t", "1", first) == fingerprint(TENANT, "g", "t", "1", second)
    assert first.value_hash != second.value_hash


def test_a_fingerprint_depends_on_tenant_baseline_item_field_and_kind() -> None:
    (found,) = deviations(as_document({"f": 1}), as_document({"f": 2}), RULES)
    (of_another_field,) = deviations(as_document({"g": 1}), as_document({"g": 2}), RULES)
    (added,) = deviations(as_document({}), as_document({"f": 2}), RULES)
    known = {
        fingerprint(TENANT, "g", "t", "1", found),
        fingerprint(OTHER, "g", "t", "1", found),
        fingerprint(TENANT, "h", "t", "1", found),
        fingerprint(TENANT, "g", "u", "1", found),
        fingerprint(TENANT, "g", "t", "2", found),
        fingerprint(TENANT, "g", "t", "1", of_another_field),
        fingerprint(TENANT, "g", "t", "1", added),
        fingerprint(TENANT, "g", "t", "1", item_missing()),
        fingerprint(TENANT, "g", "t", "1", item_added(as_document({"f": 1}), RULES)),
    }
    assert len(known) == 9


def test_volatile_properties_and_added_details_are_no_deviations() -> None:
    assert deviations(as_document({"version": 1, "f": 1}), as_document({"version": 2, "f": 1}), RULES) == []
    incomplete = as_document({"f": 1, "body": None}, is_whole=False)
    assert deviations(incomplete, as_document({"f": 1, "body": "x", "settings": []}), RULES) == []
    assert [deviation.path for deviation in deviations(incomplete, as_document({"f": 2, "body": "x"}), RULES)] == ["f"]


def test_renumbered_settings_are_no_deviation() -> None:
    def settings(*definitions: str) -> DriftDocument:
        return as_document(
            {"settings": [{"id": str(n), "settingInstance": {"settingDefinitionId": definition_id}}
                          for n, definition_id in enumerate(definitions)]}
        )  # fmt: skip

    found = deviations(settings("a", "b", "c"), settings("b", "c"), RULES)
    assert [(finding.kind, finding.path) for finding in found] == [(FindingKind.REMOVED, "settings[a]")]


@pytest.mark.parametrize("decision", [Decision.ACCEPTED, Decision.EXPECTED])
def test_a_decision_holds_for_its_value_until_its_end(decision: Decision) -> None:
    def decision_at(moment: datetime, value: bytes = b"v", until: datetime | None = None) -> CurrentDecision:
        return current_decision(decision, b"v", until, value, moment)

    until = NOW + timedelta(days=1)
    assert decision_at(NOW) == decision_at(NOW, until=until) == CurrentDecision(decision)
    assert decision_at(NOW, value=b"other") == CurrentDecision(Decision.OPEN, DecisionLapse.VALUE_CHANGED)
    assert decision_at(until, until=until) == CurrentDecision(Decision.OPEN, DecisionLapse.EXPIRED)


def test_findings_are_open_without_a_decision_or_after_its_revocation() -> None:
    assert current_decision(None, None, None, b"v", NOW) == current_decision(Decision.OPEN, b"v", None, b"v", NOW)
    assert current_decision(None, None, None, b"v", NOW) == CurrentDecision(Decision.OPEN)


@pytest.mark.parametrize(
    ("type_key", "kind", "path", "severity"),
    [
        ("conditionalAccessPolicies", FindingKind.CHANGED, "state", Severity.HIGH),
        ("conditionalAccessPolicies", FindingKind.ADDED, "conditions.users.excludeGroups[]", Severity.HIGH),
        ("conditionalAccessPolicies", FindingKind.CHANGED, "displayName", Severity.LOW),
        ("conditionalAccessPolicies", FindingKind.ITEM_MISSING, "", Severity.HIGH),
        ("deviceConfigurations", FindingKind.CHANGED, "passwordRequired", Severity.MEDIUM),
        ("deviceConfigurations", FindingKind.ADDED, "roleScopeTagIds[]", Severity.LOW),
        ("groups", FindingKind.CHANGED, "description", Severity.LOW),
    ],
)
def test_severity_depends_on_collection_kind_and_path(
    type_key: str, kind: FindingKind, path: str, severity: Severity
) -> None:
    assert severity_of(type_key, kind, path) is severity


def test_every_collection_has_a_severity() -> None:
    for type_key in load_catalog().collections:
        assert severity_of(type_key, FindingKind.CHANGED, "anything[x].else") in Severity, type_key
    assert severity_of("no such collection", FindingKind.ITEM_ADDED, "") in Severity


countries = st.sets(st.sampled_from("ABCDEFGH"))


@given(countries, countries)
def test_changed_plain_list_members_are_one_deviation(old: set[str], new: set[str]) -> None:
    found = deviations(as_document({"countries": sorted(old)}), as_document({"countries": sorted(new)}), RULES)
    if old == new:
        assert found == []
        return
    (deviation,) = found
    assert (deviation.path, deviation.before or [], deviation.after or []) == (
        "countries[]",
        sorted(old - new),
        sorted(new - old),
    )
    kinds = {(True, True): "changed", (True, False): "removed", (False, True): "added"}
    assert deviation.kind == kinds[bool(old - new), bool(new - old)]


@given(countries.filter(bool), countries.filter(bool), countries.filter(bool))
def test_a_list_keeps_its_finding_when_it_changes_again(old: set[str], new: set[str], newer: set[str]) -> None:
    first, second = (
        [
            (fingerprint(TENANT, "golden", "k", "1", deviation), deviation.value_hash)
            for deviation in deviations(
                as_document({"countries": sorted(old)}), as_document({"countries": sorted(values)}), RULES
            )
        ]
        for values in (new, newer)
    )
    if first and second:
        assert first[0][0] == second[0][0]
        assert (first == second) == (new == newer), "the decision covers the members"
