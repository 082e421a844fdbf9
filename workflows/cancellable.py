"""The common parts of SyncWorkflow and PortfolioWorkflow."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, TypeVar
from uuid import UUID

from temporalio import workflow
from temporalio.common import Priority
from temporalio.exceptions import FailureError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from pydantic import BaseModel

    from workflows.policies import ActivityLimits
    from workflows.requests import CancelRequest

MessageT = TypeVar("MessageT", bound=BaseModel)
ResultT = TypeVar("ResultT", bound=BaseModel)
Activity = Callable[[MessageT], Awaitable[ResultT]]
"""A function of `activities.definitions`."""


class CancellableWorkflow:
    """A workflow of one task, which a signal or Temporal's cancellation ends.

    `tenant_id` is the fairness key of its activities.
    """

    def __init__(self, tenant_id: UUID | None = None) -> None:
        self._first_run_id = UUID(workflow.info().first_execution_run_id)
        self._priority = Priority(fairness_key=str(tenant_id)) if tenant_id is not None else Priority.default
        self._cancel_request: CancelRequest | None = None
        self._work: asyncio.Task[None] | None = None

    @workflow.signal
    def cancel(self, request: CancelRequest) -> None:
        """Ends the run as `cancelled`; the first request is recorded."""
        if not request.is_for(self._first_run_id):
            return
        if self._cancel_request is None:
            self._cancel_request = request
        if self._work is not None:
            self._work.cancel()

    async def _is_done(self, work: Coroutine[Any, Any, None]) -> bool:
        """Does the work; False if it was cancelled. Raises `FailureError`."""
        self._work = asyncio.create_task(work)
        try:
            await self._work
        except asyncio.CancelledError:
            return False
        except FailureError as error:
            if is_cancelled_exception(error):
                return False
            raise
        return self._cancel_request is None

    def _requested_cancellation(self) -> CancelRequest:
        return self._cancel_request or CancelRequest(
            reason=workflow.cancellation_reason() or None, requested_by="Temporal cancellation"
        )

    async def _activity(
        self, definition: Activity[MessageT, ResultT], message: MessageT, limits: ActivityLimits, summary: str
    ) -> ResultT:
        return await workflow.execute_activity(
            definition, message, summary=shortened(summary), priority=self._priority, **limits
        )


def reap(tasks: list[asyncio.Task[None]]) -> None:
    """Removes ended tasks. Raises the first exception among them."""
    for task in [task for task in tasks if task.done()]:
        tasks.remove(task)
        task.result()


async def settled(tasks: Sequence[asyncio.Task[None]]) -> None:
    """Waits for all tasks; raises any exception but `FailureError`."""
    if tasks:
        await workflow.wait(tasks)
    for task in tasks:
        error = None if task.cancelled() else task.exception()
        if error is not None and not isinstance(error, FailureError):
            raise error


def shortened(summary: str, limit: int = 200) -> str:
    return summary if len(summary) <= limit else summary[: limit - 1] + "…"
