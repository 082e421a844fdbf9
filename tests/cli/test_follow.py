"""The cost of following a workflow, and the delay before it reports a missing worker, in skipped time."""

import asyncio
import math
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from temporalio.api.enums.v1 import PendingActivityState
from temporalio.api.taskqueue.v1 import PollerInfo
from temporalio.api.workflow.v1 import PendingActivityInfo, PendingWorkflowTaskInfo, WorkflowExecutionInfo
from temporalio.api.workflowservice.v1 import DescribeTaskQueueResponse, DescribeWorkflowExecutionResponse
from temporalio.converter import DataConverter
from temporalio.service import RPCError, RPCStatusCode

from cli.follow import ANSWERING, Follower, Handle, leaving
from inventory.outcomes import Counts, RunStatus
from storage.errors import StorageUnavailableError
from tests.cli.skipped_time import run_in_skipped_time
from workflows.messages import SyncProgress

CHECKOUT = Path(__file__).parents[2]
HOUR = 3600.0
SAID_WITHIN = 10.0
QUEUE = "any"


class Temporal:
    """Temporal as a follower sees it: a workflow that ends after `ends` seconds, and workers that freeze."""

    namespace = "default"

    def __init__(self, ends: float = HOUR, *, frozen_from: float = math.inf, frozen_until: float = math.inf) -> None:
        self._ends = ends
        self._frozen = (frozen_from, frozen_until)
        self.pollers = [PollerInfo()]
        self.pending = DescribeWorkflowExecutionResponse()
        self.refusals: list[RPCStatusCode] = []
        self.queries = 0
        self.workflow_service = self

    @property
    def _now(self) -> float:
        return asyncio.get_running_loop().time()

    async def result(self) -> None:
        if self.refusals:
            raise RPCError("away", self.refusals.pop(0), b"")
        await asyncio.sleep(max(0.0, self._ends - self._now))

    async def query(self, name: str, **_: object) -> SyncProgress:
        self.queries += 1
        frozen_from, frozen_until = self._frozen
        if frozen_from <= self._now < frozen_until:
            await asyncio.sleep(min(frozen_until, 10 * HOUR) - self._now)
        return SyncProgress(status=RunStatus.RUNNING, counts=Counts(), collections={})

    async def describe(self) -> Any:
        return SimpleNamespace(
            raw_description=self.pending, raw_info=WorkflowExecutionInfo(), data_converter=DataConverter.default
        )

    async def describe_task_queue(self, _: object) -> DescribeTaskQueueResponse:
        return DescribeTaskQueueResponse(pollers=self.pollers)


def followed(temporal: Temporal, *, watched: bool) -> list[tuple[float, str]]:
    """The lines printed while following the workflow to its end, with their times."""
    lines: list[tuple[float, str]] = []

    async def follow() -> None:
        def record_line(line: str) -> None:
            lines.append((asyncio.get_running_loop().time(), line))

        client: Any = temporal
        handle: Handle = client
        await Follower(client, QUEUE, SyncProgress, lambda _: None, record_line, watched=watched).follow(handle)

    run_in_skipped_time(follow())
    return lines


def queries() -> dict[str, int]:
    """The queries of an hour, by kind of output."""
    found = {}
    for name, watched in (("a terminal", True), ("a log or a pipe", False)):
        temporal = Temporal()
        assert followed(temporal, watched=watched) == []
        found[name] = temporal.queries
    return found


def test_following_for_an_hour_costs_the_documented_queries() -> None:
    found = queries()
    assert found["a terminal"] < 800
    assert found["a log or a pipe"] < 40
    page = (CHECKOUT / "docs" / "scaling.md").read_text()
    for name, count in found.items():
        assert re.search(rf"\b{count} (queries )?on {name}\b", " ".join(page.split())), (name, count)


def test_a_two_second_run_is_not_queried_for_a_log() -> None:
    temporal = Temporal(ends=2)
    followed(temporal, watched=False)
    assert temporal.queries == 0


