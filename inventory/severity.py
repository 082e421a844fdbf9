"""How much a drift finding matters, by rules that are a table: the first that fits."""

import re
from collections.abc import Iterable
from enum import StrEnum

from pydantic import BaseModel, ConfigDict

from inventory.drift import FindingKind

_LABEL = re.compile(r"\[(.*?)\](?=\.|\[|$)")


class Severity(StrEnum):
    """How soon somebody should look at a finding."""

    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"


class SeverityRule(BaseModel):
    """One row of the table. Each list that is not empty has to have something that fits.

    `paths` are ways of properties without the members of lists: `conditions` fits it and all in it. `members` are how a
    member on the way may begin: `exclusion group`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    severity: Severity
    why: str
    categories: frozenset[str] = frozenset()
    types: frozenset[str] = frozenset()
    kinds: frozenset[FindingKind] = frozenset()
    paths: tuple[str, ...] = ()
    members: tuple[str, ...] = ()

    def fits(self, type_key: str, category: str | None, kind: FindingKind, path: str) -> bool:
        """Whether the rule is about such a finding."""
        return (
            (not self.categories or category in self.categories)
            and (not self.types or type_key in self.types)
            and (not self.kinds or kind in self.kinds)
            and (not self.paths or any(is_within(path, one) for one in self.paths))
            and (not self.members or any(label.startswith(self.members) for label in _LABEL.findall(path)))
        )


def severity(
    rules: Iterable[SeverityRule], type_key: str, category: str | None, kind: FindingKind, path: str
) -> Severity:
    """The severity by the first rule that fits; medium where none does."""
    return next((rule.severity for rule in rules if rule.fits(type_key, category, kind, path)), Severity.MEDIUM)


def is_within(path: str, place: str) -> bool:
    """Whether the properties of a path lead to a place or into it."""
    properties = _LABEL.sub("", path)
    return properties == place or properties.startswith(place + ".")
