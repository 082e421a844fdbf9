"""A worker of stand-ins for activities."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Self

from temporalio import activity
from temporalio.client import Client
from temporalio.common import RawValue
from temporalio.exceptions import ApplicationError
from temporalio.worker import Worker


class StandInWorker(Worker):
    """Ends the body of its `async with` with an `AssertionError` if a workflow calls an activity that it lacks.

    Otherwise Temporal would retry the activity, and the test would wait for its end.
    """

    def __init__(self, client: Client, *, activities: Sequence[Callable[..., Any]] = (), **options: Any) -> None:
        self._missing: set[str] = set()
        self._body: asyncio.Task[Any] | None = None
        super().__init__(client, activities=[*activities, self._end_body] if activities else [], **options)

    async def __aenter__(self) -> Self:
        self._body = asyncio.current_task()
        await super().__aenter__()
        return self

    async def __aexit__(self, *raised: Any) -> None:
        await super().__aexit__(*raised)
        if self._missing and self._body is not None:
            self._body.uncancel()
        assert not self._missing, f"the worker lacks the activity {', '.join(self._missing)}"

    @activity.defn(dynamic=True)
    async def _end_body(self, _: Sequence[RawValue]) -> None:
        """Runs in place of each activity that is not registered."""
        if not self._missing and self._body is not None:
            self._body.cancel()
        self._missing.add(activity.info().activity_type)
        raise ApplicationError("the worker lacks this activity", non_retryable=True)
