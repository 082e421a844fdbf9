"""When a queued run asks for its slot again."""

from datetime import UTC, datetime, timedelta
from random import Random

from storage import runs
from workflows.queue_place import JITTER, LONGEST_GAP, SHORTEST_GAP, QueuePlace

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
NOW = datetime(2026, 3, 2, tzinfo=UTC)


def gap(*, ahead: int = 0, unmoved: timedelta = timedelta(0)) -> timedelta:
    """The gap without jitter, by the shortest and the longest of many gaps, which must differ by the jitter."""
    place = QueuePlace(since=NOW - HOUR, ahead=ahead, unmoved_since=NOW - unmoved)
    gaps = [place.gap(NOW, Random(seed)) for seed in range(200)]
    middle = (min(gaps) + max(gaps)) / 2
    assert middle * (1 - JITTER) * 0.97 <= min(gaps) < max(gaps) <= middle * (1 + JITTER) * 1.03
    return timedelta(seconds=round(middle.total_seconds()))


def test_gaps_grow_with_the_time_unmoved_and_the_runs_ahead() -> None:
    assert gap() == SHORTEST_GAP
    assert gap(unmoved=3 * MINUTE) == timedelta(seconds=36)
    assert gap(unmoved=8 * HOUR) == gap(ahead=500) == LONGEST_GAP
    assert gap(ahead=20) == timedelta(seconds=20)


def test_a_moving_queue_resets_the_unmoved_time() -> None:
    place = QueuePlace(since=NOW - HOUR, ahead=3, unmoved_since=NOW - HOUR)
    assert place.moved_to(3, NOW) == place
    moved = place.moved_to(2, NOW)
    assert (moved.since, moved.ahead, moved.unmoved_since) == (NOW - HOUR, 2, NOW)


def test_the_queue_lease_outlasts_the_longest_gap() -> None:
    longest = LONGEST_GAP * (1 + JITTER)
    assert longest + timedelta(seconds=30) < runs.Slots(1, 1, MINUTE).queue_lease
