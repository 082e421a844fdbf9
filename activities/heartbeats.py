"""Heartbeats while one bounded call is under way."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from temporalio import activity

BEAT_SECONDS = 4
"""A fifth of the heartbeat timeout: a beat may be late or lost without the attempt being given up."""


@asynccontextmanager
async def beating() -> AsyncIterator[None]:
    """Beats until the body ends.

    Only for a body whose every step has a deadline of its own: a `$batch` or a transaction may show no progress for a
    minute and be well, so the beat tells that the worker lives, and the deadlines that the work does.
    """
    task = asyncio.create_task(_beat())
    try:
        yield
    finally:
        task.cancel()


async def _beat() -> None:
    while True:
        activity.heartbeat()
        await asyncio.sleep(BEAT_SECONDS)
