from datetime import timedelta
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from inventory.backoff import (
    BACKOFF_MAXIMUM,
    BRIEF,
    BRIEF_AFTER_RUNS,
    REMEMBERED_CODES,
    RETRY_AFTER_MAXIMUM,
    RetryLimits,
    backoff,
    believable,
    known_failure,
)
from inventory.error_codes import ErrorCode

FULL = st.builds(RetryLimits, st.integers(1, 10_000), st.timedeltas(timedelta(seconds=1), timedelta(days=7)))
REMEMBERED = st.sampled_from(sorted(REMEMBERED_CODES))


@given(st.timedeltas(timedelta(0), RETRY_AFTER_MAXIMUM))
def test_a_retry_after_up_to_the_maximum_is_kept_exactly(retry_after: timedelta) -> None:
    assert believable(retry_after) == retry_after


@given(st.timedeltas().filter(lambda wait: not timedelta(0) <= wait <= RETRY_AFTER_MAXIMUM) | st.none())
def test_an_absent_negative_or_excessive_retry_after_is_ignored(retry_after: timedelta | None) -> None:
    assert believable(retry_after) is None


@given(st.integers(0, 10_000), st.integers())
def test_backoff_stays_below_its_ceiling(attempts: int, seed: int) -> None:
    assert (
        timedelta(0)
        <= backoff(attempts, Random(seed))
        <= min(timedelta(seconds=2.0 ** min(attempts, 7)), BACKOFF_MAXIMUM)
    )


def test_backoff_is_random_over_its_whole_range() -> None:
    random = Random(1)
    waits = sorted(backoff(3, random).total_seconds() for _ in range(1000))
    assert waits[0] < 0.1
    assert waits[-1] > 7.9
    assert 3.5 < waits[500] < 4.5


@given(REMEMBERED, st.integers(1, BRIEF_AFTER_RUNS - 1), st.booleans(), FULL)
def test_a_failure_in_few_runs_keeps_the_configured_retry_limits(
    code: ErrorCode, runs: int, in_details: bool, full: RetryLimits
) -> None:
    known = known_failure(code, runs, in_details, full)
    assert known is not None
    assert known.retry_limits is None
    assert (known.code, known.runs, known.in_details) == (code, runs, in_details)


@given(REMEMBERED, st.integers(BRIEF_AFTER_RUNS, 10_000), st.booleans(), FULL)
def test_a_failure_in_several_runs_caps_the_configured_retry_limits(
    code: ErrorCode, runs: int, in_details: bool, full: RetryLimits
) -> None:
    known = known_failure(code, runs, in_details, full)
    assert known is not None
    assert known.retry_limits is not None
    assert known.retry_limits.attempts == min(BRIEF.attempts, full.attempts)
    if code is ErrorCode.GRAPH_THROTTLED:
        assert known.retry_limits.within == full.within, "a throttle waits for its Retry-After"
    else:
        assert known.retry_limits.within == min(BRIEF.within, full.within)


@given(st.sampled_from(sorted(set(ErrorCode) - REMEMBERED_CODES)), st.integers(1, 10_000), FULL)
def test_error_codes_without_retries_are_not_remembered(code: ErrorCode, runs: int, full: RetryLimits) -> None:
    assert known_failure(code, runs, False, full) is None


@given(FULL, st.lists(st.timedeltas(timedelta(0), timedelta(days=1)), max_size=40))
def test_retries_end_by_attempts_or_by_time_and_stay_ended(full: RetryLimits, waits: list[timedelta]) -> None:
    waited, ended = timedelta(0), False
    for attempts, wait in enumerate(waits, start=1):
        waited += wait
        allowed = full.allows(attempts, waited)
        assert allowed == (attempts < full.attempts and waited <= full.within)
        assert not (ended and allowed)
        ended = not allowed
