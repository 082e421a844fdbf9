"""Compares two tenants by setting, regardless of the policies that hold it.

Tenants conflict if their values differ for all possible hidden values.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

from answers.compare.records import Status
from answers.compare.setting_records import (
    HeldValue,
    SettingComparison,
    SettingCounts,
    SettingPolicy,
    SettingUncertainty,
)
from answers.value_text import HIDDEN, Place, short_id, value_lines
from inventory.canonical import JsonValue
from inventory.settings import Setting, SettingKind

ORDER = (Status.DIFFERENT, Status.UNDECIDED, Status.ONLY_HERE, Status.ONLY_THERE, Status.SAME)

DefinitionNames = Mapping[str, str]
"""Names of definitions and of their choices, by id in lower case."""


class HeldSetting(NamedTuple):
    """`doubts`: why the policy's value is uncertain."""

    setting: Setting
    policy: SettingPolicy
    doubts: frozenset[SettingUncertainty] = frozenset()

    @property
    def is_known(self) -> bool:
        return not self.setting.is_hidden and SettingUncertainty.UNRESOLVED_REFERENCE not in self.doubts


class _Side(NamedTuple):
    holdings: Sequence[HeldSetting]
    known_values: frozenset[str]
    unknown: int
    doubts: frozenset[SettingUncertainty]

    @classmethod
    def of(cls, holdings: Sequence[HeldSetting]) -> "_Side":
        configured = [holding for holding in holdings if not holding.setting.is_unset]
        doubts = {doubt for holding in configured for doubt in holding.doubts}
        if any(holding.setting.is_hidden for holding in configured):
            doubts.add(SettingUncertainty.HIDDEN)
        return cls(
            holdings,
            frozenset(holding.setting.text or "" for holding in configured if holding.is_known),
            sum(not holding.is_known for holding in configured),
            frozenset(doubts),
        )

    @property
    def is_set(self) -> bool:
        return bool(self.known_values or self.unknown)

    @property
    def differs_within(self) -> bool:
        return len(self.known_values) > 1


def compared(
    here: Iterable[HeldSetting],
    there: Iterable[HeldSetting],
    names: DefinitionNames,
    *,
    gaps_here: Collection[SettingUncertainty] = (),
    gaps_there: Collection[SettingUncertainty] = (),
) -> list[SettingComparison]:
    """Conflicts first, then by label, without settings unset on both sides. `gaps_…`: why a tenant may set more."""
    of_here, of_there = _by_key(here), _by_key(there)
    found = []
    for key in of_here.keys() | of_there.keys():
        side_here, side_there = _Side.of(of_here.get(key, ())), _Side.of(of_there.get(key, ()))
        if side_here.is_set or side_there.is_set:
            found.append(_comparison(key, side_here, side_there, names, frozenset(gaps_here), frozenset(gaps_there)))
    return sorted(found, key=_place)


def counts_of(comparisons: Iterable[SettingComparison]) -> SettingCounts:
    numbers = dict.fromkeys(SettingCounts.model_fields, 0)
    for comparison in comparisons:
        numbers[comparison.status] += 1
        numbers["shared"] += comparison.status not in (Status.ONLY_HERE, Status.ONLY_THERE)
        numbers["differs_within"] += comparison.differs_within
        is_hidden = SettingUncertainty.HIDDEN in comparison.uncertain
        numbers["hidden"] += comparison.status is Status.UNDECIDED and is_hidden
    return SettingCounts(**numbers)


def _by_key(holdings: Iterable[HeldSetting]) -> dict[str, list[HeldSetting]]:
    grouped: dict[str, list[HeldSetting]] = {}
    for holding in holdings:
        grouped.setdefault(holding.setting.key, []).append(holding)
    return grouped


def _place(comparison: SettingComparison) -> tuple[int, bool, str, str]:
    is_agreed = not comparison.differs_within
    return ORDER.index(comparison.status), is_agreed, comparison.label.casefold(), comparison.key


