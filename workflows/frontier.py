"""The frontier of a run: which pages are still to be read, and what has been. The workflow's whole state.

Plain, deterministic state changes: time and randomness come in as arguments. It is carried over when the workflow
continues as new.
"""

import hashlib
from collections.abc import Sequence
from datetime import datetime, timedelta
from random import Random

from pydantic import BaseModel, ConfigDict

from activities.messages import (
    CursorFailure,
    NamedInvalid,
    PageResult,
    PlannedCollection,
    RunPolicy,
    UpsertItemsResult,
)
from inventory.error_codes import SKIPPING_CODES, ErrorCode
from inventory.outcomes import CollectionResult, ContextValue, Counts, Outcome
from workflows.policies import BACKOFF_INITIAL, BACKOFF_MAXIMUM, PAGE_CAP, RETRY_AFTER_MAXIMUM

NAMED_INVALID = 10
"""How many bad objects a collection's context names; the counts hold all of them."""


class Cursor(BaseModel):
    """Where to read on in one collection, and how that has gone so far."""

    model_config = ConfigDict(extra="ignore")

    type_key: str
    url: str
    page: int = 1
    attempts: int = 0
    first_failed_at: datetime | None = None
    not_before: datetime | None = None
    restarts: int = 0
    anchor: str | None = None
    """Hash of an earlier link, renewed at every power of two of pages: a listing that goes in circles meets it again
    (Brent's algorithm), whatever the length of the circle, and one hash is all that is remembered."""

    def retried(self, now: datetime, not_before: datetime) -> "Cursor":
        """The same page, later."""
        return self.model_copy(
            update={
                "attempts": self.attempts + 1,
                "first_failed_at": self.first_failed_at or now,
                "not_before": not_before,
            }
        )


