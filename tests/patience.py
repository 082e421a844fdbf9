"""How long tests wait. A test may be slow and may not fail for it: only a wait for what never comes uses this up."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import TypeVar

FoundT = TypeVar("FoundT")

PATIENCE_SECONDS = 1200.0
"""For anything that is sure to come: a program, an answer, a condition. pytest's own limit is longer."""

PATIENCE = timedelta(seconds=PATIENCE_SECONDS)

PAUSE_SECONDS = 0.1
"""Between two looks: each look costs processor time that the awaited program may need."""

GRAPH_PATIENCE_SECONDS, GRAPH_ATTEMPTS = "604800", "10000"
"""Settings of a worker that does not give up on Graph. A test of giving up sets a number of attempts."""


def until(condition: Callable[[], FoundT | None], what: str = "it never came to be") -> FoundT:
    """The first truthy result of `condition`. Fails with `what` if there is none in time."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not (found := condition()):
        assert time.monotonic() < deadline, what
        time.sleep(PAUSE_SECONDS)
    return found


async def until_async(condition: Callable[[], Awaitable[object]]) -> None:
    """Waits until `condition` answers truthily. Raises `TimeoutError` if it never does."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not await condition():  # noqa: ASYNC110 - the condition lies in another process
            await asyncio.sleep(PAUSE_SECONDS)
