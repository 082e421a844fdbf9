"""Settings as people search for them: each a name and a value, as a short text.

The names are the keys of `inventory.settings`; a policy of an administrative template has its display name, too. Of a
list each member is a value. What is hidden, and what is longer than a value that people type, has no text: it is set,
and nobody can say to what.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

from inventory.canonical import JsonObject
from inventory.secret_patterns import is_secret_name
from inventory.settings import Setting, SettingKind, settings_of, value_text

EDITION = 1
"""Counted up when documents are read differently, so that all are read again."""

LONGEST_NAME = 500
"""Characters of a name that are kept; the longest of the real documents has 243."""

LONGEST_VALUE = 100
"""Characters of a value that has a text."""

_UNSTORABLE = re.compile("[\0\ud800-\udfff]")
"""What PostgreSQL holds in no text: NUL and lone surrogates."""


class SearchedSetting(NamedTuple):
    """A setting of a document. `value` is None where it is hidden or too long to be searched for."""

    name: str
    value: str | None


def searched_settings(document: JsonObject, type_key: str) -> list[SearchedSetting]:
    """The settings of a document: each name and value once, by name."""
    return list(
        dict.fromkeys(
            SearchedSetting(_kept_name(name), _kept_value(value))
            for setting in settings_of(document, type_key)
            for name in _names(setting)
            for value in _values(setting)
        )
    )


def without_definition(value: str, setting: str) -> str:
    """A choice without the id of its definition, which the id of a choice begins with: as the value is kept."""
    begins = f"{setting}_".casefold()
    return value[len(begins) :].casefold() if value.casefold().startswith(begins) else value


def _names(setting: Setting) -> Iterator[str]:
    yield setting.key
    if setting.kind is SettingKind.ADMINISTRATIVE_TEMPLATE and setting.label:
        yield setting.label


def _values(setting: Setting) -> Iterator[str | None]:
    """The values that a setting has. JSON in an intent's text may name a secret, which nothing has hidden."""
    names_secret = setting.kind is SettingKind.INTENT and any(map(is_secret_name, setting.key.split("/")[2:]))
    if setting.is_hidden or names_secret:
        yield None
    elif isinstance(setting.value, list):
        yield from map(value_text, setting.value)
    else:
        yield value_text(setting.value)


def _kept_name(name: str) -> str:
    return _UNSTORABLE.sub("", name)[:LONGEST_NAME]


def _kept_value(value: str | None) -> str | None:
    return value if value is not None and len(value) <= LONGEST_VALUE and not _UNSTORABLE.search(value) else None
