"""A planned item's effects and audience, for reviewers."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from answers.drift.answer import FindingKind, deviations_of, direction_of, severity_of
from answers.named_ids import ObjectNames
from answers.promotion.records import (
    AudienceChange,
    EffectKind,
    PlanAction,
    PlanEffect,
    PlannedAudience,
    PlannedItem,
)
from inventory.canonical import JsonObject
from inventory.differences import Difference
from inventory.references import (
    ALL_DEVICES,
    ALL_USERS,
    FILTER_ID,
    Reference,
    ReferenceRole,
    ReferenceRules,
    collection_of,
    references,
)
from inventory.severity import ProtectionEffect, Severity

_PEOPLE = frozenset({"groups", "users", "directoryRoleDefinitions"})

_WORDS = {ALL_USERS: "all users", ALL_DEVICES: "all devices"}

_ASSIGNMENTS = "assignments"


class _Audience(NamedTuple):
    role: ReferenceRole
    type_key: str
    target_id: str
    intent: str


class ItemReach(NamedTuple):
    """A document's audiences, each with its filter, empty if none."""

    of: Mapping[_Audience, str]

    @classmethod
    def of_document(cls, document: JsonObject, rules: ReferenceRules) -> "ItemReach":
        assignments = document.get(_ASSIGNMENTS)
        rest: JsonObject = {name: value for name, value in document.items() if name != _ASSIGNMENTS}
        units: list[JsonObject] = [rest]
        units += [{_ASSIGNMENTS: [member]} for member in assignments] if isinstance(assignments, list) else []
        found: dict[_Audience, str] = {}
        for unit in units:
            named = [reference for reference in references(unit, rules) if reference.role is not ReferenceRole.USE]
            narrowing = next(
                (f"{someone.role} {someone.target_id}" for someone in named if someone.path.endswith(FILTER_ID)), ""
            )
            found |= {audience: narrowing for reference in named if (audience := _audience(reference)) is not None}
        return cls(found)


def _audience(reference: Reference) -> _Audience | None:
    types = {collection_of(key) for key in reference.target_types}
    if types and not types <= _PEOPLE:
        return None
    return _Audience(reference.role, min(types, default=""), reference.target_id, reference.intent)


def audience(before: ItemReach, after: ItemReach, names: ObjectNames) -> list[PlannedAudience]:
    """The item's audiences after the plan, and those that it would lose."""
    shown = []
    for someone in sorted({*before.of, *after.of}):
        if someone not in before.of:
            change = AudienceChange.ADDED
        elif someone not in after.of:
            change = AudienceChange.REMOVED
        else:
            change = (
                AudienceChange.KEPT if before.of[someone] == after.of[someone] else AudienceChange.FILTERED_OTHERWISE
            )
        shown.append(
            PlannedAudience(
                role=str(someone.role),
                change=change,
                type_key=someone.type_key or None,
                target_id=someone.target_id if someone.type_key else None,
                name=_name(someone, names),
                intent=someone.intent or None,
                is_filtered=bool(after.of.get(someone, before.of.get(someone))),
            )
        )
    return shown


def effects(
    type_key: str,
    differing: Iterable[Difference],
    reach: tuple[ItemReach, ItemReach],
    labels: Mapping[str, str],
    names: ObjectNames,
) -> list[PlanEffect]:
    """`reach` is before and after; `labels` name paths, `names` ids."""
    plan_effects = [
        PlanEffect(
            kind=EffectKind.WEAKENS,
            path=deviation.path,
            text=f"{labels.get(deviation.path, deviation.path)} would protect less",
        )
        for deviation in deviations_of(differing)
        if direction_of(type_key, deviation.kind, deviation.path, deviation.before, deviation.after)
        is ProtectionEffect.WEAKENS
    ]
    before, after = reach
    plan_effects += [
        effect
        for someone in sorted({*before.of, *after.of})
        if (effect := _reach_effect(someone, before, after, names)) is not None
    ]
    return plan_effects


