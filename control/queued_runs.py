"""Runs and portfolio runs that no worker has taken: only Temporal knows them."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from typing import Generic, NamedTuple, TypeVar
from uuid import UUID

from pydantic import BaseModel
from temporalio.client import Client, WorkflowExecution
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError

from activities.holders import PORTFOLIO_WORKFLOW, SYNC_WORKFLOW
from answers.ids import IdRange
from configuration import ConfigurationError
from connections import UnreachableError, connect_temporal, temporal_connect_config
from inventory.outcomes import Counts, RunStatus
from inventory.portfolio import PortfolioCounts, PortfolioRecord
from inventory.records import RunRecord
from inventory.user_errors import UnavailableError, UserError
from payload_codec import PayloadKeyError
from storage import portfolio, recorded_runs
from storage.database import Database
from temporal_errors import if_there
from workflows.messages import PortfolioInput, SyncInput
from workflows.requests import SyncRequest

PATIENCE_SECONDS = 3.0
"""How long to wait for Temporal: answers are useful without it."""

LOOKS = 3
"""How often to look for a new run: Temporal lists it a moment after its start."""

LOOK_GAP_SECONDS = 1.0

FRESH_SECONDS = 2.0
"""The time between pages' questions to Temporal."""

PAGE_WAITS_SECONDS = 0.3
"""How long a page waits; a reload shows a later answer."""

Connect = Callable[[], Awaitable[Client]]

InputT = TypeVar("InputT", bound=BaseModel)
RecordT = TypeVar("RecordT")
Find = Callable[[], Awaitable[list[RecordT] | None]]


class _Started(NamedTuple, Generic[InputT]):
    run_id: UUID
    workflow_id: str
    input: InputT
    queued_at: datetime


async def unrecorded_runs(
    database: Database,
    task_queue: str,
    tenant_id: UUID | None = None,
    ids: IdRange | None = None,
    *,
    most: int = 20,
    connect: Connect | None = None,
) -> list[RunRecord] | None:
    """Queued runs without a record, newest first; None if Temporal does not answer."""
    query = _query(SYNC_WORKFLOW, task_queue, ids)
    if tenant_id is not None:
        query += f" AND TenantId = '{tenant_id}'"
    queued = await _queued(query, SyncInput, most, connect or _new_client)
    if queued is None:
        return None
    async with database.portfolio() as session:
        recorded = await recorded_runs.with_record(session, [run.run_id for run in queued])
    return [
        queued_record(run.run_id, run.workflow_id, run.input, run.queued_at)
        for run in queued
        if (run.input.tenant_id, run.run_id) not in recorded
    ]


class QueuedRuns:
    """Queued runs for pages, at most `FRESH_SECONDS` old. None also if Temporal is slower than a page waits."""

    def __init__(self, database: Database, connect: Connect, task_queue: str) -> None:
        self._database = database
        self._connect = connect
        self._task_queue = task_queue
        self._runs: _PageLooks[RunRecord] = _PageLooks()
        self._portfolio_runs: _PageLooks[PortfolioRecord] = _PageLooks()

    async def look(self, most: int, tenant_id: UUID | None = None) -> list[RunRecord] | None:
        arguments = self._database, self._task_queue, tenant_id
        return await self._runs.look(tenant_id, partial(unrecorded_runs, *arguments, most=most, connect=self._connect))

    async def look_at_portfolio_runs(self, most: int) -> list[PortfolioRecord] | None:
        arguments = self._database, self._task_queue
        find = partial(unrecorded_portfolio_runs, *arguments, most=most, connect=self._connect)
        return await self._portfolio_runs.look(None, find)


class _PageLooks(Generic[RecordT]):
    def __init__(self) -> None:
        self._lookups: dict[UUID | None, tuple[float, asyncio.Task[list[RecordT] | None]]] = {}

    async def look(self, key: UUID | None, find: Find[RecordT]) -> list[RecordT] | None:
        clock = asyncio.get_running_loop().time
        at, task = self._lookups.get(key, (0.0, None))
        if task is None or (task.done() and clock() - at >= FRESH_SECONDS):
            task = asyncio.create_task(_answer_of(find))
            self._lookups[key] = clock(), task
        with suppress(TimeoutError):
            return await asyncio.wait_for(asyncio.shield(task), PAGE_WAITS_SECONDS)
        return None


