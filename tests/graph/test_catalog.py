import base64
import csv
from datetime import timedelta
from functools import cache
from typing import cast
from urllib.parse import unquote
from uuid import uuid4

import pytest

from answers.value_text import Place, value_lines
from graph.catalog import ApiVersion, Collection, ThrottleFamily, UnknownCategoryError, load_catalog
from inventory.exact_json import JsonObject, JsonValue, decode
from inventory.observation import Observer
from inventory.references import NOT_READ, collection_of, is_by_alternate_key
from local.simulated_graph.endpoints import located
from tests.conftest import GRAPH_DATA
from tests.entry_tests import of_each

TABLE = GRAPH_DATA.parent / "reference" / "graph-collections.csv"

COLLECTIONS = load_catalog().collections

needs_table = pytest.mark.skipif(not TABLE.is_file(), reason="the table of Graph's collections is not here")

RELEASED = {
    "app-protection": {"androidManagedAppProtections", "iosManagedAppProtections", "windowsManagedAppProtections"},
    "apps": {"mobileAppConfigurations", "mobileApps", "policySets", "targetedManagedAppConfigurations"},
    "compliance": {"compliancePolicies", "deviceCompliancePolicies", "notificationMessageTemplates"},
    "conditional-access": {
        "authenticationStrengthPolicies",
        "conditionalAccessPolicies",
        "namedLocations",
        "termsOfUseAgreements",
    },
    "device-configuration": {"deviceConfigurations", "groupPolicyConfigurations"},
    "directory": {"groups", "organization", "subscribedSkus"},
    "endpoint-security": {"intents", "reusablePolicySettings"},
    "enrollment": {"depOnboardingSettings", "deviceEnrollmentConfigurations", "windowsAutopilotDeploymentProfiles"},
    "scripts": {
        "deviceCustomAttributeShellScripts",
        "deviceHealthScripts",
        "deviceManagementScripts",
        "deviceShellScripts",
    },
    "settings-catalog": {"configurationPolicies"},
    "tenant-administration": {
        "assignmentFilters",
        "deviceCategories",
        "intuneBrandingProfiles",
        "roleAssignments",
        "roleDefinitions",
        "roleScopeTags",
        "termsAndConditions",
    },
    "updates": {
        "windowsDriverUpdateProfiles",
        "windowsFeatureUpdateProfiles",
        "windowsQualityUpdatePolicies",
        "windowsQualityUpdateProfiles",
    },
}
"""Released type keys and categories: operators' scripts name them, so they stay."""

CALLED_OTHERWISE = {"compliancePolicies": "compliancePoliciesV2"}
"""Type key here: type key in the table. It was released under this name."""

KINDS_OF_AN_ENTRY = "deviceEnrollmentConfigurations."
"""Rows with this prefix are kinds of one collection, read with it (graph/catalog/kinds.toml)."""

DETAILS_NOT_READ = {
    # It needs a ReadWrite permission; the masked value is kept.
    "deviceConfigurations": {
        "/deviceManagement/deviceConfigurations/{id}/getOmaSettingPlainTextValue(secretReferenceValueId='{ref}')"
    },
    # All settings come by one call; the categories repeat them.
    "intents": {"/deviceManagement/intents/{id}/categories/{catId}/settings"},
    # The assignments themselves show their filters.
    "assignmentFilters": {"/deviceManagement/assignmentFilters/{id}/payloads"},
    # A collection of its own: depEnrollmentProfiles.
    "depOnboardingSettings": {"/deviceManagement/depOnboardingSettings/{id}/enrollmentProfiles"},
    # Typed entries hold the policies of these kinds.
    "managedAppPolicies": {
        (
            "/deviceAppManagement/{iosManagedAppProtections|androidManagedAppProtections|windowsManagedAppProtections"
            "|mdmWindowsInformationProtectionPolicies|windowsInformationProtectionPolicies}/{id}"
        )
    },
    # A collection of its own: roleAssignments.
    "roleDefinitions": {"/deviceManagement/roleDefinitions/{id}/roleAssignments"},
}

