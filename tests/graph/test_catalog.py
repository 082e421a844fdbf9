import csv
from urllib.parse import unquote

import pytest

from graph.catalog import ApiVersion, Collection, ThrottleFamily, UnknownCategoryError, load_catalog
from tests.conftest import GRAPH_DATA

TABLE = GRAPH_DATA.parent / "reference" / "graph-collections.csv"

COLLECTIONS = load_catalog().collections

REQUIRED = [
    "deviceConfigurations",
    "configurationPolicies",
    "groupPolicyConfigurations",
    "intents",
    "deviceCompliancePolicies",
    "compliancePolicies",
    "deviceManagementScripts",
    "deviceShellScripts",
    "deviceHealthScripts",
    "deviceCustomAttributeShellScripts",
    "windowsFeatureUpdateProfiles",
    "windowsQualityUpdateProfiles",
    "windowsDriverUpdateProfiles",
    "windowsQualityUpdatePolicies",
    "deviceEnrollmentConfigurations",
    "windowsAutopilotDeploymentProfiles",
    "depOnboardingSettings",
    "mobileApps",
    "mobileAppConfigurations",
    "targetedManagedAppConfigurations",
    "iosManagedAppProtections",
    "androidManagedAppProtections",
    "windowsManagedAppProtections",
    "policySets",
    "assignmentFilters",
    "roleScopeTags",
    "roleDefinitions",
    "roleAssignments",
    "deviceCategories",
    "notificationMessageTemplates",
    "termsAndConditions",
    "intuneBrandingProfiles",
    "reusablePolicySettings",
    "conditionalAccessPolicies",
    "namedLocations",
    "authenticationStrengthPolicies",
    "termsOfUseAgreements",
    "groups",
    "organization",
    "subscribedSkus",
]

CALLED_OTHERWISE = {"compliancePolicies": "compliancePoliciesV2"}
"""Type key here: type key in the table."""


def test_the_catalog_has_these_collections() -> None:
    assert sorted(COLLECTIONS) == sorted(REQUIRED)


@pytest.mark.skipif(not TABLE.is_file(), reason="the table of Graph's collections is not here")
@pytest.mark.parametrize("type_key", sorted(COLLECTIONS))
def test_an_entry_agrees_with_the_table_of_graphs_collections(type_key: str) -> None:
    entry = COLLECTIONS[type_key]
    with TABLE.open(newline="") as lines:
        rows = {row["type_key"]: row for row in csv.DictReader(lines)}
    row = rows[CALLED_OTHERWISE.get(type_key, type_key)]
    assert entry.path == row["endpoint"].partition("?")[0]
    assert entry.permission == row["permission"]
    assert entry.name_field == row["name_field"]
    assert entry.api_version in row["api_version"].split(";")
    details = {
        path.partition("?")[0] for path in (row["detail_endpoint"] + ";" + row["assignments_endpoint"]).split(";")
    }
    assert {detail.path.partition("?")[0] for detail in entry.details} <= details


@pytest.mark.parametrize("entry", COLLECTIONS.values(), ids=COLLECTIONS)
def test_a_first_url_is_what_the_entry_says(entry: Collection) -> None:
    path, _, query = entry.first_url().partition("?")
    assert path == entry.path
    options = dict(option.split("=", 1) for option in query.split("&")) if query else {}
    expected = {"$expand": entry.expand, "$filter": entry.filter, "$top": entry.page_size}
    assert {name: unquote(value) for name, value in options.items()} == {
        name: str(value) for name, value in expected.items() if value is not None
    }
    assert " " not in entry.first_url()


def test_top_is_never_sent_where_it_cuts_the_list() -> None:
    for entry in COLLECTIONS.values():
        if "conditionalAccess" in entry.path or entry.path.endswith("onfigurationPolicies"):
            assert entry.page_size is None, entry.type_key


def test_beta_only_collections_are_read_from_beta() -> None:
    for entry in COLLECTIONS.values():
        if entry.path.startswith(("/deviceManagement", "/deviceAppManagement")):
            assert entry.api_version is ApiVersion.BETA, entry.type_key


def test_conditional_access_is_read_one_request_at_a_time() -> None:
    assert ThrottleFamily.CONDITIONAL_ACCESS.wave_limit == 1
    families = {COLLECTIONS[key].throttle_family for key in ("conditionalAccessPolicies", "namedLocations")}
    assert families == {ThrottleFamily.CONDITIONAL_ACCESS}


def test_script_bodies_and_secrets_are_sensitive() -> None:
    for key in ("deviceManagementScripts", "deviceShellScripts", "deviceCustomAttributeShellScripts"):
        assert "scriptContent" in COLLECTIONS[key].observation_rules.sensitive
    assert "value" in COLLECTIONS["deviceConfigurations"].observation_rules.sensitive


def test_what_changes_by_itself_is_volatile_everywhere() -> None:
    for entry in COLLECTIONS.values():
        assert {"lastModifiedDateTime", "version"} <= entry.observation_rules.volatile


def test_a_category_names_its_collections() -> None:
    catalog = load_catalog()
    assert catalog.in_categories(["conditional-access"]) == {
        "conditionalAccessPolicies",
        "namedLocations",
        "authenticationStrengthPolicies",
        "termsOfUseAgreements",
    }
    with pytest.raises(UnknownCategoryError, match="unknown category 'none'; there are: app-protection, apps"):
        catalog.in_categories(["none"])
