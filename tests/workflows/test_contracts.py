"""What a running workflow relies on: the registered names, the fields that cross Temporal, histories that replay."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from temporalio import activity
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Replayer

import activities.messages
import workflows.messages
from activities.messages import ActivityName, Message
from configuration import Settings
from graph.client import GraphClient
from storage.database import Database
from tests.workflows.scripted import Script
from tests.workflows.test_sync_workflow import THROTTLED, started
from worker import WORKFLOWS
from worker import activities as activities_of_worker
from workflows.frontier import Cursor, Frontier
from workflows.sync import SyncWorkflow

FIELDS = {
    "BeginRunResult": "opening plan policy",
    "CancelRequest": "reason requested_by",
    "Cursor": "anchor attempts first_failed_at not_before page restarts type_key url",
    "CursorFailure": "code context restart retry_after retryable",
    "CursorRequest": "type_key url",
    "FetchPages": "api_version cursors graph_patience run_id tenant_id",
    "FetchPagesResult": "fetch_token pages requests rows",
    "FinishRun": "cancel_reason cancel_requested_by collections counts error_codes run status",
    "FinishRunResult": "counts status",
    "Frontier": "counts cursors plan policy restarted results",
    "NamedInvalid": "external_id position reason",
    "PageResult": "failure invalid items meta_dropped named_invalid next_url type_key was_read",
    "PlannedCollection": "api_version first_url throttle_family type_key wave_limit",
    "RenewLease": "run_id tenant_id",
    "RenewLeaseResult": "open",
    "Run": "run_id selection tenant_id workflow_id",
    "RunPolicy": "cursor_attempts graph_patience queue_patience waves_in_flight",
    "SyncInput": "frontier selection tenant_id",
    "SyncProgress": "collections counts status waiting_for",
    "SyncResult": "counts error_codes run_id status",
    "UpsertItems": "fetch_token promised_rows restarted run_id tenant_id",
    "UpsertItemsResult": "changed created duplicate_ids duplicates lost unchanged",
}
"""A running workflow may still send yesterday's messages: add fields with defaults, never take one away."""


def test_the_fields_that_cross_temporal_are_these() -> None:
    crossing: dict[str, Any] = {"Cursor": Cursor, "Frontier": Frontier}
    for module in (activities.messages, workflows.messages):
        crossing |= {
            name: model
            for name, model in vars(module).items()
            if isinstance(model, type) and issubclass(model, Message) and model is not Message
        }
    assert {name: " ".join(sorted(model.model_fields)) for name, model in crossing.items()} == FIELDS


def test_the_worker_registers_exactly_these() -> None:
    settings = Settings(database_url=cast("Any", "postgresql://user@host/db"))
    registered = activities_of_worker(
        settings, cast("Database", SimpleNamespace()), cast("GraphClient", SimpleNamespace())
    )
    names = [activity._Definition.must_from_callable(one).name for one in registered]
    assert sorted(str(name) for name in names) == sorted(ActivityName)
    assert (SyncWorkflow,) == WORKFLOWS


@pytest.mark.asyncio(loop_scope="module")
async def test_a_history_replays(skipping: WorkflowEnvironment) -> None:
    script = Script({"a": [3, THROTTLED, 2], "b": [5]})
    async with started(skipping, script) as handle:
        await handle.result()
        history = await handle.fetch_history()
    await Replayer(workflows=[SyncWorkflow], data_converter=pydantic_data_converter).replay_workflow(history)


def test_workflows_import_nothing_that_does_io() -> None:
    folder = Path(workflows.messages.__file__).parent
    for path in folder.glob("*.py"):
        text = path.read_text()
        for name in ("httpx", "sqlalchemy", "psycopg", "msal", "os", "socket", "time"):
            assert f"import {name}\n" not in text, f"{path.name} imports {name}"
            assert f"from {name}" not in text, f"{path.name} imports {name}"
