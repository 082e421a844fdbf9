"""Work on large JSON, off the event loop."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar
from uuid import UUID
from weakref import WeakValueDictionary

Arguments = ParamSpec("Arguments")
ResultT = TypeVar("ResultT")

THREADS = 4
"""Threads take turns, so that long work does not block other work."""

_POOL = ThreadPoolExecutor(max_workers=THREADS, thread_name_prefix="crunch")

_turns: WeakValueDictionary[UUID, asyncio.Lock] = WeakValueDictionary()


async def crunch(
    tenant_id: UUID, work: Callable[Arguments, ResultT], *args: Arguments.args, **kwargs: Arguments.kwargs
) -> ResultT:
    """Calls `work` in a thread, one at a time for each tenant."""
    turn = _turns.setdefault(tenant_id, asyncio.Lock())
    await turn.acquire()
    working = asyncio.get_running_loop().run_in_executor(_POOL, lambda: work(*args, **kwargs))
    # The turn ends with the work, which goes on if its caller is cancelled.
    working.add_done_callback(lambda _: turn.release())
    return await asyncio.shield(working)
