"""Waiting that a cancellation does not cut short, and cancellations that a wait has kept to itself."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from workflows.patches import LOST_CANCELLATION

StepT = TypeVar("StepT")


def heed_cancellation() -> None:
    """Raises `CancelledError` if a signal cancelled the task while it waited for an activity that completed.

    If one workflow task brings both, the SDK hands out signals first: it asks the activity to cancel, then ends the
    wait with the result, and the cancellation is lost. So a task that itself waits for activities calls this next.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling() and workflow.patched(LOST_CANCELLATION):
        raise asyncio.CancelledError


async def uncancellable(step: Coroutine[Any, Any, StepT]) -> StepT:
    """Sees `step` through, however often the workflow is cancelled meanwhile."""
    task = asyncio.create_task(step)
    while not task.done():
        try:
            await workflow.wait([task])
        except asyncio.CancelledError:
            continue
    return task.result()
