"""The effects that a reviewer sees first: weaker protection, and the people or devices that an item reaches."""

from typing import Any

import pytest

from answers.promotion.candidates import PromotionItem
from answers.promotion.effects import worst_first
from answers.promotion.records import AudienceChange, EffectKind, PlanAction, PlannedItem
from inventory.severity import Severity
from tests.answers.promotion.test_rules import (
    ACCESS,
    CONFIGURATIONS,
    GROUP,
    MAPPED,
    THERE,
    access,
    planned_item,
    version,
)

COMPLIANCE = "deviceCompliancePolicies"
FILTER = "77777777-2222-4000-8000-000000000000"
Documents = dict[str, Any]


def assignment(kind: str, group_id: str | None = None, filter_id: str | None = None) -> Documents:
    target = {"@odata.type": f"#microsoft.graph.{kind}AssignmentTarget"}
    if group_id is not None:
        target["groupId"] = group_id
    if filter_id is not None:
        target |= {
            "deviceAndAppManagementAssignmentFilterId": filter_id,
            "deviceAndAppManagementAssignmentFilterType": "include",
        }
    return {"target": target}


def updated(type_key: str, desired: Documents, current: Documents) -> PlannedItem:
    source, target = version(1, **desired), version(2, **current)
    assert target.document is not None
    target.document["displayName"] = "Item 1"
    mapped = {**MAPPED, (("assignmentFilters",), FILTER): MAPPED[("groups",), GROUP]._replace(target_id=FILTER)}
    return planned_item(PromotionItem(type_key, source, target), mapped)


def kinds(item: PlannedItem) -> list[EffectKind]:
    assert item.action is PlanAction.UPDATE, item
    return [effect.kind for effect in item.effects]


@pytest.mark.parametrize(
    ("desired", "current", "expected"),
    [
        ([assignment("allDevices")], [], EffectKind.REACHES_EVERYONE),
        ([assignment("group", GROUP)], [], EffectKind.REACHES_MORE),
        ([], [assignment("group", THERE)], EffectKind.REACHES_FEWER),
        ([assignment("exclusionGroup", GROUP)], [], EffectKind.REACHES_FEWER),
        ([], [assignment("exclusionGroup", THERE)], EffectKind.REACHES_MORE),
        ([assignment("group", GROUP)], [assignment("group", THERE, FILTER)], EffectKind.REACHES_MORE),
        ([assignment("group", GROUP, FILTER)], [assignment("group", THERE)], EffectKind.REACHES_FEWER),
        ([assignment("allDevices")], [assignment("allDevices", None, FILTER)], EffectKind.REACHES_EVERYONE),
    ],
)
def test_changed_assignments_widen_or_narrow_the_audience(
    desired: list[Documents], current: list[Documents], expected: EffectKind
) -> None:
    item = updated(CONFIGURATIONS, {"assignments": desired}, {"assignments": current})
    assert kinds(item) == [expected]


def test_each_audience_is_kept_added_or_removed() -> None:
    # The group of the source has another id in the target.
    item = updated(
        CONFIGURATIONS,
        {"assignments": [assignment("allDevices"), assignment("exclusionGroup", GROUP)], "x": 1},
        {"assignments": [assignment("allDevices"), assignment("group", THERE)], "x": 2},
    )
    assert {(audience.role, audience.target_id, audience.change) for audience in item.audience} == {
        ("include", None, AudienceChange.KEPT),
        ("exclude", THERE, AudienceChange.ADDED),
        ("include", THERE, AudienceChange.REMOVED),
    }


@pytest.mark.parametrize(
    ("desired", "current", "expected"),
    [
        ({"state": "disabled"}, {"state": "enabled"}, [EffectKind.WEAKENS]),
        ({"state": "enabledForReportingButNotEnforced"}, {"state": "enabled"}, [EffectKind.WEAKENS]),
        ({"state": "enabled"}, {"state": "disabled"}, [EffectKind.TAKES_EFFECT]),
        ({"excluded": [GROUP]}, {}, [EffectKind.WEAKENS, EffectKind.REACHES_FEWER]),
        ({}, {"excluded": [THERE]}, [EffectKind.REACHES_MORE]),
    ],
)
def test_conditional_access_changes_have_effects_and_a_severity(
    desired: Documents, current: Documents, expected: list[EffectKind]
) -> None:
    source, target = (access(1, **{"excluded": [], **users}).document for users in (desired, current))
    assert source is not None
    assert target is not None
    item = updated(ACCESS, source, target)
    assert kinds(item) == expected
    assert item.severity is (Severity.HIGH if EffectKind.WEAKENS in expected else Severity.LOW)


def test_a_compliance_policy_with_fewer_requirements_weakens() -> None:
    item = updated(COMPLIANCE, {"passcodeRequired": False}, {"passcodeRequired": True})
    assert (kinds(item), item.severity) == ([EffectKind.WEAKENS], Severity.HIGH)
    assert "passcodeRequired would protect less" in item.effects[0].text


def test_a_new_policy_narrows_no_audience_and_takes_effect_if_enabled() -> None:
    new = planned_item(PromotionItem(ACCESS, access(1, excluded=[GROUP])), MAPPED)
    assert [effect.kind for effect in new.effects] == [EffectKind.REACHES_EVERYONE, EffectKind.TAKES_EFFECT]
    off = planned_item(PromotionItem(ACCESS, access(1, excluded=[GROUP], state="disabled")), MAPPED)
    assert EffectKind.TAKES_EFFECT not in [effect.kind for effect in off.effects]


def test_items_are_ordered_worst_first_then_blocked_then_unchanged() -> None:
    weakened = updated(COMPLIANCE, {"passcodeRequired": False}, {"passcodeRequired": True})
    widened = updated(CONFIGURATIONS, {"assignments": [assignment("allDevices")]}, {"assignments": []})
    described = updated(COMPLIANCE, {"description": "new"}, {"description": "old"})
    severe = updated(COMPLIANCE, {"x": "other"}, {"x": "one"})
    assert (severe.effects, severe.severity, widened.severity) == ([], Severity.HIGH, Severity.MEDIUM)
    new = planned_item(PromotionItem(CONFIGURATIONS, version(1)))
    blocked = planned_item(PromotionItem("windowsUpdateRings", version(1)))
    same = planned_item(PromotionItem(CONFIGURATIONS, version(1), version(1), is_same=True))
    ordered = [weakened, widened, severe, new, described, blocked, same]
    assert worst_first(reversed(ordered)) == ordered
