"""Settings as people search for them: short names and values, one for each member of a list.

Names are keys of `inventory.settings`, and display names of administrative templates.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from operator import itemgetter
from typing import NamedTuple, TypeAlias

from inventory.canonical import JsonObject, JsonValue
from inventory.secret_patterns import is_secret_name
from inventory.settings import (
    Setting,
    SettingKind,
    is_setting,
    listed_settings,
    property_settings,
    typed_place,
    value_text,
)

EDITION = 1
"""Increase it when documents are read differently, to read all again."""

LONGEST_NAME = 500
"""Kept characters of a name; real ones have up to 243."""

LONGEST_VALUE = 100
"""Longer values are not kept."""

_UNSTORABLE = re.compile("[\0\ud800-\udfff]")
"""PostgreSQL's texts hold no NUL and no lone surrogates."""


SearchedSetting: TypeAlias = tuple[str, str | None]
"""A name and a value, None if hidden or too long."""


class WrittenSettings(NamedTuple):
    """An item's settings as they are stored.

    `text` is `ENTRY name VALUE value ENTRY name VALUE value ENTRY`, in order; None without settings.
    """

    text: str | None = None
    names: Sequence[str] = ()


ENTRY, VALUE = "\x1e", "\x1f"
"""Separators, which no stored name or value holds."""

UNKNOWN = VALUE
"""In place of a value that is hidden or too long."""

_SEPARATORS = str.maketrans("", "", ENTRY + VALUE)

_MOST_PROPERTIES = 300
"""Larger policies are not cached. One of 953 real documents has 221 properties."""


def searched_settings(document: JsonObject, type_key: str) -> list[SearchedSetting]:
    """Each name and value once, sorted by name."""
    place = typed_place(document, type_key)
    found, are_sorted = ([], True) if place is None else _of_properties(document, place)
    others = list(_searched(listed_settings(document)))
    return found if are_sorted and not others else sorted({*found, *others}, key=_order)


def _order(setting: SearchedSetting) -> tuple[str, str, bool]:
    name, value = setting
    return name, value or "", value is None


def _searched(settings: Iterable[Setting]) -> Iterator[SearchedSetting]:
    for setting in settings:
        for value in _kept_values(setting):
            for name in _names(setting):
                yield _kept_name(name), value


def _of_properties(document: JsonObject, place: str) -> tuple[list[SearchedSetting], bool]:
    """Names are made and sorted once for policies with the same properties, as most of a kind have."""
    names = tuple(document)
    keys = (_keys if len(names) <= _MOST_PROPERTIES else _keys.__wrapped__)(place, names)
    in_order: list[SearchedSetting] = []
    unordered: list[SearchedSetting] = []
    for name, key in keys.of_properties:
        value = document[name]
        kind = type(value)
        if kind is bool:
            in_order.append((key, "true" if value else "false"))
        elif kind is str:
            if value:
                in_order.append((key, _kept_text(value)))  # type: ignore[arg-type]
        elif kind is int:
            in_order.append((key, str(value)))
        elif value is not None:
            of_property = _searched(property_settings(f"{place}/{name}", value, SettingKind.PROPERTY))
            if kind is dict:
                unordered += of_property
            else:
                in_order += sorted(set(of_property), key=_order)
    return in_order + unordered, keys.are_sorted and not unordered


class _Keys(NamedTuple):
    of_properties: tuple[tuple[str, str], ...]
    are_sorted: bool


@lru_cache(maxsize=200)
def _keys(place: str, names: tuple[str, ...]) -> _Keys:
    keys = sorted(((name, _kept_name(f"{place}/{name}")) for name in names if is_setting(name)), key=itemgetter(1))
    return _Keys(tuple(keys), len({key for _, key in keys}) == len(keys))


def without_definition(value: str, setting: str) -> str:
    begins = f"{setting}_".casefold()
    return value[len(begins) :].casefold() if value.casefold().startswith(begins) else value


def written(settings: Sequence[SearchedSetting]) -> WrittenSettings:
    if not settings:
        return WrittenSettings()
    texts = ENTRY.join([f"{name}{VALUE}{UNKNOWN if value is None else value}" for name, value in settings])
    unknown = [value for _, value in settings].count(None)
    if texts.count(ENTRY) != len(settings) - 1 or texts.count(VALUE) != len(settings) + unknown:
        return written(
            [
                (name.translate(_SEPARATORS), value if value is not None and is_written(value) else None)
                for name, value in settings
            ]
        )
    return WrittenSettings(f"{ENTRY}{texts}{ENTRY}", [name for name, _ in settings])


def is_written(value: str) -> bool:
    """Whether a value may be stored: it has no separator."""
    return ENTRY not in value and VALUE not in value


def _names(setting: Setting) -> Sequence[str]:
    if setting.kind is SettingKind.ADMINISTRATIVE_TEMPLATE and setting.label:
        return setting.key, setting.label
    return (setting.key,)


def _kept_values(setting: Setting) -> Iterable[str | None]:
    """Hides secrets in an intent's JSON, which nothing has hidden."""
    names_secret = setting.kind is SettingKind.INTENT and any(map(is_secret_name, setting.key.split("/")[2:]))
    if setting.is_hidden or names_secret:
        return (None,)
    if isinstance(setting.value, list):
        return map(_kept_value, setting.value)
    return (_kept_value(setting.value),)


def _kept_name(name: str) -> str:
    kept = name if _is_storable(name) else _UNSTORABLE.sub("", name)
    return kept[:LONGEST_NAME]


def _kept_value(value: JsonValue) -> str | None:
    return _kept_text(value_text(value))


def _kept_text(text: str) -> str | None:
    return text if len(text) <= LONGEST_VALUE and _is_storable(text) else None


def _is_storable(text: str) -> bool:
    return "\0" not in text if text.isascii() else not _UNSTORABLE.search(text)
