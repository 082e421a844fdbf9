"""Connections of one pool that many tasks share: none holds one while it waits for another that nobody can give back.

Ten requests that hold one of ten connections each and want a second wait until a timeout, and the pool stands still.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar

from storage.errors import StorageUnavailableError

SEVERAL = 3
"""Connections that a task may hold after `several`."""


WAIT_SECONDS = 30
"""Nobody waits longer for a turn, or for a connection."""

TOO_MANY = "too many people ask at once; ask again in a moment"


class _Holder:
    """The connections of one task and of the tasks that it starts."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.held = 0


class ConnectionTurns:
    """A task holds one connection; as many tasks hold up to `SEVERAL` as leave one connection to the others."""

    def __init__(self, pool_size: int) -> None:
        """Raises `ValueError` if the pool is too small for one task with `SEVERAL` beside one with one."""
        turns = (pool_size - 1) // SEVERAL
        if not turns:
            raise ValueError(f"a pool of {pool_size} connections is too small: it needs {SEVERAL + 1}")
        self._turns = asyncio.Semaphore(turns)
        self._holder: ContextVar[_Holder | None] = ContextVar("holder", default=None)

    @asynccontextmanager
    async def several(self) -> AsyncIterator[None]:
        """Lets this task hold up to `SEVERAL` connections, once its turn has come. It holds none before.

        Raises `StorageUnavailableError` if its turn does not come in time.
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

    @contextmanager
    def holding(self) -> Iterator[None]:
        """Counts one connection of this task. Raises `RuntimeError` if the task holds as many as it may."""
        outer = self._holder.get()
        holder = outer or _Holder(1)
        if holder.held >= holder.limit:
            raise RuntimeError(f"a task that holds {holder.held} connections asks for a further one")
        if outer is None:
            self._holder.set(holder)
        holder.held += 1
        try:
            yield
        finally:
            holder.held -= 1
            if outer is None:
                self._holder.set(None)
