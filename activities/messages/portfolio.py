"""The arguments and results of a portfolio run's activities."""

from uuid import UUID

from activities.messages.base import Message, SelectionName, ShortText, TenantName, WorkflowId
from inventory.error_codes import ErrorCode
from inventory.outcomes import RunStatus
from inventory.portfolio import PortfolioCounts, RequestedTenants
from inventory.selection import RequestedSelection


class PortfolioRun(Message):
    """A portfolio run's id (the workflow's first execution run id), workflow id and coverage.

    `schedule` names the schedule that started it; `selection_name` is the starter's name for the selection.
    """

    portfolio_run_id: UUID
    workflow_id: WorkflowId
    selection: RequestedSelection
    chosen: RequestedTenants
    schedule: ShortText | None = None
    selection_name: SelectionName | None = None


class OpenPortfolioResult(Message):
    """The chosen tenants, and the configured number to sync at once.

    `tenant_names` are in the same order; empty from workers before 0.4. `disabled` counts chosen tenants that the
    tenants file disables.
    """

    tenant_ids: list[UUID]
    at_once: int
    selection_name: ShortText | None = None
    tenant_names: list[TenantName] = []
    disabled: int = 0


class RunToFollow(Message):
    """A run under way. Without `run_id` it is whichever holds the workflow id, and was `joined`."""

    tenant_id: UUID
    workflow_id: WorkflowId
    run_id: UUID | None = None
    joined: bool = True


class FollowRuns(Message):
    runs: list[RunToFollow]


class TenantOutcome(Message):
    """A tenant's run and status; `queued` or `running` if it has not ended."""

    tenant_id: UUID
    run_id: UUID | None = None
    status: RunStatus
    joined: bool = False
    error_codes: list[ErrorCode] = []
    """Codes that are known without the run's record, which has all."""


class FollowRunsResult(Message):
    """The requested runs, in their order."""

    outcomes: list[TenantOutcome]


class PortfolioRunEnd(Message):
    status: RunStatus
    counts: PortfolioCounts
    error_codes: list[ErrorCode] = []
    cancel_requested_by: ShortText | None = None
    cancel_reason: ShortText | None = None


class RecordPortfolio(Message):
    """Record outcomes of tenants and, with `ending`, of the portfolio run."""

    run: PortfolioRun
    outcomes: list[TenantOutcome] = []
    ending: PortfolioRunEnd | None = None


class RecordPortfolioResult(Message):
    """Distinct error codes of the tenants' runs."""

    error_codes: list[ErrorCode] = []
