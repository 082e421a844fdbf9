"""Follows a run that `sync` started or joined. `sync` loads this module while the run is under way."""

from contextlib import nullcontext
from datetime import UTC, datetime

from temporalio.client import Client

import answers.runs.report  # noqa: F401 - `sync` prints with both once the run has ended
import cli.key_warning  # noqa: F401
from answers.runs.command import ended_record
from cli.follow import Follower, goes_on, leaving
from cli.progress import RunView
from cli.sessions import opened_database
from configuration import Settings
from control.queued_runs import queued_record
from control.runs import StartedRun
from inventory.records import RunRecord
from storage import queries
from workflows.messages import SyncProgress
from workflows.requests import SyncRequest


async def followed(
    settings: Settings,
    client: Client,
    run: StartedRun,
    request: SyncRequest,
    tenant_name: str,
    *,
    wait: bool,
    quiet: bool,
) -> RunRecord:
    """The record now, or with `wait` at the run's end."""
    task_queue = settings.temporal_task_queue
    async with opened_database(settings, pool_size=2) as database:
        with nullcontext() if quiet else leaving(goes_on(run.run_id, tenant_name)):
            # Also with `wait`: the connection is then open, and the statement known, when the run has ended.
            async with database.tenant(request.tenant_id, read_only=True) as session:
                record = await queries.run_record(session, run.run_id)
            latest = record or queued_record(run.run_id, run.workflow_id, request, datetime.now(UTC))
            with RunView(tenant_name) as view:
                if run.joined and not quiet:
                    view.say(f"{tenant_name}: joined run {run.run_id}, which was already under way")
                    if request.deep:
                        view.say("it goes on as it was started; for a deep run, start again once it has ended")
                if wait:
                    follower = Follower(client, task_queue, SyncProgress, view.show, view.say, watched=view.watched)
                    await follower.follow(run.handle)
            return await ended_record(database, latest, run.handle) if wait else latest
