"""Texts of fields that differ."""

import base64
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from answers.document_text import document_lines
from answers.drift.records import EDITED, DriftFindingRecord
from answers.drift.rules import FindingKind
from answers.field_labels import FieldChange, field_change
from answers.field_text import LONGEST_VALUE, field_text, shown_fields
from answers.named_ids import DEFINITIONS, TEMPLATES
from graph.catalog import load_catalog
from inventory.differences import differences

PILOT, CORPORATE = "1f0c4d2e-6a3b-4c55-9d0e-2b7a8c9d0e1f", "77a1b0c2-0000-4c55-9d0e-2b7a8c9d0e1f"
APP, PERSON = "00000002-0000-0ff1-ce00-000000000000", "3f2a1c4d-0000-4c55-9d0e-2b7a8c9d0e1f"
TELEMETRY = "device_vendor_msft_policy_config_system_allowtelemetry"
NAMES = {
    ("groups", PILOT): "Pilot",
    ("assignmentFilters", CORPORATE): "Corporate Windows",
    ("servicePrincipals", APP): "Exchange Online",
}
CATALOG = {
    (DEFINITIONS, TELEMETRY): "Allow Telemetry",
    (DEFINITIONS, f"{TELEMETRY}_1"): "Basic",
    (DEFINITIONS, f"{TELEMETRY}_0"): "Security",
}


def changed(
    type_key: str, before: dict[str, Any], after: dict[str, Any], names: dict[tuple[str, str], str]
) -> list[FieldChange]:
    rules = load_catalog().collections[type_key].references
    return [field_change(difference, rules, names) for difference in differences(before, after)]


def texts(
    type_key: str, before: dict[str, Any], after: dict[str, Any], names: dict[tuple[str, str], str] = NAMES
) -> list[str]:
    """Label and text of each field with a difference to report."""
    fields = shown_fields(changed(type_key, before, after, names))
    return [f"{field_text(field).label}: {field_text(field).text()}" for field in fields]


def assignment(kind: str, **properties: Any) -> dict[str, Any]:
    target = {
        "@odata.type": f"#microsoft.graph.{kind}AssignmentTarget",
        "deviceAndAppManagementAssignmentFilterId": properties.pop("filter_id", None),
        "deviceAndAppManagementAssignmentFilterType": properties.pop("mode", "none"),
    }
    group_id = properties.pop("group_id", None)
    return {"id": "a_0_1", "target": target | ({"groupId": group_id} if group_id else {}), **properties}


@pytest.mark.parametrize(
    ("member", "words"),
    [
        (
            assignment(
                "group", group_id=PILOT, intent="required", source="direct", filter_id=CORPORATE, mode="include"
            ),
            'include group "Pilot" · required · filter "Corporate Windows" (include) · direct',
        ),
        (assignment("exclusionGroup", group_id=PILOT), 'exclude group "Pilot"'),
        (assignment("allDevices", source="direct"), "include all devices · direct"),
        (assignment("allLicensedUsers", intent="available"), "include all users · available"),
        (assignment("group", group_id=CORPORATE), f"include group {CORPORATE}"),
        (
            assignment("allDevices", settings={"@odata.type": "#x", "notifications": "hideAll", "restart": None}),
            'include all devices · settings: notifications: "hideAll"',
        ),
        (
            assignment("allDevices", source="policySets", sourceId=PILOT),
            f"include all devices · through policy set {PILOT}",
        ),
    ],
)
def test_assignment_is_shown_in_words(member: dict[str, Any], words: str) -> None:
    assert texts("mobileApps", {"assignments": []}, {"assignments": [member]}) == [f"assignments: + {words}"]
    assert texts("mobileApps", {"assignments": [member]}, {"assignments": []}) == [f"assignments: - {words}"]


def setting(value: Any, definition: str = TELEMETRY, children: list[Any] | None = None) -> dict[str, Any]:
    chosen = {"settingValueTemplateReference": None, "value": value, "children": children or []}
    instance = {
        "@odata.type": "#microsoft.graph.deviceManagementConfigurationChoiceSettingInstance",
        "settingDefinitionId": definition,
        "settingInstanceTemplateReference": {"settingInstanceTemplateId": PILOT},
        "choiceSettingValue": chosen,
    }
    return {"id": "0", "settingInstance": instance}


