"""Whether a worker takes a run, by deployment version."""

from datetime import timedelta

from temporalio.api.deployment.v1 import WorkerDeploymentOptions, WorkerDeploymentVersion
from temporalio.api.enums.v1 import VersioningBehavior, WorkerVersioningMode
from temporalio.api.workflow.v1 import WorkflowExecutionVersioningInfo
from temporalio.api.workflowservice.v1 import DescribeTaskQueueResponse

GONE = timedelta(minutes=2)
"""A worker is gone if its last poll is so long before the newest: a poll takes at most a minute.

Polls are compared with each other, since this machine's clock may be wrong.
"""


def nobody_takes(task_queue: str, queue: DescribeTaskQueueResponse, run: WorkflowExecutionVersioningInfo) -> str | None:
    """Why no worker takes the run, with a remedy; None if one does."""
    if not queue.pollers:
        return f"no worker is polling task queue {task_queue!r}; start one: python worker.py"
    newest = max(poller.last_access_time.ToDatetime() for poller in queue.pollers)
    polling = {
        _version(poller.deployment_options)
        for poller in queue.pollers
        if newest - poller.last_access_time.ToDatetime() < GONE
    }
    if run.behavior == VersioningBehavior.VERSIONING_BEHAVIOR_PINNED:
        name, build_id = pinned = _version(run.deployment_version)
        if pinned not in polling:
            return (
                f"the run stays on version {build_id} of deployment {name}, whose workers do not poll; start one:"
                f" WORKER_DEPLOYMENT_NAME={name} WORKER_BUILD_ID={build_id} python worker.py"
            )
        return None
    current = _version(queue.versioning_info.current_deployment_version)
    if current in polling:
        return None
    name, build_id = max(polling)
    if not current[1]:
        return (
            f"workers of deployment {name} are polling, but none of their versions is current; make one current:"
            f" temporal worker deployment set-current-version --deployment-name {name} --build-id {build_id}"
        )
    return (
        f"no worker of version {current[1]} of deployment {current[0]}, which is current, is polling; start one:"
        f" WORKER_DEPLOYMENT_NAME={current[0]} WORKER_BUILD_ID={current[1]} python worker.py"
    )


def _version(version: WorkerDeploymentOptions | WorkerDeploymentVersion) -> tuple[str, str]:
    if (
        isinstance(version, WorkerDeploymentOptions)
        and version.worker_versioning_mode != WorkerVersioningMode.WORKER_VERSIONING_MODE_VERSIONED
    ):
        return "", ""
    return version.deployment_name, version.build_id
