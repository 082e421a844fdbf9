"""Plans of promotions as JSON; field names never change."""

from collections import Counter
from datetime import datetime
from enum import StrEnum
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel

from answers.compare.records import CoverageState, SideCoverage, Status, TenantRecord
from answers.field_labels import FieldChange
from inventory.severity import Severity


class PlanAction(StrEnum):
    """The action of a plan for an item."""

    CREATE = "create"
    UPDATE = "update"
    NOTHING_TO_DO = "nothing_to_do"
    BLOCKED = "blocked"


class BlockCode(StrEnum):
    """Why a plan would not write an item."""

    NO_WRITE_RULES = "no_write_rules"
    """No known request writes the collection's items."""
    SOURCE_NOT_COMPLETE = "source_not_complete"
    TARGET_NOT_COMPLETE = "target_not_complete"
    AMBIGUOUS = "ambiguous"
    """Several items have this name or content, and nothing tells them apart."""
    BUILT_IN = "built_in"
    """Only Microsoft creates the object."""
    NO_DOCUMENT = "no_document"
    DAMAGED = "damaged"
    DETAILS_INCOMPLETE = "details_incomplete"
    STALE = "stale"
    HIDDEN_VALUE = "hidden_value"
    NOT_IN_DOCUMENT = "not_in_document"
    """Graph does not return the whole object."""
    PART_WITHOUT_RULE = "part_without_rule"
    """No known request writes a part of the item."""
    FIXED = "fixed"
    """A differing property cannot change in an existing object."""
    OWN_ID = "own_id"
    """The item names its own id, which a new object lacks."""
    OF_POLICY_SET = "of_policy_set"
    """An assignment came by a policy set."""
    REFERENCE_UNRESOLVED = "reference_unresolved"
    REFERENCE_AMBIGUOUS = "reference_ambiguous"
    REFERENCE_BLOCKED = "reference_blocked"
    CIRCLE = "circle"
    """New items refer to each other, so none can be created first."""


class PlanDecision(StrEnum):
    """The possible decisions about a plan."""

    APPROVED = "approved"
    REJECTED = "rejected"


class RequestStep(StrEnum):
    """When a request would be sent: first all content, without effect as far as Graph allows, then all effects."""

    CONTENT = "content"
    EFFECT = "effect"


class EffectKind(StrEnum):
    """The effects that a reviewer of a plan looks at, the worst first."""

    WEAKENS = "weakens"
    REACHES_EVERYONE = "reaches_everyone"
    """The item would newly be for all users or all devices."""
    TAKES_EFFECT = "takes_effect"
    """A policy without effect, or a new one, would have effect."""
    REACHES_MORE = "reaches_more"
    """More people or devices included, or fewer excluded or filtered."""
    REACHES_FEWER = "reaches_fewer"


class AudienceChange(StrEnum):
    """The change of one audience of an item."""

    ADDED = "added"
    REMOVED = "removed"
    KEPT = "kept"
    FILTERED_OTHERWISE = "filtered_otherwise"


class PlanEffect(BaseModel, frozen=True):
    """Why a reviewer should look at an item."""

    kind: EffectKind
    text: str
    path: str = ""


class PlannedAudience(BaseModel, frozen=True):
    """People or devices that an item would be for, or left out of it.

    `role` is `include` or `exclude`. Ids are the target's, null for all users or all devices.
    """

    role: str
    change: AudienceChange
    name: str
    type_key: str | None = None
    target_id: str | None = None
    intent: str | None = None
    is_filtered: bool = False


class BlockReason(BaseModel, frozen=True):
    """Why an item is blocked, and the remedy."""

    code: BlockCode
    text: str
    unblocked_by: str
    path: str | None = None
    about: str | None = None
    """A reference's missing object, in words; it may block many items."""


class PlannedReference(BaseModel, frozen=True):
    """An object that the item refers to, and the target's object in its place.

    `target_id` is null where the plan creates that object: `created_by` is the source id of its item.
    """

    path: str
    role: str
    type_key: str
    source_id: str
    target_id: str | None
    created_by: str | None = None
    name: str | None = None
    mapped_by_operator: bool = False


class PlannedRequest(BaseModel, frozen=True):
    """A request as it would be sent. `number` is its place in the plan.

    In texts, `{graph}` is the tenant's Graph host, `{created:TYPE/ID}` the id of the object created for that item of
    the source.
    """

    number: int = 0
    step: RequestStep
    method: Literal["POST", "PATCH", "PUT"]
    path: str
    body: dict[str, Any]


class PlannedItem(BaseModel, frozen=True):
    """An item of the source, and its action in the target.

    `source_hash` is the content hash of the version to write. `precondition` is the hash that the target's item must
    still have; null for a new object, whose name and kind no object may have. `expected` is the resulting normal form
    without ids, `expected_hash` its SHA-256. `not_sent` properties differ, but no request can carry them. Items to
    write have `effects` and `severity`, for the reviewer's order, and the affected `audience`.
    """

    record: Literal["planned_item"] = "planned_item"
    action: PlanAction
    type_key: str
    kind: str
    title: str
    source_id: str
    source_version: int | None
    source_hash: str | None
    target_id: str | None = None
    precondition: str | None = None
    reasons: list[BlockReason] = []
    fields: list[FieldChange] = []
    references: list[PlannedReference] = []
    not_sent: list[str] = []
    requests: list[PlannedRequest] = []
    severity: Severity | None = None
    effects: list[PlanEffect] = []
    audience: list[PlannedAudience] = []
    expected_hash: str | None = None
    expected: dict[str, Any] | None = None


