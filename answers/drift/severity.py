"""The severity of findings."""

from collections.abc import Iterable
from functools import cache

from pydantic import BaseModel

from answers.drift.direction import MEMBER, direction_of, properties_of
from answers.drift.rules import FindingKind
from graph.catalog import load_catalog
from inventory.canonical import JsonValue
from inventory.severity import ProtectionEffect, Severity
from inventory.toml_file import table_beside


class SeverityRule(BaseModel, frozen=True, extra="forbid"):
    """A row of `severity.toml`. Each field that is not empty must fit.

    `paths` are without list members: `conditions` fits all within it, too. `members` are beginnings of a list member on
    the path, such as `exclusion group`.
    """

    severity: Severity
    why: str
    categories: frozenset[str] = frozenset()
    types: frozenset[str] = frozenset()
    kinds: frozenset[FindingKind] = frozenset()
    paths: tuple[str, ...] = ()
    members: tuple[str, ...] = ()
    direction: ProtectionEffect | None = None

    def fits(
        self,
        type_key: str,
        category: str | None,
        kind: FindingKind,
        path: str,
        direction: ProtectionEffect | None = None,
    ) -> bool:
        return (
            (self.direction is None or direction is self.direction)
            and (not self.categories or category in self.categories)
            and (not self.types or type_key in self.types)
            and (not self.kinds or kind in self.kinds)
            and (not self.paths or any(is_within(path, place) for place in self.paths))
            and (not self.members or any(label.startswith(self.members) for label in MEMBER.findall(path)))
        )


def severity(
    rules: Iterable[SeverityRule],
    type_key: str,
    category: str | None,
    kind: FindingKind,
    path: str,
    direction: ProtectionEffect | None = None,
) -> Severity:
    """The first fitting rule's severity; medium without one."""
    fitting = (rule.severity for rule in rules if rule.fits(type_key, category, kind, path, direction))
    return next(fitting, Severity.MEDIUM)


def is_within(path: str, place: str) -> bool:
    properties = properties_of(path)
    return properties == place or properties.startswith(place + ".")


def severity_of(
    type_key: str, kind: FindingKind, path: str, before: JsonValue = None, after: JsonValue = None
) -> Severity:
    """By the rules of `severity.toml`."""
    category = load_catalog().category_of(type_key)
    direction = direction_of(type_key, kind, path, before, after)
    return severity(severity_rules(), type_key, category, kind, path, direction)


@cache
def severity_rules() -> tuple[SeverityRule, ...]:
    """Raises `ValueError` for a wrong rule."""
    table = table_beside(__file__, "severity.toml")
    return tuple(SeverityRule.model_validate(rule) for rule in table["rule"])
