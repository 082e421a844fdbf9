"""Classifies failures and sends heartbeats around every activity."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import Any

from temporalio import activity
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor

from activities import definitions
from activities.failures import classified
from inventory.log_lines import log_context

BEATS_A_TIMEOUT = 5
"""Heartbeats in a timeout, so that a late or lost heartbeat does not end the attempt."""

MESSAGE_FIELDS = ("tenant_id", "run_id")
"""Fields of a message, or of its run, for log records."""

RETRIES_EVERYTHING = frozenset({definitions.finish_run.__name__})
"""Activities that retry unexpected errors, too: a run's record must be closed."""


class ActivityInterceptor(Interceptor):
    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:  # noqa: A002 - the SDK's name
        return _Inbound(next)


class _Inbound(ActivityInboundInterceptor):
    async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002 - the SDK's name
        with log_context(_log_fields(input)):
            return await self._execute(input)

    async def _execute(self, input: ExecuteActivityInput) -> Any:  # noqa: A002 - the SDK's name
        graph_patience = getattr(input.args[0], "graph_patience", timedelta.max) if input.args else timedelta.max
        retries_everything = activity.info().activity_type in RETRIES_EVERYTHING
        async with classified(graph_patience=graph_patience, retries_everything=retries_everything), heartbeats():
            return await self.next.execute_activity(input)


def _log_fields(input: ExecuteActivityInput) -> dict[str, str | int]:  # noqa: A002 - the SDK's name
    info = activity.info()
    message = input.args[0] if input.args else None
    named = getattr(message, "run", message)
    of_message = {name: getattr(named, name, None) for name in MESSAGE_FIELDS}
    return {
        "activity": info.activity_type,
        "attempt": info.attempt,
        **({"workflow_id": info.workflow_id} if info.workflow_id else {}),
        **{name: str(value) for name, value in of_message.items() if value is not None},
    }


@asynccontextmanager
async def heartbeats() -> AsyncIterator[None]:
    """Sends heartbeats until the body ends.

    A `$batch` or transaction may show no progress for a minute. Heartbeats show that the worker lives; each step has
    its own deadline.
    """
    timeout = activity.info().heartbeat_timeout
    if not timeout:
        yield
        return
    beating = asyncio.create_task(_beat(timeout / BEATS_A_TIMEOUT))
    try:
        yield
    finally:
        beating.cancel()
        with suppress(asyncio.CancelledError):
            await beating


async def _beat(interval: timedelta) -> None:
    while True:
        activity.heartbeat()
        await asyncio.sleep(interval.total_seconds())
