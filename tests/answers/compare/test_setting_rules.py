"""Rules for comparing two tenants by setting."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from answers.compare.records import Status
from answers.compare.setting_records import SettingComparison, SettingPolicy, SettingUncertainty
from answers.compare.setting_rules import HeldSetting, compared, counts_of
from inventory.settings import Setting, SettingKind, settings_of
from tests.conftest import needs_graph_data
from tests.real_documents import published_documents

MIRRORED = {
    Status.ONLY_HERE: Status.ONLY_THERE,
    Status.ONLY_THERE: Status.ONLY_HERE,
}


def holding(
    key: str,
    value: str | None,
    policy: str = "p",
    *,
    unset: bool = False,
    kind: SettingKind = SettingKind.SETTINGS_CATALOG,
    doubts: Sequence[SettingUncertainty] = (),
) -> HeldSetting:
    return HeldSetting(
        Setting(key, value, kind, is_hidden=value is None, is_unset=unset),
        SettingPolicy(
            type_key="configurationPolicies", external_id=policy, display_name=policy, kind="Policy", assigned_to=[]
        ),
        frozenset(doubts),
    )


def statuses(here: Sequence[HeldSetting], there: Sequence[HeldSetting]) -> dict[str, Status]:
    return {comparison.key: comparison.status for comparison in compared(here, there, {})}


holdings = st.lists(
    st.builds(
        holding,
        st.sampled_from(["a", "b", "c"]),
        st.sampled_from(["0", "1", "2", None]),
        st.sampled_from(["p", "q", "r"]),
        unset=st.booleans(),
        doubts=st.sets(st.sampled_from([SettingUncertainty.STALE, SettingUncertainty.UNRESOLVED_REFERENCE])),
    ),
    max_size=6,
)


def mirrored(comparison: SettingComparison) -> SettingComparison:
    return comparison.model_copy(
        update={
            "status": MIRRORED.get(comparison.status, comparison.status),
            "here": comparison.there,
            "there": comparison.here,
            "differs_within_here": comparison.differs_within_there,
            "differs_within_there": comparison.differs_within_here,
        }
    )


@given(holdings, holdings)
def test_a_reversed_comparison_is_mirrored(here: list[HeldSetting], there: list[HeldSetting]) -> None:
    gaps = [SettingUncertainty.COLLECTION_NOT_READ]
    forth = compared(here, there, {}, gaps_here=gaps)
    back = compared(there, here, {}, gaps_there=gaps)
    assert {setting.key: mirrored(setting) for setting in forth} == {setting.key: setting for setting in back}


@given(holdings)
def test_a_tenant_never_conflicts_with_itself(here: list[HeldSetting]) -> None:
    found = compared(here, here, {})
    assert {setting.status for setting in found} <= {Status.SAME, Status.UNDECIDED}
    certain = {held.setting.key for held in here} - {
        held.setting.key for held in here if held.doubts or not held.is_known
    }
    assert all(setting.status is Status.SAME for setting in found if setting.key in certain)


@given(holdings, holdings)
def test_conflicts_and_agreements_hold_for_any_hidden_values(here: list[HeldSetting], there: list[HeldSetting]) -> None:
    found = statuses(here, there)
    for guess in ("0", "1", "2"):
        revealed = statuses(*([_revealed(held, guess) for held in side] for side in (here, there)))
        for key, status in found.items():
            if status is Status.DIFFERENT:
                assert revealed[key] is Status.DIFFERENT
            if status is Status.SAME:
                assert revealed[key] is Status.SAME


def _revealed(held: HeldSetting, guess: str) -> HeldSetting:
    """The setting with its value known: `guess` if it was hidden."""
    if held.is_known:
        return held._replace(doubts=frozenset())
    return held._replace(setting=held.setting._replace(value=guess, is_hidden=False), doubts=frozenset())


def test_policies_with_different_names_conflict_by_setting() -> None:
    [found] = compared([holding("a", "1", "Baseline")], [holding("a", "0", "Hardening")], {"a": "Cortana", "a_1": "On"})
    assert (found.status, found.label) == (Status.DIFFERENT, "Cortana")
    assert [(held.value, [policy.display_name for policy in held.policies]) for held in found.there] == [
        ("0", ["Hardening"])
    ]


def test_conflicting_values_within_one_tenant_are_flagged() -> None:
    here, there = [holding("a", "1", "p"), holding("a", "0", "q")], [holding("a", "1")]
    [found] = compared(here, there, {})
    assert (found.status, found.differs_within_here, found.differs_within_there) == (Status.DIFFERENT, True, False)
    [alike] = compared(here, here, {})
    assert (alike.status, alike.differs_within) == (Status.SAME, True)
    assert counts_of([found, alike]).differs_within == 2


def test_unset_values_do_not_count_as_settings() -> None:
    unset = holding("a", "false", unset=True)
    [found] = compared([holding("a", "true")], [unset], {})
    assert found.status is Status.ONLY_HERE
    assert [(held.text, held.is_unset) for held in found.there] == [("false", True)]
    assert compared([unset], [unset], {}) == []


@pytest.mark.parametrize("doubt", [SettingUncertainty.STALE, SettingUncertainty.DETAILS_INCOMPLETE])
def test_settings_of_stale_or_partial_policies_are_undecided(doubt: SettingUncertainty) -> None:
    [found] = compared([holding("a", "1", doubts=[doubt])], [holding("a", "1")], {})
    assert (found.status, found.uncertain) == (Status.UNDECIDED, [doubt])


def test_a_one_sided_setting_is_uncertain_if_the_other_side_has_gaps() -> None:
    gap = SettingUncertainty.COLLECTION_NOT_READ
    [found] = compared([holding("a", "1")], [], {}, gaps_there=[gap])
    assert (found.status, found.uncertain) == (Status.ONLY_HERE, [gap])
    [certain] = compared([holding("a", "1")], [], {}, gaps_here=[gap])
    assert certain.uncertain == []


def test_conflicts_come_first_then_by_label() -> None:
    here = [holding(key, "1") for key in ("b", "a", "only", "same")]
    there = [holding("b", "0"), holding("a", "0"), holding("same", "1"), holding("theirs", "1")]
    assert [setting.key for setting in compared(here, there, {})] == ["a", "b", "only", "theirs", "same"]


@pytest.mark.parametrize(
    ("key", "label"),
    [
        ("device_vendor_msft_policy_config_experience_allowcortana", "experience_allowcortana"),
        ("user_vendor_msft_policy_config_experience_allowcortana", "experience_allowcortana (user)"),
        ("windows10CompliancePolicy/bitLockerEnabled", "bitLockerEnabled (windows10CompliancePolicy)"),
        ("rules[Web]/vendor_msft_firewall_rules_port", "Web → rules_port"),
        ("oma:./vendor/msft/wifi/profile/office", "./vendor/msft/wifi/profile/office"),
    ],
)
def test_an_unnamed_setting_is_labelled_by_the_end_of_its_key(key: str, label: str) -> None:
    [found] = compared([holding(key, "1")], [], {})
    assert found.label == label


MICROSOFT = "Intune Security Baseline - Windows 365.json"
AUSTRALIA = "ACSC Windows Hardening Guidelines.json"


@needs_graph_data
def test_two_published_baselines_conflict_where_their_choices_differ() -> None:
    """The expected conflicts are counted from the documents, without our rules."""
    found: dict[str, tuple[list[HeldSetting], dict[str, str]]] = {}
    for path, document in published_documents("deviceManagement/configurationPolicies"):
        if path.endswith((MICROSOFT, AUSTRALIA)):
            policy = SettingPolicy(
                type_key="configurationPolicies", external_id=path, display_name=path, kind="Policy", assigned_to=[]
            )
            held = [HeldSetting(setting, policy) for setting in settings_of(document, "configurationPolicies")]
            chosen = {
                instance["settingDefinitionId"].lower(): instance["choiceSettingValue"]["value"].lower()
                for setting in document["settings"]
                for instance in [setting["settingInstance"]]
                if "choiceSettingValue" in instance
            }
            found[path] = (held, chosen)
    (here, chosen_here), (there, chosen_there) = found.values()
    both = chosen_here.keys() & chosen_there.keys()
    differing = {key for key in both if chosen_here[key] != chosen_there[key]}
    conflicts = {setting.key for setting in compared(here, there, {}) if setting.status is Status.DIFFERENT}
    assert (len(both), len(differing)) == (75, 6)
    assert conflicts & both == differing
    counts = counts_of(compared(here, there, {}))
    assert (counts.shared, counts.different) == (116, 12)


def test_the_counts_explain_undecided_settings() -> None:
    hidden = [holding("a", None), holding("b", "1"), holding("c", "1")]
    counts = counts_of(compared(hidden, [holding("a", "1"), holding("b", None), holding("c", "0")], {}))
    assert (counts.different, counts.undecided, counts.hidden) == (1, 2, 2)
    assert (counts.why_undecided or "").startswith("2 cannot be told because a value is hidden: ")
    doubtful = [holding("a", "1", doubts=[SettingUncertainty.STALE])]
    counts = counts_of(compared(doubtful, doubtful, {}))
    assert (counts.undecided, counts.why_undecided) == (1, None)
