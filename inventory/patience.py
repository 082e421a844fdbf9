"""How long to leave Graph alone: Retry-After to the moment, else exponential backoff with full jitter."""

from datetime import timedelta
from random import Random

BACKOFF_INITIAL = timedelta(seconds=1)
BACKOFF_MAXIMUM = timedelta(minutes=2)

RETRY_AFTER_MAXIMUM = timedelta(hours=1)
"""What is longer is taken for a mistake of Graph's: 300 s and more are seen (GRAPH_FACTS §1.2), days are not."""


def believable(retry_after: timedelta | None) -> timedelta | None:
    """A Retry-After that is believed; None where it is absent, negative or longer than `RETRY_AFTER_MAXIMUM`."""
    if retry_after is None or not timedelta(0) <= retry_after <= RETRY_AFTER_MAXIMUM:
        return None
    return retry_after


def backoff(attempts: int, random: Random) -> timedelta:
    """How long to wait after `attempts` earlier attempts where Graph did not say: somewhere from 0 to the ceiling."""
    ceiling = min(BACKOFF_MAXIMUM, BACKOFF_INITIAL * 2 ** min(attempts, 20))
    return timedelta(seconds=random.uniform(0, ceiling.total_seconds()))
