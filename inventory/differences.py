"""The differences of two canonical documents of one collection, field by field.

A path joins properties by dots, and names members of arrays in brackets by identity, so that a moved member is no
difference:

- `settings[device_vendor_msft_policy_config_x].settingInstance.choiceSettingValue.value`: a settings-catalog setting by
  its definition; an administrative template's value by `definition.id`, its presentations by `presentation.id`
- `assignments[group 1f0c…].intent`, `assignments[all devices, include filter 9b2d…]`: an assignment by its target, an
  exclusion of an app also by its intent (`assignments[exclusion group 77a1…, available]`)
- `omaSettings[./Vendor/MSFT/…].value`: any other object by the first of `NAMES` that it has
- `firewallRules[#2].action`: an object without identity by its number before the change; new ones count on
- `schedule[Monday #2]`: members with the same identity are numbered
- `roleScopeTagIds[]`: members that are no objects are a set; each is added or removed
- `servers[order]`: an array whose order is content has the same members in another order

Ids made of GUIDs are in lower case.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from enum import StrEnum
from typing import NamedTuple, TypeAlias, TypeVar

from inventory.canonical import (
    EDIT_STAMP,
    IN_TEXT,
    READABLE,
    SENSITIVE_MARK,
    TYPE,
    JsonObject,
    JsonValue,
    are_under_two_keys,
    encode,
    is_mark,
    shows_no_change,
)
from inventory.item_ids import item_key
from inventory.normal_form import NormalForm
from inventory.references import FILTER_ID, FILTER_TYPE, audience_words, is_exclusion
from inventory.secret_patterns import has_secret

IDENTITIES = (
    ("settingInstance", "settingDefinitionId"),
    ("settingDefinitionId",),
    ("definition", "id"),
    ("presentation", "id"),
    ("definitionId",),
)
"""Paths of a member's identity. The first present one counts alone, since the member's `id` may be its number."""

NAMES = ("id", "omaUri", "appConfigKey", "name", "key", "ruleName", "bundleId", "appId", "cidrAddress", "displayName",
         "SettingName", "Language")  # fmt: skip
"""Properties that identify other members: equal ones pair two members, the first properties first."""

LIKENESS_PERCENT = 50
"""The share of equal values from which two members without identity are one."""


_PLAIN = NormalForm()

_SCALARS = frozenset({str, int, bool, type(None)})
"""Types whose equal values have one normal form."""


class DifferenceKind(StrEnum):
    """The kind of a change of a field or member."""

    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"
    MAY_HAVE_CHANGED = "may_have_changed"
    """A hidden value with a constant mark, in an edited object."""


_BACKWARDS = {
    DifferenceKind.ADDED: DifferenceKind.REMOVED,
    DifferenceKind.REMOVED: DifferenceKind.ADDED,
}


class Difference(NamedTuple):
    """One field or member: `before` is None if added, `after` if removed.

    `hidden`: a value is a mark; `shown` makes both None, or marks with a text's lines beside the secret. `untold`: it
    is unknown whether the hidden value changed.
    """

    path: str
    kind: DifferenceKind
    before: JsonValue
    after: JsonValue
    hidden: bool = False
    untold: bool = False

    def backwards(self) -> "Difference":
        kind = _BACKWARDS.get(self.kind, self.kind)
        return self._replace(kind=kind, before=self.after, after=self.before)

    def shown(self) -> "Difference":
        """Without the digits of marks."""
        if self.hidden:
            return self._replace(before=_left_readable(self.before), after=_left_readable(self.after))
        return self._replace(before=_without_marks(self.before), after=_without_marks(self.after))


def differences(before: JsonObject, after: JsonObject, form: NormalForm = _PLAIN) -> list[Difference]:
    """Sorted by path; empty if both have the same normal form. Values are as stored."""
    return [difference.shown() for difference in exact_differences(before, after, form)]


def exact_differences(before: JsonObject, after: JsonObject, form: NormalForm = _PLAIN) -> list[Difference]:
    """Keeps all digits of marks, which distinguish hidden values."""
    found = _Comparison(form).objects("", before, after)
    return sorted(found, key=lambda difference: (difference.path, difference.kind))


def is_number_of_a_setting(path: str) -> bool:
    """A setting's id is its number, which changes if another setting is removed."""
    return _NUMBER_OF_A_SETTING.fullmatch(path) is not None


