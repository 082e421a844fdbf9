"""How long tests wait. A slow test must not fail: only a wait for an event that never comes takes so long."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import TypeVar

FoundT = TypeVar("FoundT")

DEADLINE_SECONDS = 1200.0
"""For anything that is sure to come: a program, an answer, a condition. pytest's own limit is longer."""

DEADLINE = timedelta(seconds=DEADLINE_SECONDS)

PAUSE_SECONDS = 0.1
"""Between two checks: each costs processor time that the awaited program may need."""

MAX_PAUSE_SECONDS = 2.0

GRAPH_PATIENCE_SECONDS, GRAPH_ATTEMPTS = "604800", "10000"
"""Settings of a worker that does not give up on Graph. A test of giving up sets a number of attempts."""


def until(condition: Callable[[], FoundT | None], failure: str = "it never came to be") -> FoundT:
    """The first truthy result of `condition`. Fails with `failure` if there is none in time."""
    began = time.monotonic()
    while not (found := condition()):
        waited = time.monotonic() - began
        assert waited < DEADLINE_SECONDS, failure
        time.sleep(_pause(waited))
    return found


async def until_async(condition: Callable[[], Awaitable[object]]) -> None:
    """Waits until `condition` answers truthily. Raises `TimeoutError` if it never does."""
    began = time.monotonic()
    async with asyncio.timeout(DEADLINE_SECONDS):
        while not await condition():  # noqa: ASYNC110 - the condition lies in another process
            await asyncio.sleep(_pause(time.monotonic() - began))


def _pause(waited: float) -> float:
    """The seconds until the next check: a tenth of the wait so far, so that long waits have few checks."""
    return min(max(PAUSE_SECONDS, waited / 10), MAX_PAUSE_SECONDS)
