"""Turns at Graph: one throttle family of a tenant is asked by nobody while it is paused."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from uuid import UUID

from activities.messages import CursorFailure
from graph.catalog import ThrottleFamily
from inventory.error_codes import ErrorCode
from inventory.patience import believable
from storage import pacing
from storage.database import Database


class Pace:
    """The turns of all tenants, kept in PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @asynccontextmanager
    async def turn(self, tenant_id: UUID, family: ThrottleFamily) -> AsyncIterator[timedelta]:
        """How long the family must be left alone; zero for the body to ask Graph now, alone if the family is so."""
        async with self._database.tenant(tenant_id) as session:
            turn = await pacing.take_turn(session, family, family.interval)
        try:
            yield turn.wait
        finally:
            if turn.held_until is not None and family.interval is not None:
                # Seen through even where the activity is cancelled: else the next one waits for the turn to run out.
                await asyncio.shield(self._release(tenant_id, turn, family, family.interval))

    async def _release(self, tenant_id: UUID, turn: pacing.Turn, family: str, interval: timedelta) -> None:
        if turn.held_until is not None:
            async with self._database.tenant(tenant_id) as session:
                await pacing.release_turn(session, family, interval, turn.held_until)

    async def heed(self, tenant_id: UUID, family: str, failures: list[CursorFailure]) -> None:
        """Pauses the family for the longest Retry-After among the failures."""
        asked = [believable(failure.retry_after) for failure in failures if failure.code is ErrorCode.GRAPH_THROTTLED]
        longest = max((one for one in asked if one is not None), default=timedelta(0))
        if longest > timedelta(0):
            async with self._database.tenant(tenant_id) as session:
                await pacing.pause(session, family, longest)