def child(definition: str, value: Any) -> dict[str, Any]:
    return {"settingDefinitionId": definition, "simpleSettingValue": {"@odata.type": "#x", "value": value}}


def policy(*settings: Any) -> dict[str, Any]:
    return {"settings": list(settings)}


def test_setting_without_a_read_definition_shows_last_parts_of_its_id() -> None:
    before, after = policy(setting(f"{TELEMETRY}_1")), policy(setting(f"{TELEMETRY}_0"))
    (line,) = texts("configurationPolicies", before, after)
    assert "allowtelemetry: 1 → 0" in line
    assert line == f"system_allowtelemetry: 1 → 0 ({TELEMETRY})"
    assert texts("configurationPolicies", policy(), after) == [f"system_allowtelemetry: + 0 ({TELEMETRY}_0)"]


def test_setting_with_a_read_definition_shows_display_names() -> None:
    before, after = policy(setting(f"{TELEMETRY}_1")), policy(setting(f"{TELEMETRY}_0"))
    assert texts("configurationPolicies", before, after, CATALOG) == ["Allow Telemetry: Basic → Security"]
    assert texts("configurationPolicies", after, policy(), CATALOG) == ["Allow Telemetry: - Security"]
    (field,) = changed("configurationPolicies", before, after, CATALOG)
    assert (field.label, field.before, field.before_named) == ("Allow Telemetry", f"{TELEMETRY}_1", "Basic")
    unknown = policy(setting(f"{TELEMETRY}_7"))
    assert texts("configurationPolicies", policy(), unknown, CATALOG) == ["Allow Telemetry: + 7"]


def test_child_settings_have_their_own_lines() -> None:
    outer = setting(f"{TELEMETRY}_1", children=[child("device_vendor_msft_inner", 5), child("device_other_words", "x")])
    (lines,) = texts("configurationPolicies", policy(), policy(outer))
    assert lines == (
        "system_allowtelemetry: 3 lines added\n"
        f"+ system_allowtelemetry: 1 ({TELEMETRY}_1)\n"
        "+ system_allowtelemetry → msft_inner: 5 (device_vendor_msft_inner)\n"
        '+ system_allowtelemetry → other_words: "x" (device_other_words)'
    )


def test_decoded_content_follows_its_setting() -> None:
    script = child("device_vendor_msft_script", encoded("Write-Host 1\nWrite-Host 2\n"))
    (lines,) = texts("configurationPolicies", policy(), policy({"settingInstance": script}))
    assert lines.splitlines()[1:] == [
        "+ msft_script: (device_vendor_msft_script)",
        "+   UTF-8",
        "+   | Write-Host 1",
        "+   | Write-Host 2",
    ]


def test_setting_group_is_shown_as_its_settings() -> None:
    group = {
        "settingInstance": {
            "settingDefinitionId": "device_vendor_msft_firewall_rules",
            "groupSettingCollectionValue": [
                {"settingValueTemplateReference": None, "children": [child("device_vendor_msft_firewall_name", "DNS")]}
            ],
        }
    }
    assert texts("configurationPolicies", policy(), policy(group)) == [
        'firewall_rules: + firewall_name: "DNS" (device_vendor_msft_firewall_name)'
    ]


def test_intent_setting_shows_its_value_once() -> None:
    definition = "deviceConfiguration--windows10EndpointProtectionConfiguration_bitLockerEncryptDevice"

    def intent(value: Any, text: str) -> dict[str, Any]:
        return {"settings": [{"id": "1", "definitionId": definition, "value": value, "valueJson": text}]}

    assert texts("intents", intent(True, "true"), intent(False, "false")) == [
        f"bitLockerEncryptDevice: true → false ({definition})"
    ]
    assert texts("intents", {"settings": []}, intent(True, "true")) == [
        f"bitLockerEncryptDevice: + true ({definition})"
    ]


