"""Many workers with one Temporal and one PostgreSQL: some die, others start, and nothing is lost or done twice."""

import asyncio
import os
import signal
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest
from temporalio.api.enums.v1 import EventType, PendingActivityState
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from activities.waves import WAVE_REQUESTS
from connections import connect_temporal
from inventory.outcomes import RunStatus
from inventory.portfolio import PortfolioRecord
from inventory.records import RunRecord
from inventory.selection import Selection
from local.simulated_graph import Answer, GraphRequest, Kind, SimulatedGraph
from local.temporal import EmbeddedTemporal
from tests.chaos.invariants import inventory_equals_tenant, records_are_sound, versions_are_sound
from tests.deadlines import DEADLINE_SECONDS
from tests.end_to_end.system import SEEDS, System
from tests.forks import Fork
from workflows.requests import sync_workflow_id

TENANTS = 16
AT_ONCE = 6
WORKERS = 4
KILLED = 2
SELECTION = Selection(type_keys=("assignmentFilters", "deviceManagementScripts", "groups", "roleScopeTags"))
WAVES = frozenset({"read_wave"})
"""The activity that sends requests to Graph. A killed activity loses at most the requests of a wave."""


@pytest.fixture
def slow_system(temporal: EmbeddedTemporal, database_url: str, tmp_path: Path) -> Iterator[System]:
    """A system whose runs take a few seconds, so that workers can die and start during a portfolio run."""
    with (
        SimulatedGraph(
            tenants=TENANTS,
            items_per_collection=20,
            page_size=5,
            latency=timedelta(milliseconds=300),
            seed=next(SEEDS),
        ) as graph,
        System(graph, temporal, database_url, tmp_path) as system,
    ):
        yield system


class Work:
    """The runs' activities, by their histories: completions by process, and lost attempts."""

    def __init__(self) -> None:
        self.ended_in: Counter[int] = Counter()
        self.lost_attempts = 0

    @classmethod
    async def of(cls, client: Client, runs: list[RunRecord]) -> "Work":
        """The work of these runs, none of which has continued as new."""
        work = cls()
        for run in runs:
            await work._add(client, run)
        return work

    async def _add(self, client: Client, run: RunRecord) -> None:
        handle = client.get_workflow_handle(sync_workflow_id(run.tenant_id, SELECTION), run_id=str(run.run_id))
        events = (await handle.fetch_history()).events
        assert events[-1].event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED
        for event in events:
            if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_STARTED:
                self.lost_attempts += event.activity_task_started_event_attributes.attempt - 1
            elif event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED:
                completed = event.activity_task_completed_event_attributes
                self.ended_in[_process(completed.identity)] += 1


def _process(identity: str) -> int:
    """A worker's identity is `<process id>@<host>`."""
    return int(identity.partition("@")[0])


async def waves_in_flight(system: System, client: Client, worker: Fork) -> int:
    """The number of waves that the worker has begun and not completed."""
    waves = 0
    for tenant in system.graph.tenants:
        handle = client.get_workflow_handle(sync_workflow_id(UUID(tenant.id), SELECTION))
        try:
            description = await handle.describe()
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                continue
            raise
        waves += sum(
            pending.activity_type.name in WAVES
            and pending.state == PendingActivityState.PENDING_ACTIVITY_STATE_STARTED
            and _process(pending.last_worker_identity) == worker.pid
            for pending in description.raw_description.pending_activities
        )
    return waves


async def stopped_in_mid_wave(system: System, client: Client, worker: Fork) -> int:
    """Stops the worker while it has waves in flight; returns their number."""
    while True:
        os.kill(worker.pid, signal.SIGSTOP)
        waves = await waves_in_flight(system, client, worker)
        if waves:
            return waves
        os.kill(worker.pid, signal.SIGCONT)
        await asyncio.sleep(0.1)


def tenants_begun(system: System) -> int:
    return len({request.tenant_id for request in system.graph.requests(Kind.INNER)})


@pytest.mark.slow
async def test_portfolio_run_loses_nothing_when_workers_die_and_others_start(
    slow_system: System, temporal: EmbeddedTemporal
) -> None:
    system, graph = slow_system, slow_system.graph
    client = await connect_temporal({"target_host": temporal.address})
    workers = [system.start_worker() for _ in range(WORKERS)]
    types = [argument for type_key in SELECTION.type_keys for argument in ("--type", type_key)]
    first_half = {tenant.id for tenant in graph.tenants[: TENANTS // 2]}

    def hold(request: GraphRequest) -> Answer | None:
        held = request.kind is Kind.INNER and request.tenant_id not in first_half
        return Answer(503, b"{}", {"retry-after": "1"}) if held else None

    # Work is left for the new workers, however long they take to start.
    graph.before_answer = hold
    follower = system.popen("portfolio", "sync", "--all-tenants", *types, "--at-once", str(AT_ONCE), "--json")
    # More tenants than are synced at once: some runs have ended by now, and many have not begun.
    workers[0].wait_until(lambda: tenants_begun(system) > AT_ONCE)
    killed = workers[:KILLED]
    in_flight = sum([await stopped_in_mid_wave(system, client, worker) for worker in killed])
    for worker in killed:
        system.kill(worker)
    added = [system.start_worker() for _ in range(KILLED)]
    graph.before_answer = None
    assert follower.poll() is None, "the new workers started in mid-run"
    stdout, stderr = await asyncio.to_thread(follower.communicate, timeout=DEADLINE_SECONDS)
    assert follower.returncode == 0, stderr

    record = PortfolioRecord.model_validate_json(stdout)
    assert record.status is RunStatus.SUCCESS
    assert (record.counts.tenants, record.counts.success, record.counts.joined) == (TENANTS, TENANTS, 0)
    runs = [RunRecord.model_validate(entry) for entry in system.starter("runs", "--limit", "100", "--json").objects()]
    assert {run.run_id for run in runs} == {entry.run_id for entry in record.tenants}
    assert len(runs) == TENANTS, "no tenant was synced twice"

    run_of = {run.tenant_id: run.run_id for run in runs}
    violations: list[str] = []
    async with system.database() as database:
        for tenant in graph.tenants:
            violations += await inventory_equals_tenant(database, tenant, SELECTION, run_of[UUID(tenant.id)])
            violations += await records_are_sound(database, tenant)
            violations += await versions_are_sound(database, tenant)
    assert not violations

    work = await Work.of(client, runs)
    assert work.lost_attempts > 0, "killed workers lost attempts"
    counted = sum(run.counts.requests for run in runs)
    assert len(graph.requests(Kind.INNER)) - counted <= in_flight * WAVE_REQUESTS
    assert all(work.ended_in[worker.pid] for worker in added), "both new workers completed activities"
