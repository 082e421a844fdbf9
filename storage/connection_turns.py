"""Turns for a pool's connections, first come, first served, without deadlocks."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import ContextVar
from heapq import heappop, heappush
from itertools import count

from storage.errors import StorageUnavailableError

SEVERAL = 3
"""The most connections that a task holds within `several`."""


WAIT_SECONDS = 30
"""The longest wait for a turn or a connection."""

TOO_MANY = "too many people ask at once; ask again in a moment"


class _Holder:
    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.held = 0


class ConnectionTurns:
    """A task may hold one connection; as many tasks may hold `SEVERAL` as leave one connection to the others."""

    def __init__(self, pool_size: int) -> None:
        """Raises `ValueError` if the pool is smaller than `SEVERAL` + 1."""
        turns = (pool_size - 1) // SEVERAL
        if not turns:
            raise ValueError(f"a pool of {pool_size} connections is too small: it needs {SEVERAL + 1}")
        self._turns = asyncio.Semaphore(turns)
        self._holder: ContextVar[_Holder | None] = ContextVar("holder", default=None)
        self._free = pool_size
        self._numbers = count(1)
        self._arrival: ContextVar[int] = ContextVar("arrival", default=0)
        """A task's place in the order in which tasks first asked for a connection."""
        self._waiting: list[tuple[int, int, asyncio.Future[None]]] = []

    @asynccontextmanager
    async def several(self) -> AsyncIterator[None]:
        """Waits until the task may hold up to `SEVERAL` connections. Raises `RuntimeError` if it holds one,
        `StorageUnavailableError` after `WAIT_SECONDS`.
        """
        if self._holder.get() is not None:
            raise RuntimeError("a task that holds a connection waits for its turn to hold several")
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                await self._turns.acquire()
        except TimeoutError:
            raise StorageUnavailableError(TOO_MANY) from None
        self._holder.set(_Holder(SEVERAL))
        try:
            yield
        finally:
            self._holder.set(None)
            self._turns.release()

    @asynccontextmanager
    async def holding(self) -> AsyncIterator[None]:
        """Waits for a connection. Raises `RuntimeError` beyond the task's limit, `StorageUnavailableError` after
        `WAIT_SECONDS`.
        """
        outer = self._holder.get()
        holder = outer or _Holder(1)
        if holder.held >= holder.limit:
            raise RuntimeError(f"a task that holds {holder.held} connections asks for a further one")
        await self._take()
        if outer is None:
            self._holder.set(holder)
        holder.held += 1
        try:
            yield
        finally:
            holder.held -= 1
            if outer is None:
                self._holder.set(None)
            self._give()

    async def _take(self) -> None:
        number = next(self._numbers)
        if not self._arrival.get():
            self._arrival.set(number)
        if self._free:
            self._free -= 1
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heappush(self._waiting, (self._arrival.get(), number, turn))
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                await turn
        except BaseException as error:
            if turn.done() and not turn.cancelled():
                self._give()
            if isinstance(error, TimeoutError):
                raise StorageUnavailableError(TOO_MANY) from None
            raise

    def _give(self) -> None:
        while self._waiting:
            _, _, waiting = heappop(self._waiting)
            if not waiting.done():
                waiting.set_result(None)
                return
        self._free += 1
