"""Decisions of the portfolio workflow alone: its children are real SyncWorkflows with scripted activities."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from uuid import UUID, uuid4

import pytest
import pytest_asyncio
from temporalio import activity
from temporalio.api.enums.v1 import EventType
from temporalio.client import Client, WorkflowExecutionStatus, WorkflowFailureError, WorkflowHandle
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.exceptions import ApplicationError, CancelledError
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Replayer

from activities.messages.pages import FetchPages, PageResult
from activities.messages.portfolio import (
    FollowRuns,
    FollowRunsResult,
    OpenPortfolioResult,
    PortfolioRun,
    RecordPortfolio,
    RecordPortfolioResult,
    TenantOutcome,
)
from inventory.error_codes import ErrorCode
from inventory.outcomes import RunStatus
from inventory.portfolio import TenantChoice
from inventory.selection import Selection
from local.temporal import EmbeddedTemporal
from tests.deadlines import DEADLINE_SECONDS
from tests.readable_history import readable
from tests.workflows.scripted_activities import Script
from tests.workflows.stand_in_worker import StandInWorker
from workflows.messages import PortfolioInput, PortfolioResult, SyncInput, SyncResult, portfolio_workflow_id
from workflows.portfolio import PortfolioWorkflow
from workflows.requests import CancelRequest, sync_workflow_id
from workflows.sync import SyncWorkflow

pytestmark = pytest.mark.asyncio(loop_scope="session")

SELECTION = Selection(type_keys=("a",))
Handle = WorkflowHandle[PortfolioWorkflow, PortfolioResult]


@dataclass
class Portfolio:
    """The activities of a portfolio run, played from a script; its runs read one page each."""

    client: Client
    tenants: list[UUID]
    before_fetch: Callable[[FetchPages], Awaitable[None]] | None = None
    before_look: Callable[[], Awaitable[object]] | None = None
    open_error: ApplicationError | None = None
    pages: int = 1
    """The remaining pages of the run that reads now; `before_fetch` may set it."""
    unrecordable: frozenset[UUID] = frozenset()
    """Tenants whose outcomes cannot be recorded."""
    recorded: list[RecordPortfolio] = field(default_factory=list)
    looks: int = 0
    task_queue: str = field(default_factory=lambda: f"test-{uuid4()}")

    @activity.defn(name="open_portfolio")
    async def open_portfolio(self, _: PortfolioRun) -> OpenPortfolioResult:
        if self.open_error is not None:
            raise self.open_error
        return OpenPortfolioResult(tenant_ids=self.tenants, at_once=5)

    @activity.defn(name="follow_runs")
    async def follow_runs(self, request: FollowRuns) -> FollowRunsResult:
        self.looks += 1
        if self.before_look is not None:
            await self.before_look()
        outcomes = []
        for run in request.runs:
            described = await self.client.get_workflow_handle(run.workflow_id).describe()
            latest = UUID(described.raw_info.first_run_id)
            over = described.status is not WorkflowExecutionStatus.RUNNING or run.run_id not in (None, latest)
            outcomes.append(
                TenantOutcome(
                    tenant_id=run.tenant_id,
                    run_id=run.run_id or latest,
                    status=RunStatus.SUCCESS if over else RunStatus.RUNNING,
                    joined=run.joined,
                )
            )
        return FollowRunsResult(outcomes=outcomes)

    @activity.defn(name="record_portfolio")
    async def record_portfolio(self, request: RecordPortfolio) -> RecordPortfolioResult:
        self.recorded.append(request)
        return RecordPortfolioResult(
            error_codes=sorted({code for tenant_outcome in request.outcomes for code in tenant_outcome.error_codes}),
            unrecorded=[outcome for outcome in request.outcomes if outcome.tenant_id in self.unrecordable],
        )

    def outcomes(self) -> list[TenantOutcome]:
        return [tenant_outcome for request in self.recorded for tenant_outcome in request.outcomes]

    async def sync(self, tenant_id: UUID) -> WorkflowHandle[SyncWorkflow, SyncResult]:
        """Starts one tenant's run, as another person would."""
        return await self.client.start_workflow(
            SyncWorkflow.run,
            SyncInput(tenant_id=tenant_id, selection=SELECTION),
            id=sync_workflow_id(tenant_id, SELECTION),
            task_queue=self.task_queue,
        )


