"""How far another clock is ahead of this machine's: Graph's by the `Date` header, or the database's."""

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime


def clock_ahead(date: str | None, received_at: datetime) -> timedelta | None:
    """How far the clock behind a `Date` header (RFC 9110, section 5.6.7) is ahead; None if the header has no date.

    The header counts whole seconds, so the result is up to a second and the way of the answer too small.
    """
    try:
        sent_at = parsedate_to_datetime(date or "")
    except ValueError:
        return None
    return sent_at.replace(tzinfo=sent_at.tzinfo or UTC) - received_at
