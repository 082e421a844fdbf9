import random
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inventory.canonical import SENSITIVE_MARK, JsonValue, encode
from inventory.settings import SettingKind, oma_key, setting_key, settings_of
from tests.conftest import needs_graph_data
from tests.inventory.test_differences import shuffled
from tests.real_documents import real_documents

GRAPH = "#microsoft.graph."
CATALOG = "deviceManagement/configurationPolicies"
MARK: JsonValue = {SENSITIVE_MARK: "ab" * 32}
BITLOCKER = "device_vendor_msft_bitlocker_encryptionmethodbydrivetype"


def simple(definition: str, value: JsonValue, kind: str = "String") -> dict[str, Any]:
    held = {"@odata.type": f"{GRAPH}deviceManagementConfiguration{kind}SettingValue", "value": value}
    return {"settingDefinitionId": definition, "simpleSettingValue": held}


def choice(definition: str, option: str, *children: dict[str, Any]) -> dict[str, Any]:
    return {
        "settingDefinitionId": definition,
        "choiceSettingValue": {"value": f"{definition}_{option}", "children": [*children]},
    }


def group(definition: str, *members: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "settingDefinitionId": definition,
        "groupSettingCollectionValue": [{"children": children} for children in members],
    }


def policy(*instances: dict[str, Any]) -> dict[str, Any]:
    return {"settings": [{"id": str(number), "settingInstance": instance} for number, instance in enumerate(instances)]}


def custom(*settings: dict[str, Any]) -> dict[str, Any]:
    return {"@odata.type": f"{GRAPH}windows10CustomConfiguration", "omaSettings": [*settings]}


def values(document: dict[str, Any], type_key: str = "configurationPolicies") -> dict[str, JsonValue]:
    return {setting.key: setting.value for setting in settings_of(document, type_key)}


definitions = st.sampled_from(["a", "b", "c_name", "c"])
instances = st.recursive(
    st.builds(simple, definitions, st.integers(0, 2) | st.sampled_from(["x", "y"])),
    lambda inner: (
        st.builds(lambda name, option, below: choice(name, option, *below), definitions, st.just("1"), st.lists(inner))
        | st.builds(lambda name, members: group(name, *members), definitions, st.lists(st.lists(inner), max_size=3))
    ),
    max_leaves=4,
)
policies = st.lists(instances, max_size=4).map(lambda members: policy(*members))


@given(policies, st.randoms(use_true_random=False))
def test_settings_ignore_the_order_of_a_policy(document: dict[str, Any], source: random.Random) -> None:
    assert settings_of(shuffled(document, source), "configurationPolicies") == settings_of(
        document, "configurationPolicies"
    )


def test_choice_values_lose_the_definition_prefix_and_children_have_own_keys() -> None:
    encryption = choice(BITLOCKER, "1", choice(f"{BITLOCKER}_xtsos_name", "6"))
    assert values(policy(encryption)) == {BITLOCKER: "1", f"{BITLOCKER}_xtsos_name": "6"}


def test_the_key_of_a_definition_ignores_case() -> None:
    assert values(policy(choice("Device_X", "ON"))) == values(policy(choice("device_x", "on"))) == {"device_x": "on"}


def test_keys_of_named_group_members_include_the_name() -> None:
    web = [simple("rules_name", "Web"), simple("rules_port", 443)]
    mail = [simple("rules_name", "Mail"), simple("rules_port", 25)]
    alone = {"rules[Web]/rules_name": "Web", "rules[Web]/rules_port": 443}
    assert values(policy(group("rules", web))) == alone
    assert values(policy(group("rules", web, mail))).items() > alone.items()


def test_several_unnamed_group_members_are_a_single_setting() -> None:
    camera, microphone = [simple("apps_camera", 1)], [simple("apps_camera", 0)]
    assert values(policy(group("apps", camera))) == {"apps_camera": 1}
    [both] = settings_of(policy(group("apps", camera, microphone)), "configurationPolicies")
    assert both.key == "apps"
    assert both == settings_of(policy(group("apps", microphone, camera)), "configurationPolicies")[0]