_NUMBER_OF_A_SETTING = re.compile(r"settings\[[^\]]*\]\.id")


class _Comparison:
    def __init__(self, form: NormalForm) -> None:
        self._form = form

    def objects(self, path: str, before: JsonObject, after: JsonObject) -> Iterator[Difference]:
        for name in before | after:
            inner = f"{path}.{name}" if path else name
            if self._are_equal(name, before.get(name), after.get(name)):
                continue
            if name not in after:
                yield _removed(inner, before[name])
            elif name not in before:
                yield _added(inner, after[name])
            else:
                yield from self._values(inner, name, before[name], after[name])

    def _are_equal(self, name: str, before: JsonValue, after: JsonValue) -> bool:
        if type(before) in _SCALARS and type(before) is type(after) and before == after:
            return True
        return encode(self._form.value(name, before)) == encode(self._form.value(name, after))

    def _values(self, path: str, name: str, before: JsonValue, after: JsonValue) -> Iterator[Difference]:
        """Of values with different normal forms."""
        if is_mark(before) or is_mark(after):
            if encode(before) != encode(after):
                yield _of_marks(path, before, after)
        elif isinstance(before, dict) and isinstance(after, dict):
            yield from self.objects(path, before, after)
        elif isinstance(before, list) and isinstance(after, list):
            yield from self._arrays(path, name, before, after)
        else:
            yield Difference(path, DifferenceKind.CHANGED, before, after)

    def _arrays(self, path: str, name: str, before: list[JsonValue], after: list[JsonValue]) -> Iterator[Difference]:
        normal = [[(self._form.value(name, member), member) for member in members] for members in (before, after)]
        present = (form for members in normal for form, _ in members if form is not None)
        ordered = self._form.is_sequence(name, present)
        if not ordered:
            before, after = (
                self._form.distinct((form, member) for form, member in members if form is not None)
                for members in normal
            )
        written = {id(member): encode(form) for members in normal for form, member in members}
        pairs = _pairs(before, after, lambda member: written[id(member)])
        labels = _labels(pairs)
        for pair, label in zip(pairs, labels, strict=True):
            member = f"{path}[{label}]"
            if pair.new is None:
                yield _removed(member, pair.before)
            elif pair.old is None:
                yield _added(member, pair.after)
            elif written[id(pair.before)] != written[id(pair.after)]:
                yield from self._values(member, name, pair.before, pair.after)
        if ordered:
            yield from _order(path, pairs, labels)


class _Pair(NamedTuple):
    old: int | None
    before: JsonValue
    new: int | None
    after: JsonValue

    @property
    def member(self) -> JsonValue:
        return self.after if self.old is None else self.before


_Key = TypeVar("_Key", bytes, str)

_Places: TypeAlias = "dict[int, JsonValue]"
"""Members of an array by place."""


