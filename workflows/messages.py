"""Arguments, results and signals of workflows."""

from datetime import timedelta
from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, Field

from activities.messages.base import Message, SelectionName, ShortText, TenantName
from activities.messages.portfolio import RunToFollow, TenantOutcome
from activities.messages.retention import ForgottenOfTenant
from inventory.bounds import RETENTION_DAYS, RETENTION_VERSIONS, TENANTS_AT_ONCE
from inventory.error_codes import ErrorCode
from inventory.outcomes import CollectionResult, Counts, RunStatus
from inventory.portfolio import PortfolioCounts, RequestedTenants, TenantChoice, portfolio_hash
from inventory.references import MAX_ID_LENGTH
from inventory.selection import RequestedSelection, Selection
from workflows.frontier import Frontier
from workflows.queue_place import QueuePlace
from workflows.requests import StartInput, SyncRequest


class SyncInput(SyncRequest):
    """Continue-as-new carries over `frontier`, or before the run has a slot, `place`."""

    frontier: Frontier | None = None
    place: QueuePlace | None = None


class SyncProgress(Message):
    status: RunStatus
    waiting_for: str | None = None
    counts: Counts
    collections: dict[str, CollectionResult]


class SyncResult(Message):
    run_id: UUID
    status: RunStatus
    counts: Counts
    error_codes: list[ErrorCode]


def portfolio_workflow_id(selection: Selection, chosen: TenantChoice) -> str:
    """A portfolio never overlaps itself. A schedule appends its time."""
    return f"portfolio/{portfolio_hash(selection, chosen)}"


class PortfolioState(BaseModel):
    """The state that continue-as-new carries over."""

    left: list[UUID] = []
    """Tenants without a started or joined run."""
    left_names: list[TenantName] = []
    """The names of `left`, in the same order; empty if unknown."""
    following: list[RunToFollow] = []
    """Runs that are no children of this execution: joined, or started before a continue-as-new."""
    unrecorded: list[TenantOutcome] = []
    """Outcomes counted, but not yet recorded."""
    at_close: list[TenantOutcome] = []
    """Outcomes that could not be recorded; they are tried again at the end."""
    counts: PortfolioCounts = PortfolioCounts()
    error_codes: list[ErrorCode] = []
    at_once: int = 1
    selection_name: ShortText | None = None


class PortfolioInput(StartInput):
    """A selection to read for the chosen tenants, `at_once` at a time; None follows the worker's configuration.

    `schedule` names the schedule that starts it. Continue-as-new carries over `state`.
    """

    selection: RequestedSelection
    chosen: RequestedTenants
    deep: bool = False
    at_once: Annotated[int, Field(ge=1, le=TENANTS_AT_ONCE)] | None = None
    schedule: ShortText | None = None
    selection_name: SelectionName | None = None
    state: PortfolioState | None = None

    @property
    def workflow_id(self) -> str:
        return portfolio_workflow_id(self.selection, self.chosen)


class PortfolioProgress(Message):
    status: RunStatus
    counts: PortfolioCounts
    running: list[RunToFollow]


class PortfolioResult(Message):
    portfolio_run_id: UUID
    status: RunStatus
    counts: PortfolioCounts
    error_codes: list[ErrorCode]


Age = Annotated[timedelta, Field(ge=timedelta(0), le=timedelta(days=RETENTION_DAYS))]
"""Up to the largest VERSION_RETENTION_DAYS."""

KeyPart = Annotated[str, Field(max_length=MAX_ID_LENGTH)]


class RetentionInput(StartInput):
    """Versions and runs to forget, of one tenant or all; None sets no limit.

    Continue-as-new carries over `left`, `after`, `at_runs`, `forgotten` and `failed`.
    """

    tenant_id: UUID | None = None
    older_than: Age | None = None
    """The age of a version, counted from its successor."""
    kept: Annotated[int, Field(ge=1, le=RETENTION_VERSIONS)] | None = None
    """The number of an item's versions to keep, including the current one."""
    runs_older_than: Age | None = None
    """The age of a run, counted from its end."""
    left: list[UUID] | None = None
    after: tuple[KeyPart, KeyPart] | None = None
    at_runs: bool = False
    """Whether the first of `left` has no more versions to forget."""
    forgotten: list[ForgottenOfTenant] = Field(default_factory=list)
    failed: dict[UUID, ErrorCode] = Field(default_factory=dict)

    @classmethod
    def within(cls, days: int, count: int, run_days: int) -> "RetentionInput":
        """A value of 0 sets no limit."""
        return cls(
            older_than=timedelta(days=days) if days else None,
            kept=count or None,
            runs_older_than=timedelta(days=run_days) if run_days else None,
        )

    @property
    def limits_versions(self) -> bool:
        return self.older_than is not None or self.kept is not None

    @property
    def limits_anything(self) -> bool:
        return self.limits_versions or self.runs_older_than is not None


class RetentionResult(Message):
    """The number of deleted rows."""

    tenants: list[ForgottenOfTenant]


class WatchInput(StartInput):
    chosen: RequestedTenants


class WatchResult(Message):
    """`failed` counts tenants that were not looked at; the worker's log has the reasons."""

    tenants: int
    looked: int
    requests: int
    read: int
    created: int = 0
    changed: int
    gone: int
    unknown_events: int
    failed: int
    activities_failed: int


class NotifyInput(StartInput):
    """Runs whose events to note; with `expiring`, also expiries."""

    tenant_id: UUID
    run_ids: list[UUID] = []
    expiring: bool = False


class NotificationLookResult(Message):
    """The number of tenants with events."""

    tenants: int