async def _answer_of(find: Find[RecordT]) -> list[RecordT] | None:
    with suppress(UserError, UnavailableError):
        return await find()
    return None


async def unrecorded_portfolio_runs(
    database: Database, task_queue: str, ids: IdRange | None = None, *, most: int = 20, connect: Connect | None = None
) -> list[PortfolioRecord] | None:
    """As `unrecorded_runs`."""
    query = _query(PORTFOLIO_WORKFLOW, task_queue, ids)
    queued = await _queued(query, PortfolioInput, most, connect or _new_client)
    if queued is None:
        return None
    async with database.portfolio() as session:
        recorded = await portfolio.recorded_portfolio_runs(session, [run.run_id for run in queued])
    return [
        queued_portfolio_record(run.run_id, run.workflow_id, run.input, run.queued_at)
        for run in queued
        if run.run_id not in recorded
    ]


def _query(workflow: str, task_queue: str, ids: IdRange | None) -> str:
    """Names the task queue, since installations may share a namespace."""
    query = (
        f"WorkflowType = '{workflow}' AND ExecutionStatus = 'Running' AND RunStatus = 'queued'"
        f" AND TaskQueue = '{task_queue}'"
    )
    return query if ids is None else f"{query} AND RunId STARTS_WITH '{ids.beginning}'"


async def _new_client() -> Client:
    return await connect_temporal(temporal_connect_config())


async def _queued(query: str, input_type: type[InputT], most: int, connect: Connect) -> list[_Started[InputT]] | None:
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            client = await connect()
            executions = [execution async for execution in client.list_workflows(query, limit=most)]
            runs = await asyncio.gather(*(_started(client, execution, input_type) for execution in executions))
            return [started for started in runs if started is not None]
    except (ConfigurationError, RPCError, TimeoutError, UnreachableError):
        return None


async def _started(client: Client, execution: WorkflowExecution, input_type: type[InputT]) -> _Started[InputT] | None:
    """None if Temporal has deleted the workflow since it was listed, or its input is invalid."""
    events = client.get_workflow_handle(execution.id, run_id=execution.run_id).fetch_history_events(page_size=1)
    event = await if_there(anext(aiter(events)))
    if event is None:
        return None
    attributes = event.workflow_execution_started_event_attributes
    try:
        (read,) = await client.data_converter.decode(attributes.input.payloads, [input_type])
    except PayloadKeyError:
        raise
    except (ApplicationError, RuntimeError, ValueError):
        return None  # The workflow fails as soon as a worker takes it.
    return _Started(UUID(attributes.first_execution_run_id), execution.id, read, event.event_time.ToDatetime(UTC))


def queued_record(run_id: UUID, workflow_id: str, request: SyncRequest, queued_at: datetime) -> RunRecord:
    return RunRecord(
        run_id=run_id,
        tenant_id=request.tenant_id,
        selection_hash=request.selection.hash(),
        selection=request.selection,
        selection_name=request.selection_name,
        workflow_id=workflow_id,
        status=RunStatus.QUEUED,
        queued_at=queued_at,
        started_at=None,
        finished_at=None,
        counts=Counts(),
        error_codes=[],
        collections={},
    )


def queued_portfolio_record(
    run_id: UUID, workflow_id: str, portfolio_input: PortfolioInput, queued_at: datetime
) -> PortfolioRecord:
    return PortfolioRecord(
        portfolio_run_id=run_id,
        workflow_id=workflow_id,
        schedule=portfolio_input.schedule,
        selection_hash=portfolio_input.selection.hash(),
        selection=portfolio_input.selection,
        selection_name=portfolio_input.selection_name,
        chosen=portfolio_input.chosen,
        status=RunStatus.QUEUED,
        started_at=queued_at,
        finished_at=None,
        counts=PortfolioCounts(),
        error_codes=[],
        cancel_requested_by=None,
        cancel_reason=None,
    )