def _pairs(before: list[JsonValue], after: list[JsonValue], normal: Callable[[JsonValue], bytes]) -> list[_Pair]:
    """Pairs each member with the member that it is or became, or with None."""
    old, new = dict(enumerate(before)), dict(enumerate(after))
    pairs: list[_Pair] = []
    same = ({place: normal(member) for place, member in members.items()} for members in (old, new))
    for old_places, new_places in _by_key(*same):
        pairs += [
            _Pair(old_place, old.pop(old_place), new_place, new.pop(new_place))
            for old_place, new_place in zip(old_places, new_places, strict=False)
        ]
    identities = [{place: _identities(member) for place, member in members.items()} for members in (old, new)]
    on_both_sides = frozenset[str]().union(*identities[0].values()) & frozenset().union(*identities[1].values())
    for kind in filter(on_both_sides.__contains__, _KINDS):
        of_kind = (
            {place: names[place][kind] for place in members if kind in names[place]}
            for members, names in zip((old, new), identities, strict=True)
        )
        for old_places, new_places in _by_key(*of_kind):
            pairs += _alike(old, new, old_places, new_places, least_percent=0)
    pairs += _alike(old, new, _anonymous(old), _anonymous(new), least_percent=LIKENESS_PERCENT)
    pairs += [_Pair(place, member, None, None) for place, member in old.items()]
    pairs += [_Pair(None, None, place, member) for place, member in new.items()]
    return sorted(pairs, key=lambda pair: (pair.old is None, pair.old, pair.new))


def _by_key(old: Mapping[int, _Key], new: Mapping[int, _Key]) -> Iterable[tuple[list[int], list[int]]]:
    places: dict[_Key, tuple[list[int], list[int]]] = {}
    for side, keys in enumerate((old, new)):
        for place, key in keys.items():
            places.setdefault(key, ([], []))[side].append(place)
    return places.values()


