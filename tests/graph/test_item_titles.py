"""Titles of items: each item has a title, and only readable ids are titles."""

import pytest

from graph.catalog import item_title, kind_of, kind_of_one, kinds_in, load_catalog
from graph.catalog.item_titles import singular

GUID = "0109cc11-24b8-5c99-83be-6b0a799b25ee"
COLLECTIONS = load_catalog().collections


def title_of(type_key: str, external_id: str, name: str | None) -> str:
    """The title of an item of no known kind."""
    return item_title(type_key, external_id, name, kind_of(type_key, {}))


def test_every_item_of_the_catalog_has_a_title() -> None:
    for type_key, entry in COLLECTIONS.items():
        for name in (None, "", " ", GUID):
            for kind in (entry.title, *kinds_in(type_key)):
                title = item_title(type_key, GUID, name, kind)
                assert title.strip(), type_key
                assert GUID not in title or (entry.name_field == "displayName" and entry.singleton), type_key


def test_singleton_title_is_its_name_or_its_collection() -> None:
    assert title_of("authorizationPolicy", "authorizationPolicy", "Our policy") == "Our policy"
    assert title_of("sharePointSettings", GUID, None) == "SharePoint settings"
    assert title_of("authenticationMethodConfigurations.sms", "Sms", "Sms") == "Authentication method: SMS"
    assert title_of("androidManagedStoreAccountEnterpriseSettings", GUID, "bound") == "Managed Google Play"


def test_unnamed_item_title_is_its_kind_and_short_id() -> None:
    assert title_of("windowsUpdatesDeployments", GUID, GUID) == "Autopatch deployment 0109cc11…"
    assert title_of("brandingLocalizations", "0", "0") == "Company branding 0"
    assert item_title("deviceConfigurations", GUID, None, "Windows update ring") == "Windows update ring 0109cc11…"
    assert title_of("deviceConfigurations", GUID, None).endswith("profile 0109cc11…")
    assert title_of("ofALaterRelease", GUID, None) == "ofALaterRelease 0109cc11…"


@pytest.mark.parametrize(
    ("type_key", "readable"),
    [
        ("domains", "contoso.example"),
        ("brandingLocalizations", "fr-FR"),
        ("b2xUserFlows", "B2X_1_sign_up"),
        ("attributeSets", "Engineering"),
        ("mobileApps", "7zip"),
        ("mobileApps", GUID[:8]),
    ],
)
def test_readable_name_is_the_title(type_key: str, readable: str) -> None:
    assert title_of(type_key, readable if not COLLECTIONS[type_key].has_names else GUID, readable) == readable


def test_kind_is_the_title_of_a_one_of_a_kind_item() -> None:
    alert = f"DirectoryRole_{GUID}_staleSignInAlert"
    key = "roleManagementAlertConfigurations"
    assert item_title(key, alert, alert, "Alert: stale account in a role") == "Alert: stale account in a role"
    assert title_of(key, alert, alert) == "Privileged role alert DirectoryRole_0109cc11…_staleSig…"
    capability = "crossTenantMailTipsAll"
    assert item_title("crossTenantAccessPolicy.m365Capabilities", capability, capability, "MailTips, all") == (
        "MailTips, all"
    )
    assert item_title("groupLifecyclePolicies", GUID, GUID, "Group expiration policies") == "Group expiration policy"


def test_one_of_a_kind_collections_are_listed() -> None:
    alone = {key for key, entry in COLLECTIONS.items() if entry.one_of_a_kind}
    assert alone == {
        # One of each type: https://learn.microsoft.com/graph/api/resources/unifiedrolemanagementalertconfiguration
        "roleManagementAlertConfigurations", "crossTenantAccessPolicy.m365Capabilities",
        # One a tenant, as Microsoft documents each.
        "certificateBasedAuthConfiguration", "groupLifecyclePolicies", "onPremisesSynchronization",
    }  # fmt: skip


def test_kind_of_an_item_is_singular() -> None:
    assert kind_of_one("conditionalAccessPolicies", "Conditional Access policies") == "Conditional Access policy"
    assert kind_of_one("deviceConfigurations", "Windows update ring") == "Windows update ring"
    assert kind_of_one("ofALaterRelease", "ofALaterRelease") == "ofALaterRelease"


@pytest.mark.parametrize(
    ("title", "expected"),
    [
        ("Access package assignment policies", "Access package assignment policy"),
        ("User flows for guests", "User flow for guests"),
        ("Tenants of the multitenant organization", "Tenant of the multitenant organization"),
        ("Delegated admin relationships (GDAP)", "Delegated admin relationship (GDAP)"),
        ("App protection, Windows", "App protection, Windows"),
        ("Terms and conditions", "Terms and conditions"),
        ("Terms of use", "Terms of use"),
        ("Company branding", "Company branding"),
    ],
)
def test_collection_title_becomes_singular(title: str, expected: str) -> None:
    assert singular(title) == expected
