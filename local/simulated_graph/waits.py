"""Clients that Graph told to wait, until when, and clients that did not."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from threading import Lock

LONGEST_WAIT_SECONDS = 1800
_TOLERANCE_SECONDS = 0.05
_IN_FLIGHT_SECONDS = 0.25


@dataclass(frozen=True, slots=True)
class Violation:
    """A request that came `early_by_seconds` before its tenant had been told to come again.

    `number` is that of the `RecordedRequest`, `path` its address with version and query. `scope` is what had been
    told to wait: a throttle family, or an address; `told_seconds_ago` is how long before.
    """

    number: int
    tenant_id: str
    scope: str
    path: str
    early_by_seconds: float
    told_seconds_ago: float


@dataclass(frozen=True, slots=True)
class Early:
    """A request before its time: the waiting scope, and its `Retry-After`."""

    scope: str
    retry_after: str
    early_by_seconds: float
    told_seconds_ago: float


@dataclass(frozen=True, slots=True)
class _Wait:
    said_at: float
    until: float
    retry_after: str
    whole_batch: bool


class Waits:
    """The moments before which a tenant's address or family is not to be asked again. Thread-safe.

    Times are monotonic. A request that was under way when the moment was set is no violation: one that had arrived
    by then or, as a family has many clients, that arrived a quarter of a second later.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._waits: dict[tuple[str, str], _Wait] = {}
        self._violations: list[Violation] = []

    def set(self, tenant_id: str, scope: str, retry_after: str, now: float, *, whole_batch: bool = False) -> None:
        """Note that Graph told the scope, or its whole batch, to wait; a `Retry-After` nobody can follow is none."""
        seconds = usable_seconds(retry_after)
        if seconds is not None:
            with self._lock:
                self._waits[tenant_id, scope] = _Wait(now, now + seconds, retry_after, whole_batch)

    def set_family(self, tenant_id: str, family: str, retry_after: str, now: float) -> None:
        """The same for a family, unless it is waiting already: its clients follow the first thing that they hear."""
        with self._lock:
            held = self._waits.get((tenant_id, family))
        if held is None or held.until <= now:
            self.set(tenant_id, family, retry_after, now)

    def early(self, tenant_id: str, address: str, family: str | None, arrived: float) -> Early | None:
        """Whether a request comes too early; if so, its wait starts anew."""
        with self._lock:
            return self._early(tenant_id, address, arrived) or (
                self._early(tenant_id, family, arrived, _IN_FLIGHT_SECONDS) if family else None
            )

    def early_batch(self, tenant_id: str, addresses: Sequence[str], arrived: float) -> Early | None:
        """Whether a batch comes too early, as one with any of these was refused as a whole; if so, all start anew."""
        with self._lock:
            waits = {address: self._waits.get((tenant_id, address)) for address in addresses}
            early = [
                self._early(tenant_id, address, arrived) for address, wait in waits.items() if wait and wait.whole_batch
            ]
        return max(filter(None, early), key=lambda violation: violation.early_by_seconds, default=None)

    def forget(self, tenant_id: str, scopes: Sequence[str]) -> None:
        """The tenant never heard that these were to wait."""
        with self._lock:
            for scope in scopes:
                self._waits.pop((tenant_id, scope), None)

    def violated(self, number: int, tenant_id: str, address: str, early: Early) -> None:
        """Put the early request of this number on record."""
        violation = Violation(number, tenant_id, early.scope, address, early.early_by_seconds, early.told_seconds_ago)
        with self._lock:
            self._violations.append(violation)

    def violations(self) -> list[Violation]:
        """The requests that came before the moment that a `Retry-After` had named, oldest first."""
        with self._lock:
            return list(self._violations)

    def clear_violations(self) -> None:
        """Forget the violations, but not who has to wait."""
        with self._lock:
            self._violations.clear()

    def _early(self, tenant_id: str, scope: str, arrived: float, grace: float = 0) -> Early | None:
        wait = self._waits.get((tenant_id, scope))
        if wait is None or arrived <= wait.said_at + grace or wait.until - arrived <= _TOLERANCE_SECONDS:
            return None
        # A number of seconds starts anew, a date stays the same date.
        seconds = usable_seconds(wait.retry_after) or 0
        self._waits[tenant_id, scope] = replace(wait, said_at=arrived, until=arrived + seconds)
        return Early(scope, wait.retry_after, wait.until - arrived, arrived - wait.said_at)


def usable_seconds(retry_after: str) -> float | None:
    """The seconds that a `Retry-After` asks for, as a number or as a date; None if no sane client would follow it."""
    try:
        seconds = float(retry_after)
    except ValueError:
        try:
            moment = parsedate_to_datetime(retry_after)
        except ValueError:
            return None
        seconds = ((moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - datetime.now(UTC)).total_seconds()
    return seconds if math.isfinite(seconds) and 0 <= seconds <= LONGEST_WAIT_SECONDS else None
