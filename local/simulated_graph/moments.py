"""Times without a clock, so that a tenant is the same in every process and on every day."""

from datetime import UTC, datetime, timedelta
from random import Random

_FIRST = datetime(2024, 1, 8, 7, 30, tzinfo=UTC)
_EDITED = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
_TICKS_PER_SECOND = 10_000_000


def moment(random: Random) -> str:
    """A time in 2024 or 2025 in Graph's form: up to seven fractional digits, no trailing zeros."""
    at = _FIRST + timedelta(seconds=random.randrange(60 * 60 * 24 * 700))
    return _written(at, random.randrange(_TICKS_PER_SECOND))


def edit_moment(number: int) -> str:
    """A minute after the edit before, and later than any `moment`."""
    return _written(_EDITED + timedelta(minutes=number), (number * 7_654_321) % _TICKS_PER_SECOND)


def _written(at: datetime, ticks: int) -> str:
    fraction = f"{ticks:07d}".rstrip("0")
    return at.strftime("%Y-%m-%dT%H:%M:%S") + (f".{fraction}Z" if fraction else "Z")
