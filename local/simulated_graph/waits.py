"""Waits that Graph told clients, and their violations."""

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
    """A request that came `early_by_seconds` too early.

    `number` is its `RecordedRequest`'s, `path` has version and query. `scope`, a throttle family or an address, was
    told to wait `told_seconds_ago`.
    """

    number: int
    tenant_id: str
    scope: str
    path: str
    early_by_seconds: float
    told_seconds_ago: float


@dataclass(frozen=True, slots=True)
class Early:
    """The scope that had to wait, and its `Retry-After`."""

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
    """When a tenant's address or throttle family may be asked again. Thread-safe. Times are monotonic.

    A request is no violation if it arrived before the wait was set or, in a family, which has many clients, up to a
    quarter of a second later.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._waits: dict[tuple[str, str], _Wait] = {}
        self._violations: list[Violation] = []

    def set(self, tenant_id: str, scope: str, retry_after: str, now: float, *, whole_batch: bool = False) -> None:
        """Makes the scope, or its whole batch, wait. An unusable `Retry-After` is ignored."""
        seconds = usable_seconds(retry_after)
        if seconds is not None:
            with self._lock:
                self._waits[tenant_id, scope] = _Wait(now, now + seconds, retry_after, whole_batch)

    def set_family(self, tenant_id: str, family: str, retry_after: str, now: float) -> None:
        """Like `set`, unless the family waits already: clients follow the first `Retry-After`."""
        with self._lock:
            held = self._waits.get((tenant_id, family))
        if held is None or held.until <= now:
            self.set(tenant_id, family, retry_after, now)

    def early(self, tenant_id: str, address: str, family: str | None, arrived: float) -> Early | None:
        """The violated wait, which starts anew; None without one."""
        with self._lock:
            return self._early(tenant_id, address, arrived) or (
                self._early(tenant_id, family, arrived, _IN_FLIGHT_SECONDS) if family else None
            )

    def early_batch(self, tenant_id: str, addresses: Sequence[str], arrived: float) -> Early | None:
        """The longest violated wait of whole batches with these addresses; all of them start anew."""
        with self._lock:
            waits = {address: self._waits.get((tenant_id, address)) for address in addresses}
            early = [
                self._early(tenant_id, address, arrived) for address, wait in waits.items() if wait and wait.whole_batch
            ]
        return max(filter(None, early), key=lambda violation: violation.early_by_seconds, default=None)

    def forget(self, tenant_id: str, scopes: Sequence[str]) -> None:
        """Drops waits that were never announced to the tenant."""
        with self._lock:
            for scope in scopes:
                self._waits.pop((tenant_id, scope), None)

    def violated(self, number: int, tenant_id: str, address: str, early: Early) -> None:
        violation = Violation(number, tenant_id, early.scope, address, early.early_by_seconds, early.told_seconds_ago)
        with self._lock:
            self._violations.append(violation)

    def violations(self) -> list[Violation]:
        """Oldest first."""
        with self._lock:
            return list(self._violations)

    def clear_violations(self) -> None:
        """Forgets violations, not waits."""
        with self._lock:
            self._violations.clear()

    def _early(self, tenant_id: str, scope: str, arrived: float, grace: float = 0) -> Early | None:
        wait = self._waits.get((tenant_id, scope))
        if wait is None or arrived <= wait.said_at + grace or wait.until - arrived <= _TOLERANCE_SECONDS:
            return None
        # A number of seconds starts anew, a date stays.
        seconds = usable_seconds(wait.retry_after) or 0
        self._waits[tenant_id, scope] = replace(wait, said_at=arrived, until=arrived + seconds)
        return Early(scope, wait.retry_after, wait.until - arrived, arrived - wait.said_at)


def usable_seconds(retry_after: str) -> float | None:
    """The seconds of a number or date; None if no sane client would wait for them."""
    try:
        seconds = float(retry_after)
    except ValueError:
        try:
            moment = parsedate_to_datetime(retry_after)
        except ValueError:
            return None
        seconds = ((moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - datetime.now(UTC)).total_seconds()
    return seconds if math.isfinite(seconds) and 0 <= seconds <= LONGEST_WAIT_SECONDS else None
