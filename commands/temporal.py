"""Starting, following and cancelling runs through Temporal."""

import asyncio
import getpass
import socket
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any, Generic, NamedTuple, TypeVar
from uuid import UUID

from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest
from temporalio.client import Client, WorkflowFailureError, WorkflowHandle, WorkflowQueryFailedError
from temporalio.common import WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from commands.worker_versions import nobody_takes
from inventory.selection import Selection
from workflows import search_attributes
from workflows.messages import CancelRequest, SyncInput, SyncResult, sync_workflow_id
from workflows.sync import SyncWorkflow

ProgressT = TypeVar("ProgressT")
Handle = WorkflowHandle[Any, Any]

QUERY_INTERVAL = timedelta(milliseconds=250)
TROUBLE_INTERVAL = timedelta(seconds=2)
QUERY_TIMEOUT = timedelta(seconds=2)


class StartedRun(NamedTuple):
    """A run that was started, or that was under way and has been joined."""

    run_id: UUID
    workflow_id: str
    joined: bool
    handle: WorkflowHandle[SyncWorkflow, SyncResult]


async def start_sync(
    client: Client, task_queue: str, tenant_id: UUID, tenant_name: str, selection: Selection, *, deep: bool = False
) -> StartedRun:
    """Starts the run of a selection, or joins the one that is under way: the workflow id is the lock."""
    workflow_id = sync_workflow_id(tenant_id, selection)
    try:
        handle = await client.start_workflow(
            SyncWorkflow.run,
            SyncInput(tenant_id=tenant_id, selection=selection, deep=deep),
            id=workflow_id,
            task_queue=task_queue,
            id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
            search_attributes=search_attributes.queued(tenant_id, selection),
            static_summary=f"sync {len(selection.type_keys)} collections of {tenant_name}",
        )
    except WorkflowAlreadyStartedError as running:
        run_id = running.first_run_id or running.run_id
        handle = client.get_workflow_handle(workflow_id, first_execution_run_id=run_id, result_type=SyncResult)
        return StartedRun(UUID(run_id), workflow_id, joined=True, handle=handle)
    return StartedRun(UUID(handle.first_execution_run_id), workflow_id, joined=False, handle=handle)


class Follower(Generic[ProgressT]):
    """Follows a workflow to its end, telling `on_progress` how far it is and `on_trouble` what holds it up.

    `progress` is what its `progress` query answers with.
    """

    def __init__(
        self,
        client: Client,
        task_queue: str,
        progress: type[ProgressT],
        on_progress: Callable[[ProgressT], None],
        on_trouble: Callable[[str], None],
    ) -> None:
        self._client = client
        self._task_queue = task_queue
        self._progress = progress
        self._on_progress = on_progress
        self._on_trouble = on_trouble
        self._told: set[str] = set()

    async def follow(self, handle: Handle) -> None:
        """Returns when the workflow has ended, however it ended."""
        watching = [asyncio.create_task(self._watch_progress(handle)), asyncio.create_task(self._watch_trouble(handle))]
        try:
            await handle.result()
        except WorkflowFailureError:
            pass
        finally:
            for watch in watching:
                watch.cancel()
            await asyncio.gather(*watching, return_exceptions=True)
        await self._show_progress(handle)

    async def _watch_progress(self, handle: Handle) -> None:
        while True:
            await self._show_progress(handle)
            await asyncio.sleep(QUERY_INTERVAL.total_seconds())

    async def _show_progress(self, handle: Handle) -> None:
        """One answer of the workflow, if a worker is there to give it."""
        with suppress(RPCError, WorkflowQueryFailedError):
            self._on_progress(await handle.query("progress", result_type=self._progress, rpc_timeout=QUERY_TIMEOUT))

    async def _watch_trouble(self, handle: Handle) -> None:
        while True:
            await asyncio.sleep(TROUBLE_INTERVAL.total_seconds())
            try:
                for trouble in await self._troubles(handle):
                    if trouble not in self._told:
                        self._told.add(trouble)
                        self._on_trouble(trouble)
            except RPCError:
                continue

    async def _troubles(self, handle: Handle) -> list[str]:
        """What holds it up: no worker that takes it, or activities that keep failing."""
        request = DescribeTaskQueueRequest(
            namespace=self._client.namespace,
            task_queue=TaskQueue(name=self._task_queue),
            task_queue_type=TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW,
        )
        queue = await self._client.workflow_service.describe_task_queue(request)
        description = await handle.describe()
        if nobody := nobody_takes(self._task_queue, queue, description.raw_info.versioning_info):
            return [nobody]
        pending: Any = description.raw_description.pending_activities
        return [
            f"{one.activity_type.name} is retried: {one.last_failure.message}"
            for one in pending
            if one.attempt > 1 and one.last_failure.message
        ]


async def request_cancel(client: Client, workflow_id: str, run_id: UUID | None, reason: str | None) -> None:
    """Signals a run to cancel. Raises `LookupError` where no such run is under way."""
    handle = client.get_workflow_handle(workflow_id, first_execution_run_id=str(run_id) if run_id else None)
    request = CancelRequest(reason=reason, requested_by=requester(), run_id=run_id)
    try:
        if run_id is not None and (await handle.describe()).raw_info.first_run_id != str(run_id):
            raise LookupError("the run has ended; a newer one of the same selection is under way")
        await handle.signal(SyncWorkflow.cancel, request)
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            raise LookupError("no such run is under way") from None
        raise


def requester() -> str:
    """Who asks, for the record."""
    return f"{getpass.getuser()}@{socket.gethostname()}"


def now() -> datetime:
    """The command's clock, for records that the database does not have yet."""
    return datetime.now(UTC)
