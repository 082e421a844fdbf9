"""Settings as people search for them: each a name and a value, as a short text.

The names are the keys of `inventory.settings`; a policy of an administrative template has its display name, too. Of a
list each member is a value. What is hidden, and what is longer than a value that people type, has no text: it is set,
and nobody can say to what.
"""

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from inventory.canonical import JsonObject, JsonValue
from inventory.secret_patterns import is_secret_name
from inventory.settings import Setting, SettingKind, settings_as_they_stand, value_text

EDITION = 1
"""Counted up when documents are read differently, so that all are read again."""

LONGEST_NAME = 500
"""Characters of a name that are kept; the longest of the real documents has 243."""

LONGEST_VALUE = 100
"""Characters of a value that has a text."""

_UNSTORABLE = re.compile("[\0\ud800-\udfff]")
"""Characters that PostgreSQL holds in no text: NUL and lone surrogates."""


class SearchedSetting(NamedTuple):
    """A setting of a document. `value` is None where it is hidden or too long to be searched for."""

    name: str
    value: str | None


def searched_settings(document: JsonObject, type_key: str) -> list[SearchedSetting]:
    """The settings of a document: each name and value once, by name."""
    found = {
        (_kept_name(name), value or "", value is None)
        for setting in settings_as_they_stand(document, type_key)
        for value in _kept_values(setting)
        for name in _names(setting)
    }
    return [SearchedSetting(name, None if is_unknown else value) for name, value, is_unknown in sorted(found)]


def without_definition(value: str, setting: str) -> str:
    """A choice without the id of its definition, which the id of a choice begins with: as the value is kept."""
    begins = f"{setting}_".casefold()
    return value[len(begins) :].casefold() if value.casefold().startswith(begins) else value


def _names(setting: Setting) -> Sequence[str]:
    if setting.kind is SettingKind.ADMINISTRATIVE_TEMPLATE and setting.label:
        return setting.key, setting.label
    return (setting.key,)


def _kept_values(setting: Setting) -> Iterable[str | None]:
    """The values that a setting has. JSON in an intent's text may name a secret, which nothing has hidden."""
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
    text = value_text(value)
    return text if len(text) <= LONGEST_VALUE and _is_storable(text) else None


def _is_storable(text: str) -> bool:
    """Whether PostgreSQL can hold a text. Nearly all are ASCII, which is known at once."""
    return "\0" not in text if text.isascii() else not _UNSTORABLE.search(text)
