from datetime import timedelta
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from inventory.patience import BACKOFF_MAXIMUM, RETRY_AFTER_MAXIMUM, backoff, believable


@given(st.timedeltas(timedelta(0), RETRY_AFTER_MAXIMUM))
def test_retry_after_is_honoured_to_the_moment(asked: timedelta) -> None:
    assert believable(asked) == asked


@given(st.timedeltas().filter(lambda one: not timedelta(0) <= one <= RETRY_AFTER_MAXIMUM) | st.none())
def test_what_no_server_means_is_not_believed(asked: timedelta | None) -> None:
    assert believable(asked) is None


@given(st.integers(0, 10_000), st.integers())
def test_backoff_stays_below_its_ceiling(attempts: int, seed: int) -> None:
    assert (
        timedelta(0)
        <= backoff(attempts, Random(seed))
        <= min(timedelta(seconds=2.0 ** min(attempts, 7)), BACKOFF_MAXIMUM)
    )


def test_backoff_is_jittered_over_its_whole_range() -> None:
    random = Random(1)
    waits = sorted(backoff(3, random).total_seconds() for _ in range(1000))
    assert waits[0] < 0.1
    assert waits[-1] > 7.9
    assert 3.5 < waits[500] < 4.5
