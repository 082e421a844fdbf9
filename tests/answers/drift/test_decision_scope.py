"""Decisions about items and fields: the paths that a pattern covers, precedence and revocation."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from answers.drift.decision_scope import (
    DecisionInForce,
    DecisionScope,
    FindingPlace,
    ScopeDecision,
    decision_in_force,
)
from answers.drift.rules import CurrentDecision, Decision, DecisionLapse

NOW = datetime(2026, 6, 1, tzinfo=UTC)
OPEN = CurrentDecision(Decision.OPEN)
SETTING = "settings[device_vendor_x].settingInstance.choiceSettingValue.value"

STATE = FindingPlace("golden", "k", "1", "state")
BY_GENERALITY = [
    DecisionScope(field="*"),
    DecisionScope(field="st*"),
    DecisionScope(field="st*", type_key="k"),
    DecisionScope(field="state"),
    DecisionScope(field="state", type_key="k"),
    DecisionScope(type_key="k", external_id="1"),
    DecisionScope(type_key="k", external_id="1", baseline="golden"),
    DecisionScope(type_key="k", external_id="1", field="st*"),
    DecisionScope(type_key="k", external_id="1", field="state"),
]
"""Scopes that cover `STATE`, from general to specific."""

names = st.sampled_from(("a", "b", "settings", "@odata.type"))
members = st.sampled_from(("", "[]", "[x]", "[group 1, include filter 2]", "[a.b]", "[a.b]c]"))
paths = st.lists(st.tuples(names, members).map("".join), max_size=4).map(".".join)
patterns = st.lists(names | st.just("*"), min_size=1, max_size=4).map(".".join)
keys = st.sampled_from(("k", "l"))
scopes = st.one_of(
    st.sampled_from(BY_GENERALITY),
    st.builds(DecisionScope, baseline=st.none() | keys, type_key=st.none() | keys, field=patterns),
    st.builds(DecisionScope, baseline=st.none() | keys, type_key=keys, external_id=keys, field=st.none() | patterns),
)
places = st.just(STATE) | st.builds(FindingPlace, keys, keys, keys, paths)
moments = st.integers(-3, 3).map(lambda days: NOW + timedelta(days=days))


def decided(
    scope: DecisionScope,
    decision: Decision = Decision.ACCEPTED,
    until: datetime | None = None,
    decided_at: datetime = NOW - timedelta(days=9),
) -> ScopeDecision:
    return ScopeDecision(
        fingerprint=scope.fingerprint(UUID(int=1)),
        scope=scope,
        decision=decision,
        decided_by="ada",
        decided_at=decided_at,
        reason="as agreed",
        until=until,
    )


def fingerprint_of(decision: ScopeDecision) -> str:
    return decision.fingerprint


decisions = st.builds(decided, scopes, st.sampled_from(Decision), st.none() | moments, moments)
own_decisions = st.sampled_from((
    OPEN,
    CurrentDecision(Decision.OPEN, DecisionLapse.VALUE_CHANGED),
    CurrentDecision(Decision.EXPECTED),
))  # fmt: skip


@pytest.mark.parametrize(
    ("field", "path", "covers"),
    [
        ("settings.*", SETTING, True),
        ("settings.*", "settings[device_vendor_x]", True),
        ("settings.*", "settings", False),
        ("settings.*", "settingsOfOthers.x", False),
        ("settings*", "settingsOfOthers.x", True),
        ("settings[device_vendor_x].*", SETTING, True),
        ("settings[device_vendor_y].*", SETTING, False),
        ("settings.settingInstance.choiceSettingValue.value", SETTING, True),
        (SETTING, SETTING, True),
        ("conditions.users.excludeGroups", "conditions.users.excludeGroups[]", True),
        ("conditions.users", "conditions.users.excludeGroups[]", False),
        ("*.excludeGroups", "conditions.users.excludeGroups[]", True),
        ("state", "stated", False),
        ("sta.e", "state", False),
        ("*", "", True),
        ("a.b", "a.b\n", False),
    ],
)
def test_a_pattern_covers_paths(field: str, path: str, covers: bool) -> None:
    assert DecisionScope(field=field).covers(FindingPlace("golden", "k", "1", path)) is covers


@given(paths.filter(bool))
def test_a_path_as_a_pattern_covers_itself(path: str) -> None:
    assert DecisionScope(field=path).covers(FindingPlace("golden", "k", "1", path))


def test_a_scope_needs_a_field_or_an_item() -> None:
    for nothing in ({}, {"type_key": "k"}, {"external_id": "1"}, {"baseline": "golden"}):
        with pytest.raises(ValidationError):
            DecisionScope(**nothing)


def test_a_more_specific_decision_takes_precedence() -> None:
    for number, scope in enumerate(BY_GENERALITY):
        more_general = [decided(other, Decision.EXPECTED, decided_at=NOW) for other in BY_GENERALITY[:number]]
        found = decision_in_force(OPEN, [decided(scope), *more_general], STATE, NOW)
        assert (found.current.decision, found.by) == (Decision.ACCEPTED, decided(scope)), scope
    own = CurrentDecision(Decision.EXPECTED)
    assert decision_in_force(own, map(decided, BY_GENERALITY), STATE, NOW) == DecisionInForce(own)


@given(own_decisions, st.lists(decisions, max_size=5, unique_by=fingerprint_of), places)
def test_only_the_most_specific_unexpired_decision_is_in_force(
    own: CurrentDecision, scoped: list[ScopeDecision], place: FindingPlace
) -> None:
    found = decision_in_force(own, scoped, place, NOW)
    holding = [
        decision for decision in scoped
        if decision.scope.covers(place) and decision.decision is not Decision.OPEN and decision.lapse(NOW) is None
    ]  # fmt: skip
    if own.decision is not Decision.OPEN:
        assert found == DecisionInForce(own)
    elif holding:
        assert found.by in holding
        assert found.current == CurrentDecision(found.by.decision)
        assert not any(decision.scope.specificity > found.by.scope.specificity for decision in holding)
    else:
        assert found.current.decision is Decision.OPEN, "an expired decision reopens"
        expired = [decision for decision in scoped if decision.scope.covers(place) and decision.lapse(NOW) is not None]
        if own.fallen is None and found.by is not None:
            assert found.by in expired
            assert found.current.fallen is DecisionLapse.EXPIRED


@given(own_decisions, st.lists(decisions, max_size=5, unique_by=fingerprint_of), places, st.data())
def test_a_revoked_decision_has_no_effect(
    own: CurrentDecision, scoped: list[ScopeDecision], place: FindingPlace, data: st.DataObject
) -> None:
    taken_back: Iterable[int] = data.draw(st.sets(st.sampled_from(range(len(scoped)))) if scoped else st.just(set()))
    after = [
        decision._replace(decision=Decision.OPEN) if number in taken_back else decision
        for number, decision in enumerate(scoped)
    ]
    never = [decision for number, decision in enumerate(scoped) if number not in taken_back]
    assert decision_in_force(own, after, place, NOW) == decision_in_force(own, never, place, NOW)
