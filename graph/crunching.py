"""Work on large documents, off the event loop: reading, hashing and writing JSON."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

Arguments = ParamSpec("Arguments")
ResultT = TypeVar("ResultT")

_SMALL = ThreadPoolExecutor(max_workers=1, thread_name_prefix="crunch")
"""The interpreter runs one thread at a time anyway, and the allocator keeps what each thread has once needed."""

_LARGE = ThreadPoolExecutor(max_workers=1, thread_name_prefix="crunch-large")
"""What is made of a large answer takes seconds, and no other tenant's page waits for that."""


async def crunch(work: Callable[Arguments, ResultT], *args: Arguments.args, **kwargs: Arguments.kwargs) -> ResultT:
    """What `work` answers, computed in the one thread of this process that is for such work."""
    return await asyncio.get_running_loop().run_in_executor(_SMALL, lambda: work(*args, **kwargs))


async def crunch_large(
    work: Callable[Arguments, ResultT], *args: Arguments.args, **kwargs: Arguments.kwargs
) -> ResultT:
    """As `crunch`, for what is made of a large answer: of these a worker holds one at a time."""
    return await asyncio.get_running_loop().run_in_executor(_LARGE, lambda: work(*args, **kwargs))
