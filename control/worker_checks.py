"""A worker's checks of its environment, requested through Temporal (decision 58)."""

from collections.abc import Sequence
from datetime import timedelta
from uuid import uuid4

from temporalio.client import Client, WorkflowFailureError
from temporalio.service import RPCError

from activities.diagnosis import ANSWER_SECONDS, TENANTS_AT_ONCE
from activities.messages.diagnosis import CheckResult, CheckVerdict, DiagnoseWorker
from connections import refused
from control.progress import no_worker
from workflows.diagnosis import DIAGNOSIS_ID, DiagnosisWorkflow

WORKER_SECONDS = 60
"""The time for a worker to take the diagnosis and check its database."""


async def worker_checks(
    client: Client, task_queue: str, request: DiagnoseWorker, tenants: int
) -> Sequence[CheckResult]:
    """One failed check if no worker answers. `tenants` is the number of tenants that the worker signs in to."""
    waves = -(-tenants // TENANTS_AT_ONCE)
    limit = timedelta(seconds=WORKER_SECONDS + 2 * ANSWER_SECONDS * waves)
    try:
        if (nobody := await no_worker(client, task_queue)) is not None:
            return [_failed(nobody)]
        result = await client.execute_workflow(
            DiagnosisWorkflow.run,
            request,
            id=f"{DIAGNOSIS_ID}/{task_queue}/{uuid4()}",
            task_queue=task_queue,
            execution_timeout=limit,
        )
    except RPCError as error:
        return [_failed(str(refused(client, error)))]
    except WorkflowFailureError:
        return [
            _failed(
                f"workers poll task queue {task_queue!r}, but none has made its checks within"
                f" {limit.total_seconds():.0f} seconds; see their logs, and whether they are of this release"
            )
        ]
    return [command_check("workers", CheckVerdict.OK, f"poll task queue {task_queue!r}"), *result.checks]


def command_check(check: str, verdict: CheckVerdict, message: str) -> CheckResult:
    return CheckResult(check=check, place="command", verdict=verdict, message=message)


def _failed(message: str) -> CheckResult:
    return command_check("workers", CheckVerdict.FAILED, message)
