"""The settings of a document that people search for: names and short values, and no hidden values."""

from collections import Counter
from typing import Any

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from graph.catalog import load_catalog
from inventory.canonical import SENSITIVE_MARK, JsonObject, JsonValue
from inventory.exact_json import decode
from inventory.observation import Observer
from inventory.searched_settings import (
    LONGEST_NAME,
    LONGEST_VALUE,
    SearchedSetting,
    searched_settings,
    without_definition,
)
from inventory.settings import Setting, SettingKind, settings_of, value_text
from tests.conftest import needs_graph_data
from tests.real_documents import real_documents

MARK: JsonValue = {SENSITIVE_MARK: "0" * 64}
BITLOCKER = "device_vendor_msft_bitlocker_requiredeviceencryption"
INTENT = "deviceConfiguration--windows10EndpointProtectionConfiguration_bitLocker"
ENDPOINT = "windows10EndpointProtectionConfiguration/bitLocker"
OMA = "./Device/Vendor/MSFT/BitLocker/RequireDeviceEncryption"


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ({"bitLockerEnabled": False, "osMinimumVersion": None, "x": ""}, [("a/bitLockerEnabled", "false")]),
        ({"users": {"include": ["All", "None"]}}, [("a/users/include", "All"), ("a/users/include", "None")]),
        ({"id": "1", "displayName": "n", "roleScopeTagIds": ["0"], "assignments": [{"id": 1}]}, []),
        (
            {"settings": [{"settingInstance": {
                "settingDefinitionId": BITLOCKER, "choiceSettingValue": {"value": f"{BITLOCKER}_1"},
            }}]},
            [(BITLOCKER, "1")],
        ),
        ({"omaSettings": [{"omaUri": OMA, "value": 1}]}, [(BITLOCKER, "1")]),
        ({"omaSettings": [{"omaUri": OMA, "value": MARK}]}, [(BITLOCKER, None)]),
        (
            {"definitionValues": [{"enabled": True, "definition": {"id": "D", "displayName": "Chat tools"}}]},
            [("Chat tools", "enabled"), ("admx:d", "enabled")],
        ),
        ({"settings": [{"definitionId": INTENT, "valueJson": "true"}]}, [(ENDPOINT, "true")]),
        (
            {"settings": [{"definitionId": INTENT, "valueJson": '{"method":"aes","password":"hunter2"}'}]},
            [(f"{ENDPOINT}/method", "aes"), (f"{ENDPOINT}/password", None)],
        ),
        ({"settings": [{"definitionId": INTENT, "valueJson": "[" * 10_000}]}, [(ENDPOINT, None)]),
        ({"script": "x" * (LONGEST_VALUE + 1)}, [("a/script", None)]),
        ({"settings": [{"definitionId": INTENT, "valueJson": '"\\ud800"'}]}, [(ENDPOINT, '"\\ud800"')]),
        ({"nul": "a\0b", "to\0": "x"}, [("a/nul", None), ("a/to", "x")]),
    ],
)  # fmt: skip
def test_searched_settings_are_names_and_short_values(
    document: JsonObject, expected: list[tuple[str, str | None]]
) -> None:
    assert searched_settings(document, "a") == expected


def test_a_choice_value_loses_its_definition_prefix() -> None:
    assert without_definition(f"{BITLOCKER.upper()}_Block", BITLOCKER) == "block"
    assert without_definition("Another_1", BITLOCKER) == "Another_1"


NAMES = ["settings", "settingInstance", "settingDefinitionId", "choiceSettingValue", "simpleSettingValue", "children",
         "definitionId", "valueJson", "value", "omaSettings", "omaUri", "definitionValues", "definition", "enabled",
         "groupSettingCollectionValue", "presentationValues", "displayName", "id", "x"]  # fmt: skip
SECRET = "s3cret-of-the-tenant"
leaves = st.none() | st.booleans() | st.integers(0, 9) | st.text(max_size=5) | st.just(SECRET)
documents = st.dictionaries(
    st.sampled_from(NAMES),
    st.recursive(
        leaves,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=4),
        max_leaves=12,
    ),
    max_size=5,
)