def test_administrative_template_shows_its_own_names() -> None:
    def template(*, enabled: bool, level: int) -> dict[str, Any]:
        presentation = {"id": CORPORATE, "label": "Level:"}
        value = {"@odata.type": "#x", "id": "9", "value": level, "presentation": presentation}
        definition = {"id": PILOT, "displayName": "Turn on protection"}
        return {
            "definitionValues": [
                {"id": "1", "enabled": enabled, "definition": definition, "presentationValues": [value]}
            ]
        }

    names = {(TEMPLATES, PILOT): "Turn on protection", (TEMPLATES, CORPORATE): "Level"}
    key = "groupPolicyConfigurations"
    before, after = template(enabled=False, level=1), template(enabled=True, level=2)
    assert texts(key, before, after, names) == [
        "Turn on protection: disabled → enabled",
        "Turn on protection → Level: 1 → 2",
    ]
    assert texts(key, {"definitionValues": []}, after, names) == [
        "Turn on protection: 2 lines added\n+ enabled\n+ Level: 2"
    ]


def test_user_ids_are_marked_as_users_and_applications_are_named() -> None:
    def access(users: list[str], apps: list[str]) -> dict[str, Any]:
        return {"conditions": {"users": {"excludeUsers": users}, "applications": {"includeApplications": apps}}}

    assert texts("conditionalAccessPolicies", access([], []), access([PERSON], [APP])) == [
        'conditions.applications.includeApplications: + "Exchange Online"',
        "conditions.users.excludeUsers: + user 3f2a1c4d… (people are not read)",
    ]
    resource_access = [{"resourceAppId": APP, "resourceAccess": []}]
    assert texts("applications", {"requiredResourceAccess": []}, {"requiredResourceAccess": resource_access}) == [
        'requiredResourceAccess[#1]: + resourceAppId: "Exchange Online"'
    ]
    assert texts("conditionalAccessPolicies", access([], ["All"]), access([], ["Office365"])) == [
        'conditions.applications.includeApplications: + "Office365"',
        'conditions.applications.includeApplications: - "All"',
    ]


def test_empty_and_absent_values_do_not_differ() -> None:
    before: dict[str, Any] = {"a": "", "b": None, "c": [], "d": {}, "e": False, "f": 0}
    assert texts("groups", before, {}) == ["e: - false", "f: - 0"]
    assert texts("groups", {"a": None}, {"a": ""}) == []
    assert texts("groups", {"a": {"b": None, "c": []}}, {}) == []
    assert texts("groups", {"a": None}, {"a": "x"}) == ['a: nothing → "x"']


def test_object_text_omits_types_and_empty_properties() -> None:
    place = {"@odata.type": "#microsoft.graph.iPv4CidrRange", "cidrAddress": "203.0.113.1/32", "note": None}
    assert texts("namedLocations", {"ipRanges": []}, {"ipRanges": [place]}) == [
        'ipRanges[203.0.113.1/32]: + cidrAddress: "203.0.113.1/32"'
    ]


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    ("type_key", "label", "around"),
    [
        ("deviceHealthScripts", "detectionScriptContent", lambda text: {"detectionScriptContent": text}),
        ("deviceHealthScripts", "remediationScriptContent", lambda text: {"remediationScriptContent": text}),
        ("mobileApps", "rules[#1].scriptContent", lambda text: {"rules": [{"type": "x", "scriptContent": text}]}),
        ("deviceConfigurations", "payload", lambda text: {"payload": text}),
        (
            "deviceConfigurations",
            "./Vendor/MSFT/X",
            lambda text: {"omaSettings": [{"omaUri": "./Vendor/MSFT/X", "value": text}]},
        ),
    ],
)
def test_encoded_content_is_compared_by_lines(type_key: str, label: str, around: Any) -> None:
    same = "<first/>\n<second/>\n<third/>\n<fourth/>\n"
    before, after = (around(encoded(f"{same}<{last}/>\n")) for last in ("old", "new"))
    assert texts(type_key, before, after) == [
        f"{label}: UTF-8\n@@ line 2 @@\n  <second/>\n  <third/>\n  <fourth/>\n- <old/>\n+ <new/>"
    ]