@pytest.mark.parametrize(
    ("path", "definition"),
    [
        ("./Device/Vendor/MSFT/Policy/Config/Search/AllowCortana",
         "device_vendor_msft_policy_config_search_allowcortana"),
        ("./User/Vendor/MSFT/Policy/Config/Start/HideHibernate", "user_vendor_msft_policy_config_start_hidehibernate"),
        ("./Vendor/MSFT/BitLocker/RequireDeviceEncryption", "device_vendor_msft_bitlocker_requiredeviceencryption"),
        ("./Vendor/MSFT/Firewall/MdmStore/Global/DisableStatefulFtp",
         "vendor_msft_firewall_mdmstore_global_disablestatefulftp"),
        ("./Device/Vendor/MSFT/PassportForWork/3fa85f64-5717-4562-b3fc-2c963f66afa6/Policies/UsePassportForWork",
         "device_vendor_msft_passportforwork_{tenantid}_policies_usepassportforwork"),
        ("./Device/Vendor/MSFT/PassportForWork/{TenantId}/Policies/UsePassportForWork",
         "device_vendor_msft_passportforwork_{tenantid}_policies_usepassportforwork"),
    ],
)  # fmt: skip
def test_an_oma_uri_and_its_catalog_definition_have_the_same_key(path: str, definition: str) -> None:
    [oma] = settings_of(custom({"omaUri": path, "value": 1}), "deviceConfigurations")
    [chosen] = settings_of(policy(choice(definition, "1")), "configurationPolicies")
    assert (oma.key, oma.text) == (chosen.key, chosen.text)
    assert setting_key(path) == setting_key(definition) == oma.key


def test_oma_uris_of_other_platforms_are_no_windows_settings() -> None:
    android: dict[str, Any] = {"@odata.type": f"{GRAPH}androidCustomConfiguration", "omaSettings": [
        {"omaUri": "./Vendor/MSFT/WiFi/Profile/Office", "value": "x"},
    ]}  # fmt: skip
    assert values(android) == {"oma:./vendor/msft/wifi/profile/office": "x"}
    assert oma_key("./cimv2/MDM_X") == "oma:./cimv2/mdm_x"


def test_an_admx_backed_oma_uri_equals_several_catalog_settings() -> None:
    value = '<enabled/><data id="XtsOs_Name" value="6"/>'
    path = "./Device/Vendor/MSFT/BitLocker/EncryptionMethodByDriveType"
    encryption = choice(BITLOCKER, "1", choice(f"{BITLOCKER}_xtsos_name", "6"))
    assert values(custom({"omaUri": path, "value": value})) == values(policy(encryption))
    assert values(custom({"omaUri": path, "value": "<disabled/>"})) == {BITLOCKER: "0"}


def test_typed_policies_and_intents_have_the_same_keys() -> None:
    typed: dict[str, Any] = {
        "@odata.type": f"{GRAPH}windows10EndpointProtectionConfiguration",
        "displayName": "Endpoint protection",
        "bitLockerRemovableDrivePolicy": {"encryptionMethod": "aesCbc256", "blockCrossOrganizationWriteAccess": False},
        "firewallBlockStatefulFTP": None,
    }
    intent: dict[str, Any] = {"settings": [{
        "definitionId": "deviceConfiguration--windows10EndpointProtectionConfiguration_bitLockerRemovableDrivePolicy",
        "valueJson": '{"encryptionMethod":"aesCbc256","blockCrossOrganizationWriteAccess":false}',
    }]}  # fmt: skip
    place = "windows10EndpointProtectionConfiguration/bitLockerRemovableDrivePolicy"
    expected = {f"{place}/encryptionMethod": "aesCbc256", f"{place}/blockCrossOrganizationWriteAccess": False}
    assert values(typed, "deviceConfigurations") == values(intent, "intents") == expected
    unset = [setting.key for setting in settings_of(typed, "deviceConfigurations") if setting.is_unset]
    assert unset == [f"{place}/blockCrossOrganizationWriteAccess"]


def test_network_profile_keys_include_the_profile_name() -> None:
    office: dict[str, Any] = {
        "@odata.type": f"{GRAPH}iosWiFiConfiguration",
        "ssid": "Office",
        "connectAutomatically": True,
    }
    assert values(office)["iosWiFiConfiguration[Office]/connectAutomatically"] is True