@dataclass
class EndlessScript(Script):
    """Every run reads pages of one item."""

    portfolio: Portfolio | None = None
    one_page_a_wave: bool = True

    def _page(self, type_key: str) -> PageResult:
        assert self.portfolio is not None
        self.pages[type_key] = [1] * self.portfolio.pages
        return super()._page(type_key)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def client(temporal: EmbeddedTemporal) -> Client:
    """A client of the product's own server, which does not suggest to continue as new in any test here."""
    return await Client.connect(temporal.address, data_converter=pydantic_data_converter)


@asynccontextmanager
async def started(portfolio: Portfolio, at_once: int | None = None) -> AsyncIterator[Handle]:
    script = EndlessScript({"a": [1]}, before_fetch=portfolio.before_fetch, portfolio=portfolio)
    chosen = TenantChoice(tenant_ids=tuple(portfolio.tenants) or (uuid4(),))
    async with StandInWorker(
        portfolio.client,
        task_queue=portfolio.task_queue,
        workflows=[SyncWorkflow, PortfolioWorkflow],
        activities=[
            *script.activities(),
            portfolio.open_portfolio,
            portfolio.follow_runs,
            portfolio.record_portfolio,
        ],
    ):
        yield await portfolio.client.start_workflow(
            PortfolioWorkflow.run,
            PortfolioInput(selection=SELECTION, chosen=chosen, at_once=at_once),
            id=portfolio_workflow_id(SELECTION, chosen),
            task_queue=portfolio.task_queue,
        )


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(DEADLINE_SECONDS):
        while not condition():  # noqa: ASYNC110 - an activity makes it true
            await asyncio.sleep(0.02)


async def test_outcomes_are_recorded_in_batches_including_failed_runs(client: Client) -> None:
    tenants = [uuid4() for _ in range(30)]

    async def fail_the_third(request: FetchPages) -> None:
        if request.tenant_id == tenants[2]:
            raise ApplicationError("no", type=ErrorCode.AUTH_FAILED, non_retryable=True)

    portfolio = Portfolio(client, tenants, fail_the_third)
    async with started(portfolio, at_once=20) as handle:
        result = await handle.result()
        history = await handle.fetch_history()
    assert result.status is RunStatus.PARTIAL
    assert (result.counts.tenants, result.counts.success, result.counts.failed) == (30, 29, 1)
    assert result.error_codes == [ErrorCode.AUTH_FAILED]
    assert {outcome.tenant_id: outcome.status for outcome in portfolio.outcomes()} == dict.fromkeys(
        tenants, RunStatus.SUCCESS
    ) | {tenants[2]: RunStatus.FAILED}
    assert len(portfolio.outcomes()) == 30
    assert len(portfolio.recorded) <= 2, "30 tenants are two batches, the last of which closes the record"
    (ending,) = [entry.ending for entry in portfolio.recorded if entry.ending is not None]
    assert ending.status is RunStatus.PARTIAL
    assert len(history.events) < 30 * 8
    await Replayer(workflows=[PortfolioWorkflow], data_converter=pydantic_data_converter).replay_workflow(history)


async def test_an_outcome_that_could_not_be_recorded_is_tried_again_at_the_end(client: Client) -> None:
    tenants = [uuid4() for _ in range(30)]
    portfolio = Portfolio(client, tenants, unrecordable=frozenset(tenants[:1]))
    async with started(portfolio) as handle:
        result = await handle.result()
        history = await handle.fetch_history()
    first, last = portfolio.recorded
    assert (result.status, result.counts.success) == (RunStatus.SUCCESS, 30)
    assert {outcome.tenant_id for outcome in first.outcomes} & {outcome.tenant_id for outcome in last.outcomes} == {
        tenants[0]
    }
    await Replayer(workflows=[PortfolioWorkflow], data_converter=pydantic_data_converter).replay_workflow(history)


