"""A server's clock, by the `Date` header of its answer."""

import time
from datetime import UTC, datetime, timedelta

import pytest

from activities.diagnosis import skew_check
from activities.messages.diagnosis import CheckVerdict
from graph.clock import clock_reading

NOON = datetime(2026, 11, 29, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("date", "expected"),
    [
        ("Sun, 29 Nov 2026 12:00:00 GMT", NOON),
        ("Sun, 29 Nov 2026 12:00:00 -0000", NOON),
        ("Sun, 29 Nov 2026 14:00:00 +0200", NOON),
        ("soon", None),
        (None, None),
    ],
)
def test_clock_is_read_from_the_date_header(date: str | None, expected: datetime | None) -> None:
    reading = clock_reading(date, 0.0)
    assert (None if reading is None else reading.at) == expected


def test_clock_advances_after_its_answer() -> None:
    reading = clock_reading("Sun, 29 Nov 2026 12:00:00 GMT", time.monotonic() - 3600)
    assert reading is not None
    assert reading.now() >= NOON + timedelta(hours=1)


@pytest.mark.parametrize(
    ("seconds", "verdict", "words"),
    [
        (-29, CheckVerdict.OK, "agrees"),
        (31, CheckVerdict.WARNING, "31 seconds ahead of"),
        (-31, CheckVerdict.WARNING, "31 seconds behind"),
        (300, CheckVerdict.FAILED, "300 seconds ahead of"),
        (-4000, CheckVerdict.FAILED, "4000 seconds behind"),
    ],
)
def test_a_skew_that_entra_refuses_is_a_failure(seconds: int, verdict: CheckVerdict, words: str) -> None:
    check = skew_check("Graph's clock", timedelta(seconds=seconds))
    assert check.verdict is verdict
    assert words in check.message
