"""Decisions about items and fields; the most specific counts.

In a field's pattern, `*` is any text, and list members may be left out: `conditions.users.excludeGroups` covers each
group in it, `settings.*` all within `settings`.
"""

import hashlib
import re
from collections.abc import Iterable
from datetime import datetime
from functools import cache
from typing import NamedTuple, Self
from uuid import UUID

from pydantic import BaseModel, model_validator

from answers.drift.rules import CurrentDecision, Decision, DecisionLapse
from inventory.canonical import JsonObject, encode

LONGEST_FIELD = 1_000

_MEMBERS = r"(?:\[.*\])?"
_WITHIN = r"[.\[].*"


class DecisionScope(BaseModel, frozen=True, extra="forbid"):
    """The scope of a decision: an item by type key and id, a field by a pattern for its path, or both; in one
    collection and baseline, or in all.
    """

    baseline: str | None = None
    type_key: str | None = None
    external_id: str | None = None
    field: str | None = None

    @model_validator(mode="after")
    def _is_about_something(self) -> Self:
        if self.external_id is None and self.field is None:
            raise ValueError("a decision is about an item or a field")
        if self.external_id is not None and self.type_key is None:
            raise ValueError("an item is named by its type key and id")
        return self

    def covers(self, place: "FindingPlace") -> bool:
        return (
            self.baseline in (None, place.baseline)
            and self.type_key in (None, place.type_key)
            and self.external_id in (None, place.external_id)
            and (self.field is None or re.fullmatch(field_expression(self.field), place.path, re.DOTALL) is not None)
        )

    @property
    def specificity(self) -> tuple[bool, bool, bool, bool, int, bool]:
        """Ascends: a pattern, a field, an item, an item's field."""
        return (
            self.external_id is not None,
            self.field is not None,
            self.field is not None and "*" not in self.field,
            self.type_key is not None,
            len((self.field or "").replace("*", "")),
            self.baseline is not None,
        )

    def fingerprint(self, tenant_id: UUID) -> str:
        """SHA-256, hexadecimal."""
        named: JsonObject = {"tenant_id": str(tenant_id), "scope": self.model_dump()}
        return hashlib.sha256(encode(named)).hexdigest()


class FindingPlace(NamedTuple):
    """`path` is empty for the whole item."""

    baseline: str
    type_key: str
    external_id: str
    path: str


class ScopeDecision(NamedTuple):
    """The latest decision about a scope; `fingerprint` is the scope's."""

    fingerprint: str
    scope: DecisionScope
    decision: Decision
    decided_by: str
    decided_at: datetime
    reason: str
    until: datetime | None

    def lapse(self, now: datetime) -> DecisionLapse | None:
        """None while the decision holds."""
        return DecisionLapse.EXPIRED if self.until is not None and now >= self.until else None


class DecisionInForce(NamedTuple):
    """`by` is the scope's decision, None if the finding's own counts."""

    current: CurrentDecision
    by: ScopeDecision | None = None


@cache
def field_expression(pattern: str) -> str:
    """For whole paths; means the same in Python and PostgreSQL."""
    within = pattern.endswith(".*")
    names = pattern.removesuffix(".*").split(".")
    patterns = [".*".join(map(re.escape, re.split(r"\*+", name))) for name in names]
    return rf"{_MEMBERS}\.".join(patterns) + (_WITHIN if within else _MEMBERS)


def decision_in_force(
    own: CurrentDecision, scoped: Iterable[ScopeDecision], place: FindingPlace, now: datetime
) -> DecisionInForce:
    """The finding's own decision if in force, else the most specific scope's.

    If none is in force, the finding is open, with the lapse of its own or else the most specific decision. `open` takes
    back only the earlier decision about the same subject.
    """
    if own.decision is not Decision.OPEN:
        return DecisionInForce(own)
    covering = sorted(
        (decision for decision in scoped if decision.decision is not Decision.OPEN and decision.scope.covers(place)),
        key=lambda decision: (decision.scope.specificity, decision.decided_at),
        reverse=True,
    )
    for decision in covering:
        if decision.lapse(now) is None:
            return DecisionInForce(CurrentDecision(decision.decision), decision)
    if own.fallen is not None or not covering:
        return DecisionInForce(own)
    return DecisionInForce(CurrentDecision(Decision.OPEN, covering[0].lapse(now)), covering[0])
