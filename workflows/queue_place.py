"""A run's place in the queue."""

from datetime import datetime, timedelta
from random import Random

from pydantic import BaseModel, ConfigDict

SHORTEST_GAP = timedelta(seconds=10)
LONGEST_GAP = timedelta(minutes=1)
"""With jitter well within `storage.runs.Slots.queue_lease`, after which others pass a silent run."""

GAP_FOR_EACH_AHEAD = timedelta(seconds=0.5)

JITTER = 0.2
"""Runs that were queued together do not ask together."""


class QueuePlace(BaseModel):
    """Continue-as-new carries it over."""

    model_config = ConfigDict(extra="ignore")

    since: datetime
    ahead: int
    """Runs queued before this one."""
    unmoved_since: datetime
    """When `ahead` last changed."""

    def moved_to(self, ahead: int, now: datetime) -> "QueuePlace":
        return self if ahead == self.ahead else self.model_copy(update={"ahead": ahead, "unmoved_since": now})

    def gap(self, now: datetime, random: Random) -> timedelta:
        """The wait before asking again: a fifth of the time since `ahead` changed, and more for each run ahead.

        So a free slot stays unused for ten seconds, or a fifth of that time, at most about a minute.
        """
        gap = max(SHORTEST_GAP, (now - self.unmoved_since) / 5) + self.ahead * GAP_FOR_EACH_AHEAD
        return min(gap, LONGEST_GAP) * (1 - JITTER + 2 * JITTER * random.random())
