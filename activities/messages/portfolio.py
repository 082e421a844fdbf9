"""The arguments and results of a portfolio run's activities."""

from uuid import UUID

from activities.messages.base import Message, SelectionName, ShortText, TenantName, WorkflowId
from inventory.error_codes import ErrorCode
from inventory.outcomes import RunStatus
from inventory.portfolio import PortfolioCounts, RequestedTenants
from inventory.selection import RequestedSelection


class PortfolioRun(Message):
    """The keys of a portfolio run: its id (the workflow's first execution run id), workflow id and coverage.

    `schedule` names the schedule that started it, if one did; `selection_name` is the one that its starter gave the
    selection.
    """

    portfolio_run_id: UUID
    workflow_id: WorkflowId
    selection: RequestedSelection
    chosen: RequestedTenants
    schedule: ShortText | None = None
    selection_name: SelectionName | None = None


class OpenPortfolioResult(Message):
    """The tenants chosen, and how many of them the worker's configuration would sync at once.

    `tenant_names` are theirs, in the same order; empty from workers before 0.4. `disabled` counts chosen tenants that
    are left out, since the tenants file disables them.
    """

    tenant_ids: list[UUID]
    at_once: int
    selection_name: ShortText | None = None
    tenant_names: list[TenantName] = []
    disabled: int = 0


class RunToFollow(Message):
    """A run that is under way. Without `run_id` it is whichever holds the workflow id, and was `joined`."""

    tenant_id: UUID
    workflow_id: WorkflowId
    run_id: UUID | None = None
    joined: bool = True


class FollowRuns(Message):
    """Look how far these runs are."""

    runs: list[RunToFollow]


class TenantOutcome(Message):
    """A tenant's run, and its status; `queued` or `running` where it has not ended."""

    tenant_id: UUID
    run_id: UUID | None = None
    status: RunStatus
    joined: bool = False
    error_codes: list[ErrorCode] = []
    """Their outcomes as far as they are known without the run's record, which has everything."""


class FollowRunsResult(Message):
    """The requested runs, in their order."""

    outcomes: list[TenantOutcome]


class PortfolioRunEnd(Message):
    """The end of a portfolio run, as its record gets it."""

    status: RunStatus
    counts: PortfolioCounts
    error_codes: list[ErrorCode] = []
    cancel_requested_by: ShortText | None = None
    cancel_reason: ShortText | None = None


class RecordPortfolio(Message):
    """Record the outcomes of some tenants and, with `ending`, of the portfolio run."""

    run: PortfolioRun
    outcomes: list[TenantOutcome] = []
    ending: PortfolioRunEnd | None = None


class RecordPortfolioResult(Message):
    """The distinct error codes of the tenants' runs, by their records."""

    error_codes: list[ErrorCode] = []
