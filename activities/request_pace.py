"""Turns and pauses of a tenant's throttle families."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import datetime, timedelta
from time import monotonic
from uuid import UUID

from activities.messages.pages import CursorFailure
from graph.catalog import ThrottleFamily
from inventory.backoff import believable
from inventory.error_codes import ErrorCode
from storage import request_pace as pacing
from storage.database import Database, StorageUnavailableError

KEEP_EVERY = pacing.HOLD / 3
"""The renewal interval: a turn survives two failed renewals."""


class Pace:
    """Turns in PostgreSQL, each renewed every `keep_every`."""

    def __init__(self, database: Database, keep_every: timedelta = KEEP_EVERY) -> None:
        self._database = database
        self._keep_every = keep_every

    @asynccontextmanager
    async def turn(self, tenant_id: UUID, family: ThrottleFamily) -> AsyncIterator[timedelta]:
        """The family's wait; if zero, the body may ask Graph now, alone in a family with turns."""
        async with self._database.tenant(tenant_id) as session:
            turn = await pacing.take_turn(session, family, family.interval)
        if turn.held_until is None or family.interval is None:
            yield turn.wait
            return
        answered = asyncio.Event()
        holding = asyncio.create_task(self._hold(tenant_id, family, family.interval, turn.held_until, answered))
        try:
            yield turn.wait
        finally:
            answered.set()
            # Shielded from cancellation: else the next request waits for the turn to expire.
            await asyncio.shield(holding)

    @asynccontextmanager
    async def turn_within(
        self, tenant_id: UUID, family: ThrottleFamily, longest_wait: timedelta
    ) -> AsyncIterator[timedelta]:
        """As `turn`, but sleeps for up to `longest_wait`; for callers that have no workflow timer."""
        ends = monotonic() + longest_wait.total_seconds()
        while True:
            async with self.turn(tenant_id, family) as wait:
                if not wait or monotonic() + wait.total_seconds() > ends:
                    yield wait
                    return
            await asyncio.sleep(wait.total_seconds())

    async def _hold(
        self, tenant_id: UUID, family: str, interval: timedelta, held_until: datetime, answered: asyncio.Event
    ) -> None:
        """Renews a turn until Graph has answered, then ends it. The activity's timeout bounds it."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._keep_every.total_seconds()):
                    await answered.wait()
            if answered.is_set():
                break
            with suppress(StorageUnavailableError):
                async with self._database.tenant(tenant_id) as session:
                    held_until = await pacing.keep_turn(session, family, held_until) or held_until
        async with self._database.tenant(tenant_id) as session:
            await pacing.release_turn(session, family, interval, held_until)

    async def heed(self, tenant_id: UUID, family: str, failures: list[CursorFailure]) -> None:
        """Pauses the family for the longest Retry-After."""
        waits = [believable(failure.retry_after) for failure in failures if failure.code is ErrorCode.GRAPH_THROTTLED]
        longest = max((wait for wait in waits if wait is not None), default=timedelta(0))
        if longest > timedelta(0):
            async with self._database.tenant(tenant_id) as session:
                await pacing.pause(session, family, longest)
