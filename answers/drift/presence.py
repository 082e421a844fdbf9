"""Whether an item protects by existing, so that its absence weakens."""

import re
from functools import cache

from pydantic import BaseModel, model_validator

from graph.catalog import load_catalog
from inventory.canonical import JsonObject, JsonValue
from inventory.references import EXCLUSION_TARGET
from inventory.toml_file import table_beside


class PresenceRule(BaseModel, frozen=True, extra="forbid"):
    """A row of `presence.toml`: the items that protect.

    `path` has one of `values`, or without `values` an assignment that reaches somebody. Each property in `where`
    matches its regular expression. `source` is Microsoft's page.
    """

    why: str
    source: str
    types: frozenset[str] = frozenset()
    categories: frozenset[str] = frozenset()
    path: str
    values: frozenset[str] = frozenset()
    where: dict[str, str] = {}

    @model_validator(mode="after")
    def _is_about_some(self) -> "PresenceRule":
        if not self.types and not self.categories:
            raise ValueError("names neither types nor categories")
        return self

    def fits(self, type_key: str, category: str | None) -> bool:
        return type_key in self.types or category in self.categories

    def protection(self, document: JsonObject) -> JsonObject | None:
        """The property by which the item protects, with its value or the number of assignments that reach somebody;
        None if the item does not protect.
        """
        for path, pattern in self.where.items():
            if re.search(pattern, str(_at(document, path))) is None:
                return None
        value = _at(document, self.path)
        if self.values:
            return {self.path: value} if value in self.values else None
        number = sum(map(_reaches_somebody, value)) if isinstance(value, list) else 0
        return {self.path: number} if number else None


def protects(type_key: str) -> bool:
    """Whether items of the collection may protect by existing."""
    return bool(_rules_of(type_key))


def protection(type_key: str, document: JsonObject) -> JsonObject | None:
    """The first fitting row decides; None without one."""
    found = (rule.protection(document) for rule in _rules_of(type_key))
    return next((value for value in found if value is not None), None)


@cache
def presence_rules() -> tuple[PresenceRule, ...]:
    """Raises `ValueError` for a wrong row."""
    table = table_beside(__file__, "presence.toml")
    return tuple(PresenceRule.model_validate(row) for row in table["row"])


@cache
def _rules_of(type_key: str) -> tuple[PresenceRule, ...]:
    category = load_catalog().category_of(type_key)
    return tuple(rule for rule in presence_rules() if rule.fits(type_key, category))


def _at(document: JsonObject, path: str) -> JsonValue:
    value: JsonValue = document
    for name in path.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _reaches_somebody(assignment: JsonValue) -> bool:
    target = assignment.get("target") if isinstance(assignment, dict) else None
    return isinstance(target, dict) and not str(target.get("@odata.type")).endswith(EXCLUSION_TARGET)
