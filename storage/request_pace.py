"""Paces a tenant's requests in each throttle family, over all runs and workers.

Graph counts them per app and tenant: https://learn.microsoft.com/graph/throttling-limits
"""

from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import Interval, bindparam, func, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from storage.models.base import table
from storage.models.runs import RequestPace

_PACE = table(RequestPace)

HOLD = timedelta(seconds=30)
"""A turn's length unless it is prolonged, and so the longest time that a dead worker blocks a family."""


class Turn(NamedTuple):
    """`wait` is zero if Graph may be asked now; `held_until` names the turn, if the family gives turns."""

    wait: timedelta
    held_until: datetime | None = None


_TAKE = text("""
INSERT INTO request_pace AS pace (throttle_family, held_until) VALUES (:family, clock_timestamp() + :hold)
ON CONFLICT (tenant_id, throttle_family) DO UPDATE
    SET held_until = excluded.held_until, not_before = clock_timestamp()
    WHERE pace.not_before <= clock_timestamp() AND pace.held_until <= clock_timestamp()
RETURNING held_until
""")

# Taking a turn sets `not_before` to that moment. A run that finds the turn taken asks again after a quarter of the
# turn's age: during an answer of a hundred seconds it asks twenty times, not every second.
_WAIT = text("""
SELECT greatest(
    not_before,
    least(held_until, clock_timestamp() + greatest(:interval, (clock_timestamp() - not_before) / 4))
) - clock_timestamp()
FROM request_pace WHERE throttle_family = :family
""")

_OF_TURN = update(_PACE).where(_PACE.c.throttle_family == bindparam("family"), _PACE.c.held_until == bindparam("turn"))

_KEEP = _OF_TURN.values(held_until=func.clock_timestamp() + bindparam("hold", type_=Interval)).returning(
    _PACE.c.held_until
)

_RELEASE = _OF_TURN.values(
    not_before=func.greatest(_PACE.c.not_before, func.clock_timestamp() + bindparam("interval", type_=Interval)),
    held_until=func.clock_timestamp(),
)

_PAUSE = text("""
INSERT INTO request_pace AS pace (throttle_family, not_before) VALUES (:family, clock_timestamp() + :pause)
ON CONFLICT (tenant_id, throttle_family) DO UPDATE SET not_before = excluded.not_before
    WHERE pace.not_before < excluded.not_before
""")


async def take_turn(session: AsyncSession, family: str, interval: timedelta | None) -> Turn:
    """With an `interval`, the family allows one request at a time, that long apart."""
    if interval is not None:
        held = await session.execute(_TAKE, {"family": family, "hold": HOLD})
        held_until = held.scalar_one_or_none()
        if held_until is not None:
            return Turn(timedelta(0), held_until)
    wait = await session.execute(_WAIT, {"family": family, "interval": interval or timedelta(0)})
    # The turn may have become free between the two statements, but this run did not take it.
    least = timedelta(0) if interval is None else timedelta(milliseconds=1)
    return Turn(max(wait.scalar_one_or_none() or timedelta(0), least))


async def keep_turn(session: AsyncSession, family: str, held_until: datetime) -> datetime | None:
    """Prolongs a turn to `HOLD` from now; returns its new name, or None if it had expired."""
    kept = await session.execute(_KEEP, {"family": family, "hold": HOLD, "turn": held_until})
    kept_until: datetime | None = kept.scalar_one_or_none()
    return kept_until


async def release_turn(session: AsyncSession, family: str, interval: timedelta, held_until: datetime) -> None:
    """Ends a turn, unless it had expired. The next turn is free `interval` from now."""
    await session.execute(_RELEASE, {"family": family, "interval": interval, "turn": held_until})


async def pause(session: AsyncSession, family: str, length: timedelta) -> None:
    """Pauses the family for `length` from now, unless a longer pause is under way."""
    await session.execute(_PAUSE, {"family": family, "pause": length})
