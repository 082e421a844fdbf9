"""The arguments and results of a portfolio run's activities."""

from uuid import UUID

from activities.messages.base import Message, SelectionName, ShortText, TenantName, WorkflowId
from inventory.error_codes import ErrorCode
from inventory.outcomes import RunStatus
from inventory.portfolio import PortfolioCounts, RequestedTenants
from inventory.selection import RequestedSelection


class PortfolioRun(Message):
    """`portfolio_run_id` is the workflow's first execution run id; `schedule` names the schedule that started it."""

    portfolio_run_id: UUID
    workflow_id: WorkflowId
    selection: RequestedSelection
    chosen: RequestedTenants
    schedule: ShortText | None = None
    selection_name: SelectionName | None = None


class OpenPortfolioResult(Message):
    """The chosen tenants. `tenant_names` have the order of `tenant_ids`; workers before 0.4 send none.

    `disabled` is the number of chosen tenants that are disabled.
    """

    tenant_ids: list[UUID]
    at_once: int
    selection_name: ShortText | None = None
    tenant_names: list[TenantName] = []
    disabled: int = 0


class RunToFollow(Message):
    """A run under way. Without `run_id`, it is the run that holds the workflow id, and was `joined`."""

    tenant_id: UUID
    workflow_id: WorkflowId
    run_id: UUID | None = None
    joined: bool = True


class FollowRuns(Message):
    runs: list[RunToFollow]


class TenantOutcome(Message):
    """A tenant's run. `status` is `queued` or `running` until the run has ended."""

    tenant_id: UUID
    run_id: UUID | None = None
    status: RunStatus
    joined: bool = False
    error_codes: list[ErrorCode] = []
    """Codes known without the run's record, which has all."""


class FollowRunsResult(Message):
    """The outcomes, in the order of the request's runs."""

    outcomes: list[TenantOutcome]


class PortfolioRunEnd(Message):
    status: RunStatus
    counts: PortfolioCounts
    error_codes: list[ErrorCode] = []
    cancel_requested_by: ShortText | None = None
    cancel_reason: ShortText | None = None


class RecordPortfolio(Message):
    """Records tenants' outcomes and, with `ending`, the end of the portfolio run."""

    run: PortfolioRun
    outcomes: list[TenantOutcome] = []
    ending: PortfolioRunEnd | None = None


class RecordPortfolioResult(Message):
    """`unrecorded`: outcomes to record again, since their tenants' transactions failed."""

    error_codes: list[ErrorCode] = []
    unrecorded: list[TenantOutcome] = []