def template(definition: dict[str, Any], *presentations: dict[str, Any], enabled: bool = True) -> dict[str, Any]:
    return {"definitionValues": [
        {"enabled": enabled, "definition": definition, "presentationValues": [*presentations]},
    ]}  # fmt: skip


def test_template_keys_consist_of_definition_and_presentation_ids() -> None:
    text = {"value": "off", "presentation": {"id": "P1", "label": "Level: "}}
    found = settings_of(template({"id": "D1", "displayName": "Telemetry"}, text), "groupPolicyConfigurations")
    assert [(setting.key, setting.value, setting.label) for setting in found] == [
        ("admx:d1", "enabled", "Telemetry"),
        ("admx:d1/p1", "off", "Telemetry → Level"),
    ]


def test_an_imported_template_has_the_same_keys_in_all_tenants() -> None:
    def imported(number: int) -> dict[str, Any]:
        definition = {
            "id": f"D{number}", "policyType": "admxIngested", "classType": "machine", "categoryPath": "\\Code",
            "displayName": "Telemetry",
        }  # fmt: skip
        return template(definition, {"value": "off", "presentation": {"id": f"P{number}", "label": "Level"}})

    assert values(imported(1)) == values(imported(2))


@pytest.mark.parametrize(
    "document",
    [
        custom({"omaUri": "./Device/Vendor/MSFT/X", "value": MARK}),
        custom({"omaUri": "./Device/Vendor/MSFT/X", "value": "****", "isEncrypted": True}),
        policy(simple("x", MARK)),
        policy(simple("x", "0b5c-token", "Secret")),
        policy(group("x", [simple("x_a", MARK)], [simple("x_b", 1)])),
        template({"id": "D"}, {"value": MARK, "presentation": {"id": "P"}}),
        {"@odata.type": f"{GRAPH}windowsX", "keys": ["a", MARK]},
    ],
)
def test_a_hidden_value_is_marked_hidden_and_not_shown(document: dict[str, Any]) -> None:
    hidden = [setting for setting in settings_of(document, "deviceConfigurations") if setting.is_hidden]
    assert [(setting.value, setting.text) for setting in hidden] == [(None, None)]


def test_a_user_right_is_the_same_by_account_name_and_sid() -> None:
    def right(*accounts: str) -> dict[str, Any]:
        definition = "device_vendor_msft_policy_config_userrights_debugprograms"
        members = [{"value": account} for account in accounts]
        return policy({"settingDefinitionId": definition, "simpleSettingCollectionValue": members})

    [named] = settings_of(right("BUILTIN\\Administrators", "NT AUTHORITY\\SERVICE"), "configurationPolicies")
    [numbered] = settings_of(right("*S-1-5-6", "*S-1-5-32-544"), "configurationPolicies")
    assert named.text == numbered.text
    assert named.value == ["BUILTIN\\Administrators", "NT AUTHORITY\\SERVICE"]


def leaves(value: Any) -> Iterator[JsonValue]:
    """The values of all settings in a document, found only by property name."""
    if isinstance(value, list):
        for member in value:
            yield from leaves(member)
    elif isinstance(value, dict):
        if "value" in value and "SettingValue" in str(value.get("@odata.type", "SettingValue")):
            yield value["value"]
        for name, child in value.items():
            if name != "value":
                yield from leaves(child)


@needs_graph_data
def test_every_value_of_a_real_policy_is_in_a_setting() -> None:
    documents = [document for path, document in real_documents() if path == CATALOG]
    assert len(documents) > 600
    for document in documents:
        found = settings_of(document, "configurationPolicies")
        assert {setting.kind for setting in found} <= {SettingKind.SETTINGS_CATALOG}
        encoded = encode([setting.value for setting in found]).decode().casefold()
        for leaf in leaves(document["settings"]):
            words = leaf.rpartition("_")[2].casefold() if isinstance(leaf, str) else str(leaf)
            assert encode(words).decode()[1:-1] in encoded


@needs_graph_data
def test_settings_ignore_the_order_of_a_real_policy() -> None:
    source = random.Random(1)
    for path, document in real_documents():
        type_key = path.rpartition("/")[2]
        assert settings_of(shuffled(document, source), type_key) == settings_of(document, type_key)
