"""Portfolio runs: choosing tenants, following runs, recording outcomes."""

from collections.abc import Sequence
from uuid import UUID

from temporalio import activity
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode

from activities.failures import tenant_result
from activities.holders import SYNC_WORKFLOW, Kind
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
from activities.tenants import TenantsFile
from graph.catalog import load_catalog
from inventory.error_codes import ErrorCode
from inventory.outcomes import RunStatus
from inventory.plurals import counted
from inventory.portfolio import MOST_TENANTS
from storage import portfolio
from storage.database import Database
from storage.runs import is_recorded

RECORD_SECONDS = 4
"""The limit for one tenant's outcome, since others wait: 25 take less than the activity's timeout."""

RECORD_ATTEMPTS = 8
"""Attempts to record the last outcomes, over a minute; without them, a schedule's next run could not start."""


class _HeldError(Exception):
    """Another type of workflow, or another task queue, holds a workflow id."""


class PortfolioActivities:
    """Idempotent by portfolio run id, and by tenant within it."""

    def __init__(self, database: Database, tenants: TenantsFile, client: Client, at_once: int) -> None:
        self._database = database
        self._tenants = tenants
        self._client = client
        self._at_once = at_once

    @activity.defn
    async def open_portfolio(self, run: PortfolioRun) -> OpenPortfolioResult:
        """Records the portfolio run, and chooses tenants by the present tenants file."""
        async with self._database.no_tenant() as session:
            await portfolio.open_portfolio(session, _identity(run))
        chosen, disabled = await self._tenants.enabled(run.chosen)
        if len(chosen) > MOST_TENANTS:
            raise ApplicationError(
                f"{len(chosen)} tenants are more than the {MOST_TENANTS} of one portfolio run; divide them by tags",
                type=ErrorCode.UNEXPECTED_ERROR,
                non_retryable=True,
            )
        for tenant_id in disabled:
            activity.logger.info("%s: tenant %s is left out", ErrorCode.TENANT_DISABLED, tenant_id)
        async with self._database.no_tenant() as session:
            await portfolio.expect_tenants(session, run.portfolio_run_id, len(chosen))
        return OpenPortfolioResult(
            tenant_ids=chosen,
            at_once=self._at_once,
            selection_name=run.selection_name or load_catalog().name_of(run.selection.type_keys),
            tenant_names=[await self._tenants.name(tenant_id) or str(tenant_id) for tenant_id in chosen],
            disabled=len(disabled),
        )

    @activity.defn
    async def follow_runs(self, request: FollowRuns) -> FollowRunsResult:
        """Outcomes from records, or for open runs, from Temporal.

        A run whose workflow ended with an open record is abandoned; the sweep closes the record. Another workflow that
        holds the workflow id says nothing about the tenant.
        """
        ended = await self._ended(request.runs)
        closed: dict[int, UUID | None] = {}
        outcomes: dict[int, TenantOutcome] = {}
        for index, run in enumerate(request.runs):
            if (run.tenant_id, run.run_id) in ended:
                continue
            try:
                run_id, running = await self._described(run)
            except _HeldError:
                held = run.model_copy(update={"joined": False})
                outcomes[index] = _outcome(held, None, RunStatus.FAILED, [ErrorCode.WORKFLOW_ID_HELD])
                continue
            if running:
                outcomes[index] = _outcome(run, run_id, RunStatus.RUNNING, [])
            else:
                closed[index] = run_id
        # Runs may have ended in good order since the first look at the records.
        ended |= await self._ended([request.runs[i].model_copy(update={"run_id": closed[i]}) for i in closed])
        abandoned = (RunStatus.FAILED, [ErrorCode.RUN_ABANDONED])
        for index, run in enumerate(request.runs):
            if index not in outcomes:
                run_id = closed.get(index, run.run_id)
                status, codes = ended.get((run.tenant_id, run_id), abandoned) if run_id else abandoned
                outcomes[index] = _outcome(run, run_id, status, codes)
        return FollowRunsResult(outcomes=[outcomes[index] for index in range(len(request.runs))])

    @activity.defn
    async def record_portfolio(self, request: RecordPortfolio) -> RecordPortfolioResult:
        """Records each outcome in its tenant's transaction, then the portfolio run's end.

        The outcome of a tenant unknown to tenants file and database is only counted. With an end, outcomes that failed
        are tried again for `RECORD_ATTEMPTS`.
        """
        run_id = request.run.portfolio_run_id
        async with self._database.no_tenant() as session:
            # The run may have failed before it was opened.
            await portfolio.open_portfolio(session, _identity(request.run))
        codes: set[ErrorCode] = set()
        unrecorded: list[TenantOutcome] = []
        for outcome in request.outcomes:
            recorded = await tenant_result(
                outcome.tenant_id,
                self._record(run_id, outcome),
                seconds=RECORD_SECONDS,
                if_late=ErrorCode.STORAGE_UNAVAILABLE,
            )
            if isinstance(recorded, ErrorCode):
                unrecorded.append(outcome)
                codes |= set(outcome.error_codes)
            else:
                codes |= set(recorded)
        if (ending := request.ending) is not None:
            values = portfolio.PortfolioEnd(
                ending.status,
                ending.counts,
                sorted(codes | set(ending.error_codes)),
                ending.cancel_requested_by,
                ending.cancel_reason,
            )
            async with self._database.no_tenant() as session:
                await portfolio.close_portfolio(session, run_id, values)
            if unrecorded and activity.info().attempt < RECORD_ATTEMPTS:
                raise ApplicationError(
                    f"{counted(len(unrecorded), 'outcome')} could not be recorded", type=ErrorCode.STORAGE_UNAVAILABLE
                )
        return RecordPortfolioResult(error_codes=sorted(codes), unrecorded=unrecorded)

    async def _record(self, run_id: UUID, outcome: TenantOutcome) -> list[ErrorCode]:
        is_named = await self._tenants.name(outcome.tenant_id) is not None
        async with self._database.tenant(outcome.tenant_id) as session:
            if not (is_named or await is_recorded(session)):
                return outcome.error_codes
            of_run = portfolio.TenantRunOutcome(outcome.run_id, outcome.status, outcome.joined, outcome.error_codes)
            return await portfolio.record_tenant(session, run_id, of_run)

    async def _ended(self, runs: Sequence[RunToFollow]) -> dict[tuple[UUID, UUID], tuple[RunStatus, list[ErrorCode]]]:
        run_ids = [run.run_id for run in runs if run.run_id is not None]
        if not run_ids:
            return {}
        async with self._database.portfolio() as session:
            return await portfolio.ended_runs(session, run_ids)

    async def _described(self, run: RunToFollow) -> tuple[UUID | None, bool]:
        """The run's id, and whether it is under way: a later run may have its workflow id.

        A run counts as under way if Temporal does not answer. Raises `_HeldError`.
        """
        try:
            description = await self._client.get_workflow_handle(run.workflow_id).describe()
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                return run.run_id, False
            activity.logger.warning("the run of tenant %s is looked at later: %s", run.tenant_id, error.status.name)
            return run.run_id, True
        latest = UUID(description.raw_info.first_run_id)
        if run.run_id not in (None, latest):
            return run.run_id, False
        if Kind.of(description) != Kind(SYNC_WORKFLOW, activity.info().task_queue):
            raise _HeldError
        return latest, description.status is WorkflowExecutionStatus.RUNNING


def _outcome(run: RunToFollow, run_id: UUID | None, status: RunStatus, codes: list[ErrorCode]) -> TenantOutcome:
    return TenantOutcome(tenant_id=run.tenant_id, run_id=run_id, status=status, joined=run.joined, error_codes=codes)


def _identity(run: PortfolioRun) -> portfolio.PortfolioIdentity:
    return portfolio.PortfolioIdentity(
        run.portfolio_run_id, run.workflow_id, run.selection, run.chosen, run.schedule, run.selection_name
    )
