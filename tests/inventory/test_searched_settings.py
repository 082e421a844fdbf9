"""What a document sets: names and values that people search for, and never what is hidden."""

from collections import Counter
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from graph.catalog import load_catalog
from inventory.canonical import SENSITIVE_MARK, Canonicalizer, JsonObject, JsonValue
from inventory.exact_json import decode
from inventory.observation import Observer
from inventory.settings import LONGEST_NAME, LONGEST_VALUE, Setting, choice, settings
from tests.conftest import needs_graph_data
from tests.real_documents import real_documents

MARK: JsonValue = {SENSITIVE_MARK: "0" * 64}
BITLOCKER = "device_vendor_msft_bitlocker_requiredeviceencryption"
INTENT = "deviceConfiguration--windows10EndpointProtectionConfiguration_bitLockerEncryptDevice"


def choice_setting(definition: str, chosen: str, *children: JsonValue) -> JsonObject:
    return {
        "settingDefinitionId": definition,
        "choiceSettingValue": {"value": f"{definition}_{chosen}", "children": list(children)},
    }


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ({"bitLockerEnabled": False, "osMinimumVersion": None, "rules": [], "x": ""}, [("bitLockerEnabled", "false")]),
        ({"id": "1", "displayName": "n", "description": "d", "roleScopeTagIds": ["0"], "assignments": [{"id": 1}]}, []),
        ({"@odata.type": "#a", "x@odata.type": "b", "#microsoft.graph.assign": {}, "days": 30}, [("days", "30")]),
        (
            {"conditions": {"users": {"includeUsers": ["All", "None"]}}, "state": "enabled"},
            [("conditions.users.includeUsers", "All"), ("conditions.users.includeUsers", "None"), ("state", "enabled")],
        ),
        ({"settings": [{"id": "0", "settingInstance": choice_setting(BITLOCKER, "1")}]}, [(BITLOCKER, "1")]),
        (
            {"settings": [{"settingInstance": choice_setting("a_b_c", "0", choice_setting("a_b_d", "2"))}]},
            [("a_b_c", "0"), ("a_b_d", "2")],
        ),
        (
            {"settings": [{"settingInstance": {
                "settingDefinitionId": "group", "groupSettingCollectionValue": [
                    {"children": [{"settingDefinitionId": "x", "simpleSettingValue": {"value": 5}}]},
                    {"children": [{"settingDefinitionId": "x", "simpleSettingValue": {"value": 6}}]},
                ],
            }}]},
            [("x", "5"), ("x", "6")],
        ),
        ({"settings": [{"settingInstance": {"settingDefinitionId": "s", "simpleSettingValue": {"value": MARK}}}]},
         [("s", None)]),
        ({"settings": [{"definitionId": INTENT, "valueJson": "true"}]}, [(INTENT, "true")]),
        (
            {"settings": [{"definitionId": INTENT, "valueJson": '{"method":"aes","password":"hunter2"}'}]},
            [(f"{INTENT}.method", "aes"), (f"{INTENT}.password", None)],
        ),
        ({"settings": [{"definitionId": INTENT, "valueJson": "true", "value": MARK}]}, [(INTENT, None)]),
        ({"settings": [{"definitionId": INTENT, "valueJson": "not JSON"}]}, [(INTENT, "not JSON")]),
        ({"settings": [{"definitionId": INTENT, "valueJson": "[" * 10_000}]}, [(INTENT, None)]),
        (
            {"omaSettings": [{"omaUri": "./Vendor/MSFT/A", "value": MARK}, {"omaUri": "./Vendor/MSFT/B", "value": 1}]},
            [("./Vendor/MSFT/A", None), ("./Vendor/MSFT/B", "1")],
        ),
        (
            {"definitionValues": [{
                "id": "1", "enabled": True, "definition": {"id": "d", "displayName": "Chat tools"},
                "presentationValues": [{"presentation": {"label": "Mode: "}, "value": "strict"}],
            }]},
            [("Chat tools", "enabled"), ("Chat tools.Mode", "strict"), ("d", "enabled"), ("d.Mode", "strict")],
        ),
        ({"script": "x" * (LONGEST_VALUE + 1)}, [("script", None)]),
        ({"nul": "a\0b", "lone": "\ud800", "named\0": "x"}, [("nul", None), ("lone", None), ("named", "x")]),
    ],
)  # fmt: skip
def test_what_a_document_sets(document: JsonObject, expected: list[tuple[str, str | None]]) -> None:
    assert settings(document) == expected


