"""Work on large documents, off the event loop: reading, hashing and writing JSON."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

Arguments = ParamSpec("Arguments")
ResultT = TypeVar("ResultT")

_ONE_THREAD = ThreadPoolExecutor(max_workers=1, thread_name_prefix="crunch")
"""The interpreter runs one thread at a time anyway, and the allocator keeps what each thread has once needed."""


async def crunch(work: Callable[Arguments, ResultT], *args: Arguments.args, **kwargs: Arguments.kwargs) -> ResultT:
    """What `work` answers, computed in the one thread of this process that is for such work."""
    return await asyncio.get_running_loop().run_in_executor(_ONE_THREAD, lambda: work(*args, **kwargs))