async def test_a_portfolio_run_obeys_its_limit_of_concurrent_runs(client: Client) -> None:
    under_way: set[UUID] = set()
    three = asyncio.Event()
    most = 0

    async def count(request: FetchPages) -> None:
        nonlocal most
        under_way.add(request.tenant_id)
        most = max(most, len(under_way))
        if len(under_way) == 3:
            three.set()
        await three.wait()
        under_way.discard(request.tenant_id)

    portfolio = Portfolio(client, [uuid4() for _ in range(9)], count)
    async with started(portfolio, at_once=3) as handle:
        assert (await handle.result()).counts.success == 9
        events = (await handle.fetch_history()).events
    assert most == 3
    started_children = ended_children = 0
    for event in events:
        started_children += event.event_type == EventType.EVENT_TYPE_START_CHILD_WORKFLOW_EXECUTION_INITIATED
        ended_children += event.event_type == EventType.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_COMPLETED
        assert started_children - ended_children <= 3


@pytest.mark.slow
async def test_continue_as_new_loses_no_run_in_flight(short_history: WorkflowEnvironment) -> None:
    tenants = [uuid4() for _ in range(30)]
    slow = tenants[0]
    release = asyncio.Event()

    async def hold_the_first(request: FetchPages) -> None:
        if request.tenant_id == slow:
            while not release.is_set():
                activity.heartbeat()
                await asyncio.sleep(0.05)

    portfolio = Portfolio(short_history.client, tenants, hold_the_first)
    async with started(portfolio, at_once=4) as handle:
        await until(lambda: portfolio.looks > 0)
        release.set()
        result = await handle.result()
        latest = short_history.client.get_workflow_handle(handle.id)
        description = await latest.describe()
        histories = [
            await short_history.client.get_workflow_handle(handle.id, run_id=workflow.run_id).fetch_history()
            async for workflow in short_history.client.list_workflows(f"WorkflowId = '{handle.id}'")
        ]
    assert str(result.portfolio_run_id) == handle.first_execution_run_id != description.run_id
    assert (result.status, result.counts.success, result.counts.joined) == (RunStatus.SUCCESS, 30, 0)
    recorded = [outcome.tenant_id for outcome in portfolio.outcomes()]
    assert sorted(recorded) == sorted(tenants), "each tenant once"
    assert not any(outcome.joined for outcome in portfolio.outcomes())
    for history in histories:
        await Replayer(workflows=[PortfolioWorkflow], data_converter=pydantic_data_converter).replay_workflow(history)


async def _held(_: FetchPages) -> None:
    while True:
        activity.heartbeat()
        await asyncio.sleep(0.05)


@pytest.mark.parametrize("by_signal", [True, False])
async def test_a_cancel_stops_started_runs_and_leaves_joined_runs(client: Client, by_signal: bool) -> None:
    tenants = [uuid4() for _ in range(4)]
    portfolio = Portfolio(client, tenants, _held)
    await portfolio.sync(tenants[0])
    async with started(portfolio, at_once=3) as handle:
        await until(lambda: portfolio.looks > 0)
        if by_signal:
            await handle.signal(PortfolioWorkflow.cancel, CancelRequest(reason="enough", requested_by="me"))
            assert (await handle.result()).status is RunStatus.CANCELLED
        else:
            await handle.cancel()
            with pytest.raises(WorkflowFailureError) as failed:
                await handle.result()
            assert isinstance(failed.value.cause, CancelledError)
        joined = await client.get_workflow_handle(sync_workflow_id(tenants[0], SELECTION)).describe()
        ours = client.get_workflow_handle(sync_workflow_id(tenants[1], SELECTION))
        history = readable(await ours.fetch_history())
    assert joined.status is WorkflowExecutionStatus.RUNNING
    asked_by = "me" if by_signal else "Temporal cancellation"
    assert asked_by in history, "the run's own record names its canceller"
    outcomes = {outcome.tenant_id: (outcome.status, outcome.joined) for outcome in portfolio.outcomes()}
    assert outcomes == {
        tenants[0]: (RunStatus.RUNNING, True),
        tenants[1]: (RunStatus.CANCELLED, False),
        tenants[2]: (RunStatus.CANCELLED, False),
    }
    (ending,) = [request.ending for request in portfolio.recorded if request.ending is not None]
    assert (ending.status, ending.counts.cancelled, ending.counts.joined) == (RunStatus.CANCELLED, 2, 1)
    assert ending.cancel_requested_by == asked_by


