"""Many seeds, played against one rig, some at a time."""

import asyncio
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from tests.chaos import invariants
from tests.chaos.play import TOKEN_START, Play
from tests.chaos.rig import Rig
from tests.chaos.schedule import Schedule

QUOTED = 4000
"""Characters of a log that a violation quotes around the unwanted text."""


class Report(NamedTuple):
    """The result of a suite. `faults` and `events` count the real ones, by kind."""

    seeds: int
    seconds: float
    faults: dict[str, int]
    events: dict[str, int]
    failed: list[Play]
    of_all: list[str]
    """Violations that belong to no seed."""


def play_all(
    schedules: Sequence[Schedule], folder: Path, *, at_once: int, on_end: Callable[[Play], None] = lambda _: None
) -> Report:
    """Plays the schedules, each against a tenant of its own, at most `at_once` at a time."""
    began = time.monotonic()
    with Rig(folder, tenants=len(schedules)) as rig:
        plays = asyncio.run(_play_all(rig, schedules, at_once, on_end))
        logs = rig.system.logs()
        leaks = [f"the logs hold {name}: {_around(text, logs)}" for name, text in _unwanted(rig) if text in logs]
        visited = [f"{rig.trap.visitors} connections were made to a foreign host"] if rig.trap.visitors else []
        return Report(
            len(plays),
            time.monotonic() - began,
            rig.graph.faults.injected(),
            {name: times for name, times in sorted(rig.events.items()) if times},
            [play for play in plays if play.violations],
            leaks + visited,
        )


async def _play_all(
    rig: Rig, schedules: Sequence[Schedule], at_once: int, on_end: Callable[[Play], None]
) -> list[Play]:
    await rig.connect()
    places = asyncio.Semaphore(at_once)

    async def play(number: int, schedule: Schedule) -> Play:
        async with places:
            played = await Play(rig, schedule, rig.graph.tenants[number]).run()
            on_end(played)
            return played

    try:
        return await asyncio.gather(*(play(number, schedule) for number, schedule in enumerate(schedules)))
    finally:
        await rig.disconnect()


def _around(text: str, logs: str) -> str:
    """The log around the text, which is safe to quote: no secret here is real."""
    found = logs.index(text)
    return logs[max(0, found - QUOTED // 4) : found + QUOTED]


def _unwanted(rig: Rig) -> list[tuple[str, str]]:
    secrets = [("a client secret", tenant.client_secret) for tenant in rig.graph.tenants]
    return [*secrets, ("an access token", TOKEN_START), ("a document", invariants.MARK), ("a traceback", "Traceback")]