CORRECTED = {
    "authenticationStrengthPolicies": {"path"},
    "identityProtectionPolicy": {"permission"},
    "lifecycleWorkflows": {"permission"},
    # Graph calls all of them `DirectoryRole`; they have titles.
    "roleManagementPolicies": {"name_field"},
    "roleManagementPolicyAssignments": {"name_field"},
}
"""Fields in which Microsoft's later metadata shows that the table is wrong (test_facts.py)."""

VERSION_IS_CONFIGURATION = {
    "cloudPc.deviceImages",
    "mobileApps",
    "termsAndConditions",
}
"""Collections in which `version` is chosen by an administrator, or names the approved version."""

SINGLETONS_BESIDE_THE_TABLE = {"identityProtectionPolicy"}
"""Singletons that the table does not mark: Microsoft does not document them."""

OPT_IN = {
    "auditEvents",
    "backupProtectionPolicies",
    "configurationDrifts",
    "configurationPolicyTemplates",
    "configurationSettings",
    "deletedConditionalAccessPolicies",
    "directoryAudits",
    "importedDeviceIdentities",
    "managedDeviceWindowsOSImages",
    "mobileAppCatalogPackages",
    "officeClientConfigurations",
    "securityBaselineTemplates",
    "windowsAutopilotDeviceIdentities",
}


@cache
def rows() -> dict[str, dict[str, str]]:
    if not TABLE.is_file():
        return {}
    with TABLE.open(newline="") as lines:
        return {
            row["type_key"]: row for row in csv.DictReader(lines) if not row["type_key"].startswith(KINDS_OF_AN_ENTRY)
        }


IN_THE_TABLE = {key: entry for key, entry in COLLECTIONS.items() if CALLED_OTHERWISE.get(key, key) in rows()}
"""Later entries are checked only against Microsoft's metadata: test_facts.py."""


def row_of(entry: Collection) -> dict[str, str]:
    return rows()[CALLED_OTHERWISE.get(entry.type_key, entry.type_key)]


def paths(*cells: str) -> set[str]:
    """The paths in cells of the table, with the catalog's names of placeholders."""
    named = {path.partition("?")[0] for path in ";".join(cells).split(";")} - {""}
    return {path.replace("{tenantId}", "{id}").replace("{dvId}", "{child_id}") for path in named}


def detail_paths(entry: Collection) -> set[str]:
    calls = [detail.path for detail in entry.details]
    calls += [child.path for detail in entry.details for child in detail.children]
    return {path.partition("?")[0] for path in calls}


@needs_table
def test_the_catalog_has_every_collection_of_the_table() -> None:
    assert {CALLED_OTHERWISE.get(key, key) for key in COLLECTIONS} >= set(rows())


def test_released_type_keys_and_categories_stay() -> None:
    catalog = load_catalog()
    for category, keys in RELEASED.items():
        assert keys <= catalog.in_categories([category]), category


@needs_table
@of_each(IN_THE_TABLE)
def test_an_entry_agrees_with_the_table_of_graphs_collections(entry: Collection) -> None:
    row = row_of(entry)
    path = entry.path.replace("{tenant_id}", "{orgId}").replace("{parent_id}", "{id}")
    corrected = CORRECTED.get(entry.type_key, set())
    assert (path == row["endpoint"].partition("?")[0]) != ("path" in corrected)
    assert (entry.permission == row["permission"]) != ("permission" in corrected)
    assert (entry.name_field == (row["name_field"] or "displayName")) != ("name_field" in corrected)
    assert entry.api_version in row["api_version"].split(";")
    assert entry.singleton == (
        row["odata_filter_or_type"].startswith("singleton") or entry.type_key in SINGLETONS_BESIDE_THE_TABLE
    )
    filter_of_the_table = row["endpoint"].partition("$filter=")[2].partition("&")[0]
    if entry.type_key != "roleDefinitions":  # built-in roles are read too: an assignment may name one
        assert (entry.filter or "") == filter_of_the_table


