"""Matches typed names; decides a setting's state."""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from difflib import get_close_matches

from answers.search.records import SettingState, SettingValue
from inventory.name_key import name_key

NAMED = 4

_ENDS = re.compile(r"[_./~\\]")
"""Separates a setting name's parts, as in `device_vendor_msft_bitlocker_requiredeviceencryption` and
`grantControls.operator`.
"""

_OF_LIKE = re.compile(r"[%_\\]")
_ESCAPED = r"\\\g<0>"


def patterns(text: str) -> list[str]:
    """A LIKE pattern for each word; a name's key must match all of them."""
    return [f"%{_OF_LIKE.sub(_ESCAPED, word)}%" for word in name_key(text).split()]


def titled(text: str, titles: Mapping[str, str]) -> list[str]:
    """Keys of titles that hold every word."""
    words = name_key(text).split()
    return [key for key, title in titles.items() if all(word in name_key(title) for word in words)]


def setting_state(values: Iterable[SettingValue], accepted: Collection[str] | None, *, is_read: bool) -> SettingState:
    """`is_read`: all collections that could set it were read."""
    set_values = {value.value for value in values}
    if set_values and (accepted is None or not set_values.isdisjoint(accepted)):
        return SettingState.SET
    if None in set_values:
        return SettingState.HIDDEN
    if not is_read:
        return SettingState.UNKNOWN
    return SettingState.OTHER_VALUE if set_values else SettingState.NOT_SET


def meant(typed: str, settings: Sequence[str]) -> list[str]:
    """Settings with this name in any case, else with these last parts."""
    folded = typed.casefold()
    same = [name for name in settings if name.casefold() == folded]
    if same:
        return same
    return [
        name
        for name in settings
        if len(name) > len(typed) and name.casefold().endswith(folded) and _ENDS.match(name[-len(typed) - 1])
    ]


def alike(typed: str, settings: Iterable[str]) -> list[str]:
    """Settings that contain the typed text, else whose last part resembles it."""
    folded = typed.casefold()
    names = sorted(settings, key=lambda name: (len(name), name))
    holding = [name for name in names if folded in name.casefold()]
    if holding:
        return holding[:NAMED]
    by_end = {_ENDS.split(name.casefold())[-1]: name for name in reversed(names)}
    return [by_end[end] for end in get_close_matches(folded, by_end, n=NAMED)]
