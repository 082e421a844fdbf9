"""An event loop whose clock jumps to the next timer: an hour of waiting ends at once."""

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

ResultT = TypeVar("ResultT")


class _Jumping(selectors.DefaultSelector):
    """Never waits, and adds up the skipped time."""

    skipped = 0.0

    def select(self, timeout: float | None = None) -> Any:
        """The events that are ready now."""
        self.skipped += timeout or 0.0
        return super().select(0)


class _Loop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._jumping = _Jumping()
        super().__init__(self._jumping)

    def time(self) -> float:
        """Seconds since the loop was made."""
        return self._jumping.skipped


def run_in_skipped_time(main: Coroutine[Any, Any, ResultT]) -> ResultT:
    """Runs `main`, which may wait only for time, to its end."""
    with asyncio.Runner(loop_factory=_Loop) as runner:
        return runner.run(main)
