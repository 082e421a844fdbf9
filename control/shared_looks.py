"""Looks whose answers concurrent callers share."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

from inventory.user_errors import UnavailableError, UserError

FORGOTTEN_SECONDS = 60.0
"""How long after its look an answer is kept."""

FoundT = TypeVar("FoundT")


class SharedLooks(Generic[FoundT]):
    def __init__(self) -> None:
        self._looks: dict[Hashable, _Look[FoundT]] = {}

    async def look(self, key: Hashable, find: Callable[[], Awaitable[FoundT]], *, within: float = 0.0) -> FoundT:
        """The answer of `find`, at most `within` seconds old. Its `UserError` or `UnavailableError` reaches all waiting
        callers.

        Waiting callers share the next look, so none waits for more than two.
        """
        clock = asyncio.get_running_loop().time
        asked_at = clock()
        self._forget(asked_at)
        look = self._looks.setdefault(key, _Look())
        async with look.lock:
            if look.answer is None or (clock() - look.at >= within and look.began <= asked_at):
                look.began = clock()
                look.answer = await _outcome(find)
                look.at = clock()
            if isinstance(look.answer, Exception):
                raise look.answer
            (answer,) = look.answer
            return answer

    def _forget(self, now: float) -> None:
        for key, look in list(self._looks.items()):
            if look.answer is not None and now - look.at > FORGOTTEN_SECONDS and not look.lock.locked():
                del self._looks[key]


class _Look(Generic[FoundT]):
    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.began = 0.0
        self.at = 0.0
        self.answer: tuple[FoundT] | UserError | UnavailableError | None = None


async def _outcome(find: Callable[[], Awaitable[FoundT]]) -> tuple[FoundT] | UserError | UnavailableError:
    try:
        return (await find(),)
    except (UserError, UnavailableError) as error:
        return error
