"""Times of the simulated world: no clock in them, so that a tenant is the same in every process and on every day."""

from datetime import UTC, datetime, timedelta
from random import Random

_FIRST = datetime(2024, 1, 8, 7, 30, tzinfo=UTC)
_EDITED = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
_TICKS_PER_SECOND = 10_000_000


def moment(random: Random) -> str:
    """Some time in 2024 or 2025 as Graph writes it: up to seven fractional digits, trailing zeros cut."""
    at = _FIRST + timedelta(seconds=random.randrange(60 * 60 * 24 * 700))
    return _written(at, random.randrange(_TICKS_PER_SECOND))


def edit_moment(number: int) -> str:
    """When the tenant's edit `number` was made: a minute after the one before it, later than everything else."""
    return _written(_EDITED + timedelta(minutes=number), (number * 7_654_321) % _TICKS_PER_SECOND)


def _written(at: datetime, ticks: int) -> str:
    fraction = f"{ticks:07d}".rstrip("0")
    return at.strftime("%Y-%m-%dT%H:%M:%S") + (f".{fraction}Z" if fraction else "Z")
