"""Another clock, by the `Date` header of its answer."""

from datetime import UTC, datetime, timedelta

import pytest

from activities.diagnosis import skew_check
from activities.messages.diagnosis import Verdict
from graph.clock import clock_ahead

HERE = datetime(2026, 11, 29, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("date", "ahead"),
    [
        ("Sun, 29 Nov 2026 12:00:00 GMT", timedelta(0)),
        ("Sun, 29 Nov 2026 12:07:00 GMT", timedelta(minutes=7)),
        ("Sun, 29 Nov 2026 11:59:00 GMT", -timedelta(minutes=1)),
        ("Sun, 29 Nov 2026 12:00:00 -0000", timedelta(0)),
        ("soon", None),
        (None, None),
    ],
)
def test_a_clock_is_compared_by_the_date_of_its_answer(date: str | None, ahead: timedelta | None) -> None:
    assert clock_ahead(date, HERE) == ahead


@pytest.mark.parametrize(
    ("seconds", "verdict", "words"),
    [
        (-29, Verdict.OK, "agrees"),
        (31, Verdict.WARNING, "31 seconds ahead of"),
        (-31, Verdict.WARNING, "31 seconds behind"),
        (300, Verdict.FAILED, "300 seconds ahead of"),
        (-4000, Verdict.FAILED, "4000 seconds behind"),
    ],
)
def test_a_skew_that_entra_refuses_is_a_failure(seconds: int, verdict: Verdict, words: str) -> None:
    check = skew_check("Graph's clock", timedelta(seconds=seconds))
    assert check.verdict is verdict
    assert words in check.message
