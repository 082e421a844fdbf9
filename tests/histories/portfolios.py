"""The recorded shapes of portfolio runs: real runs of their tenants, activities played from a script."""

import asyncio
from collections.abc import Awaitable, Callable
from uuid import NAMESPACE_URL, UUID, uuid5

from temporalio import activity
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.exceptions import ApplicationError

from activities.messages.pages import FetchPages, PageResult
from activities.messages.portfolio import (
    FollowRuns,
    FollowRunsResult,
    OpenPortfolioResult,
    PortfolioRun,
    RecordPortfolio,
    RecordPortfolioResult,
    RunToFollow,
    TenantOutcome,
)
from inventory.error_codes import ErrorCode
from inventory.outcomes import RunStatus
from inventory.selection import Selection
from tests.workflows.scripted_activities import Script

SELECTION = Selection(type_keys=("a",))


class PortfolioScript(Script):
    """Every tenant's run reads one page of one item, unless `before_fetch` prevents it."""

    def __init__(
        self, shape: str, tenants: int, *, at_once: int = 3, cancels: bool = False, joins_the_first: bool = False
    ) -> None:
        super().__init__({"a": [1]})
        self.tenants = [uuid5(NAMESPACE_URL, f"{shape}/{number}") for number in range(tenants)]
        self.at_once = at_once
        self.cancels = cancels
        self.joins_the_first = joins_the_first
        self.fetching = asyncio.Event()
        self.looked = asyncio.Event()
        self._client: Client | None = None

    def with_client(self, client: Client) -> "PortfolioScript":
        """Sets the client by which it looks at runs."""
        self._client = client
        return self

    @activity.defn(name="open_portfolio")
    async def open_portfolio(self, _: PortfolioRun) -> OpenPortfolioResult:
        return OpenPortfolioResult(tenant_ids=self.tenants, at_once=self.at_once)

    @activity.defn(name="follow_runs")
    async def follow_runs(self, request: FollowRuns) -> FollowRunsResult:
        self.looked.set()
        return FollowRunsResult(outcomes=[await self._look(run) for run in request.runs])

    async def _look(self, run: RunToFollow) -> TenantOutcome:
        if self._client is None:
            raise RuntimeError("the script has no client")
        description = await self._client.get_workflow_handle(run.workflow_id).describe()
        return TenantOutcome(
            tenant_id=run.tenant_id,
            run_id=UUID(description.raw_info.first_run_id),
            status=RunStatus.RUNNING if description.status is WorkflowExecutionStatus.RUNNING else RunStatus.SUCCESS,
            joined=run.joined,
        )

    @activity.defn(name="record_portfolio")
    async def record_portfolio(self, request: RecordPortfolio) -> RecordPortfolioResult:
        return RecordPortfolioResult(
            error_codes=sorted({code for tenant_outcome in request.outcomes for code in tenant_outcome.error_codes})
        )

    def _page(self, type_key: str) -> PageResult:
        self.pages[type_key] = [1]
        return super()._page(type_key)

    def activities(self) -> list[Callable[..., Awaitable[object]]]:
        return [*super().activities(), self.open_portfolio, self.follow_runs, self.record_portfolio]


def _plain(shape: str) -> PortfolioScript:
    return PortfolioScript(shape, 5)


def _failed_tenant(shape: str) -> PortfolioScript:
    script = PortfolioScript(shape, 4)

    async def refuse_the_second(request: FetchPages) -> None:
        if request.tenant_id == script.tenants[1]:
            raise ApplicationError("no", type=ErrorCode.AUTH_FAILED, non_retryable=True)

    script.before_fetch = refuse_the_second
    return script


def _cancelled(shape: str) -> PortfolioScript:
    script = PortfolioScript(shape, 6, cancels=True)

    async def hold_all_but_the_first(request: FetchPages) -> None:
        if request.tenant_id != script.tenants[0]:
            script.fetching.set()
            await asyncio.Event().wait()

    script.before_fetch = hold_all_but_the_first
    return script


def _hold_the_first_until_it_is_looked_at(script: PortfolioScript) -> PortfolioScript:
    async def hold(request: FetchPages) -> None:
        if request.tenant_id == script.tenants[0]:
            script.fetching.set()
            await script.looked.wait()

    script.before_fetch = hold
    return script


def _continued_as_new(shape: str) -> PortfolioScript:
    """A run is under way when the portfolio run continues as new, and outcomes are recorded in two batches."""
    return _hold_the_first_until_it_is_looked_at(PortfolioScript(shape, 30))


def _joined(shape: str) -> PortfolioScript:
    """Somebody else has started the first tenant's run."""
    return _hold_the_first_until_it_is_looked_at(PortfolioScript(shape, 3, joins_the_first=True))


PORTFOLIO_SHAPES: dict[str, Callable[[str], PortfolioScript]] = {
    "portfolio-plain": _plain,
    "portfolio-failed-tenant": _failed_tenant,
    "portfolio-cancelled": _cancelled,
    "portfolio-continued-as-new": _continued_as_new,
    "portfolio-joined": _joined,
}