@needs_table
@of_each(IN_THE_TABLE)
def test_the_tables_details_are_read(entry: Collection) -> None:
    row = row_of(entry)
    details, assignments = paths(row["detail_endpoint"]), paths(row["assignments_endpoint"])
    # test_facts.py checks further details against Microsoft's metadata.
    assert details - detail_paths(entry) <= DETAILS_NOT_READ.get(entry.type_key, set())
    if not any("assignments" in (text or "") for text in (entry.expand, *(detail.path for detail in entry.details))):
        assert assignments <= DETAILS_NOT_READ.get(entry.type_key, set())


@of_each(COLLECTIONS)
def test_note_says_if_the_list_lacks_assignments(entry: Collection) -> None:
    by_detail = any("assignments" in detail.path.rpartition("/")[2] for detail in entry.details)
    if by_detail and "assignments" not in (entry.expand or ""):
        assert entry.note is not None
        assert "ssignments" in entry.note


def test_no_object_is_in_two_entries() -> None:
    by_path: dict[str, list[Collection]] = {}
    for entry in COLLECTIONS.values():
        by_path.setdefault(entry.path, []).append(entry)
    shared = {path: entries for path, entries in by_path.items() if len(entries) > 1}
    scopes = {str(entry.filter).rpartition(" ")[2] for entry in shared.pop("/policies/roleManagementPolicyAssignments")}
    assert scopes == {"'DirectoryRole'", "'Group'"}
    assert list(shared) == ["/deviceManagement/deviceConfigurations"]
    (rest,) = [
        collection for collection in shared["/deviceManagement/deviceConfigurations"] if collection.filter is None
    ]
    filtered = {collection.filter for collection in shared["/deviceManagement/deviceConfigurations"]} - {None}
    assert filtered == {f"isof('{kind.removeprefix('#')}')" for kind in rest.left_out_types}
    assert len(filtered) == 3


def test_app_protection_policies_are_in_their_types_entry() -> None:
    typed = {
        "iosManagedAppProtections": "iosManagedAppProtection",
        "androidManagedAppProtections": "androidManagedAppProtection",
        "windowsManagedAppProtections": "windowsManagedAppProtection",
        "defaultManagedAppProtections": "defaultManagedAppProtection",
        "mdmWindowsInformationProtectionPolicies": "mdmWindowsInformationProtectionPolicy",
        "windowsInformationProtectionPolicies": "windowsInformationProtectionPolicy",
        "targetedManagedAppConfigurations": "targetedManagedAppConfiguration",
    }
    assert COLLECTIONS["managedAppPolicies"].left_out_types == {f"#microsoft.graph.{name}" for name in typed.values()}
    assert typed.keys() <= COLLECTIONS.keys()


def test_opt_in_collections_are_not_part_of_everything() -> None:
    assert {key for key, entry in COLLECTIONS.items() if entry.opt_in} == OPT_IN
    assert load_catalog().everything() == COLLECTIONS.keys() - OPT_IN
    ordinary = {entry.category for entry in COLLECTIONS.values() if not entry.opt_in}
    assert ordinary.isdisjoint(COLLECTIONS[key].category for key in OPT_IN)


@pytest.mark.parametrize(
    ("type_keys", "name"),
    [
        (load_catalog().everything(), "everything"),
        (load_catalog().everything() - {"groups"}, f"{len(load_catalog().everything()) - 1} collections"),
        (load_catalog().in_categories(["conditional-access"]), "conditional-access"),
        (load_catalog().in_categories(["scripts", "conditional-access"]), "conditional-access, scripts"),
        ({"groups", "auditEvents"}, "auditEvents, groups"),
        ({"groups", "auditEvents", "domains", "organization"}, "4 collections"),
        ({"ofALaterRelease"}, "ofALaterRelease"),
        (set(COLLECTIONS), f"{len(COLLECTIONS)} collections"),
    ],
)
def test_selection_is_named_by_categories_or_collections(type_keys: set[str], name: str) -> None:
    assert load_catalog().name_of(type_keys) == name


