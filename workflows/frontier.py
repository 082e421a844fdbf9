"""The frontier of a run: the pages to read, and the results so far. Continue-as-new carries it over.

Deterministic: time and randomness are arguments.
"""

import hashlib
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from random import Random

from activities.messages.confirmation import ConfirmMissingResult
from activities.messages.details import DetailProgress, DetailShare, FetchDetailsResult
from activities.messages.merges import DetailRefresh, UpsertItemsResult
from activities.messages.pages import CursorFailure, InvalidItem, PageResult
from activities.messages.runs import PlannedCollection, RunPolicy
from inventory.backoff import KnownFailure, believable
from inventory.error_codes import OF_TENANT_CODES, SKIPPING_CODES, ErrorCode
from inventory.outcomes import CollectionResult, ContextValue, Outcome
from workflows.collection_results import CollectionResults
from workflows.cursor import Cursor, parts_of
from workflows.policies import PAGE_CAP, WAVE_BYTES
from workflows.wave_queue import WaveQueue


class Frontier(WaveQueue, CollectionResults):
    """Dictionaries of numbers are by type key."""

    restarted: list[str] = []
    listed: list[str] = []
    """Collections listed to their end, to be confirmed or detailed next."""
    merging: dict[str, int] = {}
    """Pages that are read but unmerged."""
    unlisted: dict[str, int] = {}
    listings: dict[str, int] = {}
    """Open listings, one for each parent."""
    pending: dict[str, int] = {}
    """Items with unread details."""
    counted_early: list[str] = []
    """Collections whose pending items were counted while another merge of theirs was under way."""
    parts: dict[str, int] = {}
    """Unfinished parts of pending items."""

    @classmethod
    def of(cls, plan: Sequence[PlannedCollection], policy: RunPolicy, unknown: Sequence[str] = ()) -> "Frontier":
        """The frontier of a new run, in which the `unknown` collections have failed."""
        frontier = cls(
            policy=policy,
            plan={planned.type_key: planned for planned in plan},
            cursors=[Cursor(type_key=planned.type_key, url=planned.first_url) for planned in plan],
            results={planned.type_key: CollectionResult() for planned in plan},
        )
        for type_key in unknown:
            frontier.results[type_key] = CollectionResult()
            frontier.fail(type_key, ErrorCode.UNKNOWN_COLLECTION, {})
        return frontier

    def fold_page(self, cursor: Cursor, page: PageResult, now: datetime, random: Random) -> None:
        """Counts a page; goes on to the next, ends the listing, or takes in a failure."""
        if page.failure is not None and not page.was_read:
            self.fold_failure(cursor, page.failure, now, random)
            return
        self._forget_failure(cursor)
        result = self.results[cursor.type_key]
        result.pages += 1
        result.items += page.items
        self.counts.pages += 1
        self.counts.observed += page.items
        self.fold_invalid(cursor.type_key, page.invalid, page.named_invalid)
        if page.meta_dropped:
            dropped = result.context.get("meta_dropped", 0)
            result.context["meta_dropped"] = page.meta_dropped + (dropped if isinstance(dropped, int) else 0)
        if result.outcome is not None or cursor.losses or self._is_stale(cursor):
            return
        if page.failure is not None:
            self.fail(cursor.type_key, page.failure.code, page.failure.context)
            return
        self._open_listings(cursor, page.more_urls)
        if page.next_url is None:
            self._end_listing(cursor.type_key)
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
                size_bytes=page.size_bytes,
            )
        )

    def fold_paced(self, cursor: Cursor, wait: timedelta, now: datetime) -> None:
        """The cursor waits for its family's turn, or fails at the end of its retry time."""
        waited = now + wait - (cursor.first_failed_at or now)
        if waited > self.policy.graph_patience:
            context: dict[str, ContextValue] = {"attempts": cursor.attempts, "throttled_until": _moment(now + wait)}
            self._give_up(cursor, ErrorCode.GRAPH_THROTTLED, context)
        else:
            self.cursors.append(cursor.delayed(now, now + wait))

    def fold_too_large(self, wave: Sequence[Cursor]) -> None:
        """Puts back a batch whose answer was too large: the next has half the pages, or a quarter of the details."""
        expected = 2 * WAVE_BYTES // len(wave)
        self.cursors += [
            cursor.model_copy(update={"limit": max(1, self.detail_limit(wave) // 4)})
            if cursor.detailing
            else cursor.model_copy(update={"size_bytes": expected})
            for cursor in wave
        ]

    def fold_failure(self, cursor: Cursor, failure: CursorFailure, now: datetime, random: Random) -> None:
        """Retries the page later, restarts its listing, or ends the collection."""
        if failure.code is ErrorCode.GRAPH_THROTTLED:
            self.counts.throttled += 1
        if self._is_stale(cursor):
            self.end_merging([cursor] if cursor.losses else [])
            return
        if failure.restart and cursor.restarts == 0:
            self._restart(cursor)
            return
        delay = cursor.delay(failure, random)
        is_pause = failure.code is ErrorCode.GRAPH_THROTTLED and believable(failure.retry_after) is not None
        if is_pause:
            family = self.plan[cursor.type_key].throttle_family
            self.paused[family] = max(now + delay, self.paused.get(family, now))
        waited = now + delay - (cursor.first_failed_at or now)
        failed = cursor.failed(failure)
        known = self._known_failure(cursor.type_key, failure.code, in_details=cursor.detailing)
        if failure.retryable and failed.may_retry(self.policy, known, waited):
            self.cursors.append(failed.retried(now, now + delay))
        else:
            context: dict[str, ContextValue] = {**failure.context, "attempts": failed.attempts}
            if is_pause:
                context["throttled_until"] = _moment(now + delay)
            self._give_up(cursor, failure.code, context)

    def _known_failure(self, type_key: str, code: ErrorCode, *, in_details: bool) -> KnownFailure | None:
        planned = self.plan.get(type_key)
        known = None if planned is None else planned.known_failure
        return known if known is not None and (known.code, known.in_details) == (code, in_details) else None

    def _forget_failure(self, cursor: Cursor) -> None:
        """Restores the collection's full retry limit, once a page that had the known failure is read."""
        planned = self.plan[cursor.type_key]
        if planned.known_failure is not None and planned.known_failure.code in cursor.failures:
            self.plan[cursor.type_key] = planned.model_copy(update={"known_failure": None})

    def _count_failing_runs(self, type_key: str, code: ErrorCode, *, in_details: bool) -> None:
        known = self._known_failure(type_key, code, in_details=in_details)
        if known is not None:
            self.results[type_key].context["failing_runs"] = known.runs + 1

    def share(self, cursor: Cursor) -> DetailShare:
        known_failure = self.plan[cursor.type_key].known_failure
        return DetailShare(
            type_key=cursor.type_key,
            part=cursor.part,
            of=cursor.of,
            known_failure=known_failure if known_failure is not None and known_failure.in_details else None,
        )

    def told_after(self, wave: Sequence[Cursor]) -> timedelta | None:
        """How long an activity retries a wave that fails as a whole."""
        known = [self.plan[cursor.type_key].known_failure for cursor in wave]
        brief = self.policy.told_after is not None and all(
            failure is not None and failure.retry_limits for failure in known
        )
        return timedelta(0) if brief else self.policy.told_after

    def _give_up(self, cursor: Cursor, code: ErrorCode, context: dict[str, ContextValue]) -> None:
        if not cursor.detailing:
            self.fail(cursor.type_key, code, context)
        elif self._is_open(cursor.type_key):
            self._name_cause(cursor.type_key, code, context)
            self._end_part(cursor.type_key)

    def _open_listings(self, cursor: Cursor, urls: Sequence[str]) -> None:
        if urls:
            self.listings[cursor.type_key] = self.listings.get(cursor.type_key, 1) + len(urls)
            self.cursors += [Cursor(type_key=cursor.type_key, url=url, restarts=cursor.restarts) for url in urls]

    def _end_listing(self, type_key: str) -> None:
        remaining = self.listings.pop(type_key, 1) - 1
        if remaining:
            self.listings[type_key] = remaining
        elif self.plan[type_key].confirmable or self.plan[type_key].detailed:
            self.listed.append(type_key)
        else:
            self.results[type_key].outcome = Outcome.COMPLETE

    def fail(self, type_key: str, code: ErrorCode, context: dict[str, ContextValue]) -> None:
        """Ends the collection, as `skipped` if the tenant cannot have it."""
        self.cursors = [cursor for cursor in self.cursors if cursor.type_key != type_key]
        result = self.results[type_key]
        result.error_code = code
        result.context.update(context)
        only_parents = type_key in self.listings and not result.items and code in OF_TENANT_CODES
        if code in SKIPPING_CODES and (result.pages == 0 or only_parents):
            result.outcome = Outcome.SKIPPED
            return
        result.outcome = Outcome.INCOMPLETE if result.pages else Outcome.FAILED
        self._count_failing_runs(type_key, code, in_details=False)
        self.counts.errors += 1

    def ended_with(self, wave: Sequence[Cursor]) -> list[str]:
        """The wave's collections that are listed to their end, and not yet confirmed and detailed."""
        type_keys = dict.fromkeys(cursor.type_key for cursor in wave)
        return [type_key for type_key in type_keys if type_key in self.listed and self._is_open(type_key)]

    def confirmable(self, type_keys: Sequence[str]) -> list[str]:
        return [type_key for type_key in type_keys if self.plan[type_key].confirmable]

    def detailed(self, type_keys: Sequence[str]) -> list[str]:
        return [type_key for type_key in type_keys if self.plan[type_key].detailed]

    def refreshes(self, wave: Sequence[Cursor]) -> dict[str, DetailRefresh]:
        planned = {cursor.type_key: self.plan[cursor.type_key].refresh for cursor in wave}
        return {key: refresh for key, refresh in planned.items() if refresh is not None}

    def begin_merging(self, wave: Sequence[Cursor]) -> None:
        """A page with lost rows has counted since its first read."""
        for cursor in wave:
            if not cursor.losses:
                self.merging[cursor.type_key] = self.merging.get(cursor.type_key, 0) + 1

    def end_merging(self, wave: Sequence[Cursor]) -> None:
        for cursor in wave:
            remaining = self.merging.pop(cursor.type_key, 1) - 1
            if remaining > 0:
                self.merging[cursor.type_key] = remaining
            elif cursor.type_key in self.listed:
                self._settle(cursor.type_key)

    def merging_beside(self, wave: Sequence[Cursor], type_keys: Sequence[str]) -> list[str]:
        """Collections with unmerged pages outside the wave."""
        own = Counter(cursor.type_key for cursor in wave)
        return [type_key for type_key in type_keys if self.merging.get(type_key, 0) > own[type_key]]

    def fold_lost(self, wave: Sequence[Cursor], pages: Sequence[PageResult], limit: int) -> None:
        """Queues pages with items again, since a crash of PostgreSQL emptied the staging, or fails them after `limit`.

        `pages` are those of the cursors, all read.
        """
        for cursor, page in zip(wave, pages, strict=True):
            if not page.items:
                self.end_merging([cursor])
                continue
            result = self.results[cursor.type_key]
            result.pages -= 1
            result.items -= page.items
            self.counts.pages -= 1
            self.counts.observed -= page.items
            if cursor.losses + 1 >= limit:
                self.fail(cursor.type_key, ErrorCode.STORAGE_UNAVAILABLE, {"losses": cursor.losses + 1})
            elif result.outcome in (None, Outcome.COMPLETE):
                self.cursors.append(cursor.model_copy(update={"losses": cursor.losses + 1}))

    def _settle(self, type_key: str) -> None:
        if not self._is_open(type_key):
            return
        if self.unlisted.get(type_key):
            self.cursors.append(Cursor(type_key=type_key, url="", confirming=True))
        elif self.pending.get(type_key) or type_key in self.counted_early:
            # If none was counted, a merge that committed later may have added some: one look tells.
            pending = self.pending.pop(type_key, 0) or 1
            parts = parts_of(pending, self.policy.waves_in_flight)
            self.parts[type_key] = parts
            self.cursors += [
                Cursor(type_key=type_key, url="", detailing=True, part=part, of=parts, left=-(-pending // parts))
                for part in range(parts)
            ]
        else:
            self.results[type_key].outcome = Outcome.COMPLETE

    def _is_stale(self, cursor: Cursor) -> bool:
        return cursor.restarts == 0 and cursor.type_key in self.restarted

    def fold_confirmed(self, cursor: Cursor, confirmed: ConfirmMissingResult, now: datetime, random: Random) -> None:
        """Counts items found by id; then asks for the rest, goes on to details, or takes in a failure."""
        result = self.results[cursor.type_key]
        if not self._is_open(cursor.type_key):
            return
        answer = confirmed.collections.get(cursor.type_key)
        if answer is not None and answer.found:
            self.counts.observed += answer.found
            self.counts.unchanged += answer.found
            result.items += answer.found
            before = result.context.get("found_by_id", 0)
            result.context["found_by_id"] = answer.found + (before if isinstance(before, int) else 0)
        self.unlisted[cursor.type_key] = answer.left if answer is not None else 0
        if answer is not None and answer.pending:
            self.pending[cursor.type_key] = answer.pending
        if answer is not None and answer.failure is not None:
            self.fold_failure(cursor, answer.failure, now, random)
        else:
            self._settle(cursor.type_key)

    def fold_details(self, cursor: Cursor, fetched: FetchDetailsResult, now: datetime, random: Random) -> None:
        """Puts back the rest of the part, or ends the part."""
        if not self._is_open(cursor.type_key):
            return
        progress = fetched.collections.get(cursor.type_key, DetailProgress())
        if progress.cause is not None:
            self._name_cause(cursor.type_key, progress.cause.code, progress.cause.context)
        cursor = cursor.model_copy(update={"left": progress.left})
        if progress.moved:
            cursor = cursor.moved()
        if not progress.left:
            self._end_part(cursor.type_key)
        elif progress.failure is not None:
            self.fold_failure(cursor, progress.failure, now, random)
        else:
            self.cursors.append(cursor)

    def _end_part(self, type_key: str) -> None:
        remaining = self.parts.pop(type_key, 1) - 1
        if remaining:
            self.parts[type_key] = remaining
            return
        result = self.results[type_key]
        result.outcome = Outcome.COMPLETE
        if type_key in self.incomplete:
            result.error_code = ErrorCode.DETAIL_INCOMPLETE
            cause = ErrorCode(str(result.context["detail_error_code"]))
            self._count_failing_runs(type_key, cause, in_details=True)
            self.counts.errors += 1

    def fold_upsert(self, upserted: UpsertItemsResult) -> None:
        """Adds a merge's counts; an item listed twice counts once."""
        self.counts.created += upserted.created
        self.counts.changed += upserted.changed
        self.counts.unchanged += upserted.unchanged
        for type_key, repetitions in upserted.duplicates.items():
            self.counts.observed -= repetitions
            self.counts.invalid += repetitions
            self.results[type_key].items -= repetitions
        for type_key, repetitions in upserted.reread.items():
            self.counts.observed -= repetitions
            self.results[type_key].items -= repetitions
        self.unlisted.update(upserted.unlisted)
        self.pending.update(upserted.pending)
        for type_key, external_id in upserted.duplicate_ids:
            self._name_invalid(type_key, InvalidItem(reason="duplicate_id", external_id=external_id))

    def fail_open(self, code: ErrorCode) -> None:
        for type_key in self._open():
            self.fail(type_key, code, {})

    def cancel_open(self) -> None:
        """Ends open collections as incomplete."""
        for type_key in self._open():
            result = self.results[type_key]
            result.outcome = Outcome.INCOMPLETE
            result.error_code = ErrorCode.CANCELLED
        self.cursors = []

    def _restart(self, cursor: Cursor) -> None:
        """Begins the listing anew, because its page token has expired."""
        dropped = [cursor, *(other for other in self.cursors if other.type_key == cursor.type_key)]
        self.cursors = [other for other in self.cursors if other.type_key != cursor.type_key]
        self.listed = [type_key for type_key in self.listed if type_key != cursor.type_key]
        self.listings.pop(cursor.type_key, None)
        self.end_merging([other for other in dropped if other.losses])
        self.restarted.append(cursor.type_key)
        self.cursors.append(
            Cursor(type_key=cursor.type_key, url=self.plan[cursor.type_key].first_url, restarts=cursor.restarts + 1)
        )


def _moment(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds")
