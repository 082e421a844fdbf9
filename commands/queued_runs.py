"""Queued runs that no worker has taken up yet: Temporal has them, the database has no record of them."""

import asyncio
from datetime import UTC, datetime
from uuid import UUID

from temporalio.client import Client, WorkflowExecution
from temporalio.service import RPCError

from commands.ids import IdRange
from configuration import ConfigurationError
from connections import UnreachableError, connect_temporal, temporal_connect_config
from inventory.outcomes import Counts, RunStatus
from inventory.records import RunRecord
from inventory.selection import Selection
from storage import queries
from storage.database import Database
from workflows.messages import SyncInput

PATIENCE_SECONDS = 3.0
"""How long Temporal may take to tell: the answer is worth having without them, too."""

_QUEUED = "WorkflowType = 'SyncWorkflow' AND ExecutionStatus = 'Running' AND RunStatus = 'queued'"


async def unrecorded_runs(
    database: Database, task_queue: str, tenant_id: UUID | None = None, ids: IdRange | None = None, *, most: int = 20
) -> list[RunRecord] | None:
    """The queued runs without a record, newest first: of one tenant or all, whose ids are in a range if one is given.

    None where Temporal does not tell.
    """
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            client = await connect_temporal(temporal_connect_config())
            return await _unrecorded(client, database, _query(task_queue, tenant_id, ids), most)
    except (ConfigurationError, RPCError, TimeoutError, UnreachableError):
        return None


def _query(task_queue: str, tenant_id: UUID | None, ids: IdRange | None) -> str:
    """In Temporal's list filter: a namespace may hold the runs of several installations, each with its task queue."""
    query = f"{_QUEUED} AND TaskQueue = '{task_queue}'"
    if tenant_id is not None:
        query += f" AND TenantId = '{tenant_id}'"
    if ids is not None:
        query += f" AND RunId STARTS_WITH '{ids.beginning}'"
    return query


async def _unrecorded(client: Client, database: Database, query: str, most: int) -> list[RunRecord]:
    executions = [execution async for execution in client.list_workflows(query, limit=most)]
    found = await asyncio.gather(*(_run(client, execution) for execution in executions))
    async with database.portfolio() as session:
        recorded = await queries.recorded_runs(session, [run.run_id for run in found])
    return [run for run in found if run.run_id not in recorded]


async def _run(client: Client, execution: WorkflowExecution) -> RunRecord:
    """The record that the workflow would have; its first event tells with what it was started."""
    events = client.get_workflow_handle(execution.id, run_id=execution.run_id).fetch_history_events(page_size=1)
    event = await anext(aiter(events))
    started = event.workflow_execution_started_event_attributes
    (sync,) = await client.data_converter.decode(started.input.payloads, [SyncInput])
    queued_at = event.event_time.ToDatetime(UTC)
    return queued_record(UUID(started.first_execution_run_id), execution.id, sync.tenant_id, sync.selection, queued_at)


def queued_record(
    run_id: UUID, workflow_id: str, tenant_id: UUID, selection: Selection, queued_at: datetime
) -> RunRecord:
    """The record of a run that no worker has taken up yet."""
    return RunRecord(
        run_id=run_id,
        tenant_id=tenant_id,
        selection_hash=selection.hash(),
        selection=selection,
        workflow_id=workflow_id,
        status=RunStatus.QUEUED,
        queued_at=queued_at,
        started_at=None,
        finished_at=None,
        counts=Counts(),
        error_codes=[],
        collections={},
    )
