"""The contracts of running workflows: registered names, fields that cross Temporal, histories that replay."""

from collections.abc import Iterable
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from types import SimpleNamespace
from typing import Any, cast

import pytest
from temporalio import activity
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Replayer

import activities.messages
import workflows.messages
import workflows.requests
from activities import definitions
from activities.messages.base import Message
from configuration import Settings
from graph.client import GraphClient
from inventory.backoff import KnownFailure
from storage.database import Database
from tests.workflows.scripted_activities import Script
from tests.workflows.test_sync_workflow import THROTTLED, started
from worker import WORKFLOWS
from worker import activities as activities_of_worker
from workflows.cursor import Cursor
from workflows.diagnosis import DiagnosisWorkflow
from workflows.frontier import Frontier
from workflows.messages import PortfolioState
from workflows.notify import NotificationLookWorkflow, NotifyWorkflow
from workflows.portfolio import PortfolioWorkflow
from workflows.queue_place import QueuePlace
from workflows.retention import RetentionWorkflow
from workflows.sweep import SweepWorkflow
from workflows.sync import SyncWorkflow
from workflows.watch import WatchWorkflow

FIELDS = {
    "BeginRunResult": "ahead opening plan policy selection_name tenant_name unknown",
    "CancelRequest": "reason requested_by run_id",
    "Cursor": "anchor attempts confirming detailing failed_with failures first_failed_at http_status left limit losses"
    " not_before of page part restarts size_bytes type_key url",
    "CheckResult": "check message place tenant tenant_id verdict",
    "ConfirmMissing": "api_version graph_patience limit run_id tenant_id told_after type_keys",
    "ConfirmMissingResult": "collections paced requests",
    "ConfirmedShare": "failure found gone left pending",
    "CursorFailure": "code context restart retry_after retryable",
    "CursorRequest": "is_first_listing is_read_again type_key url",
    "DetailRefresh": "period read_before",
    "DetailProgress": "cause failed failure gone left moved read",
    "DetailShare": "known_failure of part type_key",
    "DiagnoseWorker": "tenant_ids",
    "DiagnosisResult": "checks",
    "DetailsDue": "deep detail_refresh refreshes",
    "FetchDetails": "api_version attempts batches graph_patience limit malformed_attempts run_id shares tenant_id"
    " told_after wave_token",
    "FetchDetailsResult": "changed collections paced requests too_large",
    "FetchPages": "api_version cursors due graph_patience limit run_id tenant_id told_after",
    "FetchPagesResult": "fetch_token more_waves paced pages requests rows too_large",
    "FinishRun": "cancel_reason cancel_requested_by collections counts error_codes run status",
    "DeliverEvents": "target tenant_id",
    "DeliveryResult": "failed sent wait",
    "FinishRunResult": "counts error_codes notifies status",
    "ForgetVersions": "after kept older_than tenant_id",
    "ForgetVersionsResult": "after documents versions",
    "ForgetRuns": "older_than tenant_id",
    "ForgetRunsResult": "is_last plans runs",
    "ForgottenOfTenant": "documents plans runs tenant_id versions",
    "Frontier": "counted_early counts cursors incomplete listed listings merging parts paused"
    " pending plan policy restarted results taken unlisted",
    "InventoriedTenants": "tenant_ids",
    "InvalidItem": "external_id position reason",
    "LookForEvents": "look_id",
    "TenantsToTell": "tenants",
    "NoteEvents": "expiring look_id run_ids tenant_id",
    "NoteResult": "targets",
    "NotificationLookResult": "tenants",
    "NotifyInput": "expiring run_ids tenant_id",
    "TenantToTell": "expiring run_ids tenant_id",
    "PageResult": "failure invalid items meta_dropped more_urls named_invalid next_url size_bytes type_key was_read",
    "KnownFailure": "attempts code in_details runs within",
    "PlannedCollection": "api_version confirmable detailed first_url interval is_first_listing known_failure refresh"
    " throttle_family type_key wave_limit",
    "ConfirmedBatch": "failure fetched",
    "DetailBatch": "failure fetched",
    "PageBatch": "cursors failure fetched",
    "ReadWave": "at_once confirmations details graph_patience in_turn pages tenant_id",
    "ReadWaveResult": "confirmations details pages",
    "RetentionInput": "after at_runs failed forgotten kept left older_than runs_older_than tenant_id",
    "RetentionResult": "tenants",
    "FollowRuns": "runs",
    "FollowRunsResult": "outcomes",
    "OpenPortfolioResult": "at_once disabled selection_name tenant_ids tenant_names",
    "PortfolioRunEnd": "cancel_reason cancel_requested_by counts error_codes status",
    "PortfolioInput": "at_once chosen deep schedule selection selection_name state",
    "PortfolioProgress": "counts running status",
    "PortfolioResult": "counts error_codes portfolio_run_id status",
    "PortfolioRun": "chosen portfolio_run_id schedule selection selection_name workflow_id",
    "PortfolioState": "at_close at_once counts error_codes following left left_names selection_name unrecorded",
    "QueuePlace": "ahead since unmoved_since",
    "RecordPortfolio": "ending outcomes run",
    "RecordPortfolioResult": "error_codes unrecorded",
    "StartInput": "",
    "RunToFollow": "joined run_id tenant_id workflow_id",
    "TenantOutcome": "error_codes joined run_id status tenant_id",
    "RenewLease": "queued run_id tenant_id",
    "RenewLeaseResult": "ahead open",
    "Run": "run_id selection selection_name tenant_id workflow_id",
    "PromisedWave": "fetch_token rows",
    "RunPolicy": "cursor_attempts detail_batches detail_items detail_refresh graph_patience"
    " malformed_attempts queue_patience told_after waves_in_flight",
    "SweepResult": "closed expired",
    "SyncInput": "deep frontier place selection selection_name tenant_id",
    "SyncRequest": "deep selection selection_name tenant_id",
    "SyncProgress": "collections counts status waiting_for",
    "SyncResult": "counts error_codes run_id status",
    "WatchChoice": "chosen",
    "WatchInput": "chosen",
    "WatchResult": "activities_failed changed created failed gone looked read requests tenants unknown_events",
    "WatchTenants": "look_id tenant_ids workflow_id",
    "WatchTenantsResult": "changed created failed gone looked read requests unknown_events",
    "WatchedTenants": "tenant_ids",
    "UpsertItems": "deep detail_refresh detailed ended fetch_token more_waves promised_rows refreshes restarted run_id"
    " tenant_id",
    "UpsertItemsResult": "changed created duplicate_ids duplicates lost lost_tokens pending reread unchanged unlisted",
}
"""A running workflow may still send yesterday's messages: add fields with defaults, and remove a field only when its
release's runs no longer replay (`workflows/patches.py`)."""


