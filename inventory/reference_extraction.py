"""A document's references as they are stored, with an assignment to nobody."""

import re
from collections.abc import Mapping
from hashlib import sha256
from types import MappingProxyType
from typing import NamedTuple

import orjson

from inventory.canonical import JsonObject, JsonValue
from inventory.item_ids import item_key
from inventory.references import (
    ALL_DEVICES,
    ALL_USERS,
    Reference,
    ReferenceRole,
    ReferenceRules,
    is_exclusion,
    references,
)
from inventory.searched_settings import EDITION as SETTINGS_EDITION
from inventory.searched_settings import SearchedSetting, WrittenSettings, searched_settings

NOBODY = "nobody"
"""The audience of a document whose assignments include nobody."""

ASSIGNMENTS_UNKNOWN = "assignments unknown"
"""The audience of an assignable document that lists no assignments."""

ASSIGNMENTS = "assignments"

EDITION = 2
"""Increase it when the same rules read documents differently, to read all again."""


_GUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


class ReadingRules(NamedTuple):
    """How a collection's documents are read, by its catalog entry. `assignable`: documents list their assignments."""

    references: ReferenceRules
    assignable: bool
    everyone: Mapping[str, str] = MappingProxyType({})
    alternate_keys: frozenset[str] = frozenset()
    has_settings: bool = False

    @property
    def find_nothing(self) -> bool:
        return not (self.references or self.assignable or self.alternate_keys or self.has_settings)

    def hash(self) -> bytes:
        """Rules that find nothing have the same hash."""
        if self.find_nothing:
            return sha256(b"").digest()
        rules = {path: list(targets) for path, targets in self.references.items()}
        keys: list[object] = [sorted(self.alternate_keys)] if self.alternate_keys else []
        if self.has_settings:
            keys.append({"settings": SETTINGS_EDITION})
        return sha256(
            orjson.dumps([EDITION, rules, self.assignable, dict(self.everyone), *keys], option=orjson.OPT_SORT_KEYS)
        ).digest()


class ReadReferences(NamedTuple):
    rules_hash: bytes
    references: list[Reference]
    settings: WrittenSettings = WrittenSettings()


def read(document: JsonObject, rules: ReadingRules) -> list[Reference]:
    """Includes alternate keys, which have no target collection, and `NOBODY`."""
    by_rules = references(document, rules.references)
    for name in sorted(rules.alternate_keys):
        value = document.get(name)
        if isinstance(value, str) and _GUID.fullmatch(value):
            by_rules.append(Reference(name, ReferenceRole.USE, (), item_key(value)))
    if any(_matches(document.get(name), pattern) for name, pattern in rules.everyone.items()):
        everyone = [
            Reference(ASSIGNMENTS, ReferenceRole.INCLUDE, (), audience) for audience in (ALL_DEVICES, ALL_USERS)
        ]
        return [*by_rules, *everyone]
    audience = _without_audience(document) if rules.assignable else None
    return by_rules if audience is None else [*by_rules, Reference(ASSIGNMENTS, ReferenceRole.INCLUDE, (), audience)]


def set_by(document: JsonObject, type_key: str, rules: ReadingRules) -> list[SearchedSetting]:
    return searched_settings(document, type_key) if rules.has_settings else []


def _matches(value: JsonValue, pattern: str) -> bool:
    text = str(value).lower() if isinstance(value, bool) else value
    return isinstance(text, str) and re.search(pattern, text) is not None


def _without_audience(document: JsonObject) -> str | None:
    assignments = document.get(ASSIGNMENTS)
    if not isinstance(assignments, list):
        return ASSIGNMENTS_UNKNOWN
    return NOBODY if all(_excludes(assignment) for assignment in assignments) else None


def _excludes(assignment: JsonValue) -> bool:
    target = assignment.get("target") if isinstance(assignment, dict) else None
    return isinstance(target, dict) and is_exclusion(target)
