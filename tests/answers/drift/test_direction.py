"""The table of directions: what weakens and what strengthens, and that each row is about what there is."""

import re
from typing import Any

import pytest

from answers.drift.direction import DirectionRule, ProtectionEffect, direction_of, direction_rules
from answers.drift.rules import FindingKind
from answers.drift.severity import Severity, severity_of
from graph.catalog import load_catalog
from tests.answers.drift.test_severity import shown

ADDED, REMOVED, CHANGED = FindingKind.ADDED, FindingKind.REMOVED, FindingKind.CHANGED
ACCESS, COMPLIANCE = "conditionalAccessPolicies", "deviceCompliancePolicies"
ENABLED, REPORT_ONLY, DISABLED = "enabled", "enabledForReportingButNotEnforced", "disabled"

WEAKENED: list[tuple[str, FindingKind, str, Any, Any]] = [
    (ACCESS, CHANGED, "state", ENABLED, REPORT_ONLY),
    (ACCESS, CHANGED, "state", ENABLED, DISABLED),
    (ACCESS, CHANGED, "state", REPORT_ONLY, DISABLED),
    (ACCESS, CHANGED, "grantControls.operator", "AND", "OR"),
    (ACCESS, CHANGED, "grantControls", {"operator": "OR"}, None),
    (ACCESS, CHANGED, "sessionControls.signInFrequency.isEnabled", True, False),
    (COMPLIANCE, CHANGED, "passwordMinimumLength", 8, 4),
    (COMPLIANCE, CHANGED, "passwordMinimumLength", 8, None),
    (COMPLIANCE, CHANGED, "osMinimumVersion", "10.0.22631.1", "10.0.9.1"),
    (COMPLIANCE, CHANGED, "passwordMinutesOfInactivityBeforeLock", 5, 15),
    (COMPLIANCE, CHANGED, "passwordMinutesOfInactivityBeforeLock", 5, None),
    (COMPLIANCE, CHANGED, "passwordPreviousPasswordBlockCount", 5, None),
    (COMPLIANCE, CHANGED, "passcodePreviousPasscodeBlockCount", 5, 1),
    ("iosManagedAppProtections", CHANGED, "maximumPinRetries", 5, 10),
    ("iosManagedAppProtections", CHANGED, "periodBeforePinResetRequired", True, False),
    (COMPLIANCE, CHANGED, "bitLockerEnabled", True, False),
    (COMPLIANCE, CHANGED, "bitLockerEnabled", True, None),
    (COMPLIANCE, CHANGED, "securityBlockJailbrokenDevices", True, False),
    ("authorizationPolicy", CHANGED, "allowInvitesFrom", "adminsAndGuestInviters", "everyone"),
    ("authenticationMethodConfigurations.sms", CHANGED, "state", "disabled", "enabled"),
    ("namedLocations", CHANGED, "isTrusted", False, True),
]

ADDED_EXCLUSIONS = [
    (ACCESS, "conditions.users.excludeGroups[]", "1f0c"),
    (ACCESS, "conditions.applications.excludeApplications[]", "1f0c"),
    (ACCESS, "conditions.locations.excludeLocations[]", "AllTrusted"),
    (COMPLIANCE, "assignments[exclusion group 1f0c]", {"target": {}}),
    ("authenticationStrengthPolicies", "allowedCombinations[]", "sms"),
]


@pytest.mark.parametrize(("type_key", "kind", "path", "before", "after"), WEAKENED)
def test_the_way_back_strengthens_and_is_less_severe(
    type_key: str, kind: FindingKind, path: str, before: Any, after: Any
) -> None:
    assert direction_of(type_key, kind, path, before, after) is ProtectionEffect.WEAKENS
    assert direction_of(type_key, kind, path, after, before) is ProtectionEffect.STRENGTHENS
    assert severity_of(type_key, kind, path, before, after) is Severity.HIGH
    assert severity_of(type_key, kind, path, after, before) is Severity.LOW


@pytest.mark.parametrize(("type_key", "path", "value"), ADDED_EXCLUSIONS)
def test_an_added_exclusion_weakens_and_a_removed_one_strengthens(type_key: str, path: str, value: Any) -> None:
    assert direction_of(type_key, ADDED, path, None, value) is ProtectionEffect.WEAKENS
    assert direction_of(type_key, REMOVED, path, value, None) is ProtectionEffect.STRENGTHENS
    assert severity_of(type_key, ADDED, path, None, value) is Severity.HIGH
    assert severity_of(type_key, REMOVED, path, value, None) is Severity.LOW


def test_a_removed_requirement_weakens_and_what_an_added_alternative_does_is_not_known() -> None:
    path = "grantControls.builtInControls[]"
    assert direction_of(ACCESS, REMOVED, path, "mfa", None) is ProtectionEffect.WEAKENS
    assert direction_of(ACCESS, ADDED, path, None, "compliantDevice") is None
    assert severity_of(ACCESS, ADDED, path, None, "compliantDevice") is Severity.HIGH, "by its place, as before"


@pytest.mark.parametrize(
    "name",
    [
        "disableAppEncryptionIfDeviceEncryptionIsEnabled",
        "disableAppPinIfDevicePinIsSet",
        "biometricAuthenticationBlocked",
        "fingerprintBlocked",
        "pinRequiredInsteadOfBiometric",
    ],
)
def test_what_leads_either_way_has_no_direction(name: str) -> None:
    assert direction_of("iosManagedAppProtections", CHANGED, name, False, True) is None


def test_what_is_hidden_or_of_another_kind_has_no_direction() -> None:
    assert direction_of(ACCESS, CHANGED, "state", None, None) is None
    assert direction_of(ACCESS, CHANGED, "state", "enabled", "someNewState") is None
    assert direction_of(ACCESS, FindingKind.ITEM_MISSING, "", None, None) is None
    assert direction_of(COMPLIANCE, CHANGED, "passwordMinimumLength", "4", "8") is None, "texts have no order"
    assert direction_of("no such collection", CHANGED, "state", ENABLED, DISABLED) is None


@pytest.mark.parametrize("row", direction_rules(), ids=lambda row: row.why)
def test_a_row_names_what_there_is(row: DirectionRule) -> None:
    known = load_catalog()
    assert row.types <= known.collections.keys()
    assert row.categories <= set(known.categories())
    keys = row.types or known.in_categories(row.categories)
    there = frozenset().union(*(shown()[key] for key in keys))
    if row.name:
        assert any(re.search(row.name, place.rpartition(".")[2]) for place in there)
    unseen = {path for path in row.paths if not any(place == path or place.startswith(f"{path}.") for place in there)}
    assert len(unseen) < max(1, len(row.paths)) or not row.paths, unseen
