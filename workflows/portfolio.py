"""PortfolioWorkflow: one selection over many tenants, a SyncWorkflow each."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from temporalio import workflow
from temporalio.common import Priority
from temporalio.exceptions import (
    ActivityError,
    ApplicationError,
    ChildWorkflowError,
    FailureError,
    TerminatedError,
    WorkflowAlreadyStartedError,
    is_cancelled_exception,
)

with workflow.unsafe.imports_passed_through():
    from activities import definitions
    from activities.messages.portfolio import (
        FollowRuns,
        PortfolioRun,
        PortfolioRunEnd,
        RecordPortfolio,
        RunToFollow,
        TenantOutcome,
    )
    from inventory.error_codes import ErrorCode
    from inventory.outcomes import RunStatus
    from inventory.plurals import counted
    from inventory.portfolio import portfolio_status
    from workflows import policies, search_attributes
    from workflows.cancellable import CancellableWorkflow, reap, settled
    from workflows.cancellation import heed_cancellation, uncancellable
    from workflows.failures import error_code_of
    from workflows.identity import refuse_other_id
    from workflows.messages import (
        PortfolioInput,
        PortfolioProgress,
        PortfolioResult,
        PortfolioState,
        SyncInput,
        SyncResult,
    )
    from workflows.report import portfolio_details
    from workflows.requests import CancelRequest, sync_workflow_id
    from workflows.sync import SyncWorkflow

Child = workflow.ChildWorkflowHandle[SyncWorkflow, SyncResult]

RECORD_BATCH = 25
"""Outcomes recorded by one activity."""

FIRST_LOOK = timedelta(seconds=2)
LONGEST_LOOK = timedelta(minutes=1)
"""Gaps between looks at `PortfolioState.following`: a look costs two actions."""


@workflow.defn
class PortfolioWorkflow(CancellableWorkflow):
    """Starts or joins each tenant's SyncWorkflow, some at a time, and records its outcome.

    The runs outlive it. A tenant's failure is only its outcome.
    """

    @workflow.init
    def __init__(self, portfolio: PortfolioInput) -> None:
        super().__init__()
        self._input = portfolio
        self._run = PortfolioRun(
            portfolio_run_id=self._first_run_id,
            workflow_id=workflow.info().workflow_id,
            selection=portfolio.selection,
            chosen=portfolio.chosen,
            schedule=portfolio.schedule,
            selection_name=portfolio.selection_name,
        )
        self._state = portfolio.state or PortfolioState()
        self._opened = portfolio.state is not None
        self._status = RunStatus.RUNNING
        self._starts: list[asyncio.Task[None]] = []
        self._children: dict[UUID, Child] = {}
        self._waits: list[asyncio.Task[None]] = []
        self._look: asyncio.Task[None] | None = None
        self._look_after = FIRST_LOOK

    @workflow.run
    async def run(self, portfolio: PortfolioInput) -> PortfolioResult:
        """Raises `ApplicationError` only if the portfolio run itself could not go on."""
        refuse_other_id(portfolio.workflow_id, is_scheduled=True)
        try:
            is_done = await self._is_done(self._sync_tenants())
        except FailureError as error:
            return await self._close_broken(error_code_of(error))
        if not is_done:
            return await self._close_cancelled()
        if self._unfinished():
            # Children outlive this execution; the next one follows them.
            self._state.following += self._children_to_follow()
            workflow.continue_as_new(portfolio.model_copy(update={"state": self._state}))
        return await self._close(portfolio_status(self._state.counts))

    @workflow.query
    def progress(self) -> PortfolioProgress:
        running = [*self._children_to_follow(), *self._state.following]
        return PortfolioProgress(status=self._status, counts=self._state.counts, running=running)

    async def _sync_tenants(self) -> None:
        if self._cancel_request is not None:
            raise asyncio.CancelledError
        if not self._opened:
            await self._open()
        while True:
            heed_cancellation()
            self._reap()
            draining = workflow.info().is_continue_as_new_suggested()
            if not draining:
                self._start_more()
            if len(self._state.unrecorded) >= RECORD_BATCH:
                await self._record()
            self._tell()
            if draining and not self._starts:
                return
            if not self._unfinished():
                return
            await self._wait()

    async def _open(self) -> None:
        opened = await self._activity(definitions.open_portfolio, self._run, policies.DATABASE, "choose tenants")
        self._state.left = opened.tenant_ids
        self._state.left_names = opened.tenant_names
        self._state.counts.tenants = len(opened.tenant_ids)
        self._state.selection_name = opened.selection_name
        self._state.at_once = self._input.at_once or opened.at_once
        if opened.disabled:
            self._learn([ErrorCode.TENANT_DISABLED])
        self._opened = True
        self._set_status(RunStatus.RUNNING)

    def _in_flight(self) -> int:
        return len(self._starts) + len(self._children) + len(self._state.following)

    def _unfinished(self) -> bool:
        return bool(self._state.left) or self._in_flight() > 0

    def _start_more(self) -> None:
        while self._state.left and self._in_flight() < self._state.at_once:
            name = self._state.left_names.pop(0) if self._state.left_names else None
            self._starts.append(asyncio.create_task(self._start(self._state.left.pop(0), name)))

    async def _start(self, tenant_id: UUID, tenant_name: str | None) -> None:
        selection = self._input.selection
        workflow_id = sync_workflow_id(tenant_id, selection)
        try:
            child = await workflow.start_child_workflow(
                SyncWorkflow.run,
                SyncInput(
                    tenant_id=tenant_id,
                    selection=selection,
                    deep=self._input.deep,
                    selection_name=self._input.selection_name,
                ),
                id=workflow_id,
                parent_close_policy=workflow.ParentClosePolicy.ABANDON,
                cancellation_type=workflow.ChildWorkflowCancellationType.ABANDON,
                search_attributes=search_attributes.queued(tenant_id, selection),
                static_summary=f"{tenant_name or tenant_id}: {self._state.selection_name or 'sync'}",
                priority=Priority(fairness_key=str(tenant_id)),
            )
        except WorkflowAlreadyStartedError:
            self._state.following.append(RunToFollow(tenant_id=tenant_id, workflow_id=workflow_id))
            self._look_after = FIRST_LOOK
            return
        self._children[tenant_id] = child
        self._waits.append(asyncio.create_task(self._wait_for(tenant_id, child)))

    async def _wait_for(self, tenant_id: UUID, child: Child) -> None:
        codes: list[ErrorCode] = []
        try:
            status = (await child).status
        except ChildWorkflowError as error:
            status = RunStatus.CANCELLED if is_cancelled_exception(error) else RunStatus.FAILED
            if isinstance(error.cause, TerminatedError):
                codes = [ErrorCode.RUN_ABANDONED]
            elif status is RunStatus.FAILED:
                codes = [error_code_of(error.cause or error)]
        del self._children[tenant_id]
        self._fold(TenantOutcome(tenant_id=tenant_id, run_id=_run_id(child), status=status, error_codes=codes))

    def _fold(self, outcome: TenantOutcome) -> None:
        self._state.counts.count(outcome.status)
        self._state.counts.joined += outcome.joined
        self._state.unrecorded.append(outcome)

    def _reap(self) -> None:
        reap(self._starts)
        reap(self._waits)
        if self._look is not None and self._look.done():
            self._look.result()
            self._look = None

    async def _wait(self) -> None:
        if self._state.following and self._look is None:
            self._look = asyncio.create_task(self._look_at_runs())
        tasks = [*self._starts, *self._waits] + ([self._look] if self._look else [])
        await workflow.wait(tasks, return_when=asyncio.FIRST_COMPLETED)

    async def _look_at_runs(self) -> None:
        await workflow.sleep(
            self._look_after, summary=f"{counted(len(self._state.following), 'run is', 'runs are')} followed"
        )
        self._look_after = min(self._look_after * 2, LONGEST_LOOK)
        followed_runs = list(self._state.following)
        try:
            looked = await self._activity(
                definitions.follow_runs,
                FollowRuns(runs=followed_runs),
                policies.DATABASE,
                f"look at {counted(len(followed_runs), 'run')}",
            )
        except ActivityError as error:
            if is_cancelled_exception(error):
                raise
            workflow.logger.warning("runs cannot be looked at: %s", error_code_of(error))
            return
        for run, outcome in zip(followed_runs, looked.outcomes, strict=True):
            index = self._state.following.index(run)
            if outcome.status.ended:
                del self._state.following[index]
                self._fold(outcome)
            else:
                self._state.following[index] = run.model_copy(update={"run_id": outcome.run_id})

    def _children_to_follow(self) -> list[RunToFollow]:
        return [
            RunToFollow(tenant_id=tenant_id, workflow_id=child.id, run_id=_run_id(child), joined=False)
            for tenant_id, child in self._children.items()
        ]

    async def _record(self) -> None:
        outcomes = list(self._state.unrecorded)
        recorded = await self._activity(
            definitions.record_portfolio,
            RecordPortfolio(run=self._run, outcomes=outcomes),
            policies.DATABASE,
            counted(len(outcomes), "tenant"),
        )
        self._state.unrecorded = self._state.unrecorded[len(outcomes) :]
        self._state.at_close += recorded.unrecorded
        self._learn(recorded.error_codes)

    def _learn(self, codes: Sequence[ErrorCode]) -> None:
        self._state.error_codes = sorted({*self._state.error_codes, *codes})

    async def _close_cancelled(self) -> PortfolioResult:
        """Cancels started runs and waits for them; joined runs go on. Re-raises Temporal's own cancellation."""
        request = self._requested_cancellation()
        await uncancellable(self._cancel_runs(request))
        self._state.unrecorded += [
            TenantOutcome(tenant_id=run.tenant_id, run_id=run.run_id, status=RunStatus.RUNNING, joined=run.joined)
            for run in self._state.following
        ]
        self._state.counts.joined += len(self._state.following)
        result = await self._close(RunStatus.CANCELLED, ErrorCode.CANCELLED, request)
        if self._cancel_request is None:
            raise asyncio.CancelledError
        return result

    async def _cancel_runs(self, request: CancelRequest) -> None:
        while self._starts:
            await workflow.wait(self._starts)
            self._reap()
        # When a signal arrives, a later run may have the workflow id.
        handles: list[tuple[UUID | None, Child | workflow.ExternalWorkflowHandle[SyncWorkflow]]] = [
            *((_run_id(child), child) for child in self._children.values()),
            *(
                (run.run_id, workflow.get_external_workflow_handle_for(SyncWorkflow.run, run.workflow_id))
                for run in self._state.following
                if not run.joined
            ),
        ]
        signals = [
            handle.signal(SyncWorkflow.cancel, request.model_copy(update={"run_id": run_id}))
            for run_id, handle in handles
        ]
        await settled([asyncio.create_task(signal) for signal in signals])
        while self._children or any(not run.joined for run in self._state.following):
            await self._wait()
            self._reap()
        if self._look is not None:
            self._look.cancel()
            await settled([self._look])

    async def _close_broken(self, code: ErrorCode) -> PortfolioResult:
        """Started runs go on."""
        return await self._close(RunStatus.FAILED, code)

    async def _close(
        self, status: RunStatus, own_error: ErrorCode | None = None, cancel: CancelRequest | None = None
    ) -> PortfolioResult:
        if own_error is not None:
            self._learn([own_error])
        ending = PortfolioRunEnd(
            status=status,
            counts=self._state.counts,
            error_codes=self._state.error_codes,
            cancel_requested_by=cancel.requested_by if cancel else None,
            cancel_reason=cancel.reason if cancel else None,
        )
        outcomes = [*self._state.unrecorded, *self._state.at_close]
        record = RecordPortfolio(run=self._run, outcomes=outcomes, ending=ending)
        recorded = await uncancellable(
            self._activity(definitions.record_portfolio, record, policies.CLOSE, f"close as {status}")
        )
        self._state.unrecorded = []
        self._learn(recorded.error_codes)
        self._set_status(status)
        if status is RunStatus.FAILED and own_error is not None:
            raise ApplicationError(f"the portfolio run could not go on: {own_error}", type=own_error)
        return PortfolioResult(
            portfolio_run_id=self._run.portfolio_run_id,
            status=status,
            counts=self._state.counts,
            error_codes=self._state.error_codes,
        )

    def _set_status(self, status: RunStatus) -> None:
        self._status = status
        workflow.upsert_search_attributes(
            [
                search_attributes.SELECTION_HASH.value_set(self._run.selection.hash()),
                search_attributes.RUN_STATUS.value_set(status),
                search_attributes.ERROR_CODES.value_set(list(self._state.error_codes)),
            ]
        )
        self._tell()

    def _tell(self) -> None:
        lines = [
            portfolio_details(self._status, self._state.counts, self._state.error_codes),
            *(["", "| running | |", "|---|---|"] if self._in_flight() else []),
            *(f"| {tenant_id} | |" for tenant_id in self._children),
            *(f"| {run.tenant_id} | {'joined' if run.joined else ''} |" for run in self._state.following),
        ]
        workflow.set_current_details("\n".join(lines))


def _run_id(child: Child) -> UUID:
    return UUID(child.first_execution_run_id or "")
