"""A collection that Graph fails for good, in the tenant's hourly runs: real activities, on a clock that skips waits."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple, cast
from uuid import UUID, uuid4

import pytest
import pytest_asyncio
from temporalio.client import WorkflowFailureError, WorkflowHandle
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

import worker
from configuration import Settings
from graph.client import GraphClient
from inventory.outcomes import Outcome, RunStatus
from inventory.patience import BRIEF, BRIEF_AFTER_RUNS, MALFORMED_ATTEMPTS
from inventory.records import CollectionRecord, RunRecord
from inventory.selection import Selection
from local.simulated_graph import Fault, FaultKind, SimulatedGraph, SimulatedTenant
from local.state import State
from storage import queries
from storage.database import Database
from workflows.messages import SyncInput, SyncResult, sync_workflow_id
from workflows.sync import SyncWorkflow

pytestmark = pytest.mark.asyncio(loop_scope="session")

BROKEN, SHAKY, SOUND = "deviceConfigurations", "groups", "deviceCompliancePolicies"
"""One that Graph fails for good, one that it fails a few times in every run, and one of the first's family."""

HICCUPS = 6
"""Failures of `SHAKY` in every run: what a usual run waits for, about half a minute of skipped time."""

FULL_ATTEMPTS = Settings.model_fields["graph_attempts"].default

DETAILED = "configurationPolicies"


class Ended(NamedTuple):
    """A run that has ended: its record, and how long it took by its workflow's clock."""

    record: RunRecord
    took: timedelta
    summaries: list[str]
    """Of its timers."""

    @property
    def broken(self) -> CollectionRecord:
        return self.record.collections[BROKEN]


class Hourly:
    """The real activities on the server that skips time."""

    def __init__(self, environment: WorkflowEnvironment, graph: SimulatedGraph, database: Database, queue: str) -> None:
        self._client = environment.client
        self._database = database
        self._queue = queue
        self.graph = graph

    def fail(self, tenant: SimulatedTenant, path: str, kind: FaultKind = FaultKind.SERVER_ERROR, **more: Any) -> int:
        return self.graph.faults.add(Fault(kind, tenant_id=tenant.id, path=path, **more))

    async def start(
        self, tenant: SimulatedTenant, *type_keys: str, hiccups: int = 0
    ) -> WorkflowHandle[SyncWorkflow, SyncResult]:
        if hiccups:
            self.fail(tenant, "/groups", count=hiccups)
        sync = SyncInput(tenant_id=UUID(tenant.id), selection=Selection(type_keys=type_keys or (BROKEN, SHAKY, SOUND)))
        workflow_id = sync_workflow_id(sync.tenant_id, sync.selection)
        return await self._client.start_workflow(SyncWorkflow.run, sync, id=workflow_id, task_queue=self._queue)

    async def run(self, tenant: SimulatedTenant, *type_keys: str, hiccups: int = 0) -> Ended:
        handle = await self.start(tenant, *type_keys, hiccups=hiccups)
        try:
            await handle.result()
        except WorkflowFailureError:
            pass
        description = await handle.describe()
        history = await handle.fetch_history()
        assert description.close_time is not None
        async with self._database.tenant(UUID(tenant.id), read_only=True) as session:
            record = await queries.run_record(session, UUID(description.run_id))
        assert record is not None
        return Ended(record, description.close_time - description.start_time, [])


@pytest_asyncio.fixture(loop_scope="session")
async def hourly(
    skipping: WorkflowEnvironment, graph: SimulatedGraph, database_url: str, tmp_path: Path
) -> AsyncIterator[Hourly]:
    state = State(tmp_path)
    state.write_tenants(
        [
            {"id": str(one.id), "name": one.name, "client_id": one.client_id, "client_secret": one.client_secret}
            for one in graph.tenants
        ]
    )
    settings = Settings(database_url=cast("Any", database_url), tenants_file=state.tenants_file)
    database = Database(database_url)
    queue = f"test-{uuid4()}"
    async with (
        GraphClient.from_endpoints(
            base_url=graph.base_url, authority_url=graph.authority_url, ca_file=graph.ca_file
        ) as client,
        Worker(
            skipping.client,
            task_queue=queue,
            workflows=[SyncWorkflow],
            activities=worker.activities(settings, database, client, skipping.client),
        ),
    ):
        yield Hourly(skipping, graph, database, queue)
    await database.close()


async def test_spike(hourly: Hourly) -> None:
    sick, well = hourly.graph.tenants
    hourly.fail(sick, "/deviceConfigurations")
    import time

    for n in range(5):
        t = time.time()
        a, b = await asyncio.gather(hourly.run(sick, hiccups=HICCUPS), hourly.run(well, hiccups=HICCUPS))
        print(n, time.time() - t, a.took, b.took, a.record.status, a.broken, b.record.status)
