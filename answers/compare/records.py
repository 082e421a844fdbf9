"""What a comparison of tenants says, as JSON. Fixed contracts; field names never change."""

from datetime import datetime
from enum import StrEnum
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, computed_field

from answers.field_text import field_text
from inventory.coverage import Coverage
from inventory.differences import DifferenceKind
from inventory.error_codes import ErrorCode
from inventory.outcomes import Outcome
from inventory.records import DamagedRecord
from inventory.stale import Staleness
from inventory.tenant_neutral import Uncertainty, UnresolvedReason


class MatchedBy(StrEnum):
    """What says that items belong together."""

    NAME = "name"
    NAME_IN_OTHER_LETTERS = "name_in_other_letters"
    """The names differ by case or spaces only."""
    CONTENT = "content"
    TYPE = "type"
    """A tenant has only one of the kind."""


class Status(StrEnum):
    """What became of an item, or of two that belong together."""

    SAME = "same"
    DIFFERENT = "different"
    RENAMED = "renamed"
    """The content is the same, the name is not."""
    UNDECIDED = "undecided"
    """Nothing is known to be different, and not all is known."""
    AMBIGUOUS = "ambiguous"
    """Several items have the name, or the content, and nothing tells which belong together."""
    ONLY_HERE = "only_here"
    ONLY_THERE = "only_there"


class TenantRecord(BaseModel):
    """One side of a comparison."""

    model_config = ConfigDict(frozen=True)

    tenant_id: UUID
    name: str


class CoverageState(StrEnum):
    """Whether the latest ended run that selected a collection tells what the tenant has of it."""

    COMPLETE = "complete"
    """It listed the collection to its end."""
    CANNOT_HAVE = "cannot_have"
    """It was told that the tenant cannot have the collection: no licence, or none in this cloud. That is an answer."""
    NOT_COVERED = "not_covered"
    """It did not list the collection to its end, or no run has ended that selected it."""


class SideCoverage(BaseModel):
    """What is known of a collection on one side.

    `run_id`, `outcome` and `error_code` are of the latest completed run that selected it, null where there is none.
    `listed_at` and `listed_run_id` are of the latest run that listed it to its end.
    """

    model_config = ConfigDict(frozen=True)

    state: CoverageState
    run_id: UUID | None
    outcome: Outcome | None
    error_code: ErrorCode | None
    listed_at: datetime | None
    listed_run_id: UUID | None

    @classmethod
    def of(cls, coverage: Coverage | None) -> "SideCoverage":
        """From how far the collection has been read."""
        if coverage is None:
            return _NEVER_READ
        if coverage.is_current:
            state = CoverageState.COMPLETE
        else:
            state = CoverageState.CANNOT_HAVE if coverage.outcome is Outcome.SKIPPED else CoverageState.NOT_COVERED
        return cls(state=state, **coverage.model_dump(include=set(cls.model_fields) - {"state"}))

    @property
    def is_answered(self) -> bool:
        """Whether it is known what the tenant has of it, be it nothing."""
        return self.state is not CoverageState.NOT_COVERED

    @property
    def in_words(self) -> str:
        """The state for people: `complete`, `cannot have it (graph_not_licensed)`, `never read`."""
        if self.state is CoverageState.COMPLETE:
            return "complete"
        why = f"{self.outcome}: {self.error_code}" if self.error_code else str(self.outcome or "never read")
        return f"cannot have it ({self.error_code})" if self.state is CoverageState.CANNOT_HAVE else why


_NEVER_READ = SideCoverage(
    state=CoverageState.NOT_COVERED, run_id=None, outcome=None, error_code=None, listed_at=None, listed_run_id=None
)


class FieldRecord(BaseModel):
    """One field that differs: `before` is what is said here, `after` what is said there.

    Both are null where the value is `hidden`. Ids of other objects are replaced by what they mean. `is_certain` is
    false where the field may say the same: it holds an id that could not be translated, or what was hidden without a
    key. `label` says the path with the names of settings, `before_named` and `after_named` the values where they differ
    by that. `text` is what people read of the values.
    """

    model_config = ConfigDict(frozen=True)

    path: str
    kind: DifferenceKind
    before: Any
    after: Any
    hidden: bool
    is_certain: bool = True
    label: str = ""
    before_named: Any = None
    after_named: Any = None

    @property
    def difference(self) -> DifferenceKind:
        """What became of the field."""
        return self.kind

    @computed_field  # type: ignore[prop-decorator]  # mypy does not know decorated properties
    @property
    def text(self) -> str:
        """What people read of the values: here, then there."""
        return field_text(self).text()


class UnresolvedRecord(BaseModel):
    """An id in a document that could not be translated, and why."""

    model_config = ConfigDict(frozen=True)

    path: str
    target_types: list[str]
    target_id: str
    reason: UnresolvedReason


class ItemName(BaseModel):
    """An item of one side."""

    model_config = ConfigDict(frozen=True)

    external_id: str
    display_name: str | None