def _alike(
    old: _Places, new: _Places, old_places: list[int], new_places: list[int], *, least_percent: int
) -> list[_Pair]:
    """Pairs the members that are most alike, and removes them from `old` and `new`."""
    if not old_places or not new_places:
        return []
    if len(old_places) == len(new_places) == 1 and least_percent == 0:
        best = [(old_places[0], new_places[0])]
    else:
        left = {place: Counter(_leaves(old[place])) for place in old_places}
        right = {place: Counter(_leaves(new[place])) for place in new_places}
        scores = [
            (-100 * shared // most, abs(old_place - new_place), old_place, new_place)
            for old_place, old_leaves in left.items()
            for new_place, new_leaves in right.items()
            for shared, most in [((old_leaves & new_leaves).total(), max(old_leaves.total(), new_leaves.total()))]
            if 100 * shared >= least_percent * most or most - shared <= 1
        ]
        best = []
        for _, _, old_place, new_place in sorted(scores):
            if old_place in left and new_place in right:
                del left[old_place], right[new_place]
                best.append((old_place, new_place))
    return [_Pair(old_place, old.pop(old_place), new_place, new.pop(new_place)) for old_place, new_place in best]


def _leaves(value: JsonValue, path: str = "") -> Iterator[tuple[str, bytes]]:
    if isinstance(value, dict) and value:
        for name, child in value.items():
            yield from _leaves(child, f"{path}.{name}")
    elif isinstance(value, list) and value:
        for member in value:
            yield from _leaves(member, f"{path}[]")
    else:
        yield path, encode(value)


_TARGET = "target"
_TARGET_WITHOUT_FILTER = "target without filter"
_KINDS = (_TARGET, _TARGET_WITHOUT_FILTER, *(".".join(path) for path in IDENTITIES), *NAMES)


def _identities(member: JsonValue) -> dict[str, str]:
    if not isinstance(member, dict) or is_mark(member):
        return {}
    target = member.get("target")
    if isinstance(target, dict) and TYPE in target:
        addressed = _addressed(target) + _intent(member, target)
        return {_TARGET: addressed + _filter(target), _TARGET_WITHOUT_FILTER: addressed}
    for path in IDENTITIES:
        value: JsonValue = member
        for name in path:
            value = value.get(name) if isinstance(value, dict) else None
        if isinstance(value, str):
            return {".".join(path): item_key(value)}
    named = ((name, member.get(name)) for name in NAMES)
    return {
        name: item_key(str(value))
        for name, value in named
        if isinstance(value, str | int) and not isinstance(value, bool)
    }


def _anonymous(members: _Places) -> list[int]:
    return [
        place
        for place, member in members.items()
        if isinstance(member, dict) and not is_mark(member) and not _identities(member)
    ]


def _addressed(target: JsonObject) -> str:
    """The receivers of an assignment: `group 1f0c…`, `exclusion group 77a1…`, `all devices`."""
    return " ".join(
        [
            audience_words(target),
            *(item_key(str(target[name])) for name in ("groupId", "collectionId") if target.get(name)),
        ]
    )


def _intent(assignment: JsonObject, target: JsonObject) -> str:
    """An app may exclude a group from several intents: `, available`."""
    intent = assignment.get("intent")
    return f", {intent.lower()}" if isinstance(intent, str) and is_exclusion(target) else ""


def _filter(target: JsonObject) -> str:
    kind = target.get(FILTER_TYPE)
    external_id = target.get(FILTER_ID)
    return f", {kind} filter {item_key(str(external_id))}" if external_id and kind not in (None, "none") else ""


def _labels(pairs: Sequence[_Pair]) -> list[str]:
    met: Counter[str] = Counter()
    labels = []
    for pair in pairs:
        if not isinstance(pair.member, dict):
            labels.append("")
            continue
        identity = next(iter(_identities(pair.member).values()), "")
        met[identity] += 1
        number = f"#{met[identity]}" if met[identity] > 1 or not identity else ""
        labels.append(" ".join(filter(None, (identity, number))))
    return labels


def _order(path: str, pairs: Sequence[_Pair], labels: Sequence[str]) -> Iterator[Difference]:
    stayed = [pair.new for pair in pairs if pair.old is not None and pair.new is not None]
    if stayed != sorted(stayed):
        shown: list[JsonValue] = [label or pair.member for pair, label in zip(pairs, labels, strict=True)]
        old = sorted((pair.old, value) for pair, value in zip(pairs, shown, strict=True) if pair.old is not None)
        new = sorted((pair.new, value) for pair, value in zip(pairs, shown, strict=True) if pair.new is not None)
        yield Difference(
            f"{path}[order]", DifferenceKind.CHANGED, [value for _, value in old], [value for _, value in new]
        )


def _of_marks(path: str, before: JsonValue, after: JsonValue) -> Difference:
    if is_mark(before) and is_mark(after):
        if shows_no_change(before) and shows_no_change(after):
            # A release before 0.5 noted no edit.
            untold = not all(isinstance(mark, dict) and EDIT_STAMP in mark for mark in (before, after))
            return Difference(path, DifferenceKind.MAY_HAVE_CHANGED, before, after, hidden=True, untold=untold)
        untold = are_under_two_keys(before, after)
        return Difference(path, DifferenceKind.CHANGED, before, after, hidden=True, untold=untold)
    mark, plain = (before, after) if is_mark(before) else (after, before)
    # A text without a secret differs from one that was hidden for the secret in it.
    is_another = isinstance(mark, dict) and IN_TEXT in mark and isinstance(plain, str) and not has_secret(plain)
    return Difference(
        path, DifferenceKind.CHANGED, before, after, hidden=True, untold=not (plain is None or is_another)
    )


def _removed(path: str, value: JsonValue) -> Difference:
    return Difference(path, DifferenceKind.REMOVED, value, None, is_mark(value))


def _added(path: str, value: JsonValue) -> Difference:
    return Difference(path, DifferenceKind.ADDED, None, value, is_mark(value))


def _left_readable(value: JsonValue) -> JsonValue:
    if isinstance(value, dict) and is_mark(value) and READABLE in value:
        return {SENSITIVE_MARK: True, READABLE: value[READABLE]}
    return None


def _without_marks(value: JsonValue) -> JsonValue:
    if is_mark(value):
        return {SENSITIVE_MARK: True}
    if isinstance(value, dict):
        return {name: _without_marks(child) for name, child in value.items()}
    if isinstance(value, list):
        return [_without_marks(member) for member in value]
    return value