@dataclass
class SlowTenant:
    """Holds one tenant's runs after `pages` pages, until `let_go` has their ids."""

    tenant_id: UUID
    pages: int = 0
    fetches: int = 0
    let_go: set[UUID] = field(default_factory=set)
    portfolio: Portfolio | None = None

    async def before_fetch(self, request: FetchPages) -> None:
        assert self.portfolio is not None
        self.portfolio.pages = 1
        if request.tenant_id != self.tenant_id:
            return
        self.fetches += 1
        while self.fetches > self.pages and request.run_id not in self.let_go:
            activity.heartbeat()
            await asyncio.sleep(0.05)
        self.portfolio.pages = 1 + max(0, self.pages + 1 - self.fetches)


@pytest.mark.slow
async def test_a_cancel_does_not_stop_a_tenants_later_run(short_history: WorkflowEnvironment) -> None:
    tenants = [uuid4() for _ in range(30)]
    slow = SlowTenant(tenants[0])
    look_on = asyncio.Event()
    # After its continue-as-new it looks at the run, and has not seen its end when it is cancelled.
    portfolio = Portfolio(short_history.client, tenants, slow.before_fetch, look_on.wait)
    slow.portfolio = portfolio
    async with started(portfolio, at_once=4) as handle:
        await until(lambda: portfolio.looks > 0)
        ours = short_history.client.get_workflow_handle(sync_workflow_id(slow.tenant_id, SELECTION))
        slow.let_go.add(UUID((await ours.describe()).raw_info.first_run_id))
        await ours.result()
        later = await portfolio.sync(slow.tenant_id)
        latest = short_history.client.get_workflow_handle(handle.id)
        await latest.signal(PortfolioWorkflow.cancel, CancelRequest(reason="enough", requested_by="me"))
        async with asyncio.timeout(90):
            while "enough" not in readable(await later.fetch_history()):  # noqa: ASYNC110 - it waits for a workflow task
                await asyncio.sleep(0.02)
        look_on.set()
        assert (await handle.result()).status is RunStatus.CANCELLED
        slow.let_go.add(UUID(later.first_execution_run_id))
        assert (await later.result()).status is RunStatus.SUCCESS
    assert {outcome.tenant_id: outcome.status for outcome in portfolio.outcomes()}[slow.tenant_id] is RunStatus.SUCCESS


@pytest.mark.slow
async def test_a_cancel_reaches_runs_that_continued_as_new(short_history: WorkflowEnvironment) -> None:
    tenants = [uuid4() for _ in range(30)]
    slow = SlowTenant(tenants[0], pages=15)
    portfolio = Portfolio(short_history.client, tenants, slow.before_fetch)
    slow.portfolio = portfolio
    async with started(portfolio, at_once=4) as handle:
        await until(lambda: portfolio.looks > 0 and slow.fetches > slow.pages)
        ours = short_history.client.get_workflow_handle(sync_workflow_id(slow.tenant_id, SELECTION))
        described = await ours.describe()
        latest = short_history.client.get_workflow_handle(handle.id)
        await latest.signal(PortfolioWorkflow.cancel, CancelRequest(reason="enough", requested_by="me"))
        assert (await handle.result()).status is RunStatus.CANCELLED
        assert (await ours.describe()).status is WorkflowExecutionStatus.COMPLETED
    assert described.run_id != described.raw_info.first_run_id
    (run,) = (outcome for outcome in portfolio.outcomes() if outcome.tenant_id == slow.tenant_id)
    assert str(run.run_id) == described.raw_info.first_run_id


async def test_a_portfolio_run_that_cannot_be_opened_is_closed_as_failed(client: Client) -> None:
    broken = ApplicationError("no", type=ErrorCode.STORAGE_UNAVAILABLE, non_retryable=True)
    portfolio = Portfolio(client, [], open_error=broken)
    async with started(portfolio) as handle:
        with pytest.raises(WorkflowFailureError) as failed:
            await handle.result()
    assert isinstance(failed.value.cause, ApplicationError)
    assert failed.value.cause.type == ErrorCode.STORAGE_UNAVAILABLE
    (closed,) = portfolio.recorded
    assert closed.ending is not None
    assert (closed.ending.status, closed.ending.error_codes) == (RunStatus.FAILED, [ErrorCode.STORAGE_UNAVAILABLE])


async def test_a_portfolio_run_without_tenants_fails(client: Client) -> None:
    portfolio = Portfolio(client, [])
    async with started(portfolio) as handle:
        assert (await handle.result()).status is RunStatus.FAILED
