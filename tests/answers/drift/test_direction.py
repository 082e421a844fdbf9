"""The direction table: changes that weaken or strengthen protection, and rows that name existing properties."""

import re
from typing import Any

import pytest

from answers.drift.direction import DirectionRule, direction_of, direction_rules
from answers.drift.rules import FindingKind
from answers.drift.severity import severity_of
from graph.catalog import load_catalog
from inventory.canonical import JsonValue
from inventory.severity import ProtectionEffect, Severity
from tests.graph.catalog_judge import Shape, shape_of

ADDED, REMOVED, CHANGED = FindingKind.ADDED, FindingKind.REMOVED, FindingKind.CHANGED
ACCESS, COMPLIANCE = "conditionalAccessPolicies", "deviceCompliancePolicies"
WEAKENS, STRENGTHENS = ProtectionEffect.WEAKENS, ProtectionEffect.STRENGTHENS
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
    (ACCESS, CHANGED, "conditions.platforms", None, {"includePlatforms": ["iOS"]}),
    (ACCESS, CHANGED, "grantControls.authenticationStrength", {"id": "1f0c"}, None),
    (ACCESS, CHANGED, "sessionControls.persistentBrowser.mode", "never", "always"),
    (ACCESS, CHANGED, "sessionControls.cloudAppSecurity.cloudAppSecurityType", "blockDownloads", "monitorOnly"),
    (ACCESS, CHANGED, "sessionControls.disableResilienceDefaults", True, False),
    (COMPLIANCE, CHANGED, "storageRequireEncryption", True, False),
    (COMPLIANCE, CHANGED, "passwordRequired", True, False),
    (COMPLIANCE, CHANGED, "passwordRequiredType", "alphanumeric", "numeric"),
    (COMPLIANCE, CHANGED, "deviceThreatProtectionRequiredSecurityLevel", "secured", "high"),
    (COMPLIANCE, CHANGED, "scheduledActionsForRule[x].scheduledActionConfigurations[#1].gracePeriodHours", 0, 72),
    ("deviceConfigurations", CHANGED, "bitLockerEncryptDevice", True, False),
    ("deviceConfigurations", CHANGED, "bitLockerFixedDrivePolicy.requireEncryptionForWriteAccess", True, None),
    ("iosManagedAppProtections", CHANGED, "pinRequired", True, False),
    ("iosManagedAppProtections", CHANGED, "appDataEncryptionType", "whenDeviceLocked", "useDeviceSettings"),
    ("androidManagedAppProtections", CHANGED, "encryptAppData", True, False),
    ("androidManagedAppProtections", CHANGED, "allowedOutboundDataTransferDestinations", "none", "allApps"),
    ("androidManagedAppProtections", CHANGED, "allowedOutboundClipboardSharingLevel", "blocked", "managedApps"),
    ("oauth2PermissionGrants", CHANGED, "consentType", "Principal", "AllPrincipals"),
    (
        "authorizationPolicy",
        CHANGED,
        "guestUserRoleId",
        "2af84b1e-32c8-42b7-82bc-daa82404023b",
        "10dae51f-b6af-4016-8d66-8c2a99b929b3",
    ),
]

ADDED_EXCLUSIONS = [
    (ACCESS, "conditions.users.excludeGroups[]", "1f0c"),
    (ACCESS, "conditions.applications.excludeApplications[]", "1f0c"),
    (ACCESS, "conditions.locations.excludeLocations[]", "AllTrusted"),
    (COMPLIANCE, "assignments[exclusion group 1f0c]", {"target": {}}),
    ("authenticationStrengthPolicies", "allowedCombinations[]", "sms"),
]


@pytest.mark.parametrize(("type_key", "kind", "path", "before", "after"), WEAKENED)
def test_a_weakening_is_severe_and_its_reversal_strengthens(
    type_key: str, kind: FindingKind, path: str, before: Any, after: Any
) -> None:
    assert direction_of(type_key, kind, path, before, after) is ProtectionEffect.WEAKENS
    assert direction_of(type_key, kind, path, after, before) is ProtectionEffect.STRENGTHENS
    assert severity_of(type_key, kind, path, before, after) is Severity.HIGH
    assert severity_of(type_key, kind, path, after, before) is Severity.LOW


