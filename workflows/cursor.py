"""A run's read position in one collection."""

from datetime import datetime, timedelta
from random import Random

from pydantic import BaseModel, ConfigDict

from activities.messages.pages import CursorFailure
from activities.messages.runs import RunPolicy
from inventory.backoff import KnownFailure, RetryLimits, backoff, believable
from inventory.bounds import SHARDS
from inventory.error_codes import ErrorCode

ITEMS_OF_A_PART = 40


class Cursor(BaseModel):
    """The next page to read. With `confirming`, unlisted items to ask for by id, once the listing is read.

    With `detailing`, items whose details to read: part `part` of `of`, at most `limit` requests at once.
    """

    model_config = ConfigDict(extra="ignore")

    type_key: str
    url: str
    page: int = 1
    attempts: int = 0
    first_failed_at: datetime | None = None
    not_before: datetime | None = None
    restarts: int = 0
    anchor: str | None = None
    """The hash of an earlier link, renewed at page 2, 4, 8 …: a circular listing meets it again (Brent's algorithm)."""
    size_bytes: int = 0
    """The expected size of the page's documents."""
    confirming: bool = False
    detailing: bool = False
    part: int = 0
    of: int = 1
    left: int = 0
    """The approximate number of the part's remaining items."""
    limit: int | None = None
    losses: int = 0
    """How often the page's staged rows were lost; the pages after it have been read."""
    failures: dict[ErrorCode, int] = {}
    failed_with: ErrorCode | None = None
    """The failure after which the cursor waits; None if it waits for its family's turn."""
    http_status: int | None = None

    def delayed(self, now: datetime, not_before: datetime) -> "Cursor":
        """The cursor if it has to wait and no request was sent."""
        first_failed_at = self.first_failed_at or now
        return self.model_copy(
            update={"first_failed_at": first_failed_at, "not_before": not_before, "failed_with": None}
        )

    def failed(self, failure: CursorFailure) -> "Cursor":
        failures = {**self.failures, failure.code: self.failures.get(failure.code, 0) + 1}
        status = failure.context.get("http_status")
        return self.model_copy(
            update={
                "attempts": self.attempts + 1,
                "failures": failures,
                "failed_with": failure.code,
                "http_status": status if isinstance(status, int) else None,
            }
        )

    def retried(self, now: datetime, not_before: datetime) -> "Cursor":
        return self.model_copy(update={"first_failed_at": self.first_failed_at or now, "not_before": not_before})

    def moved(self) -> "Cursor":
        """The cursor after progress, with the full retry limit."""
        return self.model_copy(
            update={"attempts": 0, "failures": {}, "first_failed_at": None, "not_before": None, "failed_with": None}
        )

    def delay(self, failure: CursorFailure, random: Random) -> timedelta:
        """Retry-After, else exponential backoff with full jitter."""
        retry_after = believable(failure.retry_after)
        return backoff(self.attempts, random) if retry_after is None else retry_after

    def may_retry(self, policy: RunPolicy, known_failure: KnownFailure | None, waited: timedelta) -> bool:
        """`waited`: the time since the first failure. `known_failure`: the collection's, if this is the same."""
        full = RetryLimits(policy.cursor_attempts, policy.graph_patience)
        if not full.allows(self.attempts, waited) or self.failed_with is None:
            return False
        attempts = self.failures[self.failed_with]
        reduced = None if known_failure is None else known_failure.retry_limits
        if reduced is not None and not reduced.allows(attempts, waited):
            return False
        # Each item's details have attempts of their own (`FetchDetails.malformed_attempts`).
        is_malformed = self.failed_with is ErrorCode.GRAPH_MALFORMED_RESPONSE and not self.detailing
        return not is_malformed or policy.malformed_attempts is None or attempts < policy.malformed_attempts


def parts_of(pending: int, waves_in_flight: int) -> int:
    """The number of parts into which pending items are divided: 1 if they are few."""
    parts = 1
    while parts * 2 <= min(SHARDS, waves_in_flight) and pending > parts * ITEMS_OF_A_PART:
        parts *= 2
    return parts
