"""Waits before requests to Graph, and limits of retries."""

from datetime import timedelta
from random import Random
from typing import NamedTuple

from pydantic import BaseModel

from inventory.error_codes import ErrorCode

BACKOFF_INITIAL = timedelta(seconds=1)
BACKOFF_MAXIMUM = timedelta(minutes=2)

RETRY_AFTER_MAXIMUM = timedelta(hours=1)
"""Longer waits count as Graph's mistake."""

MALFORMED_ATTEMPTS = 3
"""Requests for a page whose successful answer is no page: a cut connection passes, a proxy does not."""

REMEMBERED_CODES = frozenset(
    {
        ErrorCode.GRAPH_THROTTLED,
        ErrorCode.GRAPH_UNAVAILABLE,
        ErrorCode.GRAPH_MALFORMED_RESPONSE,
        ErrorCode.AUTH_FAILED,
    }
)
"""Codes of pages that were retried to the limit; pages with other codes are not retried."""

BRIEF_AFTER_RUNS = 2
"""After so many runs in a row with the same code, a collection has brief retries."""

MEMORY = timedelta(days=7)
"""Runs queued earlier are not remembered."""


class RetryLimits(NamedTuple):
    """The most requests for a page, and the time for retries after its first failure."""

    attempts: int
    within: timedelta

    def allows(self, attempts: int, waited: timedelta) -> bool:
        return attempts < self.attempts and waited <= self.within


BRIEF = RetryLimits(3, timedelta(minutes=1))
"""The limits for a known failure: three attempts, so that one other failure does not end them."""


class KnownFailure(BaseModel, frozen=True, extra="ignore"):
    """A collection's failure in `runs` runs in a row, retried fully unless `attempts` and `within` are set."""

    code: ErrorCode
    runs: int
    in_details: bool = False
    """Whether details failed with the code, after a complete listing."""
    attempts: int | None = None
    within: timedelta | None = None

    @property
    def retry_limits(self) -> RetryLimits | None:
        if self.attempts is None or self.within is None:
            return None
        return RetryLimits(self.attempts, self.within)


def known_failure(code: ErrorCode, runs: int, in_details: bool, full: RetryLimits) -> KnownFailure | None:
    """The failure to remember after `runs` runs in a row; None if the code is not remembered.

    A throttled collection has brief attempts but the full time, since its throttle family waits for Retry-After anyway.
    """
    if code not in REMEMBERED_CODES:
        return None
    failure = KnownFailure(code=code, runs=runs, in_details=in_details)
    if runs < BRIEF_AFTER_RUNS:
        return failure
    within = full.within if code is ErrorCode.GRAPH_THROTTLED else min(full.within, BRIEF.within)
    return failure.model_copy(update={"attempts": min(full.attempts, BRIEF.attempts), "within": within})


def believable(retry_after: timedelta | None) -> timedelta | None:
    """The Retry-After; None if it is absent, negative or longer than `RETRY_AFTER_MAXIMUM`."""
    if retry_after is None or not timedelta(0) <= retry_after <= RETRY_AFTER_MAXIMUM:
        return None
    return retry_after


def backoff(attempts: int, random: Random) -> timedelta:
    """A random wait up to a growing ceiling, for failures without Retry-After."""
    ceiling = min(BACKOFF_MAXIMUM, BACKOFF_INITIAL * 2 ** min(attempts, 20))
    return timedelta(seconds=random.uniform(0, ceiling.total_seconds()))
