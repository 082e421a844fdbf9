"""The activity that closes records of runs that died."""

from collections.abc import Iterator, Sequence
from time import monotonic
from typing import TypeVar
from uuid import UUID

from temporalio import activity
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.service import RPCError, RPCStatusCode

from activities.failures import tenant_result
from activities.holders import PORTFOLIO_WORKFLOW, SYNC_WORKFLOW
from activities.messages.sweep import SweepResult
from activities.metrics import RunMetrics
from inventory.error_codes import ErrorCode
from inventory.outcomes import RunStatus
from storage import portfolio, runs
from storage.database import Database

RUNS_AT_ONCE = 5000
"""The most runs of a sweep, drawn by lot, so that runs that wait for workers never hide a dead one."""

SECONDS = 90
"""The limit for runs, and again for portfolio runs, within the timeout."""

CLOSING_SECONDS = 50
"""The limit for one record, since others wait; a later sweep closes it."""

RunT = TypeVar("RunT")


class SweepActivities:
    def __init__(self, database: Database, client: Client, metrics: RunMetrics | None = None) -> None:
        self._database = database
        self._client = client
        self._metrics = metrics or RunMetrics()

    @activity.defn
    async def sweep(self) -> SweepResult:
        """Closes runs with an expired lease and an ended workflow, as `failed` with `run_abandoned`."""
        async with self._database.portfolio() as session:
            found = await runs.expired_runs(session, RUNS_AT_ONCE)
        expired = closed = 0
        for run in _in_time(found):
            expired += 1
            if not await self._is_under_way(SYNC_WORKFLOW, run.workflow_id, run.run_id):
                abandoned = await tenant_result(
                    run.tenant_id,
                    self._close_abandoned(run.tenant_id, run.run_id),
                    seconds=CLOSING_SECONDS,
                    if_late=ErrorCode.STORAGE_UNAVAILABLE,
                )
                if not isinstance(abandoned, ErrorCode):
                    closed += abandoned
                    self._metrics.abandoned(abandoned)
        await self._sweep_portfolios()
        return SweepResult(expired=expired, closed=closed)

    async def _close_abandoned(self, tenant_id: UUID, run_id: UUID) -> int:
        async with self._database.tenant(tenant_id) as session:
            return await runs.close_abandoned(session, run_id)

    async def _sweep_portfolios(self) -> None:
        async with self._database.portfolio() as session:
            found = await portfolio.open_portfolios(session, RUNS_AT_ONCE)
        for run in _in_time(found):
            if not await self._is_under_way(PORTFOLIO_WORKFLOW, run.workflow_id, run.portfolio_run_id):
                codes = [ErrorCode.RUN_ABANDONED]
                async with self._database.no_tenant() as session:
                    ending = portfolio.PortfolioEnd(RunStatus.FAILED, run.counts, codes)
                    await portfolio.close_portfolio(session, run.portfolio_run_id, ending)

    async def _is_under_way(self, workflow_type: str, workflow_id: str, run_id: UUID) -> bool:
        """Accepts any task queue, so that renaming it loses no run. A later run may have the id."""
        try:
            description = await self._client.get_workflow_handle(workflow_id).describe()
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                return False
            raise
        first_run_id = description.raw_info.first_run_id
        is_this_run = first_run_id == str(run_id) and description.workflow_type == workflow_type
        return is_this_run and description.status is WorkflowExecutionStatus.RUNNING


def _in_time(runs: Sequence[RunT]) -> Iterator[RunT]:
    until = monotonic() + SECONDS
    for run in runs:
        if monotonic() > until:
            return
        yield run