class PlanCollection(BaseModel, frozen=True):
    """A collection of a plan, with its coverage on both sides."""

    type_key: str
    source: SideCoverage
    target: SideCoverage

    @property
    def is_planned(self) -> bool:
        """Whether both sides' items are known."""
        return self.source.is_answered and self.target.state is CoverageState.COMPLETE


class PlanCounts(BaseModel, frozen=True):
    """Numbers of a plan's items by action, and of its requests."""

    create: int = 0
    update: int = 0
    nothing_to_do: int = 0
    blocked: int = 0
    requests: int = 0

    @classmethod
    def of(cls, items: list[PlannedItem]) -> "PlanCounts":
        actions = Counter(str(item.action) for item in items)
        return cls(**actions, requests=sum(len(item.requests) for item in items))


class PlanContent(BaseModel, frozen=True):
    """The content of a plan, all of which the plan's hash covers.

    `source_version` is the earlier version that a restore writes. `items` are in the order of writing. `created_by_id`
    names the creator for good.
    """

    source: TenantRecord
    target: TenantRecord
    source_version: int | None = None
    source_baseline: str | None = None
    collections: list[PlanCollection]
    asked_at: datetime
    created_by: str
    created_by_id: str = ""
    expires_at: datetime
    counts: PlanCounts
    items: list[PlannedItem]

    @property
    def is_complete(self) -> bool:
        """Whether the plan treats all items of its collections."""
        return not self.counts.blocked and all(collection.is_planned for collection in self.collections)


class PlanDecisionRecord(BaseModel, frozen=True):
    """The decision about a plan. `plan_hash` is the plan's hash at that time."""

    decision: PlanDecision
    decided_by: str
    decided_at: datetime
    reason: str
    plan_hash: str


class PlanState(StrEnum):
    """The state of a plan; only an open one can be decided about."""

    OPEN = "open"
    EXPIRED = "expired"
    APPROVED = "approved"
    REJECTED = "rejected"


class PlanRecord(BaseModel, frozen=True):
    """A plan without its items. `plan_hash` is the SHA-256 of its content.

    No release writes to Graph: an approved plan is not carried out.
    """

    record: Literal["plan"] = "plan"
    plan_id: UUID
    plan_hash: str
    source: TenantRecord
    target: TenantRecord
    created_by: str
    created_at: datetime
    expires_at: datetime
    state: PlanState
    counts: PlanCounts
    decided: PlanDecisionRecord | None = None


class MappingRecord(BaseModel, frozen=True):
    """The target's object that an operator put in the place of a source's."""

    source_tenant_id: UUID
    type_key: str
    source_id: str
    target_id: str
    mapped_by: str
    mapped_at: datetime
    reason: str


class SimulatedItem(BaseModel, frozen=True):
    """A plan's item after its requests were applied to a copy of the target in memory.

    `compared` compares the source's version with the copy, `differences` are the fields that a request could carry,
    `again` is what a second plan would do, `refused` why Graph would refuse a request. Unknown values are null.
    """

    record: Literal["simulated_item"] = "simulated_item"
    type_key: str
    kind: str
    title: str
    source_id: str
    action: PlanAction
    requests: int
    compared: Status | None = None
    differences: list[str] = []
    again: PlanAction | None = None
    refused: str | None = None

    @property
    def is_proven(self) -> bool:
        """Whether the copy equals the source, with nothing left to do."""
        is_same = self.compared is Status.SAME or (self.compared is not None and not self.differences)
        return self.refused is None and is_same and self.again is PlanAction.NOTHING_TO_DO


class SimulationRecord(BaseModel, frozen=True):
    """A plan applied to a copy of the target in memory. Nothing was sent or stored.

    `proven` of the `written` items became as in the source. `blocked` items were left as they are.
    """

    record: Literal["simulation"] = "simulation"
    plan_id: UUID
    plan_hash: str
    source: TenantRecord
    target: TenantRecord
    simulated_at: datetime
    written: int
    proven: int
    blocked: int
    requests: int


class BlockedItem(BaseModel, frozen=True):
    """An item that a plan for one tenant does not write."""

    type_key: str
    source_id: str
    title: str


class BlockedCell(BaseModel, frozen=True):
    """The items that one reason blocks in one tenant."""

    tenant: TenantRecord
    items: list[BlockedItem]


class BlockedRow(BaseModel, frozen=True):
    """A reason that blocks items in at least one of several tenants, and its remedy.

    `about` is a missing object or a collection. `items` counts blocked items of all tenants; `cells` has each tenant in
    turn.
    """

    record: Literal["blocked_row"] = "blocked_row"
    code: BlockCode
    about: str
    unblocked_by: str
    items: int
    tenants: int
    cells: list[BlockedCell]


class PlannedTarget(BaseModel, frozen=True):
    """One of several tenants, and its plan; null if none could be made, for the reason `why`."""

    target: TenantRecord
    plan: PlanRecord | None
    why: str | None = None


class PlansRecord(BaseModel, frozen=True):
    """Plans from one source for several tenants."""

    record: Literal["plans"] = "plans"
    source: TenantRecord
    targets: list[PlannedTarget]