def test_models_that_cross_temporal_have_exactly_these_fields() -> None:
    crossing: dict[str, Any] = {
        "Cursor": Cursor,
        "Frontier": Frontier,
        "KnownFailure": KnownFailure,
        "PortfolioState": PortfolioState,
        "QueuePlace": QueuePlace,
    }
    folder = activities.messages.__path__
    of_activities = [import_module(f"activities.messages.{found.name}") for found in iter_modules(folder)]
    for module in (*of_activities, workflows.messages, workflows.requests):
        crossing |= {
            name: model
            for name, model in vars(module).items()
            if isinstance(model, type) and issubclass(model, Message) and model is not Message
        }
    assert {name: " ".join(sorted(model.model_fields)) for name, model in crossing.items()} == FIELDS


def signatures(activities: Iterable[Any]) -> dict[str | None, tuple[list[Any] | None, Any]]:
    """The argument types and the return type of each activity, by its name."""
    found = map(activity._Definition.must_from_callable, activities)
    return {definition.name: (definition.arg_types, definition.ret_type) for definition in found}


def test_the_worker_registers_exactly_the_defined_activities_and_workflows() -> None:
    settings = Settings(database_url=cast("Any", "postgresql://user@host/db"))
    registered = activities_of_worker(
        settings,
        cast("Database", SimpleNamespace()),
        cast("GraphClient", SimpleNamespace()),
        cast("Client", SimpleNamespace(service_client=SimpleNamespace(config=SimpleNamespace(runtime=None)))),
    )
    defined = [
        definition for definition in vars(definitions).values() if hasattr(definition, "__temporal_activity_definition")
    ]
    assert signatures(registered) == signatures(defined)
    assert {
        SyncWorkflow,
        PortfolioWorkflow,
        SweepWorkflow,
        RetentionWorkflow,
        DiagnosisWorkflow,
        WatchWorkflow,
        NotifyWorkflow,
        NotificationLookWorkflow,
    } == set(WORKFLOWS)


@pytest.mark.asyncio(loop_scope="session")
async def test_a_history_replays(time_skipping: WorkflowEnvironment) -> None:
    script = Script({"a": [3, THROTTLED, 2], "b": [5]})
    async with started(time_skipping, script) as handle:
        await handle.result()
        history = await handle.fetch_history()
    await Replayer(workflows=[SyncWorkflow], data_converter=pydantic_data_converter).replay_workflow(history)


def test_workflows_import_no_io_modules() -> None:
    folder = Path(workflows.messages.__file__).parent
    for path in folder.glob("*.py"):
        text = path.read_text()
        for name in ("httpx", "sqlalchemy", "psycopg", "msal", "os", "socket", "time"):
            assert f"import {name}\n" not in text, f"{path.name} imports {name}"
            assert f"from {name}" not in text, f"{path.name} imports {name}"