@pytest.mark.parametrize(("type_key", "path", "value"), ADDED_EXCLUSIONS)
def test_added_exclusions_weaken_and_removed_exclusions_strengthen(type_key: str, path: str, value: Any) -> None:
    assert direction_of(type_key, ADDED, path, None, value) is ProtectionEffect.WEAKENS
    assert direction_of(type_key, REMOVED, path, value, None) is ProtectionEffect.STRENGTHENS
    assert severity_of(type_key, ADDED, path, None, value) is Severity.HIGH
    assert severity_of(type_key, REMOVED, path, value, None) is Severity.LOW


def test_a_removed_requirement_weakens_but_an_added_alternative_has_no_direction() -> None:
    path = "grantControls.builtInControls[]"
    assert direction_of(ACCESS, REMOVED, path, "mfa", None) is ProtectionEffect.WEAKENS
    assert direction_of(ACCESS, ADDED, path, None, "compliantDevice") is None
    assert severity_of(ACCESS, ADDED, path, None, "compliantDevice") is Severity.HIGH, (
        "the severity depends on the place, as before"
    )


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
def test_settings_with_an_ambiguous_effect_have_no_direction(name: str) -> None:
    assert direction_of("iosManagedAppProtections", CHANGED, name, False, True) is None


def test_hidden_unknown_and_unordered_values_have_no_direction() -> None:
    assert direction_of(ACCESS, CHANGED, "state", None, None) is None
    assert direction_of(ACCESS, CHANGED, "state", "enabled", "someNewState") is None
    assert direction_of(ACCESS, FindingKind.ITEM_MISSING, "", None, None) is None
    assert direction_of(COMPLIANCE, CHANGED, "passwordMinimumLength", "4", "8") is None, "texts have no order"
    assert direction_of("no such collection", CHANGED, "state", ENABLED, DISABLED) is None


@pytest.mark.parametrize(
    ("path", "removed", "added", "direction"),
    [
        ("conditions.users.excludeGroups[]", ["a"], ["b"], WEAKENS),
        ("conditions.users.includeUsers[]", ["a", "b"], ["All"], STRENGTHENS),
        ("conditions.users.includeUsers[]", ["All"], ["a", "b"], WEAKENS),
        ("conditions.users.includeUsers[]", ["None"], ["a"], STRENGTHENS),
        ("conditions.users.includeUsers[]", ["a"], ["None"], WEAKENS),
        ("conditions.platforms.includePlatforms[]", ["iOS"], None, WEAKENS),
        ("conditions.platforms.includePlatforms[]", None, ["iOS", "linux"], STRENGTHENS),
        ("conditions.locations.includeLocations[]", ["All"], ["1f0c"], WEAKENS),
        ("grantControls.builtInControls[]", ["block"], ["mfa"], WEAKENS),
        ("grantControls.builtInControls[]", ["mfa"], ["block"], STRENGTHENS),
        ("grantControls.builtInControls[]", None, ["compliantDevice"], None),
        ("conditions.signInRiskLevels[]", None, ["high"], None),
    ],
)
def test_a_lists_direction_follows_its_added_and_removed_members(
    path: str, removed: JsonValue, added: JsonValue, direction: ProtectionEffect | None
) -> None:
    kind = CHANGED if removed and added else ADDED if added else REMOVED
    assert direction_of(ACCESS, kind, path, removed, added) is direction


@pytest.mark.parametrize("row", direction_rules(), ids=lambda row: row.why)
def test_a_row_names_published_properties_and_its_source(row: DirectionRule) -> None:
    known = load_catalog()
    assert row.types <= known.collections.keys()
    assert row.categories <= set(known.categories())
    assert row.source.startswith("https://learn.microsoft.com/")
    shapes = [shape_of(known.collections[key]) for key in row.types or known.in_categories(row.categories)]
    found = [shape for shape in shapes if shape is not None]
    assert {path for path in row.paths if not any(_has(shape, path) for shape in found)} == set()
    if row.name:
        names = {
            name
            for shape in found
            for part in shape.everywhere()
            for type_name in part.types
            for name in part.facts.properties(type_name)
        }
        assert any(re.search(row.name, name) for name in names)


def _has(shape: Shape, path: str) -> bool:
    for name in path.split("."):
        following = shape.step(name)
        if following is None:
            return False
        shape = following
    return True