class Frontier(BaseModel):
    """The cursors of a run and the results of its collections."""

    model_config = ConfigDict(extra="ignore")

    policy: RunPolicy = RunPolicy()
    plan: dict[str, PlannedCollection] = {}
    cursors: list[Cursor] = []
    results: dict[str, CollectionResult] = {}
    counts: Counts = Counts()
    restarted: list[str] = []

    @classmethod
    def of(cls, plan: Sequence[PlannedCollection], policy: RunPolicy) -> "Frontier":
        """The frontier of a run that begins."""
        return cls(
            policy=policy,
            plan={planned.type_key: planned for planned in plan},
            cursors=[Cursor(type_key=planned.type_key, url=planned.first_url) for planned in plan],
            results={planned.type_key: CollectionResult() for planned in plan},
        )

    def take_wave(self, now: datetime) -> list[Cursor]:
        """Takes the next wave off the frontier: cursors that are due, of one API version and throttle family.

        The longest-waiting cursor decides which; empty where none is due.
        """
        wave: list[Cursor] = []
        kept: list[Cursor] = []
        lead: PlannedCollection | None = None
        for cursor in self.cursors:
            planned = self.plan[cursor.type_key]
            due = cursor.not_before is None or cursor.not_before <= now
            if due and lead is None:
                lead = planned
            if (
                due
                and lead is not None
                and (planned.api_version, planned.throttle_family) == (lead.api_version, lead.throttle_family)
                and len(wave) < lead.wave_limit
            ):
                wave.append(cursor)
            else:
                kept.append(cursor)
        self.cursors = kept
        return wave

    def next_due(self) -> datetime | None:
        """When the first of the cursors is due that have to wait; None where there is none."""
        return min((cursor.not_before for cursor in self.cursors if cursor.not_before is not None), default=None)

    def fold_page(self, cursor: Cursor, page: PageResult, now: datetime, random: Random) -> None:
        """Takes in one page: its counts, and its next cursor, its end or its failure."""
        if page.failure is not None and not page.was_read:
            self.fold_failure(cursor, page.failure, now, random)
            return
        result = self.results[cursor.type_key]
        result.pages += 1
        result.items += page.items
        self.counts.pages += 1
        self.counts.observed += page.items
        self.fold_invalid(cursor.type_key, page.invalid, page.named_invalid)
        if page.meta_dropped:
            dropped = result.context.get("meta_dropped", 0)
            result.context["meta_dropped"] = page.meta_dropped + (dropped if isinstance(dropped, int) else 0)
        if result.outcome is not None:
            return
        if page.failure is not None:
            self.fail(cursor.type_key, page.failure.code, page.failure.context)
            return
        if page.next_url is None:
            result.outcome = Outcome.COMPLETE
            return
        fingerprint = hashlib.sha256(page.next_url.encode()).hexdigest()
        if fingerprint == cursor.anchor or cursor.page >= PAGE_CAP:
            self.fail(cursor.type_key, ErrorCode.GRAPH_PAGING_LOOP, {"page": cursor.page})
            return
        page_number = cursor.page + 1
        is_power_of_two = page_number & (page_number - 1) == 0
        self.cursors.append(
            Cursor(
                type_key=cursor.type_key,
                url=page.next_url,
                page=page_number,
                restarts=cursor.restarts,
                anchor=fingerprint if is_power_of_two else cursor.anchor,
            )
        )

    def fold_failure(self, cursor: Cursor, failure: CursorFailure, now: datetime, random: Random) -> None:
        """Takes in a page that was not read: back to the frontier with a not-before time, or the collection's end."""
        if failure.code is ErrorCode.GRAPH_THROTTLED:
            self.counts.throttled += 1
        if failure.restart and cursor.restarts == 0:
            self._restart(cursor)
            return
        delay = _delay(cursor, failure, random)
        waited = now + delay - (cursor.first_failed_at or now)
        patient = cursor.attempts + 1 < self.policy.cursor_attempts and waited <= self.policy.graph_patience
        if failure.retryable and patient:
            self.cursors.append(cursor.retried(now, now + delay))
        else:
            self.fail(cursor.type_key, failure.code, {**failure.context, "attempts": cursor.attempts + 1})

    def fail(self, type_key: str, code: ErrorCode, context: dict[str, ContextValue]) -> None:
        """Ends a collection with an error code; `skipped` where the tenant cannot have it."""
        self.cursors = [cursor for cursor in self.cursors if cursor.type_key != type_key]
        result = self.results[type_key]
        result.error_code = code
        result.context.update(context)
        if code in SKIPPING_CODES and result.pages == 0:
            result.outcome = Outcome.SKIPPED
            return
        result.outcome = Outcome.INCOMPLETE if result.pages else Outcome.FAILED
        self.counts.errors += 1

    def fold_upsert(self, upserted: UpsertItemsResult) -> None:
        """Takes in what a merge did. An item that was listed twice was observed once."""
        self.counts.created += upserted.created
        self.counts.changed += upserted.changed
        self.counts.unchanged += upserted.unchanged
        for type_key, repetitions in upserted.duplicates.items():
            self.counts.observed -= repetitions
            self.counts.invalid += repetitions
            self.results[type_key].items -= repetitions
        for type_key, external_id in upserted.duplicate_ids:
            self._name_invalid(type_key, NamedInvalid(reason="duplicate_id", external_id=external_id))

    def fold_invalid(self, type_key: str, invalid: int, named: Sequence[NamedInvalid]) -> None:
        """Counts the bad objects of a page, and names the first few of the collection."""
        self.counts.invalid += invalid
        for one in named:
            self._name_invalid(type_key, one)

    def fail_open(self, code: ErrorCode) -> None:
        """Ends every collection that has not come to its end, since the run itself breaks."""
        for type_key in self._open():
            self.fail(type_key, code, {})

    def cancel_open(self) -> None:
        """Leaves every collection that has not come to its end incomplete, since the run is cancelled."""
        for type_key in self._open():
            result = self.results[type_key]
            result.outcome = Outcome.INCOMPLETE
            result.error_code = ErrorCode.CANCELLED
        self.cursors = []

    def _open(self) -> list[str]:
        return [type_key for type_key, result in self.results.items() if result.outcome is None]

    def _name_invalid(self, type_key: str, named: NamedInvalid) -> None:
        context = self.results[type_key].context
        names = context.setdefault("invalid", [])
        if isinstance(names, list) and len(names) < NAMED_INVALID:
            names.append(named.model_dump(exclude_none=True))

    def _restart(self, cursor: Cursor) -> None:
        """Begins the listing of a collection anew: its page token has expired."""
        result = self.results[cursor.type_key]
        result.items = 0
        if cursor.type_key not in self.restarted:
            self.restarted.append(cursor.type_key)
        self.cursors.append(
            Cursor(type_key=cursor.type_key, url=self.plan[cursor.type_key].first_url, restarts=cursor.restarts + 1)
        )


def _delay(cursor: Cursor, failure: CursorFailure, random: Random) -> timedelta:
    """How long to leave the page alone: Retry-After, else exponential backoff with full jitter."""
    if failure.retry_after is not None:
        return min(max(failure.retry_after, timedelta(0)), RETRY_AFTER_MAXIMUM)
    ceiling = min(BACKOFF_MAXIMUM, BACKOFF_INITIAL * 2 ** min(cursor.attempts, 20))
    return timedelta(seconds=random.uniform(0, ceiling.total_seconds()))