def worst_effects_first(plan_effects: Iterable[PlanEffect]) -> list[PlanEffect]:
    return sorted(plan_effects, key=lambda effect: _KINDS.index(effect.kind))


def severity(type_key: str, differing: Iterable[Difference] | None) -> Severity:
    """The worst difference's severity, or a new item's for None."""
    if differing is None:
        return severity_of(type_key, FindingKind.ITEM_ADDED, "")
    severities = [
        severity_of(type_key, deviation.kind, deviation.path, deviation.before, deviation.after)
        for deviation in deviations_of(differing)
    ]
    return min(severities, key=_SEVERITIES.index, default=Severity.LOW)


EFFECT_WORDS = {
    EffectKind.WEAKENS: "would protect less",
    EffectKind.REACHES_EVERYONE: "would reach everyone",
    EffectKind.TAKES_EFFECT: "would take effect",
    EffectKind.REACHES_MORE: "would reach more",
    EffectKind.REACHES_FEWER: "would reach fewer",
}

ALARMING = frozenset({EffectKind.WEAKENS, EffectKind.REACHES_EVERYONE, EffectKind.TAKES_EFFECT})
"""The effects that a reviewer must look at."""


def concerns_of(items: Iterable[PlannedItem]) -> list[tuple[EffectKind, int]]:
    """Numbers of items by alarming effect, the worst first."""
    found = Counter(kind for item in items for kind in {effect.kind for effect in item.effects})
    return [(kind, found[kind]) for kind in EffectKind if kind in ALARMING and found[kind]]


def worst_first(items: Iterable[PlannedItem]) -> list[PlannedItem]:
    """Written items come first, then blocked ones."""
    return sorted(items, key=_place)


_KINDS, _SEVERITIES = list(EffectKind), list(Severity)
_ACTIONS = (PlanAction.UPDATE, PlanAction.CREATE, PlanAction.BLOCKED, PlanAction.NOTHING_TO_DO)


def _place(item: PlannedItem) -> tuple[bool, int, int, int, str, str]:
    worst = min((_KINDS.index(effect.kind) for effect in item.effects), default=len(_KINDS))
    rank = len(_SEVERITIES) if item.severity is None else _SEVERITIES.index(item.severity)
    is_written = item.action in (PlanAction.UPDATE, PlanAction.CREATE)
    return (not is_written, worst, rank, _ACTIONS.index(item.action), item.type_key, item.title.casefold())


def _reach_effect(someone: _Audience, before: ItemReach, after: ItemReach, names: ObjectNames) -> PlanEffect | None:
    old, new = before.of.get(someone), after.of.get(someone)
    if old == new:
        return None
    name = _name(someone, names)
    is_included = someone.role is ReferenceRole.INCLUDE
    if old is None:
        is_more, words = is_included, f"{name} would {'get it' if is_included else 'be left out'}"
    elif new is None:
        is_more, words = not is_included, f"{name} would no longer {'get it' if is_included else 'be left out'}"
    elif new and is_included:
        is_more, words = bool(old), f"{name} would get it by {'another' if old else 'a'} filter"
    else:
        is_more, words = is_included or bool(new), f"the filter of {name} would be {'another' if new else 'gone'}"
    is_everyone = is_more and is_included and not someone.type_key
    kind = (
        EffectKind.REACHES_EVERYONE if is_everyone else EffectKind.REACHES_MORE if is_more else EffectKind.REACHES_FEWER
    )
    path = _ASSIGNMENTS if someone.intent else ""
    return PlanEffect(kind=kind, path=path, text=words + (f" ({someone.intent})" if someone.intent else ""))


def _name(someone: _Audience, names: ObjectNames) -> str:
    if not someone.type_key:
        return _WORDS.get(someone.target_id, someone.target_id)
    noun = {"groups": "group", "users": "user"}.get(someone.type_key, "role")
    name = names.get((someone.type_key, someone.target_id))
    return f'{noun} "{name}"' if name else f"{noun} {someone.target_id}"