class ItemComparison(BaseModel):
    """An item of one side, two that belong together, or all that are ambiguous.

    `matched_by` is null where it is on one side only. `uncertain` says what a `same` would need, and what may be behind
    a difference. `stale_here` and `stale_there` name the details that could not be read; of several items
    those of the one that has been stale longest.
    """

    model_config = ConfigDict(frozen=True)

    record: Literal["item"] = "item"
    type_key: str
    kind: str
    status: Status
    matched_by: MatchedBy | None
    here: list[ItemName]
    there: list[ItemName]
    fields: list[FieldRecord] = []
    uncertain: list[Uncertainty] = []
    unresolved_here: list[UnresolvedRecord] = []
    unresolved_there: list[UnresolvedRecord] = []
    stale_here: Staleness | None = None
    stale_there: Staleness | None = None


class ComparisonCounts(BaseModel):
    """How many comparisons ended which way. A pair is counted once, and so is each group of ambiguous items."""

    model_config = ConfigDict(frozen=True)

    same: int = 0
    different: int = 0
    renamed: int = 0
    undecided: int = 0
    ambiguous: int = 0
    only_here: int = 0
    only_there: int = 0


class CollectionComparison(BaseModel):
    """One collection: what is known of it on both sides, and what became of its items where it was compared."""

    model_config = ConfigDict(frozen=True)

    type_key: str
    title: str
    category: str
    here: SideCoverage
    there: SideCoverage
    is_compared: bool
    counts: ComparisonCounts


class ReferencedCollection(BaseModel):
    """A collection whose objects' ids were translated: what is known of it on both sides."""

    model_config = ConfigDict(frozen=True)

    type_key: str
    here: SideCoverage
    there: SideCoverage


class ComparisonRecord(BaseModel):
    """One tenant against another, in numbers, and what that rests on.

    What was left out is named among the `collections`. `damaged` versions could not be compared: their stored documents
    are not what their hashes say.
    """

    model_config = ConfigDict(frozen=True)

    record: Literal["comparison"] = "comparison"
    here: TenantRecord
    there: TenantRecord
    asked_at: datetime
    counts: ComparisonCounts
    collections: list[CollectionComparison]
    referenced: list[ReferencedCollection]
    damaged: list[DamagedRecord] = []

    @property
    def is_complete(self) -> bool:
        """Whether all that was asked for was compared; not where no completed run has selected anything."""
        return (
            bool(self.collections)
            and all(collection.is_compared for collection in self.collections)
            and not self.damaged
        )


class CellStatus(StrEnum):
    """What a tenant has of an item of the golden tenant."""

    SAME = "same"
    DIFFERENT = "different"
    RENAMED = "renamed"
    UNDECIDED = "undecided"
    AMBIGUOUS = "ambiguous"
    MISSING = "missing"
    CANNOT_HAVE = "cannot_have"
    NOT_COVERED = "not_covered"


class MatrixCell(BaseModel):
    """One item of the golden tenant in another one. `fields` are `before` in the golden tenant, `after` in this one."""

    model_config = ConfigDict(frozen=True)

    tenant_id: UUID
    status: CellStatus
    matched_by: MatchedBy | None = None
    there: list[ItemName] = []
    fields: list[FieldRecord] = []
    uncertain: list[Uncertainty] = []
    unresolved_here: list[UnresolvedRecord] = []
    unresolved_there: list[UnresolvedRecord] = []
    stale_here: Staleness | None = None
    stale_there: Staleness | None = None


class MatrixRow(BaseModel):
    """One item of the golden tenant, with a cell for each other tenant, in the order in which they were named."""

    model_config = ConfigDict(frozen=True)

    record: Literal["row"] = "row"
    type_key: str
    kind: str
    external_id: str
    display_name: str | None
    cells: list[MatrixCell]


class CellCounts(BaseModel):
    """How many items of the golden tenant are what in a tenant, and how many items it has beside them."""

    model_config = ConfigDict(frozen=True)

    same: int = 0
    different: int = 0
    renamed: int = 0
    undecided: int = 0
    ambiguous: int = 0
    missing: int = 0
    cannot_have: int = 0
    not_covered: int = 0
    extra: int = 0


class MatrixCollection(BaseModel):
    """One collection of one tenant in a matrix. Where `is_compared` is false its cells say why."""

    model_config = ConfigDict(frozen=True)

    type_key: str
    golden: SideCoverage
    tenant: SideCoverage
    is_compared: bool
    counts: CellCounts


class MatrixTenant(BaseModel):
    """One column of a matrix: its totals, and what they rest on."""

    model_config = ConfigDict(frozen=True)

    tenant_id: UUID
    name: str
    counts: CellCounts
    collections: list[MatrixCollection]
    referenced: list[ReferencedCollection]


class MatrixRecord(BaseModel):
    """One golden tenant against many, in numbers, and what that rests on.

    `without_inventory` are tenants that were asked for and of which no run has completed: they have no cells. `damaged`
    versions could not be compared: their stored documents are not what their hashes say.
    """

    model_config = ConfigDict(frozen=True)

    record: Literal["matrix"] = "matrix"
    golden: TenantRecord
    asked_at: datetime
    tenants: list[MatrixTenant]
    without_inventory: list[TenantRecord] = []
    damaged: list[DamagedRecord] = []

    @property
    def is_complete(self) -> bool:
        """Whether all that was asked for was compared; not where no completed run has selected anything."""
        compared = [collection.is_compared for tenant in self.tenants for collection in tenant.collections]
        return bool(compared) and all(compared) and not self.without_inventory and not self.damaged
