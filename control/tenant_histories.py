"""A tenant's data in Temporal: histories of its runs, and schedules that name it."""

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from typing import NamedTuple
from uuid import UUID

from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import DeleteWorkflowExecutionRequest
from temporalio.client import Client, WorkflowFailureError
from temporalio.service import RPCError, RPCStatusCode

from activities.holders import NOTIFY_WORKFLOW, SYNC_WORKFLOW, Kind
from control.errors import RequestError
from control.portfolio_words import NameOf
from control.progress import no_worker
from control.runs import request_cancel
from control.schedules import Schedules
from control.watch import WatchSchedule
from temporal_errors import if_there

ENDING_SECONDS = 60
"""How long to wait for cancelled runs; deleting their histories ends the rest."""

LISTED_SECONDS = 180
"""How long to wait until deleted histories are unlisted: a busy Temporal deletes them late."""

GAP_SECONDS = 1.0

_REFUSALS = (RPCStatusCode.PERMISSION_DENIED, RPCStatusCode.UNIMPLEMENTED)


class ErasedHistories(NamedTuple):
    """`why_others_stay`: why other histories stay for the namespace's retention."""

    histories: int
    why_others_stay: str | None


async def leave_out_of_schedules(client: Client, task_queue: str, tenant_id: UUID, name_of: NameOf) -> list[str]:
    """As `Schedules.leave_out`, with the watch. Raises `RequestError` at the end if some still name the tenant."""
    changed, refused = await Schedules(client, task_queue, name_of).leave_out(tenant_id)
    try:
        if await WatchSchedule(client, task_queue).leave_out(tenant_id):
            changed.append("watch")
    except RequestError as error:
        refused.append(f"watch: {error}")
    if refused:
        raise RequestError(
            f"the tenant is still in {'; '.join(refused)}; change or delete this, then run:"
            f" python starter.py tenant remove {tenant_id} --purge"
        )
    return changed


async def cancel_runs(client: Client, task_queue: str, tenant_id: UUID, requested_by: str) -> int:
    """Cancels the tenant's runs, and waits for their ends if a worker is there; returns their number."""
    query = f"{_query(task_queue, tenant_id)} AND ExecutionStatus = 'Running'"
    running = [(execution.id, execution.run_id) async for execution in client.list_workflows(query)]
    kind = Kind(SYNC_WORKFLOW, task_queue)
    for workflow_id, _ in running:
        # The run may have ended, and another workflow that holds its id is not ours to end.
        with suppress(RequestError):
            await request_cancel(client, workflow_id, None, "the tenant is removed", kind, requested_by)
    if running and await no_worker(client, task_queue) is None:
        with suppress(TimeoutError):
            async with asyncio.timeout(ENDING_SECONDS):
                await asyncio.gather(*(_ended(client, workflow_id, run_id) for workflow_id, run_id in running))
    return len(running)


async def erase_histories(
    client: Client, task_queue: str, tenant_id: UUID, workflow_ids: Iterable[str]
) -> ErasedHistories:
    """Deletes the histories that Temporal lists, and the latest of each workflow id."""
    erased: set[tuple[str, str]] = set()
    clock = asyncio.get_running_loop().time
    ends_at = clock() + LISTED_SECONDS
    try:
        # A run that has just begun may not be listed yet.
        kind = Kind(SYNC_WORKFLOW, task_queue)
        latest = {workflow_id: await _latest(client, workflow_id, kind) for workflow_id in workflow_ids}
        recorded = {(workflow_id, run_id) for workflow_id, run_id in latest.items() if run_id is not None}
        while True:
            listed = {
                (execution.id, execution.run_id)
                for query in (_query(task_queue, tenant_id), _query(task_queue, tenant_id, NOTIFY_WORKFLOW, "notify"))
                async for execution in client.list_workflows(query)
            }
            for workflow_id, run_id in (recorded - erased) | listed:
                await _erase(client, workflow_id, run_id)
                erased.add((workflow_id, run_id))
            if not listed:
                return ErasedHistories(len(erased), None)
            if clock() > ends_at:
                return ErasedHistories(len(erased), f"Temporal still lists {len(listed)} of them")
            await asyncio.sleep(GAP_SECONDS)
    except RPCError as error:
        if error.status not in _REFUSALS:
            raise
        return ErasedHistories(len(erased), f"Temporal does not let this client delete histories ({error.status.name})")


def _query(task_queue: str, tenant_id: UUID, workflow_type: str = SYNC_WORKFLOW, beginning: str = "sync") -> str:
    of_tenant = f"WorkflowId STARTS_WITH '{beginning}/{tenant_id}/'"
    return f"WorkflowType = '{workflow_type}' AND TaskQueue = '{task_queue}' AND {of_tenant}"


async def _ended(client: Client, workflow_id: str, run_id: str) -> None:
    with suppress(WorkflowFailureError, RPCError):
        await client.get_workflow_handle(workflow_id, run_id=run_id).result()


async def _latest(client: Client, workflow_id: str, kind: Kind) -> str | None:
    description = await if_there(client.get_workflow_handle(workflow_id).describe())
    return description.run_id if description is not None and Kind.of(description) == kind else None


async def _erase(client: Client, workflow_id: str, run_id: str) -> None:
    request = DeleteWorkflowExecutionRequest(
        namespace=client.namespace, workflow_execution=WorkflowExecution(workflow_id=workflow_id, run_id=run_id)
    )
    await if_there(client.workflow_service.delete_workflow_execution(request))
