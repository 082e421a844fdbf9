"""A collection that always fails, over consecutive runs: real activities and PostgreSQL, the simulated Graph.

Waits are skipped: each workflow has a clock of its own, which jumps from timer to timer.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple, cast
from uuid import UUID, uuid4

import pytest
import pytest_asyncio
from temporalio.client import WorkflowFailureError, WorkflowHandle
from temporalio.testing import WorkflowEnvironment

import worker
from configuration import Settings
from graph.client import GraphClient
from inventory.backoff import BRIEF, BRIEF_AFTER_RUNS, MALFORMED_ATTEMPTS
from inventory.error_codes import ErrorCode
from inventory.outcomes import Outcome, RunStatus
from inventory.records import RunRecord
from inventory.selection import Selection
from local.simulated_graph import Fault, FaultKind, Kind, SimulatedGraph, SimulatedTenant
from local.state import State
from storage import queries
from storage.database import Database
from tests.workflows.stand_in_worker import StandInWorker
from workflows.messages import SyncInput, SyncResult
from workflows.requests import CancelRequest, sync_workflow_id
from workflows.sync import SyncWorkflow

pytestmark = pytest.mark.asyncio(loop_scope="session")

Handle = WorkflowHandle[SyncWorkflow, SyncResult]

BROKEN, SHAKY, SOUND = "deviceConfigurations", "groups", "deviceCompliancePolicies"
"""A collection that always fails, one that fails a few times in every run, and one of the first's throttle family."""

DETAILED, DETAILS = "configurationPolicies", r"/configurationPolicies(/|\(')[^/]*/settings"

HICCUPS = 4
"""How often `SHAKY` fails in a run of the week: about eight seconds of skipped time, the usual time of such a run."""

ATTEMPTS = 4
"""Full retry limits, for tests that meet it several times."""

HOURS, MEASURED_EVERY = 7 * 24, 8


class EndedRun(NamedTuple):
    """An ended run: its record, and its duration by its workflow's clock."""

    record: RunRecord
    took: timedelta

    def attempts(self, type_key: str = BROKEN) -> object:
        return self.record.collections[type_key].context.get("attempts")

    def failing_runs(self, type_key: str = BROKEN) -> object:
        return self.record.collections[type_key].context.get("failing_runs", 1)


class Product:
    """The real activities, on the given Temporal."""

    def __init__(self, environment: WorkflowEnvironment, graph: SimulatedGraph, database: Database, queue: str) -> None:
        self._client = environment.client
        self._queue = queue
        self.graph = graph
        self.database = database

    def fail(self, tenant: SimulatedTenant, path: str, kind: FaultKind = FaultKind.SERVER_ERROR, **options: Any) -> int:
        return self.graph.faults.add(Fault(kind, tenant_id=tenant.id, path=path, **options))

    async def start(self, tenant: SimulatedTenant, *type_keys: str) -> Handle:
        sync = SyncInput(tenant_id=UUID(tenant.id), selection=Selection(type_keys=type_keys))
        workflow_id = sync_workflow_id(sync.tenant_id, sync.selection)
        return await self._client.start_workflow(SyncWorkflow.run, sync, id=workflow_id, task_queue=self._queue)

    async def run(self, tenant: SimulatedTenant, *type_keys: str) -> EndedRun:
        handle = await self.start(tenant, *type_keys)
        with suppress(WorkflowFailureError):
            await handle.result()
        description = await handle.describe()
        assert description.close_time is not None
        async with self.database.tenant(UUID(tenant.id), read_only=True) as session:
            record = await queries.run_record(session, UUID(description.run_id))
        assert record is not None
        return EndedRun(record, description.close_time - description.start_time)


@asynccontextmanager
async def product(
    environment: WorkflowEnvironment, graph: SimulatedGraph, database_url: str, folder: Path, **settings: int
) -> AsyncIterator[Product]:
    state = State(folder)
    state.write_tenants([tenant.entry() for tenant in graph.tenants])
    configured = Settings(
        database_url=cast("Any", database_url), tenants_file=state.tenants_file, **cast("Any", settings)
    )
    database = Database(database_url)
    queue = f"test-{uuid4()}"
    async with GraphClient.from_endpoints(
        base_url=graph.base_url, authority_url=graph.authority_url, ca_file=graph.ca_file
    ) as client:
        activities = worker.activities(configured, database, client, environment.client)
        async with StandInWorker(environment.client, task_queue=queue, workflows=[SyncWorkflow], activities=activities):
            yield Product(environment, graph, database, queue)
    await database.close()


@pytest_asyncio.fixture(loop_scope="session")
async def hourly(
    time_skipping: WorkflowEnvironment, graph: SimulatedGraph, database_url: str, tmp_path: Path
) -> AsyncIterator[Product]:
    async with product(time_skipping, graph, database_url, tmp_path, graph_attempts=ATTEMPTS) as activities:
        yield activities