@of_each(COLLECTIONS)
def test_entries_name_existing_entries(entry: Collection) -> None:
    targets = {target for targets in entry.references.values() for target in targets}
    assert set(map(collection_of, targets)) <= COLLECTIONS.keys() | NOT_READ
    for target in filter(is_by_alternate_key, targets):
        read = COLLECTIONS.get(collection_of(target))
        assert read is None or target.partition("(")[2].removesuffix(")") in read.alternate_keys
    assert NOT_READ.isdisjoint(COLLECTIONS)
    assert f"{entry.path} {entry.filter}".count("{parent_id}") == (entry.parent is not None)
    assert entry.parent_filter is None or entry.parent is not None
    if entry.parent is not None:
        assert COLLECTIONS[entry.parent].parent is None


@of_each(COLLECTIONS)
def test_get_by_id_keeps_expansions_that_only_the_list_has(entry: Collection) -> None:
    expanded = {option.partition("(")[0] for option in (entry.expand or "").split(",") if option.isalpha()}
    for detail in entry.details:
        if detail.property is None:
            by_id = set(detail.path.partition("$expand=")[2].split(","))
            assert expanded - by_id <= detail.believe_list


NOTED = {"deviceConfigurations": "an edit of what a profile uses is one of the profile"}


@of_each(COLLECTIONS)
def test_details_that_change_silently_have_a_refresh_period(entry: Collection) -> None:
    silent = {
        detail.property
        for detail in entry.details
        if detail.property is not None
        and detail.property not in (entry.expand or "").split(",")
        and not detail.doubted_by
        and not _is_noted(detail.path)
    }
    assert not silent or entry.refresh_hours is not None or entry.type_key in NOTED
    assert entry.details or entry.refresh_hours is None


def _is_noted(path: str) -> bool:
    """Whether a change of the detail changes the item's modified time in the simulated Graph."""
    found = located(path.partition("?")[0].replace("/{type}", "").strip("/"))
    assert found is not None
    endpoint, (_, name, *_) = found
    navigation = endpoint.navigation(name)
    return navigation is not None and navigation.noted and bool(endpoint.modified)


@of_each(COLLECTIONS)
def test_first_url_has_the_entrys_options(entry: Collection) -> None:
    tenant_id = uuid4()
    path, _, query = entry.first_url(tenant_id).partition("?")
    assert path == entry.path.replace("{tenant_id}", str(tenant_id))
    options = dict(option.split("=", 1) for option in query.split("&")) if query else {}
    expected = {
        "$select": ",".join(entry.select) or None,
        "$expand": entry.expand,
        "$filter": entry.filter,
        "$top": entry.page_size,
    }
    assert {name: unquote(value) for name, value in options.items()} == {
        name: str(value) for name, value in expected.items() if value is not None
    }
    assert " " not in entry.first_url(uuid4())


def test_top_is_never_sent_where_it_cuts_the_list() -> None:
    for entry in COLLECTIONS.values():
        if "conditionalAccess" in entry.path or entry.path.endswith("onfigurationPolicies"):
            assert entry.page_size is None, entry.type_key


def test_intune_is_read_from_beta() -> None:
    for entry in COLLECTIONS.values():
        if entry.path.startswith(("/deviceManagement", "/deviceAppManagement")):
            assert entry.api_version is ApiVersion.BETA, entry.type_key


def test_conditional_access_is_read_one_request_at_a_time() -> None:
    assert ThrottleFamily.CONDITIONAL_ACCESS.wave_limit == 1
    slow = {
        key
        for key, collection in COLLECTIONS.items()
        if collection.throttle_family is ThrottleFamily.CONDITIONAL_ACCESS
    }
    assert slow == {"conditionalAccessPolicies", "deletedConditionalAccessPolicies", "namedLocations"}


def test_entra_audit_events_are_read_at_one_page_in_two_seconds() -> None:
    family = COLLECTIONS["directoryAudits"].throttle_family
    assert (family.wave_limit, family.interval) == (1, timedelta(seconds=2))