def _comparison(
    key: str,
    here: _Side,
    there: _Side,
    names: DefinitionNames,
    gaps_here: frozenset[SettingUncertainty],
    gaps_there: frozenset[SettingUncertainty],
) -> SettingComparison:
    status = _status(here, there)
    uncertain: frozenset[SettingUncertainty] = frozenset()
    if status in (Status.UNDECIDED, Status.DIFFERENT):
        uncertain = here.doubts | there.doubts
    elif status is Status.ONLY_HERE:
        uncertain = here.doubts | gaps_there
    elif status is Status.ONLY_THERE:
        uncertain = there.doubts | gaps_here
    else:
        uncertain = gaps_here | gaps_there
    settings = [holding.setting for holding in (*here.holdings, *there.holdings)]
    return SettingComparison(
        key=key,
        label=label_of(settings, names),
        kinds=sorted({setting.kind for setting in settings}),
        status=status,
        here=_values(here, names),
        there=_values(there, names),
        differs_within_here=here.differs_within,
        differs_within_there=there.differs_within,
        uncertain=sorted(uncertain),
    )


def _status(here: _Side, there: _Side) -> Status:
    if not there.is_set:
        return Status.ONLY_HERE
    if not here.is_set:
        return Status.ONLY_THERE
    # A hidden value may equal any of the other side's.
    may_agree = (
        len(here.known_values - there.known_values) <= there.unknown
        and len(there.known_values - here.known_values) <= here.unknown
    )
    if not may_agree:
        return Status.DIFFERENT
    return Status.UNDECIDED if here.doubts or there.doubts else Status.SAME


def _values(side: _Side, names: DefinitionNames) -> list[HeldValue]:
    grouped: dict[tuple[bool, bool, str], list[HeldSetting]] = {}
    for holding in side.holdings:
        setting = holding.setting
        grouped.setdefault((setting.is_unset, setting.is_hidden, setting.text or ""), []).append(holding)
    return [
        HeldValue(
            value=members[0].setting.value,
            text=HIDDEN if is_hidden else value_words(members[0].setting, names),
            hidden=is_hidden,
            is_unset=is_unset,
            policies=sorted(
                {holding.policy.external_id: holding.policy for holding in members}.values(),
                key=lambda policy: ((policy.display_name or "").casefold(), policy.type_key, policy.external_id),
            ),
        )
        for (is_unset, is_hidden, _), members in sorted(grouped.items())
    ]


def label_of(settings: Sequence[Setting], names: DefinitionNames) -> str:
    """The definition's name, else the policy's name for the setting, else the key's last parts."""
    key = settings[0].key
    member, _, own_key = key.rpartition("]/")
    member = member.partition("[")[2]
    known = [names.get((setting.definition or own_key).casefold()) for setting in settings]
    named = next((name for name in known if name), None) or names.get(own_key)
    if named is None and settings[0].kind is SettingKind.ADMINISTRATIVE_TEMPLATE:
        named = next((setting.label for setting in settings if setting.label), None)
    if named is None:
        named = _short(own_key)
    return f"{member} → {named}" if member else named


def _short(key: str) -> str:
    if key.startswith(("oma:", "admx:")):
        return key.partition(":")[2]
    kind, slash, path = key.partition("/")
    if slash:
        return f"{path.replace('/', ' → ')} ({kind})"
    return f"{short_id(key)} (user)" if key.startswith("user_vendor_") else short_id(key)


def value_words(setting: Setting, names: DefinitionNames) -> str:
    values = setting.value if isinstance(setting.value, list) else [setting.value]
    words = [
        names.get(f"{setting.definition.casefold()}_{value}".casefold()) if setting.definition else None
        for value in values
    ]
    texts = [name or _words(value) for name, value in zip(words, values, strict=True)]
    return ", ".join(text if text.strip() else "empty" for text in texts)


def _words(value: JsonValue) -> str:
    return value if isinstance(value, str) else ", ".join(value_lines(value, Place("value")))
