"""Records one history of each shape of run: `python -m tests.histories.record NAME` writes them to a folder NAME.

NAME is the release whose workflows are recorded. A folder that is there is never written again: its histories are what
runs of that release look like, and every later release must be able to go on with them.
"""

import argparse
import asyncio
import sysconfig
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from uuid import NAMESPACE_URL, uuid5

from temporalio.client import Client, WorkflowFailureError, WorkflowHandle
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from activities.messages import CursorFailure, FetchPages, UpsertItems
from inventory.error_codes import ErrorCode
from inventory.selection import Selection
from process_exit import run_to_exit
from tests.workflows.scripted import Script
from workflows.messages import CancelRequest, SyncInput, SyncResult, sync_workflow_id
from workflows.search_attributes import ALL
from workflows.sync import SyncWorkflow

HISTORIES = Path(__file__).parent
IDENTITY = "recorder"
THROTTLED = CursorFailure(code=ErrorCode.GRAPH_THROTTLED, retryable=True, context={"http_status": 429})
FORBIDDEN = CursorFailure(code=ErrorCode.GRAPH_PERMISSION_MISSING, retryable=False, context={"http_status": 403})
PAUSED = THROTTLED.model_copy(update={"retry_after": timedelta(seconds=1)})

Handle = WorkflowHandle[SyncWorkflow, SyncResult]


def cancelled() -> Script:
    """A run that is cancelled while its second page is fetched."""

    async def until_the_cancel_has_come(request: FetchPages) -> None:
        if request.cursors[0].url != "/a":
            await asyncio.Event().wait()

    return Script({"a": [2, 2]}, before_fetch=until_the_cancel_has_come)


def lost_wave() -> Script:
    """A run whose staged rows a crash of PostgreSQL has emptied."""
    script = Script({"a": [3]}, losses=1)

    async def serve_again(_: UpsertItems) -> None:
        script.pages["a"] = [3]

    script.before_upsert = serve_again
    return script


SHAPES: dict[str, Callable[[], Script]] = {
    "plain": lambda: Script({"a": [3, 2], "b": [5], "c": [0]}),
    "throttled": lambda: Script({"a": [3, THROTTLED, THROTTLED, 2], "b": [5]}),
    "continued-as-new": lambda: Script({"a": [2] * 12, "b": [1, THROTTLED, 1]}),
    "cancelled": cancelled,
    "partial": lambda: Script({"a": [1], "b": [FORBIDDEN]}),
    "paused": lambda: Script({"a": [3, PAUSED, 2], "b": [5, 5]}),
    "paced": lambda: Script({"a": [3]}, paced=[timedelta(seconds=1)]),
    "confirmed": lambda: Script({"a": [2], "b": [1]}, unlisted={"a": 3}, confirm_failures=[THROTTLED]),
    "lost-wave": lost_wave,
    "detailed": lambda: Script({"a": [100], "b": [3]}, pending={"a": 100, "b": 3}, detail_failures=[THROTTLED]),
    "detail-incomplete": lambda: Script({"a": [5]}, pending={"a": 5}, given_up=[FORBIDDEN]),
    "detail-too-large": lambda: Script({"a": [3]}, pending={"a": 3}, large_details_from=5),
    "queued": lambda: Script({"a": [1]}, openings=["waiting_for_slot"]),
}


async def record(folder: Path) -> None:
    """Runs each shape on a dev server and writes its histories, one file an execution."""
    environment = await WorkflowEnvironment.start_local(
        dev_server_existing_path=str(Path(sysconfig.get_path("scripts")) / "temporal"),
        dev_server_extra_args=["--dynamic-config-value", "limit.historyCount.suggestContinueAsNew=60"],
        search_attributes=ALL,
    )
    async with environment:
        client = await Client.connect(
            environment.client.service_client.config.target_host,
            data_converter=pydantic_data_converter,
            identity=IDENTITY,
        )
        for shape, script in SHAPES.items():
            await _record_shape(client, shape, script(), folder)


async def _record_shape(client: Client, shape: str, script: Script, folder: Path) -> None:
    sync = SyncInput(tenant_id=uuid5(NAMESPACE_URL, shape), selection=Selection(type_keys=tuple(script.pages)))
    async with Worker(
        client, task_queue=shape, workflows=[SyncWorkflow], activities=script.activities(), identity=IDENTITY
    ):
        handle = await client.start_workflow(
            SyncWorkflow.run, sync, id=sync_workflow_id(sync.tenant_id, sync.selection), task_queue=shape
        )
        if shape == "cancelled":
            await script.second_page.wait()
            await handle.signal(SyncWorkflow.cancel, CancelRequest(reason="recorded", requested_by=IDENTITY))
        try:
            await handle.result()
        except WorkflowFailureError:
            print(f"{shape}: failed")
        executions = [one async for one in client.list_workflows(f"WorkflowId = '{handle.id}'")]
        for number, execution in enumerate(sorted(executions, key=lambda one: one.start_time), start=1):
            history = await client.get_workflow_handle(handle.id, run_id=execution.run_id).fetch_history()
            path = folder / f"{shape}-{number}.json"
            path.write_text(history.to_json() + "\n")
            print(f"{path.name}: {len(history.events)} events")


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.histories.record", description="Records workflow histories.")
    parser.add_argument("name", help="the release, such as 0.2.0")
    folder = HISTORIES / parser.parse_args().name
    try:
        folder.mkdir()
    except FileExistsError:
        parser.error(f"{folder.name} has been recorded; recorded histories are never written again")
    asyncio.run(record(folder))


if __name__ == "__main__":
    run_to_exit(main)
