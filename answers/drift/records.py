"""Baselines and drift as JSON; field names never change."""

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from pydantic import BaseModel, computed_field

from answers.drift.decision_scope import DecisionScope
from answers.drift.rules import BaselineKind, Decision, DecisionLapse, FindingKind
from answers.field_text import ShownField
from answers.old_details import OldDetailsRecord
from answers.titled_record import TitledRecord
from graph.catalog import item_title
from inventory.differences import DifferenceKind
from inventory.error_codes import ErrorCode
from inventory.outcomes import Outcome
from inventory.records import DamagedRecord
from inventory.severity import ProtectionEffect, Severity
from inventory.stale import Staleness


class BaselineCollectionRecord(BaseModel, frozen=True):
    """How far a collection had been read at a baseline's moment, by the run that ended at `read_at`."""

    type_key: str
    outcome: Outcome
    error_code: ErrorCode | None
    run_id: UUID
    read_at: datetime


class BaselineRecord(BaseModel, frozen=True):
    """A baseline of a tenant: its own inventory at a moment, or another tenant's.

    `at` is the moment: a run's end, or when another tenant, which is compared as it is, became the baseline. `covered`
    collections had been listed to their end, `not_covered` ones not. `pinned` counts versions kept for the baseline.
    `forgotten`, `unread` and `presumed` count items of covered collections without their version of then, a document,
    or a record of their presence. `evaluated_at`: the last comparison.
    """

    tenant_id: UUID
    name: str
    kind: BaselineKind
    at: datetime
    run_id: UUID | None
    other_tenant_id: UUID | None
    set_by: str
    set_at: datetime
    reason: str | None
    covered: list[str]
    not_covered: list[BaselineCollectionRecord]
    pinned: int
    forgotten: int
    unread: int
    presumed: int
    evaluated_at: datetime | None = None


class ComparedCollection(BaseModel, frozen=True):
    """A collection that was compared with the baseline: when it was read for the baseline, and last."""

    type_key: str
    title: str
    category: str | None
    baseline_read_at: datetime
    listed_at: datetime


class LeftOutCollection(BaseModel, frozen=True):
    """A collection that was not compared with the baseline, so its findings stay as they were.

    `in_baseline` and `now` say why: `complete`, `failed:graph_throttled`, `never_read`.
    """

    type_key: str
    title: str
    category: str | None
    in_baseline: str
    now: str


class LeftOutItem(TitledRecord):
    """An item that was not, or only partly, compared with the baseline.

    `details_not_read`: its list shows something new whose details could not be read; its findings stay. `stale`: only
    the other details were compared. `forgotten`, `unread`, `presumed`: the baseline lacks its version, its document, or
    the record of its presence. `ambiguous`, `undecided`: the other tenant's item, or whether the two are equal, is
    uncertain.
    """

    type_key: str
    external_id: str
    display_name: str | None
    item_kind: str
    reason: str
    stale: Staleness | None = None

    @property
    def in_words(self) -> str:
        return _REASONS.get(self.reason, self.reason.replace("_", " "))


_REASONS = {
    "details_not_read": "the details could not be read",
    "forgotten": "retention has deleted the version of the baseline",
    "unread": "the baseline has no document",
    "presumed": "the baseline does not tell whether it was there",
    "ambiguous": "the other tenant has several items of this name",
    "undecided": "hidden values, or ids without a counterpart",
}


class DriftCounts(BaseModel, frozen=True):
    """Findings by the decision in force. `resolved` counts the periods that are over."""

    open: int = 0
    accepted: int = 0
    expected: int = 0
    resolved: int = 0


class DriftItemRecord(TitledRecord):
    """An item with open findings; `severity` is that of its most severe finding.

    `weakening` counts findings that weaken the tenant's protection.
    """

    type_key: str
    item_kind: str
    external_id: str
    display_name: str | None
    severity: Severity
    open: int
    weakening: int
    fingerprints: list[str]


class DriftReport(BaseModel, frozen=True):
    """The basis of a tenant's drift from a baseline.

    `items` groups open findings, most urgent first; `open_weakening` counts those that weaken protection. `damaged`
    versions could not be compared; findings about their items stay. `old_details` names collections that may deviate
    since details were read; findings in these are not checked.
    """

    tenant_id: UUID
    baseline: BaselineRecord
    evaluated_at: datetime
    counts: DriftCounts
    open_by_severity: dict[Severity, int]
    compared: list[ComparedCollection]
    left_out: list[LeftOutCollection]
    left_out_items: list[LeftOutItem]
    damaged: list[DamagedRecord] = []
    old_details: list[OldDetailsRecord] = []
    open_weakening: int = 0
    items: list[DriftItemRecord] = []


