"""A foreign workflow in the product's Temporal namespace, which calls the product's activities."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any, TypeVar
from uuid import uuid4

from pydantic import BaseModel
from temporalio import workflow
from temporalio.client import Client
from temporalio.common import RetryPolicy
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from connections import connect_temporal
from tests.end_to_end.system import System

ResultT = TypeVar("ResultT", bound=BaseModel)


class Call(BaseModel):
    """One call of an activity on the product's task queue."""

    task_queue: str
    activity: str
    message: dict[str, Any] | None = None


@workflow.defn
class ForeignWorkflow:
    """Calls one activity, once."""

    @workflow.run
    async def run(self, call: Call) -> dict[str, Any]:
        """Returns the activity's result."""
        answer: dict[str, Any] = await workflow.execute_activity(
            call.activity,
            args=[] if call.message is None else [call.message],
            task_queue=call.task_queue,
            start_to_close_timeout=timedelta(minutes=5),
            retry_policy=RetryPolicy(maximum_attempts=1),
        )
        return answer


class ForeignClient:
    """A client with access to the namespace and to nothing else."""

    def __init__(self, client: Client, queue: str, products_queue: str) -> None:
        self.client = client
        self._queue = queue
        self._products_queue = products_queue

    async def call(self, activity: str, message: BaseModel, result: type[ResultT]) -> ResultT:
        """Runs an activity on the product's worker. Raises its failure."""
        call = Call(task_queue=self._products_queue, activity=activity, message=message.model_dump(mode="json"))
        answer = await self.client.execute_workflow(
            ForeignWorkflow.run, call, id=f"foreign/{uuid4()}", task_queue=self._queue
        )
        return result.model_validate(answer)


@asynccontextmanager
async def stranger(system: System) -> AsyncIterator[ForeignClient]:
    """A stranger with a worker and a task queue of its own, in the product's namespace."""
    client = await connect_temporal({"target_host": system.environment["TEMPORAL_ADDRESS"]})
    queue = f"foreign-{uuid4()}"
    async with Worker(
        client, task_queue=queue, workflows=[ForeignWorkflow], workflow_runner=UnsandboxedWorkflowRunner()
    ):
        yield ForeignClient(client, queue, system.environment["TEMPORAL_TASK_QUEUE"])