def test_throttle_family_belongs_to_one_service() -> None:
    for entry in COLLECTIONS.values():
        is_intune = entry.path.startswith(("/deviceManagement", "/deviceAppManagement"))
        directory = {ThrottleFamily.DIRECTORY, ThrottleFamily.CONDITIONAL_ACCESS, ThrottleFamily.REPORTS}
        assert (entry.throttle_family is ThrottleFamily.REPORTS) == entry.path.startswith("/auditLogs")
        assert (entry.throttle_family not in directory) == is_intune, entry.type_key
        assert (entry.throttle_family is ThrottleFamily.APPS) == entry.path.startswith("/deviceAppManagement")


def test_payloads_are_shown_on_request_without_secrets() -> None:
    entry = COLLECTIONS["deviceConfigurations"]
    assert all(collection.payloads <= collection.sensitive for collection in COLLECTIONS.values())
    settings: list[JsonValue] = [
        {"omaUri": "./Vendor/Example/Mode", "value": "strict"},
        {"omaUri": "./Vendor/Example/WifiPassword", "value": "hidden-1"},
    ]
    for payload, is_shown in (("PHBsaXN0Lz4=", True), ("<key>Password</key><string>hidden-2</string>", False)):
        document: JsonObject = {
            "@odata.type": "#microsoft.graph.macOSCustomConfiguration", "id": "i", "payload": payload,
            "omaSettings": [*settings], "preSharedKey": "hidden-3",
        }  # fmt: skip
        stored = Observer(entry.observation_rules(show_payloads=True)).observe(document).document
        assert (payload.encode() in stored, b"strict" in stored, b"hidden-" in stored) == (is_shown, True, False)
        hidden = Observer(entry.observation_rules()).observe(document).document
        assert (payload.encode() in hidden, b"strict" in hidden, b"hidden-" in hidden) == (False, False, False)


def test_secrets_within_a_shown_payload_are_hidden() -> None:
    profile = (
        "<dict>\n<key>SSID</key>\n<string>Office</string>\n<key>Password</key>\n<string>hidden-1</string>\n</dict>"
    )
    payload = base64.b64encode(profile.encode()).decode()
    document: JsonObject = {"@odata.type": "#microsoft.graph.iosCustomConfiguration", "id": "i", "payload": payload}
    entry = COLLECTIONS["deviceConfigurations"]
    shown, hidden = (
        cast("JsonObject", decode(Observer(entry.observation_rules(show_payloads=shows)).observe(document).document))
        for shows in (True, False)
    )
    lines = ["<dict>", "<key>SSID</key>", "<string>Office</string>", "(hidden)", "</dict>"]
    assert shown["payload"] == {"in_text": True, "readable": "\n".join(lines), "sensitive": True}
    assert value_lines(shown["payload"], Place("payload")) == ["hidden in part", *(f"| {line}" for line in lines)]
    assert hidden["payload"] == {"sensitive": True}


def test_script_bodies_and_secrets_are_sensitive() -> None:
    for key in ("deviceManagementScripts", "deviceShellScripts", "deviceCustomAttributeShellScripts"):
        assert "scriptContent" in COLLECTIONS[key].observation_rules(hide_script_bodies=True).sensitive
        assert "scriptContent" not in COLLECTIONS[key].observation_rules().sensitive
    assert "omaSettings/value" in COLLECTIONS["deviceConfigurations"].observation_rules().sensitive
    for key in ("androidDeviceOwnerEnrollmentProfiles", "androidForWorkEnrollmentProfiles"):
        assert "wifiPassword" in COLLECTIONS[key].observation_rules().sensitive
    assert {"passwordCredentials/secretText", "keyCredentials/key"} <= COLLECTIONS["applications"].sensitive


def test_no_common_property_name_is_sensitive() -> None:
    for entry in COLLECTIONS.values():
        assert entry.sensitive.isdisjoint({"value", "values", "key", "content", "settings", "payload"}) or (
            entry.type_key == "symantecCodeSigningCertificate"
        )


def test_the_token_of_a_settings_catalog_secret_is_masked() -> None:
    secret = "#microsoft.graph.deviceManagementConfigurationSecretSettingValue/value"
    held = {key for key, entry in COLLECTIONS.items() if secret in entry.observation_rules().masked}
    assert held == {
        "configurationPolicies",
        "compliancePolicies",
        "reusablePolicySettings",
        "inventoryPolicies",
        "targetedManagedAppConfigurations",
    }
    for entry in COLLECTIONS.values():
        assert "valueState" not in entry.volatile | entry.sensitive
        assert entry.masked <= {secret}