class BaselineDrift(BaseModel, frozen=True):
    """A tenant's drift from one baseline in numbers, by its last evaluation.

    `is_behind`: never evaluated, or a run of this or the baseline's tenant has ended since. `high`, `medium` and `low`
    count open findings, `closed` those with a decision in force.
    """

    tenant_id: UUID
    baseline: str
    kind: BaselineKind
    at: datetime
    other_tenant_id: UUID | None
    evaluated_at: datetime | None
    is_behind: bool
    high: int
    medium: int
    low: int
    closed: int

    @property
    def open(self) -> int:
        return self.high + self.medium + self.low


class DecisionState(StrEnum):
    """Whether a decision holds, and else why not."""

    HOLDS = "holds"
    EXPIRED = "expired"
    VALUE_CHANGED = "value_changed"
    REVOKED = "revoked"
    REPLACED = "replaced"
    """A later decision about the same subject counts."""
    NO_FINDING = "no_finding"
    """The finding is resolved, or its baseline dropped; the decision holds again if the same value deviates."""


class DriftDecisionRecord(BaseModel, frozen=True):
    """A decision about a finding, an item or a field.

    `decision_id` is for `drift decide … --as open`: the fingerprint of the finding (`is_of_finding`) or the scope.
    `scope` is the subject, a finding's place; null if no longer known. `covers` counts findings that it closes now.
    """

    tenant_id: UUID
    decision_id: str
    is_of_finding: bool
    scope: DecisionScope | None
    display_name: str | None
    item_kind: str | None
    decision: Decision
    decided_by: str
    decided_at: datetime
    reason: str
    until: datetime | None
    state: DecisionState
    covers: int

    @computed_field  # type: ignore[prop-decorator]  # mypy does not know decorated properties
    @property
    def title(self) -> str | None:
        """The item's name for people; null if the decision is about no known item."""
        scope = self.scope
        if scope is None or scope.type_key is None or scope.external_id is None or self.item_kind is None:
            return None
        return item_title(scope.type_key, scope.external_id, self.display_name, self.item_kind)


class DecisionRecord(BaseModel, frozen=True):
    """Somebody's decision about a finding; `fallen` says why it no longer holds.

    `scope` is null if the decision is about the finding alone.
    """

    decision: Decision
    decided_by: str
    decided_at: datetime
    reason: str
    until: datetime | None
    fallen: DecisionLapse | None
    scope: DecisionScope | None = None


_DIFFERENCES = {
    FindingKind.ADDED: DifferenceKind.ADDED,
    FindingKind.REMOVED: DifferenceKind.REMOVED,
    FindingKind.CHANGED: DifferenceKind.CHANGED,
    FindingKind.ITEM_ADDED: DifferenceKind.ADDED,
    FindingKind.ITEM_MISSING: DifferenceKind.REMOVED,
}

_ABSENCES = {
    "confirmed": "asked for by its id and not found",
    "not_listed": "not found in its list, which was read to the end",
}

EDITED = "edited"
"""The evidence of a finding whose object was edited without a visible change."""


class DriftFindingRecord(ShownField, TitledRecord):
    """One deviation from the baseline.

    `path` is as `diff` prints it, empty for the whole item; `label` has names. `before` is the value in the baseline,
    `after` the value now; for a list of plain values (`path` ends in `[]`), the removed and the added members. If a
    missing item protected, `before` is the property by which it did: its state, or the number of assignments that
    reached somebody. `before_named` and `after_named` have names in place of ids, null if nothing changes. A `hidden`
    value is null, a partly hidden text its marks and other lines. `direction`: whether the deviation weakens or
    strengthens protection, null if unknown. `evidence` is `observed`, `confirmed` or `not_listed` for a missing item,
    or `edited` if a hidden value may have changed with its object. `first_seen_at`: first observation of the first
    deviating version; `last_seen_at`: when the item was last seen to deviate. `is_checked` is false if the latest runs
    cannot say whether the item still deviates. `decision` is in force, `decided` the latest.
    """

    tenant_id: UUID
    baseline: str
    fingerprint: str
    period: int
    type_key: str
    item_kind: str
    external_id: str
    display_name: str | None
    kind: FindingKind
    path: str
    label: str
    before: Any
    after: Any
    before_named: Any
    after_named: Any
    hidden: bool
    severity: Severity
    direction: ProtectionEffect | None = None
    evidence: str
    first_seen_at: datetime
    last_seen_at: datetime
    resolved_at: datetime | None
    is_checked: bool
    decision: Decision
    decided: DecisionRecord | None

    @property
    def absence(self) -> str:
        """Why a missing item is known to be gone, and how it protected."""
        words = _ABSENCES.get(self.evidence, self.evidence.replace("_", " "))
        protected = (self.before or {}).items()
        return "; ".join([words, *(f"in the baseline {name}: {value}" for name, value in protected)])

    @property
    def difference(self) -> DifferenceKind:
        return DifferenceKind.MAY_HAVE_CHANGED if self.evidence == EDITED else _DIFFERENCES[self.kind]

    @property
    def is_open(self) -> bool:
        """Deviates without a decision in force."""
        return self.resolved_at is None and self.decision is Decision.OPEN