def test_json_of_a_custom_policy_is_compared_by_lines() -> None:
    before, after = ({"rulesContent": encoded(f'{{"Rules":[{{"SettingName":"Tpm","Operand":{n}}}]}}')} for n in (1, 2))
    (line,) = texts("deviceCompliancePolicies", before, after)
    assert [part.split() for part in line.splitlines() if part[:1] in "-+"] == [
        ["-", '"Operand":', "1"],
        ["+", '"Operand":', "2"],
    ]


NAMES_OF_SHAPES = [
    "settingInstance", "settingDefinitionId", "choiceSettingValue", "simpleSettingValue", "groupSettingCollectionValue",
    "children", "value", "values", "valueJson", "target", "@odata.type", "groupId", "source", "intent", "definition",
    "enabled", "presentationValues", "presentation", "definitionId", "displayName", "scriptContent", "sensitive", "id",
]  # fmt: skip
SHAPES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
    | st.sampled_from(["#microsoft.graph.groupAssignmentTarget", TELEMETRY, f"{TELEMETRY}_1", PILOT, "IyDDpMO2w7w="]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(NAMES_OF_SHAPES), inner, max_size=6),
    max_leaves=30,
)  # fmt: skip


@example([], [{"settingInstance": {}}], "settings")
@example([], [{"settingInstance": {"settingDefinitionId": None, "choiceSettingValue": [None]}}], "settings")
@given(SHAPES, SHAPES, st.sampled_from(["settings", "assignments", "definitionValues", "other"]))
def test_any_difference_has_text_or_is_hidden(before: Any, after: Any, name: str) -> None:
    for type_key in ("configurationPolicies", "groupPolicyConfigurations", "conditionalAccessPolicies"):
        for old, new in (({name: before}, {name: after}), ({name: [before]}, {name: [after]}), ({}, {name: after})):
            for field in changed(type_key, old, new, CATALOG):
                assert field.text or field.hidden
        assert all(isinstance(line, str) for line in document_lines({name: after}, {}, CATALOG))


def test_hidden_value_is_hidden_inside_an_object() -> None:
    wifi = {"name": "Office", "key": {"sensitive": True}}
    assert texts("groups", {"wifi": []}, {"wifi": [wifi]}) == ['wifi[Office]: + name: "Office", key: hidden']


def test_long_value_is_cut_around_its_difference() -> None:
    same = "x" * 5_000
    (line,) = texts("groups", {"a": f"{same}old{same}"}, {"a": f"{same}new{same}"})
    assert "old" in line
    assert "new" in line
    assert len(line) < 3 * LONGEST_VALUE
    assert "[10,005 characters in all]" in line


def test_large_text_shows_every_changed_line() -> None:
    lines = [f"line {number}" for number in range(20_000)]
    other = [f"row {number}" for number in range(20_000)]
    before, after = "\n".join(["first", *lines, "last"]), "\n".join(["first", *other, "last"])
    (line,) = texts("groups", {"a": before}, {"a": after})
    assert line.count("\n- ") == line.count("\n+ ") == 20_000


@pytest.mark.parametrize(
    ("kind", "evidence", "expected"),
    [
        (FindingKind.CHANGED, "observed", "hidden, changed"),
        (FindingKind.CHANGED, EDITED, "hidden, may have changed"),
        (FindingKind.ADDED, "observed", "hidden, added"),
        (FindingKind.REMOVED, "observed", "hidden, removed"),
    ],
)
def test_finding_text_states_the_change_of_a_hidden_value(kind: FindingKind, evidence: str, expected: str) -> None:
    hidden: dict[str, Any] = {"hidden": True, "before": None, "after": None, "before_named": None, "after_named": None}
    finding = DriftFindingRecord.model_construct(kind=kind, evidence=evidence, path="key", label="Key", **hidden)
    assert (finding.text, finding.model_dump(include={"kind"})) == (expected, {"kind": kind})
