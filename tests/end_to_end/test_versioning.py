"""Versioned workers: a run stays on its first version, and new runs go to the current version."""

import subprocess
from collections.abc import Iterator
from uuid import uuid4

import pytest
from temporalio.api.enums.v1 import VersioningBehavior
from temporalio.client import Client, WorkflowHandle

from connections import connect_temporal
from inventory.outcomes import RunStatus
from inventory.records import RunRecord
from local.simulated_graph import Answer, GraphRequest, Kind
from local.temporal import EmbeddedTemporal, temporal_program
from tests.deadlines import DEADLINE_SECONDS
from tests.end_to_end.system import System
from tests.forks import Fork


class Deployment:
    """One deployment of workers of a system, rolled out as docs/deploying.md says."""

    def __init__(self, system: System, temporal: EmbeddedTemporal) -> None:
        self.system = system
        self.name = f"test-{uuid4()}"
        self._temporal = temporal

    def start(self, build_id: str) -> Fork:
        """Starts a worker of a version, and waits until Temporal knows the version."""
        self.system.environment |= {"WORKER_DEPLOYMENT_NAME": self.name, "WORKER_BUILD_ID": build_id}
        worker = self.system.start_worker()
        worker.wait_until(lambda: self._command("describe-version", build_id))
        return worker

    def follow(self, tenant: str) -> "subprocess.Popen[str]":
        """Starts a run and the command that follows it."""
        return self.system.popen("sync", tenant, "--type", "groups", "--json")

    def make_current(self, build_id: str, worker: Fork) -> None:
        """Makes a version current, once Temporal has seen it poll the task queue of the version before it."""
        worker.wait_until(lambda: self._command("set-current-version", build_id, "--yes"))

    def _command(self, command: str, build_id: str, *arguments: str) -> bool:
        result = subprocess.run(
            [
                temporal_program(),
                *("worker", "deployment", command, "--address", self._temporal.address),
                *("--deployment-name", self.name, "--build-id", build_id),
                *arguments,
            ],
            capture_output=True,
            timeout=DEADLINE_SECONDS,
        )
        return result.returncode == 0


@pytest.fixture
def deployment(system: System, temporal: EmbeddedTemporal) -> Iterator[Deployment]:
    deployment = Deployment(system, temporal)
    yield deployment
    system.graph.before_answer = None


async def version_of(client: Client, record: RunRecord) -> tuple[int, str]:
    """The run's versioning behaviour, and its version's build id."""
    handle: WorkflowHandle[object, object] = client.get_workflow_handle(record.workflow_id, run_id=str(record.run_id))
    info = (await handle.describe()).raw_info.versioning_info
    return info.behavior, info.deployment_version.build_id


@pytest.mark.slow
async def test_run_stays_on_its_version_and_next_run_uses_the_current_version(
    deployment: Deployment, temporal: EmbeddedTemporal
) -> None:
    system = deployment.system
    held_tenant, other_tenant = system.graph.tenants

    def hold(request: GraphRequest) -> Answer | None:
        held = request.kind is Kind.INNER and request.tenant_id == str(held_tenant.id)
        return Answer(503, b"{}", {"retry-after": "1"}) if held else None

    system.graph.before_answer = hold
    first_worker = deployment.start("1")
    deployment.make_current("1", first_worker)
    assert f"worker is version 1 of deployment {deployment.name}" in system.logs()
    follower = deployment.follow(held_tenant.name)
    first_worker.wait_until(lambda: bool(system.graph.requests(Kind.INNER)))

    second_worker = deployment.start("2")
    deployment.make_current("2", second_worker)
    other = system.starter("sync", other_tenant.name, "--type", "groups", "--json").run()
    assert follower.poll() is None, "the first run is still under way"
    system.graph.before_answer = None
    stdout, stderr = follower.communicate(timeout=DEADLINE_SECONDS)
    assert follower.returncode == 0, stderr
    held = RunRecord.model_validate_json(stdout)
    assert held.status is other.status is RunStatus.SUCCESS

    pinned = VersioningBehavior.VERSIONING_BEHAVIOR_PINNED
    client = await connect_temporal({"target_host": temporal.address})
    assert await version_of(client, held) == (pinned, "1")
    assert await version_of(client, other) == (pinned, "2")

    first_worker.stop()
    again = system.sync("--type", "groups")
    assert again.status is RunStatus.SUCCESS
    assert await version_of(client, again) == (pinned, "2")


def test_starter_names_the_remedy_if_no_version_is_current(deployment: Deployment) -> None:
    system = deployment.system
    worker = deployment.start("1")
    follower = system.begin("sync", system.tenant.name, "--type", "groups", "--json")
    remedy = f"set-current-version --deployment-name {deployment.name} --build-id 1"
    follower.wait_for_line("none of their versions is current", remedy)
    deployment.make_current("1", worker)
    result = follower.finished()
    assert result.code == 0, result.stderr
    assert result.run().status is RunStatus.SUCCESS


def test_worker_without_a_version_logs_that_it_is_unversioned(system: System) -> None:
    system.start_worker()
    assert "worker is unversioned" in system.logs()
