"""Waiting that a cancellation does not cut short."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from temporalio import workflow

StepT = TypeVar("StepT")


async def uncancellable(step: Coroutine[Any, Any, StepT]) -> StepT:
    """Sees `step` through, however often the workflow is cancelled meanwhile."""
    task = asyncio.create_task(step)
    while not task.done():
        try:
            await workflow.wait([task])
        except asyncio.CancelledError:
            continue
    return task.result()
