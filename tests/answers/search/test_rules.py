from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from answers.item_filter import Platform, SettingCondition, platforms
from answers.search.records import SettingState, SettingValue
from answers.search.rules import alike, meant, patterns, setting_state
from inventory.name_key import name_key

BITLOCKER = "device_vendor_msft_bitlocker_requiredeviceencryption"
KNOWN = [
    "windows10/bitLockerEnabled",
    BITLOCKER,
    "device_vendor_msft_x_requiredeviceencryption",
    "policies/grantControls/operator",
]

setting_values = st.lists(
    st.builds(SettingValue, value=st.none() | st.sampled_from("abc"), items=st.integers(1, 3)),
    max_size=3,
    unique_by=lambda setting_value: setting_value.value,
)
accepted_values = st.none() | st.lists(st.sampled_from("abc"), min_size=1, max_size=2)


@given(setting_values, accepted_values, st.booleans())
def test_state_is_never_negative_with_unread_data(
    settings: list[SettingValue], accepted: list[str] | None, is_read: bool
) -> None:
    state = setting_state(settings, accepted, is_read=is_read)
    values = {value.value for value in settings}
    if state in (SettingState.NOT_SET, SettingState.OTHER_VALUE):
        assert is_read
    assert (state is SettingState.SET) == bool(values if accepted is None else values & set(accepted))
    if state is SettingState.NOT_SET:
        assert not values
    if state is SettingState.OTHER_VALUE:
        assert None not in values, "a hidden value may be equal"


@given(setting_values, accepted_values)
def test_later_reading_settles_only_unknown_states(settings: list[SettingValue], accepted: list[str] | None) -> None:
    before, after = (setting_state(settings, accepted, is_read=is_read) for is_read in (False, True))
    assert before is after or before is SettingState.UNKNOWN
    assert after is not SettingState.UNKNOWN


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("bitlockerenabled", ["windows10/bitLockerEnabled"]),
        ("requiredeviceencryption", KNOWN[1:3]),
        ("bitlocker_RequireDeviceEncryption", [BITLOCKER]),
        ("operator", ["policies/grantControls/operator"]),
        ("Enabled", []),
        ("", []),
    ],
)
def test_setting_name_matches_last_parts(typed: str, expected: list[str]) -> None:
    assert meant(typed, KNOWN) == expected


def test_suggestions_contain_the_typed_text_the_shortest_first() -> None:
    longer = [f"a/bitLockerEnabled{number}" for number in range(3)]
    known = [BITLOCKER, *reversed(longer), "b/bitLokerEnabled", "b/bitLockerEnabled"]
    assert alike("BITLOCKER", known) == ["b/bitLockerEnabled", *longer]


def test_suggestions_resemble_the_typed_text_only_if_none_contains_it() -> None:
    known = ["a/bitLockerEnable", "b/bitLockerEnabled", "a/bitLockerEnabled", "a/unlike"]
    assert alike("bitLokerEnabled", known) == ["a/bitLockerEnabled", "a/bitLockerEnable"]
    assert alike("bitLokerEnabled", [*known, "windows10/bitLokerEnabledNow"]) == ["windows10/bitLokerEnabledNow"]
    assert alike("zzz", known) == []


@pytest.mark.parametrize(
    ("text", "names", "expected"),
    [
        ("bitLockerEnabled", ["bitLockerEnabled"], None),
        ("bitLockerEnabled=False", ["bitLockerEnabled"], ["False", "false"]),
        (f"{BITLOCKER}={BITLOCKER}_1", [BITLOCKER], ["1", f"{BITLOCKER}_1"]),
        ("state = enabled", ["state"], ["enabled"]),
        ("a=b=c", ["a"], ["b=c"]),
    ],
)
def test_wanted_values_include_their_stored_spelling(text: str, names: list[str], expected: list[str] | None) -> None:
    assert SettingCondition.of(text).values(names) == expected


def matches(key: str, pattern: str) -> bool:
    """SQL's LIKE for a pattern that begins and ends with `%` and has all else escaped."""
    return pattern[1:-1].replace("\\%", "%").replace("\\_", "_").replace("\\\\", "\\") in key


@given(st.text(), st.text(alphabet="aA%_\\ ä"))
def test_each_word_becomes_an_escaped_pattern(name: str, text: str) -> None:
    found = patterns(text)
    assert len(found) == len(name_key(text).split())
    assert all(
        matches(name_key(f"{name}{word}"), pattern)
        for word, pattern in zip(text.split(), found, strict=True)
        if len(name) + len(word) < 200
    )


@pytest.mark.parametrize(
    ("type_key", "meta", "expected"),
    [
        ("deviceConfigurations", {"odata_type": "#microsoft.graph.windows10CustomConfiguration"}, {"windows"}),
        ("deviceConfigurations", {"odata_type": "#microsoft.graph.macOSCustomConfiguration"}, {"macos"}),
        ("deviceConfigurations", {"odata_type": "#microsoft.graph.iosVpnConfiguration"}, {"ios"}),
        ("deviceCompliancePolicies", {"odata_type": "#microsoft.graph.aospDeviceOwnerCompliancePolicy"}, {"android"}),
        ("configurationPolicies", {"platforms": "linux"}, {"linux"}),
        ("configurationPolicies", {"platforms": ["macOS", "windows10"]}, {"macos", "windows"}),
        ("mobileApps", {"odata_type": "#microsoft.graph.win32LobApp"}, {"windows"}),
        ("groups", {}, set()),
        ("roleScopeTags", {"odata_type": "#microsoft.graph.biosConfiguration"}, set()),
    ],
)
def test_platforms_are_derived_from_metadata(type_key: str, meta: dict[str, Any], expected: set[str]) -> None:
    assert platforms(type_key, meta) == {Platform(name) for name in expected}
