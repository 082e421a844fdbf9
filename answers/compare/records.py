"""Comparisons as JSON; field names never change."""

from datetime import datetime
from enum import StrEnum
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel

from answers.field_text import ShownField
from answers.titled_record import TitledRecord
from answers.unanswered_tenant import UnansweredTenant
from inventory.coverage import Coverage
from inventory.differences import DifferenceKind
from inventory.error_codes import ErrorCode
from inventory.outcomes import Outcome
from inventory.plurals import counted
from inventory.records import DamagedRecord
from inventory.stale import Staleness
from inventory.tenant_neutral import Uncertainty, UnresolvedReason


class MatchedBy(StrEnum):
    """The property by which items match."""

    NAME = "name"
    NAME_IN_OTHER_LETTERS = "name_in_other_letters"
    """The names differ by case or spaces only."""
    CONTENT = "content"
    TYPE = "type"
    """A tenant has only one of the kind."""


class Status(StrEnum):
    """The result of an item, or of two matched ones."""

    SAME = "same"
    DIFFERENT = "different"
    RENAMED = "renamed"
    """The content is the same, the name is not."""
    UNDECIDED = "undecided"
    """No difference is known, and not all is known."""
    AMBIGUOUS = "ambiguous"
    """Several items have the name or content, and nothing tells them apart."""
    ONLY_HERE = "only_here"
    ONLY_THERE = "only_there"


class TenantRecord(BaseModel, frozen=True):
    """One side of a comparison."""

    tenant_id: UUID
    name: str


class CoverageState(StrEnum):
    """Whether the latest ended run that selected a collection tells its content in the tenant."""

    COMPLETE = "complete"
    """The run listed the collection to its end."""
    CANNOT_HAVE = "cannot_have"
    """The tenant cannot have the collection, for want of a licence or in this cloud."""
    NOT_COVERED = "not_covered"
    """The run did not list the collection to its end, or no run selected it."""


class SideCoverage(BaseModel, frozen=True):
    """`run_id`, `outcome` and `error_code` are of the latest completed run that selected the collection, if any;
    `listed_at` and `listed_run_id` of the latest that listed it to its end.
    """

    state: CoverageState
    run_id: UUID | None
    outcome: Outcome | None
    error_code: ErrorCode | None
    listed_at: datetime | None
    listed_run_id: UUID | None

    @classmethod
    def of(cls, coverage: Coverage | None) -> "SideCoverage":
        if coverage is None:
            return _NEVER_READ
        if coverage.is_current:
            state = CoverageState.COMPLETE
        else:
            state = CoverageState.CANNOT_HAVE if coverage.outcome is Outcome.SKIPPED else CoverageState.NOT_COVERED
        return cls(state=state, **coverage.model_dump(include=set(cls.model_fields) - {"state"}))

    @property
    def is_answered(self) -> bool:
        """Whether the collection's content is known, even if empty."""
        return self.state is not CoverageState.NOT_COVERED

    @property
    def in_words(self) -> str:
        """For example `complete`, `cannot have it (graph_not_licensed)`, `never read`."""
        if self.state is CoverageState.COMPLETE:
            return "complete"
        why = f"{self.outcome}: {self.error_code}" if self.error_code else str(self.outcome or "never read")
        return f"cannot have it ({self.error_code})" if self.state is CoverageState.CANNOT_HAVE else why


_NEVER_READ = SideCoverage(
    state=CoverageState.NOT_COVERED, run_id=None, outcome=None, error_code=None, listed_at=None, listed_run_id=None
)


class FieldRecord(ShownField):
    """One field that differs: `before` is the value here, `after` there.

    A `hidden` value is null, a partly hidden text its mark and other lines. Ids of other objects are replaced by their
    meaning. `is_certain` is false if the values may be equal: they hold an untranslated id, or a value hidden without a
    key. `label` is the path with names of settings; `before_named` and `after_named` have names in place of ids, if
    they differ from the values.
    """

    path: str
    kind: DifferenceKind
    before: Any
    after: Any
    hidden: bool
    is_certain: bool = True
    label: str = ""
    before_named: Any = None
    after_named: Any = None


class UnresolvedRecord(BaseModel, frozen=True):
    """An id that could not be translated, and why."""

    path: str
    target_types: list[str]
    target_id: str
    reason: UnresolvedReason


class ItemName(BaseModel, frozen=True):
    external_id: str
    display_name: str | None
    title: str


class ItemComparison(BaseModel, frozen=True):
    """An item of one side, two matched items, or a group of ambiguous ones.

    `matched_by` is null for one side. `uncertain` names what a `same` depends on, or what may cause a difference.
    `stale_…` are of the item stale longest.
    """

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


class ComparisonCounts(BaseModel, frozen=True):
    """A pair counts once, and so does a group of ambiguous items."""

    same: int = 0
    different: int = 0
    renamed: int = 0
    undecided: int = 0
    ambiguous: int = 0
    only_here: int = 0
    only_there: int = 0

    @property
    def differing(self) -> int:
        """Results not known to be the same."""
        return sum(self.model_dump(exclude={"same"}).values())


