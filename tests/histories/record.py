"""Records one history of each shape of run: `python -m tests.histories.record NAME` writes them to a folder NAME.

NAME is the release whose workflows are recorded. A history is never overwritten: it shows how runs of that
release look, and every later release must be able to continue them. `--missing` adds new shapes, while the release is
checked out.
"""

import argparse
import asyncio
import re
import sysconfig
from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from temporalio.client import Client, WorkflowFailureError, WorkflowHandle
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from activities.messages.merges import UpsertItems
from activities.messages.pages import CursorFailure, FetchPages
from inventory.error_codes import ErrorCode
from inventory.portfolio import TenantChoice
from inventory.selection import Selection
from process_exit import run_to_exit
from tests.deadlines import DEADLINE
from tests.histories.portfolios import PORTFOLIO_SHAPES, SELECTION, PortfolioScript
from tests.workflows.scripted_activities import Script
from workflows.messages import PortfolioInput, SyncInput, portfolio_workflow_id
from workflows.portfolio import PortfolioWorkflow
from workflows.requests import CancelRequest, sync_workflow_id
from workflows.search_attributes import ALL
from workflows.sync import SyncWorkflow

HISTORIES = Path(__file__).parent
IDENTITY = "recorder"
STACK_TRACE = re.compile(r'(?<="stackTrace": )"(?:[^"\\]|\\.)*"')
"""It names folders of the recording machine, and no workflow reads it."""
THROTTLED = CursorFailure(code=ErrorCode.GRAPH_THROTTLED, retryable=True, context={"http_status": 429})
FORBIDDEN = CursorFailure(code=ErrorCode.GRAPH_PERMISSION_MISSING, retryable=False, context={"http_status": 403})
PAUSED = THROTTLED.model_copy(update={"retry_after": timedelta(seconds=1)})


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
    "continued-as-new": lambda: Script({"a": [2] * 12, "b": [1, THROTTLED, 1]}, one_page_a_wave=True),
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


async def record(folder: Path, shapes: Sequence[str]) -> None:
    """Runs these shapes on a dev server and writes their histories, one file per execution."""
    environment = await WorkflowEnvironment.start_local(
        dev_server_existing_path=str(Path(sysconfig.get_path("scripts")) / "temporal"),
        dev_server_extra_args=["--dynamic-config-value", "limit.historyCount.suggestContinueAsNew=60"],
        dev_server_startup_timeout=DEADLINE,
        search_attributes=ALL,
    )
    async with environment:
        client = await Client.connect(
            environment.client.service_client.config.target_host,
            data_converter=pydantic_data_converter,
            identity=IDENTITY,
        )
        for shape in shapes:
            if shape in SHAPES:
                await _record_run(client, shape, SHAPES[shape](), folder)
            else:
                await _record_portfolio(client, shape, PORTFOLIO_SHAPES[shape](shape).with_client(client), folder)


async def _record_run(client: Client, shape: str, script: Script, folder: Path) -> None:
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
        await _write(client, shape, handle, folder)


async def _record_portfolio(client: Client, shape: str, script: PortfolioScript, folder: Path) -> None:
    portfolio = PortfolioInput(selection=SELECTION, chosen=TenantChoice(tenant_ids=tuple(script.tenants)))
    async with Worker(
        client,
        task_queue=shape,
        workflows=[PortfolioWorkflow, SyncWorkflow],
        activities=script.activities(),
        identity=IDENTITY,
    ):
        if script.joins_the_first:
            sync = SyncInput(tenant_id=script.tenants[0], selection=SELECTION)
            await client.start_workflow(
                SyncWorkflow.run, sync, id=sync_workflow_id(sync.tenant_id, SELECTION), task_queue=shape
            )
            await script.fetching.wait()
        handle = await client.start_workflow(
            PortfolioWorkflow.run,
            portfolio,
            id=portfolio_workflow_id(SELECTION, portfolio.chosen),
            task_queue=shape,
        )
        if script.cancels:
            await script.fetching.wait()
            await handle.signal(PortfolioWorkflow.cancel, CancelRequest(reason="recorded", requested_by=IDENTITY))
        await _write(client, shape, handle, folder)


async def _write(client: Client, shape: str, handle: WorkflowHandle[Any, Any], folder: Path) -> None:
    """Waits for the end and writes one file per execution."""
    try:
        await handle.result()
    except WorkflowFailureError:
        print(f"{shape}: failed")
    executions = [workflow async for workflow in client.list_workflows(f"WorkflowId = '{handle.id}'")]
    for number, execution in enumerate(sorted(executions, key=lambda execution: execution.start_time), start=1):
        history = await client.get_workflow_handle(handle.id, run_id=execution.run_id).fetch_history()
        path = folder / f"{shape}-{number}.json"
        path.write_text(STACK_TRACE.sub('""', history.to_json()) + "\n")
        print(f"{path.name}: {len(history.events)} events")


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.histories.record", description="Records workflow histories.")
    parser.add_argument("name", help="the release, such as 0.2.0")
    parser.add_argument("--missing", action="store_true", help="add the shapes that the release's folder lacks")
    arguments = parser.parse_args()
    folder = HISTORIES / arguments.name
    if folder.exists() and not arguments.missing:
        parser.error(f"{folder.name} has been recorded; recorded histories are never written again")
    folder.mkdir(exist_ok=True)
    recorded = shapes_in(folder.glob("*.json"))
    asyncio.run(record(folder, [shape for shape in (*SHAPES, *PORTFOLIO_SHAPES) if shape not in recorded]))


def shapes_in(paths: Iterable[Path]) -> set[str]:
    """The shapes whose executions these files hold."""
    return {path.stem.rpartition("-")[0] for path in paths}


if __name__ == "__main__":
    run_to_exit(main)
