"""Rules of a shared case for one place hold in each place of its kind, by the published types."""

from typing import Any

import pytest

from graph.catalog import load_catalog
from graph.catalog.facts import metadata
from inventory.differences import differences
from inventory.exact_json import JsonObject, decode
from inventory.observation import Observer

COLLECTIONS = load_catalog().collections
EXTENSIONS = ("iosSingleSignOnExtension", "macOSSingleSignOnExtension", "singleSignOnExtension")
KINDS = [
    (name, kind)
    for name in EXTENSIONS
    for base in (name, "singleSignOnExtension")
    for kind in sorted(metadata("beta").family(base))
    if "configurations" in metadata("beta").properties(kind)
]


def stored_document(type_key: str, document: JsonObject) -> dict[str, Any]:
    observer = Observer(COLLECTIONS[type_key].observation_rules())
    read: Any = decode(observer.observe({COLLECTIONS[type_key].id_field: "i", **document}).document)
    return dict(read)


@pytest.mark.parametrize(("name", "kind"), KINDS, ids=lambda value: value)
def test_each_kind_of_sign_on_extension_hides_its_values_and_keeps_its_keys(name: str, kind: str) -> None:
    pairs: JsonObject = {
        "@odata.type": f"#{kind}" if kind.startswith("microsoft.") else f"#microsoft.graph.{kind}",
        "configurations": [{"key": "endpoint", "value": "planted-1"}, {"key": "token", "value": "planted-2"}],
    }
    extension = stored_document("deviceConfigurations", {name: pairs})[name]
    assert [pair["key"] for pair in extension["configurations"]] == ["endpoint", "token"]
    assert [pair["value"] for pair in extension["configurations"]] == [{"sensitive": True}] * 2


def test_extensions_of_every_property_are_checked() -> None:
    assert {name for name, _ in KINDS} == set(EXTENSIONS)
    assert len(KINDS) > 10


@pytest.mark.parametrize("type_key", ["customAuthenticationExtensions", "lifecycleCustomTaskExtensions"])
@pytest.mark.parametrize("name", ["url", "targetUrl"])
def test_both_addresses_of_an_endpoint_are_hidden_in_both_collections(type_key: str, name: str) -> None:
    document = stored_document(
        type_key, {"endpointConfiguration": {name: "https://a.example/x", "subscriptionId": "s"}}
    )
    assert document["endpointConfiguration"] == {name: {"sensitive": True}, "subscriptionId": "s"}


def test_workspace_id_stays_beside_its_hidden_key() -> None:
    workspace: JsonObject = {
        "azureOperationalInsightsWorkspaceId": "w", "azureOperationalInsightsWorkspaceKey": "planted",
    }  # fmt: skip
    assert stored_document("deviceConfigurations", workspace) == {
        "id": "i",
        "azureOperationalInsightsWorkspaceId": "w",
        "azureOperationalInsightsWorkspaceKey": {"sensitive": True},
    }


def test_folder_pages_and_their_apps_have_an_order() -> None:
    def home_screen(*, is_turned: bool) -> JsonObject:
        apps = [{"displayName": "Chat", "bundleID": "a"}, {"displayName": "Mail", "bundleID": "b"}]
        pages: list[Any] = [{"displayName": "First", "apps": apps[::-1] if is_turned else apps},
                            {"displayName": "Second", "apps": []}]  # fmt: skip
        folder: Any = {"displayName": "Tools", "pages": pages[::-1] if is_turned else pages}
        return {"homeScreenPages": [{"displayName": "Work", "icons": [folder]}]}

    form = COLLECTIONS["deviceConfigurations"].form
    found = differences(home_screen(is_turned=False), home_screen(is_turned=True), form)
    assert [difference.path for difference in found] == [
        "homeScreenPages[Work].icons[Tools].pages[First].apps[order]",
        "homeScreenPages[Work].icons[Tools].pages[order]",
    ]
