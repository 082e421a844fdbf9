"""Times as people type and read them."""

from datetime import UTC, datetime

EARLIEST = datetime(1, 1, 2, tzinfo=UTC)
LATEST = datetime(9999, 12, 30, tzinfo=UTC)


def utc_text(moment: datetime) -> str:
    """A moment in a message: `2026-01-02 03:04:05Z`."""
    return f"{moment:%Y-%m-%d %H:%M:%SZ}"


def time_of(value: str) -> datetime | None:
    """A time in ISO 8601, by default in UTC; None for another text, or a time out of range.

    A day is left at either end, so that a time may be moved by one or shown in any zone.
    """
    try:
        moment = datetime.fromisoformat(value)
        moment = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return moment if EARLIEST <= moment <= LATEST else None
