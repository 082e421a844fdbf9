"""Arguments, results and signals of workflows."""

from datetime import timedelta
from typing import Annotated, Any, Self
from uuid import UUID

from pydantic import BaseModel, Field, ModelWrapValidatorHandler, ValidationError, model_validator
from temporalio.exceptions import ApplicationError

from activities.messages.base import Message, SelectionName, ShortText, TenantName
from activities.messages.portfolio import RunToFollow, TenantOutcome
from activities.messages.retention import ForgottenOfTenant
from inventory.bounds import RETENTION_DAYS, RETENTION_VERSIONS, SHOWN_CHARACTERS, TENANTS_AT_ONCE
from inventory.error_codes import ErrorCode
from inventory.outcomes import CollectionResult, Counts, RunStatus
from inventory.portfolio import PortfolioCounts, RequestedTenants, TenantChoice, portfolio_hash
from inventory.references import MAX_ID_LENGTH
from inventory.selection import RequestedSelection, Selection
from workflows.frontier import Frontier
from workflows.queue_place import QueuePlace


class StartInput(Message):
    """An invalid input fails the workflow.

    Otherwise its workflow tasks would fail forever, and callers that joined it would wait forever.
    """

    @model_validator(mode="wrap")
    @classmethod
    def _fails_the_workflow(cls, given: Any, validated: ModelWrapValidatorHandler[Self]) -> Self:
        try:
            return validated(given)
        except ValidationError as error:
            problem = error.errors(include_input=False, include_url=False)[0]
            where = ".".join(str(part) for part in problem["loc"])[:SHOWN_CHARACTERS]
            raise ApplicationError(
                f"{cls.__name__}: {where}: {problem['msg'][:SHOWN_CHARACTERS]}",
                type=ErrorCode.UNEXPECTED_ERROR,
                non_retryable=True,
            ) from None


def sync_workflow_id(tenant_id: UUID, selection: Selection) -> str:
    """Allows one run per tenant and selection at a time."""
    return f"sync/{tenant_id}/{selection.hash()}"


class SyncInput(StartInput):
    """A selection of one tenant to read. `deep` also reads details of items with an unchanged list document.

    Continue-as-new carries over `frontier`, or before the run has a slot, `place`.
    """

    tenant_id: UUID
    selection: RequestedSelection
    deep: bool = False
    frontier: Frontier | None = None
    place: QueuePlace | None = None
    selection_name: SelectionName | None = None

    @property
    def workflow_id(self) -> str:
        return sync_workflow_id(self.tenant_id, self.selection)


class CancelRequest(Message):
    """The name and reason are recorded unchecked.

    Runs other than `run_id` ignore the signal, since a later run may have the workflow id; None means any run.
    """

    reason: ShortText | None = None
    requested_by: ShortText | None = None
    run_id: UUID | None = None

    def is_for(self, run_id: UUID) -> bool:
        return self.run_id in (None, run_id)


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
