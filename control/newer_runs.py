"""Runs that Temporal knows and the database has lost, as after a restore."""

from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from temporalio.client import Client

from activities.holders import SYNC_WORKFLOW
from storage import recorded_runs
from temporal_errors import if_there

MOST = 20
"""Enough runs to show a restore."""


async def newer_runs(client: Client, task_queue: str, session: AsyncSession) -> int:
    """Counts, up to `MOST`, completed runs without a record that began after the database's newest run.

    Needs a portfolio session. Failed runs do not count: they may have been refused without a record.
    """
    newest = await recorded_runs.latest_queued_at(session)
    if newest is None:
        return 0
    query = (
        f"WorkflowType = '{SYNC_WORKFLOW}' AND TaskQueue = '{task_queue}' AND ExecutionStatus = 'Completed'"
        f" AND StartTime > '{newest.isoformat()}'"
    )
    # The list does not name the first execution of a run that has continued as new.
    described = [
        await if_there(client.get_workflow_handle(listed.id, run_id=listed.run_id).describe())
        async for listed in client.list_workflows(query, limit=MOST)
    ]
    run_ids = {UUID(description.raw_info.first_run_id) for description in described if description is not None}
    recorded = {run_id for _, run_id in await recorded_runs.with_record(session, list(run_ids))}
    return len(run_ids - recorded)
