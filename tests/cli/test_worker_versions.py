"""Messages of the starter about a run that no worker takes."""

from datetime import UTC, datetime, timedelta

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from temporalio.api.deployment.v1 import WorkerDeploymentOptions, WorkerDeploymentVersion
from temporalio.api.enums.v1 import VersioningBehavior, WorkerVersioningMode
from temporalio.api.taskqueue.v1 import PollerInfo, TaskQueueVersioningInfo
from temporalio.api.workflow.v1 import WorkflowExecutionVersioningInfo
from temporalio.api.workflowservice.v1 import DescribeTaskQueueResponse

from control.worker_versions import nobody_takes

NOW = datetime(2026, 7, 1, tzinfo=UTC)


def poller(build_id: str | None, ago: timedelta = timedelta(0)) -> PollerInfo:
    """A worker: its build id, or None for unversioned, and how long ago it polled."""
    mode = WorkerVersioningMode.WORKER_VERSIONING_MODE_VERSIONED
    if build_id is None:
        mode = WorkerVersioningMode.WORKER_VERSIONING_MODE_UNVERSIONED
    last_access = Timestamp()
    last_access.FromDatetime(NOW - ago)
    options = WorkerDeploymentOptions(deployment_name="d", build_id=build_id or "hash", worker_versioning_mode=mode)
    return PollerInfo(last_access_time=last_access, deployment_options=options)


def message_for(pollers: list[PollerInfo], *, current: str | None = None, pinned: str | None = None) -> str | None:
    queue = DescribeTaskQueueResponse(pollers=pollers)
    if current is not None:
        version = WorkerDeploymentVersion(deployment_name="d", build_id=current)
        queue.versioning_info.CopyFrom(TaskQueueVersioningInfo(current_deployment_version=version))
    run = WorkflowExecutionVersioningInfo()
    if pinned is not None:
        run = WorkflowExecutionVersioningInfo(
            behavior=VersioningBehavior.VERSIONING_BEHAVIOR_PINNED,
            deployment_version=WorkerDeploymentVersion(deployment_name="d", build_id=pinned),
        )
    return nobody_takes("queue", queue, run)


def test_a_run_that_a_worker_takes_has_no_message() -> None:
    assert message_for([poller(None)]) is None
    assert message_for([PollerInfo()]) is None, "a worker of an older SDK"
    assert message_for([poller("1"), poller(None)]) is None
    assert message_for([poller("1"), poller("2")], current="2") is None
    assert message_for([poller("1"), poller("2")], current="2", pinned="1") is None
    assert message_for([poller("1", timedelta(seconds=70)), poller("2")], current="2", pinned="1") is None


@pytest.mark.parametrize(
    ("trouble", "words"),
    [
        (message_for([]), "no worker is polling task queue 'queue'"),
        (message_for([poller("1")]), "set-current-version --deployment-name d --build-id 1"),
        (
            message_for([poller("1"), poller(None)], current="2"),
            "no worker of version 2 of deployment d, which is current",
        ),
        (message_for([poller("2")], current="2", pinned="1"), "the run stays on version 1 of deployment d"),
        (message_for([poller("1", timedelta(minutes=3)), poller("2")], pinned="1"), "the run stays on version 1"),
    ],
)
def test_a_run_that_no_worker_takes_has_a_message(trouble: str | None, words: str) -> None:
    assert trouble is not None
    assert words in trouble