class CollectionComparison(BaseModel, frozen=True):
    """One collection: both sides' coverage, and its results if it was compared."""

    type_key: str
    title: str
    category: str
    here: SideCoverage
    there: SideCoverage
    is_compared: bool
    counts: ComparisonCounts


class ReferencedCollection(BaseModel, frozen=True):
    """A collection whose objects' ids were translated."""

    type_key: str
    here: SideCoverage
    there: SideCoverage


class ComparisonRecord(BaseModel, frozen=True):
    """One tenant compared with another, in numbers.

    `collections` names those that were left out, too. Documents of `damaged` versions do not match their hashes, so
    were not compared.
    """

    record: Literal["comparison"] = "comparison"
    here: TenantRecord
    there: TenantRecord
    asked_at: datetime
    counts: ComparisonCounts
    collections: list[CollectionComparison]
    referenced: list[ReferencedCollection]
    damaged: list[DamagedRecord] = []

    @property
    def differing(self) -> list[CollectionComparison]:
        """Collections with items not known to be the same, most such items first."""
        compared = [collection for collection in self.collections if collection.is_compared]
        found = [collection for collection in compared if collection.counts.differing]
        return sorted(found, key=lambda collection: (-collection.counts.differing, collection.title.casefold()))

    @property
    def same_in_words(self) -> str:
        """How much is the same in collections without a difference."""
        alike = [collection for collection in self.collections if collection.is_compared]
        alike = [collection for collection in alike if not collection.counts.differing]
        found = [collection.counts.same for collection in alike if collection.counts.same]
        if self.differing:
            others, opening = "other collection", ""
        else:
            others, opening = "collection", "no differences: "
        if not found:
            return "" if self.differing or not alike else _nothing_to_compare(len(alike))
        verb = "is" if sum(found) == 1 else "are"
        return f"{opening}{counted(sum(found), 'item')} of {counted(len(found), others)} {verb} the same"

    @property
    def is_complete(self) -> bool:
        """Whether all requested was compared; False before a completed run."""
        return (
            bool(self.collections)
            and all(collection.is_compared for collection in self.collections)
            and not self.damaged
        )


def _nothing_to_compare(collections: int) -> str:
    which = "the collection" if collections == 1 else f"any of the {collections:,} collections"
    return f"nothing to compare: neither tenant has an item in {which}"


class CellStatus(StrEnum):
    """A tenant's counterpart of an item of the golden tenant."""

    SAME = "same"
    DIFFERENT = "different"
    RENAMED = "renamed"
    UNDECIDED = "undecided"
    AMBIGUOUS = "ambiguous"
    MISSING = "missing"
    CANNOT_HAVE = "cannot_have"
    NOT_COVERED = "not_covered"


class MatrixCell(BaseModel, frozen=True):
    """One item of the golden tenant in another: `before` is the golden tenant's value, `after` this one's."""

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


class MatrixRow(TitledRecord):
    """One item of the golden tenant, with a cell for each other tenant in the order of the request."""

    record: Literal["row"] = "row"
    type_key: str
    kind: str
    external_id: str
    display_name: str | None
    cells: list[MatrixCell]


class CellCounts(BaseModel, frozen=True):
    """The golden tenant's items by their status in a tenant, and the tenant's `extra` items."""

    same: int = 0
    different: int = 0
    renamed: int = 0
    undecided: int = 0
    ambiguous: int = 0
    missing: int = 0
    cannot_have: int = 0
    not_covered: int = 0
    extra: int = 0

    @property
    def differing(self) -> int:
        """Items not known to be the same, with the extra ones."""
        return sum(self.model_dump(exclude={"same"}).values())


class MatrixCollection(BaseModel, frozen=True):
    """One collection of one tenant in a matrix."""

    type_key: str
    golden: SideCoverage
    tenant: SideCoverage
    is_compared: bool
    counts: CellCounts


class MatrixTenant(BaseModel, frozen=True):
    """One column of a matrix."""

    tenant_id: UUID
    name: str
    counts: CellCounts
    collections: list[MatrixCollection]
    referenced: list[ReferencedCollection]


class MatrixRecord(BaseModel, frozen=True):
    """One golden tenant compared with many, in numbers.

    Tenants `without_inventory` have no completed run, so no cells. Tenants in `not_answered` could not be compared, in
    some collections or in all. Documents of `damaged` versions do not match their hashes.
    """

    record: Literal["matrix"] = "matrix"
    golden: TenantRecord
    asked_at: datetime
    tenants: list[MatrixTenant]
    without_inventory: list[TenantRecord] = []
    not_answered: list[UnansweredTenant] = []
    damaged: list[DamagedRecord] = []

    @property
    def has_comparison(self) -> bool:
        return any(collection.is_compared for tenant in self.tenants for collection in tenant.collections)

    @property
    def is_complete(self) -> bool:
        """Whether all requested was compared; False before a completed run."""
        compared = [collection.is_compared for tenant in self.tenants for collection in tenant.collections]
        return bool(compared) and all(compared) and not (self.without_inventory or self.not_answered or self.damaged)