def test_a_choice_goes_without_its_definition() -> None:
    assert choice(f"{BITLOCKER.upper()}_1", BITLOCKER) == "1"
    assert choice("another_1", BITLOCKER) == "another_1"
    assert choice(f"{BITLOCKER}_", BITLOCKER) == f"{BITLOCKER}_"


NAMES = ["settings", "settingInstance", "settingDefinitionId", "choiceSettingValue", "simpleSettingValue", "children",
         "definitionId", "valueJson", "value", "omaUri", "definition", "enabled", "presentationValues", "password",
         "displayName", "id", "x"]  # fmt: skip
SECRET = "s3cret-of-the-tenant"
leaves = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
documents = st.dictionaries(
    st.sampled_from(NAMES) | st.text(max_size=5),
    st.recursive(
        leaves | st.just(SECRET),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=5), inner, max_size=4)
        ),
        max_leaves=12,
    ),
    max_size=5,
)


@given(documents)
def test_any_document_is_read_once_in_what_the_database_holds(document: dict[str, Any]) -> None:
    found = settings(document)
    assert len(set(found)) == len(found)
    for setting in found:
        assert len(setting.name) <= LONGEST_NAME
        assert setting.value is None or 0 <= len(setting.value) <= LONGEST_VALUE
    written = orjson.dumps([list(one) for one in found])
    assert b"\\u0000" not in written


def hidden(value: Any) -> Any:
    """The value with each secret marked, as the canonical form has it."""
    if value == SECRET:
        return MARK
    if isinstance(value, dict):
        return {name: hidden(child) for name, child in value.items()}
    return [hidden(member) for member in value] if isinstance(value, list) else value


@given(documents)
def test_neither_a_secret_nor_its_mark_is_a_value(document: dict[str, Any]) -> None:
    said = settings(hidden(document))
    assert not any(one.value is not None and (SECRET in one.value or SENSITIVE_MARK in one.name) for one in said)
    assert not any(one.value == "0" * 64 for one in said)


@given(documents)
def test_a_hidden_value_is_set_where_a_plain_one_is(document: dict[str, Any]) -> None:
    plain = {one.name for one in settings(document) if one.value == SECRET and SECRET not in one.name}
    assert plain <= {one.name for one in settings(hidden(document)) if one.value is None}


@needs_graph_data
def test_settings_of_real_documents_are_found_and_hide_what_they_hide() -> None:
    collections = {one.path.lstrip("/"): one for one in load_catalog().collections.values() if not one.filter}
    numbers = Counter[str]()
    found: set[Setting] = set()
    for path, document in real_documents():
        collection = collections.get(path)
        if collection is None or not collection.has_settings:
            continue
        (observed, *_), _ = Observer(collection.observation_rules()).observe_page([{"id": "1", **document}])
        stored: Any = decode(observed.document)
        of_document = settings(stored)
        assert of_document == settings(Canonicalizer().canonical_value(stored))
        numbers[path] += len(of_document)
        found.update(of_document)
    assert numbers["deviceManagement/configurationPolicies"] > 4_000
    assert ("bitLockerEnabled", "false") in found
    assert ("linux_deviceencryption_required", "true") in found
    assert (INTENT, "true") in found
    assert any(name.startswith("./Device/Vendor/MSFT/") and value is None for name, value in found)
    assert not any(name.startswith("./") and value is not None for name, value in found), "an OMA-URI hides its value"