async def test_known_failures_are_retried_briefly_until_success_or_another_failure(hourly: Product) -> None:
    tenant = hourly.graph.tenants[0]
    fault = hourly.fail(tenant, f"/{BROKEN}")
    full = [await hourly.run(tenant, BROKEN, SOUND) for _ in range(BRIEF_AFTER_RUNS)]
    brief = await hourly.run(tenant, BROKEN)
    assert [run.attempts() for run in full] == [ATTEMPTS] * BRIEF_AFTER_RUNS
    assert brief.attempts() == BRIEF.attempts, "with any selection"
    assert [run.failing_runs() for run in (*full, brief)] == [1, 2, 3]
    assert {run.record.collections[SOUND].outcome for run in full} == {Outcome.COMPLETE}

    hourly.graph.faults.remove(fault)
    fault = hourly.fail(tenant, f"/{BROKEN}", FaultKind.THROTTLED)
    otherwise = await hourly.run(tenant, BROKEN, SOUND)
    assert otherwise.record.collections[BROKEN].error_code is ErrorCode.GRAPH_THROTTLED
    assert (otherwise.attempts(), otherwise.failing_runs()) == (ATTEMPTS, 1)

    hourly.graph.faults.remove(fault)
    assert (await hourly.run(tenant, BROKEN, SOUND)).record.status is RunStatus.SUCCESS
    hourly.fail(tenant, f"/{BROKEN}")
    again = await hourly.run(tenant, BROKEN, SOUND)
    assert (again.attempts(), again.failing_runs()) == (ATTEMPTS, 1)


@pytest.mark.slow
async def test_known_failures_of_details_are_retried_briefly(hourly: Product) -> None:
    tenant = hourly.graph.tenants[0]
    hourly.fail(tenant, DETAILS)
    requests = []
    for _ in range(BRIEF_AFTER_RUNS + 1):
        hourly.graph.clear_requests()
        run = await hourly.run(tenant, DETAILED, SOUND)
        requests.append(len(hourly.graph.requests(Kind.INNER)))
        assert run.record.error_codes == [ErrorCode.DETAIL_INCOMPLETE]
        assert run.record.collections[DETAILED].context["detail_error_code"] == ErrorCode.GRAPH_UNAVAILABLE
    assert run.failing_runs(DETAILED) == BRIEF_AFTER_RUNS + 1
    assert requests[-1] < requests[0]


@pytest.mark.parametrize(
    ("kind", "path", "status"),
    [
        (FaultKind.NO_VALUE, f"/{BROKEN}", RunStatus.PARTIAL),
        (FaultKind.BATCH_TRUNCATED_JSON, r"\$batch", RunStatus.FAILED),
    ],
)
async def test_malformed_answers_have_three_attempts(
    hourly: Product, kind: FaultKind, path: str, status: RunStatus
) -> None:
    tenant = hourly.graph.tenants[0]
    hourly.fail(tenant, path, kind)
    run = await hourly.run(tenant, BROKEN, SOUND)
    assert run.record.status is status
    assert run.record.collections[BROKEN].error_code is ErrorCode.GRAPH_MALFORMED_RESPONSE
    assert run.attempts() == MALFORMED_ATTEMPTS < ATTEMPTS


async def test_a_waiting_collection_delays_no_merge_and_progress_names_its_failure(
    short_history: WorkflowEnvironment, graph: SimulatedGraph, database_url: str, tmp_path: Path
) -> None:
    async with product(short_history, graph, database_url, tmp_path) as activities:
        tenant = graph.tenants[0]
        activities.fail(tenant, f"/{BROKEN}", retry_after="1800")
        handle = await activities.start(tenant, BROKEN, SHAKY, SOUND)
        async with asyncio.timeout(100):
            progress = await handle.query(SyncWorkflow.progress)
            while progress.waiting_for is None:
                await asyncio.sleep(0.1)
                progress = await handle.query(SyncWorkflow.progress)
        async with activities.database.tenant(UUID(tenant.id), read_only=True) as session:
            merged = {item.type_key async for item in queries.items(session, None)}
        await handle.signal(SyncWorkflow.cancel, CancelRequest(reason="seen", requested_by="test"))
        await handle.result()
        assert merged == {SHAKY, SOUND}
        assert {progress.collections[key].outcome for key in merged} == {Outcome.COMPLETE}
        assert (progress.waiting_for or "").startswith(f"Graph answered 500 for {BROKEN}; asked again at")
        assert (await handle.query(SyncWorkflow.progress)).waiting_for is None


@pytest.mark.slow
@pytest.mark.timeout(3600)
async def test_a_week_of_failures_at_most_doubles_the_time_of_hourly_runs(
    time_skipping: WorkflowEnvironment, graph: SimulatedGraph, database_url: str, tmp_path: Path
) -> None:
    # The usual time is a healthy tenant's, measured in the same hours on the same machine.
    async with product(time_skipping, graph, database_url, tmp_path) as activities:
        sick, well = graph.tenants
        activities.fail(sick, f"/{BROKEN}")

        async def run(tenant: SimulatedTenant) -> EndedRun:
            activities.fail(tenant, f"/{SHAKY}", count=HICCUPS)
            return await activities.run(tenant, BROKEN, SHAKY, SOUND)

        first = [await run(sick) for _ in range(BRIEF_AFTER_RUNS)]
        assert all(ended_run.attempts() == Settings.model_fields["graph_attempts"].default for ended_run in first)
        failing, usual = timedelta(0), timedelta(0)
        for hour in range(BRIEF_AFTER_RUNS, HOURS):
            measured = hour % MEASURED_EVERY == 0
            ended_run, *healthy = await asyncio.gather(
                *(run(tenant) for tenant in ((sick, well) if measured else (sick,)))
            )
            assert (ended_run.attempts(), ended_run.failing_runs()) == (BRIEF.attempts, hour + 1)
            assert (
                ended_run.record.collections[SHAKY].outcome
                is ended_run.record.collections[SOUND].outcome
                is Outcome.COMPLETE
            )
            for type_key in healthy:
                assert type_key.record.status is RunStatus.SUCCESS
                failing, usual = failing + ended_run.took, usual + type_key.took
        assert failing <= 2 * usual, f"{failing} instead of {usual}"
