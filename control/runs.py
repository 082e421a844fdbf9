"""Starting and cancelling runs through Temporal."""

from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import UUID

from temporalio.client import Client, WorkflowExecutionDescription, WorkflowExecutionStatus, WorkflowHandle
from temporalio.common import TypedSearchAttributes, WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from activities.holders import PORTFOLIO_WORKFLOW, SYNC_WORKFLOW, Kind, held
from control.errors import RequestError
from graph.catalog import load_catalog
from inventory.portfolio import PortfolioRecord
from inventory.visible_text import visible
from temporal_errors import if_there
from workflows import search_attributes
from workflows.requests import CancelRequest, SyncRequest

if TYPE_CHECKING:
    from inventory.records import RunRecord
    from workflows.messages import PortfolioInput


class NotUnderWayError(RequestError):
    """The run has ended, or does not exist."""


class StartedRun(NamedTuple):
    run_id: UUID
    workflow_id: str
    joined: bool
    handle: WorkflowHandle[Any, Any]


async def start_sync(client: Client, task_queue: str, request: SyncRequest, tenant_name: str) -> StartedRun:
    """Starts a selection's run, or joins the running one: the workflow id is the lock.

    Raises `RequestError` if something else holds it.
    """
    selection_name = request.selection_name or load_catalog().name_of(request.selection.type_keys)
    attributes = search_attributes.queued(
        request.tenant_id, request.selection, tenant_name=tenant_name, selection_name=selection_name
    )
    summary = f"{visible(tenant_name)}: {selection_name}"
    return await start_or_join(client, request, Kind(SYNC_WORKFLOW, task_queue), attributes, summary)


async def start_or_join(
    client: Client,
    request: "SyncRequest | PortfolioInput",
    kind: Kind,
    attributes: TypedSearchAttributes,
    summary: str,
) -> StartedRun:
    """As `start_sync`, for any workflow."""
    workflow_id = request.workflow_id
    try:
        handle = await client.start_workflow(
            kind.workflow_type,
            request,
            id=workflow_id,
            task_queue=kind.task_queue,
            id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
            search_attributes=attributes,
            static_summary=summary,
        )
    except WorkflowAlreadyStartedError as running:
        await refuse_other_holder(client, workflow_id, running.run_id, kind)
        run_id = running.first_run_id or running.run_id
        return StartedRun(UUID(run_id), workflow_id, joined=True, handle=handle_of(client, workflow_id, UUID(run_id)))
    return StartedRun(UUID(handle.first_execution_run_id), workflow_id, joined=False, handle=handle)


def handle_of(client: Client, workflow_id: str, run_id: UUID) -> WorkflowHandle[Any, Any]:
    """A handle whose result is this run's, never a later run's."""
    return WorkflowHandle(client, workflow_id, result_run_id=str(run_id), first_execution_run_id=str(run_id))


async def refuse_other_holder(client: Client, workflow_id: str, run_id: str | None, kind: Kind) -> None:
    """Raises `RequestError` if the execution, without `run_id` the latest, is not of this `kind`."""
    description = await if_there(client.get_workflow_handle(workflow_id, run_id=run_id).describe())
    if description is not None:
        _refuse_other(client, description, kind)


def _refuse_other(client: Client, description: WorkflowExecutionDescription, kind: Kind) -> None:
    holder = Kind.of(description)
    if holder != kind:
        raise RequestError(held(f"workflow id {description.id}", client.namespace, holder, kind))


async def request_cancel(
    client: Client, workflow_id: str, run_id: UUID | None, reason: str | None, kind: Kind, requested_by: str
) -> UUID:
    """Returns the id of the run under way. Raises `NotUnderWayError`, and `RequestError` if something else holds the
    workflow id.
    """
    handle = client.get_workflow_handle(workflow_id)
    request = CancelRequest(reason=reason, requested_by=requested_by, run_id=run_id)
    try:
        description = await handle.describe()
        if description.status is not WorkflowExecutionStatus.RUNNING:
            raise NotUnderWayError("no such run is under way")
        _refuse_other(client, description, kind)
        under_way = UUID(description.raw_info.first_run_id)
        if run_id not in (None, under_way):
            raise NotUnderWayError("the run has ended; a newer one of the same selection is under way")
        await handle.signal("cancel", request)
        return under_way
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            raise NotUnderWayError("no such run is under way") from None
        raise


async def cancel(
    client: Client, task_queue: str, run: "RunRecord | PortfolioRecord", reason: str | None, requested_by: str
) -> None:
    """A portfolio run is cancelled with the runs that it started. Raises `NotUnderWayError`."""
    if isinstance(run, PortfolioRecord):
        workflow, run_id = PORTFOLIO_WORKFLOW, run.portfolio_run_id
    else:
        workflow, run_id = SYNC_WORKFLOW, run.run_id
    await request_cancel(client, run.workflow_id, run_id, reason, Kind(workflow, task_queue), requested_by)
