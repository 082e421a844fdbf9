"""Waits that no cancellation interrupts, and cancellations that a wait has swallowed."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from workflows.patches import LOST_CANCELLATION

StepT = TypeVar("StepT")


def heed_cancellation() -> None:
    """Raises `CancelledError` if a signal cancelled the task while it waited for an activity that completed.

    If one workflow task brings both, the SDK ends the wait with the activity's result, and the cancellation is lost. So
    call this after each wait for activities.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling() and workflow.patched(LOST_CANCELLATION):
        raise asyncio.CancelledError


async def uncancellable(step: Coroutine[Any, Any, StepT]) -> StepT:
    """Completes `step`, however often the workflow is cancelled."""
    task = asyncio.create_task(step)
    while not task.done():
        try:
            await workflow.wait([task])
        except asyncio.CancelledError:
            continue
    return task.result()
