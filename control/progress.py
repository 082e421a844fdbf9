"""Queries a run's workflow for its progress."""

import asyncio

from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflow.v1 import WorkflowExecutionVersioningInfo
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest, DescribeTaskQueueResponse
from temporalio.client import Client, WorkflowExecutionDescription, WorkflowQueryFailedError
from temporalio.service import RPCError

from activities.holders import SYNC_WORKFLOW, Kind, held
from connections import refused
from control.runs import handle_of
from control.worker_versions import nobody_takes
from inventory.records import RunRecord
from workflows.messages import SyncProgress

ANSWER_SECONDS = 4.0
"""How long a worker may take to answer a query or take a task: a frozen one is reported within ten seconds."""


async def run_progress(client: Client, task_queue: str, record: RunRecord, until: float) -> SyncProgress | str:
    """The run's progress, or the reason for having none.

    Temporal Cloud bills queries, so a run without a worker is not queried. `until` is a time of the event loop. Raises
    `TimeoutError` and `UnreachableError`.
    """
    kind = Kind(SYNC_WORKFLOW, task_queue)
    handle = handle_of(client, record.workflow_id, record.run_id)
    silent = f"no worker of task queue {task_queue!r} answers"
    try:
        async with asyncio.timeout_at(until):
            description = await handle.describe()
            if description.raw_info.first_run_id != str(record.run_id):
                return "the workflow has ended"
            if (holder := Kind.of(description)) != kind:
                return held(f"workflow id {record.workflow_id}", client.namespace, holder, kind)
            if (nobody := await nobody_polls(client, task_queue, description)) is not None:
                return nobody
    except RPCError as error:
        raise refused(client, error) from None
    try:
        async with asyncio.timeout_at(until):
            progress: SyncProgress = await handle.query("progress", result_type=SyncProgress)
    except (RPCError, TimeoutError, WorkflowQueryFailedError):
        return silent
    return progress


async def nobody_polls(client: Client, task_queue: str, description: WorkflowExecutionDescription) -> str | None:
    """Why no worker takes the workflow; None if one polls."""
    return nobody_takes(task_queue, await workflow_task_queue(client, task_queue), description.raw_info.versioning_info)


async def no_worker(client: Client, task_queue: str) -> str | None:
    """Why no worker would take a new run; None if one polls."""
    return nobody_takes(task_queue, await workflow_task_queue(client, task_queue), WorkflowExecutionVersioningInfo())


async def workflow_task_queue(client: Client, task_queue: str) -> DescribeTaskQueueResponse:
    return await client.workflow_service.describe_task_queue(
        DescribeTaskQueueRequest(
            namespace=client.namespace,
            task_queue=TaskQueue(name=task_queue),
            task_queue_type=TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW,
        )
    )
