"""The cursors of a run, and the choice of the next batches."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from pydantic import BaseModel, ConfigDict

from activities.messages.runs import PlannedCollection, RunPolicy
from workflows import policies
from workflows.cursor import Cursor
from workflows.policies import WAVE_BYTES
from workflows.wait_summaries import Wait, wait_summary


class WaveQueue(BaseModel):
    model_config = ConfigDict(extra="ignore")

    policy: RunPolicy = RunPolicy()
    plan: dict[str, PlannedCollection] = {}
    cursors: list[Cursor] = []
    paused: dict[str, datetime] = {}
    """By throttle family, the end of Graph's pause or the time of the next turn."""
    taken: list[str] = []
    """Throttle families with turns that a wave reads."""

    def take_batches(self, now: datetime) -> list[list[Cursor]]:
        """The batches of the next wave: due cursors, all listing, confirming or detailing like the first due cursor.

        A family that allows one request at a time has waves of its own.
        """
        first = self.take_wave(now, one_of_each=False)
        batches = [first] if first else []
        while first and (further := self._take(now, lambda cursor: self._may_join(batches, cursor), one_of_each=False)):
            batches.append(further)
        return batches

    def _may_join(self, batches: Sequence[Sequence[Cursor]], cursor: Cursor) -> bool:
        lead = batches[0][0]
        family = self.plan[cursor.type_key].throttle_family
        if (cursor.confirming, cursor.detailing) != (lead.confirming, lead.detailing):
            return False
        interval = self._interval_of(lead) or self._interval_of(cursor)
        if interval is not None:
            if family != self.plan[lead.type_key].throttle_family or interval > policies.TURN_IN_WAVE:
                return False
        elif self._is_taken(cursor):
            return False
        most = policies.WAVE_BATCHES if lead.detailing or lead.confirming else policies.WAVE_PAGE_BATCHES
        size = sum(taken.size_bytes for batch in batches for taken in batch)
        return len(batches) < most and size + cursor.size_bytes <= WAVE_BYTES

    def _interval_of(self, cursor: Cursor) -> timedelta | None:
        return self.plan[cursor.type_key].interval

    def take_wave(self, now: datetime, *, one_of_each: bool = True) -> list[Cursor]:
        """The next batch: due cursors of the API version and throttle family of the first due cursor.

        `one_of_each`: one page of each collection, as in release 0.3.0.
        """
        wave = self._take(now, lambda cursor: not self._is_taken(cursor), one_of_each=one_of_each)
        if wave and self.plan[wave[0].type_key].interval is not None:
            self.taken.append(self.plan[wave[0].type_key].throttle_family)
        return wave

    def _take(self, now: datetime, is_allowed: Callable[[Cursor], bool], *, one_of_each: bool) -> list[Cursor]:
        wave: list[Cursor] = []
        remaining: list[Cursor] = []
        lead: tuple[str, str, bool, bool] | None = None
        for cursor in self.cursors:
            kin = self._kin(cursor)
            waits_until = self._due(cursor)
            due = (waits_until is None or waits_until <= now) and is_allowed(cursor)
            if due and lead is None:
                lead = kin
            if due and kin == lead and self._fits(wave, cursor, one_of_each=one_of_each):
                wave.append(cursor)
            else:
                remaining.append(cursor)
        self.cursors = remaining
        return wave

    def take_page(self, type_key: str, url: str) -> Cursor:
        """The cursor of a page that a wave read after another.

        If there is none, its collection has ended or its listing has begun anew: then the page only counts.
        """
        for cursor in self.cursors:
            if (cursor.type_key, cursor.url) == (type_key, url):
                self.cursors.remove(cursor)
                return cursor
        return Cursor(type_key=type_key, url=url)

    def give_back(self, wave: Sequence[Cursor], now: datetime) -> None:
        """Ends a wave, and the turn of a family that allows one request at a time."""
        planned = self.plan[wave[0].type_key]
        if planned.interval is not None:
            self.taken.remove(planned.throttle_family)
            self.paused[planned.throttle_family] = max(
                now + planned.interval, self.paused.get(planned.throttle_family, now)
            )

    def next_wait(self, now: datetime) -> Wait | None:
        """When the first waiting cursor is due, and why it waits; None if none waits for the clock.

        A due cursor waits for a wave in flight.
        """
        first: tuple[datetime, Cursor] | None = None
        for cursor in self.cursors:
            due = None if self._is_taken(cursor) else self._due(cursor)
            passed = due is None or due <= now
            if due is not None and not passed and (first is None or due < first[0]):
                first = due, cursor
        if first is None:
            return None
        due, cursor = first
        planned = self.plan[cursor.type_key]
        is_paused = self.paused.get(planned.throttle_family) == due and cursor.not_before != due
        return Wait(due, wait_summary(cursor, due, is_paused=is_paused, has_turns=planned.interval is not None))

    def detail_limit(self, wave: Sequence[Cursor]) -> int:
        limits = [cursor.limit for cursor in wave if cursor.limit is not None]
        return min([self.plan[wave[0].type_key].wave_limit, *limits])

    def _is_taken(self, cursor: Cursor) -> bool:
        return self.plan[cursor.type_key].throttle_family in self.taken

    def _fits(self, wave: Sequence[Cursor], cursor: Cursor, *, one_of_each: bool) -> bool:
        """An empty batch takes any cursor."""
        together = [*wave, cursor]
        # Results of confirmations and details name only their collection.
        one_of_each = one_of_each or cursor.confirming or cursor.detailing
        most_items = self.policy.detail_items
        return not wave or (
            len(together) <= self.plan[cursor.type_key].wave_limit
            and sum(taken.size_bytes for taken in together) <= WAVE_BYTES
            and (most_items is None or sum(taken.left for taken in together) <= most_items)
            and not (one_of_each and any(cursor.type_key == other.type_key for other in wave))
        )

    def _kin(self, cursor: Cursor) -> tuple[str, str, bool, bool]:
        planned = self.plan[cursor.type_key]
        return planned.api_version, planned.throttle_family, cursor.confirming, cursor.detailing

    def _due(self, cursor: Cursor) -> datetime | None:
        """None if the cursor need not wait."""
        paused = self.paused.get(self.plan[cursor.type_key].throttle_family)
        return max((moment for moment in (cursor.not_before, paused) if moment is not None), default=None)
