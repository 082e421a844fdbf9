"""Graph's clock, by answers' `Date` header."""

import time
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import NamedTuple


class ClockReading(NamedTuple):
    """A server's time, and this process's monotonic seconds when it arrived."""

    at: datetime
    read_at: float

    def now(self) -> datetime:
        return self.at + timedelta(seconds=time.monotonic() - self.read_at)


def clock_reading(date: str | None, read_at: float) -> ClockReading | None:
    """Reads a date (RFC 9110 §5.6.7), early by up to a second and the answer's way; None if unreadable."""
    try:
        at = parsedate_to_datetime(date or "")
    except ValueError:
        return None
    return ClockReading(at.replace(tzinfo=at.tzinfo or UTC), read_at)