def test_secret_reference_ids_are_no_sign_of_a_change() -> None:
    for entry in COLLECTIONS.values():
        assert "omaSettings/secretReferenceValueId" in entry.volatile - entry.change_signs


def test_modified_times_and_own_versions_are_volatile() -> None:
    for entry in COLLECTIONS.values():
        assert "lastModifiedDateTime" in entry.observation_rules().volatile
        assert ("/version" in entry.observation_rules().volatile) != (entry.type_key in VERSION_IS_CONFIGURATION)


def test_version_chosen_by_an_administrator_is_content() -> None:
    terms = Observer(COLLECTIONS["termsAndConditions"].observation_rules())
    first, second = (terms.observe({"id": "one", "displayName": "Terms", "version": number}) for number in (1, 2))
    assert first.content_hash != second.content_hash
    apps = Observer(COLLECTIONS["mobileApps"].observation_rules())
    store = {"id": "one", "@odata.type": "#microsoft.graph.managedIOSStoreApp"}
    updated = [apps.observe({**store, "version": number}).content_hash for number in ("1.0", "1.1")]
    assert updated[0] == updated[1], "the store's own version"
    pinned = [
        apps.observe({**store, "assignments": [{"settings": {"version": number}}]}).content_hash
        for number in ("1.0", "1.1")
    ]
    assert pinned[0] != pinned[1]


def test_a_category_names_its_collections() -> None:
    catalog = load_catalog()
    assert catalog.in_categories(["settings-catalog"]) == {"configurationPolicies"}
    assert "authenticationContextClassReferences" in catalog.in_categories(["conditional-access"])
    with pytest.raises(UnknownCategoryError, match="unknown category 'none'; there are: app-protection, apps"):
        catalog.in_categories(["none"])


def test_child_item_is_requested_under_its_parent() -> None:
    entry = COLLECTIONS["depEnrollmentProfiles"]
    assert entry.confirmable
    listing = entry.child_url("a/b")
    assert listing == "/deviceManagement/depOnboardingSettings/a%2Fb/enrollmentProfiles"
    following = f"https://graph.example/beta{listing}?$skiptoken=x"
    assert [entry.parent_id_of(url) for url in (listing, following)] == ["a/b", "a/b"]
    parents = load_catalog().first_url("depEnrollmentProfiles", uuid4())
    assert (entry.is_own_listing(listing), entry.is_own_listing(parents)) == (True, False)
    assert entry.item_url("one", "a/b") == f"{listing}/one?$select=id"
    named = [load_catalog().permission_of_listing(entry.type_key, url) for url in (parents, listing)]
    assert named == [COLLECTIONS["depOnboardingSettings"].permission, entry.permission]
    assert COLLECTIONS["groups"].parent_id_of("/groups?$top=999") is None


def test_children_may_be_listed_by_a_filter() -> None:
    entry = COLLECTIONS["groupRoleManagementPolicyAssignments"]
    listing = entry.child_url("one")
    assert unquote(listing) == (
        "/policies/roleManagementPolicyAssignments"
        "?$expand=policy($expand=rules)&$filter=scopeId eq 'one' and scopeType eq 'Group'"
    )
    following = f"https://graph.example/v1.0{listing}&$skiptoken=x"
    assert [entry.parent_id_of(url) for url in (listing, following)] == ["one", "one"]
    parents = load_catalog().first_url("groupRoleManagementPolicyAssignments", uuid4())
    assert unquote(parents) == "/groups?$filter=isAssignableToRole eq true&$select=id&$top=999"
    assert entry.parent_id_of(parents) is None
    assert (entry.is_own_listing(listing), entry.is_own_listing(parents)) == (True, False)
    named = [load_catalog().permission_of_listing(entry.type_key, url) for url in (parents, listing)]
    assert named == [COLLECTIONS["groups"].permission, entry.permission]
