"""The severity table: each rule names collections and properties that Graph shows."""

from collections.abc import Iterable
from contextlib import suppress
from functools import cache
from typing import Any

import pytest

from answers.drift.rules import FindingKind
from answers.drift.severity import SeverityRule, is_within, severity_of, severity_rules
from graph.catalog import load_catalog
from inventory.severity import Severity
from local.simulated_graph.endpoints import ENDPOINTS
from local.simulated_graph.sample import sample_documents
from tests.conftest import GRAPH_DATA
from tests.real_documents import real_documents

TENANT = "11111111-1111-1111-1111-111111111111"


def places(value: Any, path: str = "") -> Iterable[str]:
    """The property paths of a document, without the members of lists."""
    if isinstance(value, dict):
        for name, child in value.items():
            inner = f"{path}.{name}" if path else name
            yield inner
            yield from places(child, inner)
    elif isinstance(value, list):
        for member in value:
            yield from places(member, path)


@cache
def property_paths() -> dict[str, frozenset[str]]:
    """The property paths of each collection, from the sample tenant and from the real documents if they are present.

    The sample tenant keeps assignments apart from the documents.
    """
    by_path: dict[str, set[str]] = {}
    for path, endpoint in ENDPOINTS.items():
        with suppress(KeyError):  # a view of other collections' documents has none of its own
            for document in sample_documents(endpoint, TENANT, 8):
                by_path.setdefault(path, set()).update(places(document))
    if GRAPH_DATA.is_dir():
        for path, real in real_documents():
            by_path.setdefault(path, set()).update(places(real))
    collections = load_catalog().collections.items()
    return {
        key: frozenset(by_path.get(collection.path.strip("/"), ()))
        | ({"assignments"} if collection.assignable else frozenset())
        for key, collection in collections
    }


def in_scope(rule: SeverityRule) -> set[str]:
    known = load_catalog()
    if rule.types:
        return set(rule.types)
    return known.in_categories(rule.categories) if rule.categories else set(known.collections)


@pytest.mark.parametrize("rule", severity_rules(), ids=lambda rule: rule.why)
def test_a_rule_names_existing_collections_and_properties(rule: SeverityRule) -> None:
    known = load_catalog()
    assert rule.types <= known.collections.keys()
    assert rule.categories <= set(known.categories())
    there = frozenset().union(*(property_paths()[key] for key in in_scope(rule)))
    for path in rule.paths:
        assert any(is_within(place, path) for place in there), path


@pytest.mark.parametrize("rule", severity_rules(), ids=lambda rule: rule.why)
def test_no_rule_is_shadowed_by_earlier_rules(rule: SeverityRule) -> None:
    member = f"[{rule.members[0]} x]" if rule.members else ""
    found = {
        next(
            (
                possible
                for possible in severity_rules()
                if possible.fits(key, known.category, kind, path + member, rule.direction)
            ),
            None,
        )
        for key, known in load_catalog().collections.items()
        if key in in_scope(rule)
        for kind in rule.kinds or FindingKind
        for path in rule.paths or ("anything",)
    }
    assert rule in found


@pytest.mark.parametrize(
    ("type_key", "kind", "path", "severity"),
    [
        ("compliancePolicies", FindingKind.ADDED, "assignments[exclusion group 1f0c]", Severity.HIGH),
        ("compliancePolicies", FindingKind.ADDED, "assignments[group 1f0c]", Severity.MEDIUM),
        ("compliancePolicies", FindingKind.REMOVED, "assignments[group 1f0c]", Severity.HIGH),
        ("configurationPolicies", FindingKind.REMOVED, "assignments[exclusion group 1f0c]", Severity.HIGH),
        ("configurationPolicies", FindingKind.CHANGED, "settings[a.b]c].settingInstance.value", Severity.MEDIUM),
        ("directoryRoleAssignments", FindingKind.ITEM_ADDED, "", Severity.HIGH),
        ("authenticationMethodConfigurations.sms", FindingKind.CHANGED, "state", Severity.HIGH),
        ("namedLocations", FindingKind.ADDED, "ipRanges[203.0.113.1/32]", Severity.HIGH),
        ("authenticationStrengthPolicies", FindingKind.REMOVED, "allowedCombinations[]", Severity.HIGH),
        ("intents", FindingKind.CHANGED, "settings[x].valueJson", Severity.HIGH),
        ("mobileApps", FindingKind.REMOVED, "assignments[group 1f0c]", Severity.MEDIUM),
        ("mobileApps", FindingKind.CHANGED, "descriptionOfNothing", Severity.MEDIUM),
    ],
)
def test_the_first_matching_rule_decides_the_severity(
    type_key: str, kind: FindingKind, path: str, severity: Severity
) -> None:
    assert severity_of(type_key, kind, path) is severity
