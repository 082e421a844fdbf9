"""Runs that Temporal lists after it has deleted them, beside runs that it still has."""

from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any, cast
from uuid import UUID, uuid4

import pytest
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter

from control import queued_runs
from control.newer_runs import newer_runs
from control.queued_runs import unrecorded_runs
from inventory.selection import Selection
from local.temporal import EmbeddedTemporal
from storage.database import Database
from tests.deadlines import DEADLINE_SECONDS, until_async
from tests.storage.support import begin
from workflows import search_attributes
from workflows.messages import SyncInput
from workflows.sync import SyncWorkflow

TENANT = UUID(int=1)


class LateLists:
    """A client of a Temporal whose lists begin with a workflow that is no longer there."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    async def list_workflows(self, query: str, **options: Any) -> AsyncIterator[Any]:
        yield SimpleNamespace(id="sync/deleted", run_id=str(uuid4()))
        async for listed in self._client.list_workflows(query, **options):
            yield listed


@pytest.fixture
async def client(temporal: EmbeddedTemporal) -> Client:
    return await Client.connect(temporal.address, data_converter=pydantic_data_converter)


async def test_a_deleted_run_hides_no_queued_run(
    database: Database, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queued_runs, "PATIENCE_SECONDS", DEADLINE_SECONDS)
    queue, sync_input = str(uuid4()), SyncInput(tenant_id=TENANT, selection=Selection(type_keys=("groups",)))
    handle = await client.start_workflow(
        SyncWorkflow.run,
        sync_input,
        id=f"sync/{queue}",
        task_queue=queue,
        search_attributes=search_attributes.queued(TENANT, sync_input.selection),
    )

    async def connect() -> Client:
        return cast("Client", LateLists(client))

    async def is_found() -> bool:
        found = await unrecorded_runs(database, queue, TENANT, connect=connect)
        assert found is not None, "Temporal answers"
        return [str(run.run_id) for run in found] == [handle.first_execution_run_id]

    await until_async(is_found)
    await handle.terminate()


async def test_a_deleted_run_is_no_error_of_the_check_for_a_restore(database: Database, client: Client) -> None:
    await begin(database, TENANT, "groups")
    async with database.portfolio() as session:
        assert await newer_runs(cast("Client", LateLists(client)), str(uuid4()), session) == 0