def hidden(value: Any) -> Any:
    """The value with a mark for each secret, as in the canonical form."""
    if value == SECRET:
        return MARK
    if isinstance(value, dict):
        return {name: hidden(child) for name, child in value.items()}
    return [hidden(member) for member in value] if isinstance(value, list) else value


@given(documents)
@example({"settingDefinitionId": [["\0"]]})
@example({"omaSettings": [{"omaUri": "./a\0", "value": "b\0"}]})
def test_searched_settings_fit_the_database_and_hold_no_secret_or_mark(document: dict[str, Any]) -> None:
    found = searched_settings(hidden(document), "a")
    assert len(set(found)) == len(found)
    for name, value in found:
        assert len(name) <= LONGEST_NAME
        assert value is None or len(value) <= LONGEST_VALUE
        # PostgreSQL text holds no NUL; the escape of a NUL within JSON is six ordinary characters.
        assert "\0" not in name + (value or "")
    written = orjson.dumps([list(setting) for setting in found])
    assert SECRET.encode() not in written
    assert b"0" * 64 not in written


def by_definition(document: JsonObject, type_key: str) -> list[tuple[str, str | None]]:
    """The searched settings of a document, made from its `Setting`s."""
    found = {
        (name[:LONGEST_NAME], None if text is None or len(text) > LONGEST_VALUE or "\0" in text else text)
        for setting in settings_of(document, type_key)
        for text in texts_of(setting)
        for name in (setting.key.replace("\0", ""), setting.label)
        if name == setting.key.replace("\0", "") or (name and setting.kind is SettingKind.ADMINISTRATIVE_TEMPLATE)
    }
    return sorted(found, key=lambda kept: (kept[0], kept[1] or "", kept[1] is None))


def texts_of(setting: Setting) -> list[str | None]:
    if setting.is_hidden:
        return [None]
    return [value_text(value) for value in (setting.value if isinstance(setting.value, list) else [setting.value])]


PROPERTY_NAMES = [
    "osMinimumVersion", "b", "b/c", "c", "ssid", "displayName", "@odata.type", "x@odata.type", "long" * 150, "to\0"
]  # fmt: skip
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from(["", "All", "é", "a\0b", "y" * 101, "notConfigured"]) | st.just(MARK),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(PROPERTY_NAMES), inner, max_size=3),
    max_leaves=6,
)  # fmt: skip
typed_policies = st.builds(
    lambda properties, also: {**properties, **also},
    st.dictionaries(st.sampled_from(PROPERTY_NAMES) | st.text("ab/\0", max_size=3), values, max_size=8),
    st.sampled_from([{}, {"@odata.type": "#microsoft.graph.iosWiFiConfiguration"}, {"omaSettings": [{"omaUri": OMA}]}]),
)


@given(typed_policies)
def test_the_fast_path_for_typed_policies_finds_the_same_settings(policy: JsonObject) -> None:
    assert searched_settings(policy, "a") == by_definition(policy, "a")
    assert searched_settings(policy, "a") == by_definition(policy, "a"), "with remembered names"


@needs_graph_data
def test_settings_of_real_documents_are_found_without_hidden_values() -> None:
    collections = {
        collection.path.lstrip("/"): collection
        for collection in load_catalog().collections.values()
        if not collection.filter
    }
    numbers = Counter[str]()
    found: set[SearchedSetting] = set()
    for path, document in real_documents():
        collection = collections.get(path)
        if collection is None or not collection.has_settings:
            continue
        observed = Observer(collection.observation_rules()).observe({"id": "1", **document})
        stored: Any = decode(observed.document)
        of_document = searched_settings(stored, collection.type_key)
        assert of_document == by_definition(stored, collection.type_key)
        numbers[path] += len(of_document)
        found.update(of_document)
    assert numbers["deviceManagement/configurationPolicies"] > 3_000
    assert ("windows10CompliancePolicy/bitLockerEnabled", "false") in found
    assert ("linux_deviceencryption_required", "true") in found
    assert (f"{ENDPOINT}EncryptDevice", "true") in found
    assert ("conditionalAccessPolicies/state", "enabled") in found
    hidden_path = "device_vendor_msft_policy_config_networkisolation_enterpriseiprangesareauthoritative"
    assert {value for name, value in found if name == hidden_path} == {None}, "an OMA-URI hides its value"
