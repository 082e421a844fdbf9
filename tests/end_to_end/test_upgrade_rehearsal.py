"""The upgrade of docs/operating.md, from the earlier release's own code, with its worker and a run under way.

The database is migrated while the old worker runs, a new worker starts, and the old worker stops. No run is lost, and
no unchanged item is reported as changed.
"""

import io
import subprocess
import sys
import tarfile
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from uuid import UUID

import psycopg
import pytest
from temporalio.api.enums.v1 import EventType

from connections import connect_temporal
from local.processes import Child
from local.simulated_graph import Fault, FaultKind, SimulatedGraph
from local.temporal import EmbeddedTemporal
from tests.deadlines import DEADLINE_SECONDS, until, until_async
from tests.end_to_end.system import System
from tests.forks import CHECKOUT
from tests.releases.recorded_release import ITEMS_PER_COLLECTION, SEED, RecordedRelease

RELEASE = RecordedRelease.of("0.3.0", revision="0012")
COMMIT = "ad847f9c"
"""The code of the release: the last commit at its migration."""

TYPES = ("conditionalAccessPolicies", "namedLocations", "deviceConfigurations", "groups")
SELECTED = [word for key in TYPES for word in ("--type", key)]
HELD = "deviceManagement/deviceConfigurations"


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The checkout of the release, from this checkout's own history."""
    archived = subprocess.run(["git", "archive", COMMIT], cwd=CHECKOUT, capture_output=True)
    if archived.returncode != 0:
        pytest.skip(f"this clone has no commit {COMMIT}, the code of 0.3.0: a whole clone rehearses the upgrade")
    folder = tmp_path_factory.mktemp("release")
    with tarfile.open(fileobj=io.BytesIO(archived.stdout)) as archive:
        archive.extractall(folder, filter="data")
    return folder


@pytest.fixture
def system(temporal: EmbeddedTemporal, empty_database_url: str, tmp_path: Path) -> Iterator[System]:
    """The release's database, and a tenant that serves the documents that the release read."""
    RELEASE.restore(empty_database_url)
    with (
        SimulatedGraph(tenants=1, seed=SEED, items_per_collection=ITEMS_PER_COLLECTION) as graph,
        System(graph, temporal, empty_database_url, tmp_path) as running,
    ):
        assert UUID(running.tenant.id) == RELEASE.tenant_id
        RELEASE.serve(running.tenant)
        yield running


class OldRelease:
    """Programs of the release, as processes of their own."""

    def __init__(self, folder: Path, system: System, held: ExitStack) -> None:
        self._folder = folder
        self._system = system
        self._held = held

    def start(self, program: str, *arguments: str) -> tuple[Child, Path]:
        """Starts a program; returns it and its log. The release's modules come before this checkout's."""
        log = self._system.folder / f"old-{program}.log"
        environment = {**self._system.environment, "PYTHONPATH": str(self._folder)}
        child = Child(
            f"the old {program}", [sys.executable, self._folder / program, *arguments], log=log, environment=environment
        )
        self._held.callback(child.stop)
        return child, log

    def start_worker(self) -> Child:
        """Starts a worker and waits until it is ready."""
        child, log = self.start("worker.py")
        child.wait_until(lambda: "worker ready" in log.read_text(), DEADLINE_SECONDS)
        return child


def open_runs(system: System) -> list[UUID]:
    """The runs that are under way, by the database."""
    with psycopg.connect(system.environment["DATABASE_URL"]) as connection:
        found = connection.execute("SELECT run_id FROM sync_run WHERE finished_at IS NULL").fetchall()
    return [run_id for (run_id,) in found]


@pytest.mark.slow
async def test_upgrade_loses_no_run_and_reports_no_change(system: System, release: Path) -> None:
    client = await connect_temporal({"target_host": system.environment["TEMPORAL_ADDRESS"]})
    system.graph.faults.add(Fault(FaultKind.THROTTLED, path=HELD, retry_after="2"))
    with ExitStack() as held:
        old = OldRelease(release, system, held)
        old_worker = old.start_worker()
        old.start("starter.py", "sync", system.tenant.name, *SELECTED, "--no-wait")
        (run_id,) = until(lambda: open_runs(system))
        workflow_id = _workflow_id(system, run_id)

        async def events() -> Counter[EventType.ValueType]:
            history = await client.get_workflow_handle(workflow_id).fetch_history()
            return Counter(event.event_type for event in history.events)

        async def wait_for_throttle() -> None:
            """Waits until the run has asked Graph once more and has been throttled."""
            before = (await events())[EventType.EVENT_TYPE_TIMER_FIRED]

            async def has_waited() -> bool:
                return (await events())[EventType.EVENT_TYPE_TIMER_FIRED] > before

            await until_async(has_waited)

        await wait_for_throttle()
        upgraded = system.starter("database", "upgrade")
        assert upgraded.code == 0, upgraded.stderr
        await wait_for_throttle()
        system.start_worker()
        old_worker.stop()
        assert open_runs(system) == [run_id]
        system.graph.faults.clear()
        await client.get_workflow_handle(workflow_id).result()
        assert (await events())[EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED] == 0

    record = system.starter("run", str(run_id), "--json").run()
    assert (record.status, record.counts.changed) == ("success", 0), record
    again = system.sync(*SELECTED)
    assert (again.status, again.counts.changed, again.counts.missing) == ("success", 0, 0), again
    assert again.counts.unchanged == again.counts.observed == record.counts.observed
    for command in ("changes", "missing"):
        report = system.starter(command, system.tenant.name, *SELECTED, "--json")
        lines = [line for line in report.objects() if line.get("run_id") in {str(run_id), str(again.run_id)}]
        assert (report.code, lines) == (0, []), report.stderr
    assert open_runs(system) == []


def _workflow_id(system: System, run_id: UUID) -> str:
    with psycopg.connect(system.environment["DATABASE_URL"]) as connection:
        found = connection.execute("SELECT workflow_id FROM sync_run WHERE run_id = %s", [run_id]).fetchone()
    assert found is not None
    return str(found[0])