@pytest.mark.parametrize("watched", [True, False])
def test_a_worker_frozen_at_start_is_reported_within_ten_seconds(watched: bool) -> None:
    (moment, line), *more = followed(Temporal(frozen_from=0), watched=watched)
    assert moment <= SAID_WITHIN
    assert "busy, frozen or gone" in line
    assert more == [], "the line is printed once"


@pytest.mark.parametrize("frozen_from", [1.0, 77.0, 1800.0])
def test_a_later_freeze_is_reported_within_ten_seconds_on_a_terminal(frozen_from: float) -> None:
    (moment, line), *_ = followed(Temporal(frozen_from=frozen_from), watched=True)
    assert moment - frozen_from <= SAID_WITHIN
    assert "busy, frozen or gone" in line


def test_a_pending_workflow_task_is_reported_within_ten_seconds() -> None:
    temporal = Temporal(frozen_from=0)
    temporal.pending.pending_workflow_task.CopyFrom(PendingWorkflowTaskInfo(attempt=3))
    (moment, line), *more = followed(temporal, watched=False)
    assert moment <= SAID_WITHIN
    assert "busy, frozen or gone" in line
    assert more == []


@pytest.mark.parametrize("watched", [True, False])
def test_a_queue_without_pollers_is_reported_within_ten_seconds(watched: bool) -> None:
    temporal = Temporal(frozen_from=0)
    temporal.pollers = []
    temporal.pending.pending_workflow_task.CopyFrom(PendingWorkflowTaskInfo(attempt=1))
    (moment, line), *more = followed(temporal, watched=watched)
    assert moment <= SAID_WITHIN
    assert "no worker is polling task queue 'any'; start one" in line
    assert more == []


def test_a_returning_worker_is_reported() -> None:
    temporal = Temporal(ends=300, frozen_from=20, frozen_until=60)
    lines = [line for _, line in followed(temporal, watched=True)]
    assert lines[1:] == [ANSWERING]
    assert "busy, frozen or gone" in lines[0]


def test_a_retried_activity_is_reported_once() -> None:
    temporal = Temporal(ends=100)
    retried = PendingActivityInfo(attempt=4, state=PendingActivityState.PENDING_ACTIVITY_STATE_STARTED)
    retried.activity_type.name = "fetch_pages"
    retried.last_failure.message = "graph_unavailable"
    temporal.pending.pending_activities.append(retried)
    assert [line for _, line in followed(temporal, watched=False)] == ["fetch_pages is retried: graph_unavailable"]


def test_an_unavailable_temporal_is_awaited() -> None:
    temporal = Temporal(ends=60)
    temporal.refusals = [RPCStatusCode.UNAVAILABLE] * 3
    lines = followed(temporal, watched=False)
    assert [line for _, line in lines] == [
        "Temporal does not answer (UNAVAILABLE); the run goes on, and is followed once it answers"
    ]


def test_a_permission_error_of_temporal_is_not_retried() -> None:
    temporal = Temporal()
    temporal.refusals = [RPCStatusCode.PERMISSION_DENIED]
    with pytest.raises(RPCError):
        followed(temporal, watched=False)


def test_the_first_interrupt_prints_a_notice_and_the_second_kills() -> None:
    program = """
import asyncio, sys
from cli.follow import leaving

async def main():
    try:
        with leaving("the run goes on"):
            print("ready", flush=True)
            await asyncio.sleep(3600)
    finally:
        while True:  # what is being closed cannot be cancelled
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                pass

asyncio.run(main())
"""
    process = subprocess.Popen(
        [sys.executable, "-c", program], cwd=CHECKOUT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == "ready\n"
        os.kill(process.pid, signal.SIGINT)
        assert process.stderr.readline() == "the run goes on\n"
        os.kill(process.pid, signal.SIGINT)
        assert process.wait(timeout=120) == -signal.SIGINT
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize(
    "error",
    [
        RPCError("denied", RPCStatusCode.PERMISSION_DENIED, b""),
        StorageUnavailableError("PostgreSQL is recovering from a crash"),
    ],
)
def test_an_error_of_a_server_prints_how_to_follow_again(error: Exception, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(type(error)), leaving("run 7 goes on\n  follow it"):
        raise error
    assert capsys.readouterr().err == "run 7 goes on\n  follow it\n"
