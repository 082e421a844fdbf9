"""How often a part that dies is started again."""

from local.restarts import QUICK_DEATHS, QUICK_SECONDS, Restarts


def test_a_part_is_started_again_at_once_then_later_and_later_and_in_the_end_not_at_all() -> None:
    restarts = Restarts()
    waits = [restarts.wait_after(1.0) for _ in range(QUICK_DEATHS)]
    assert waits == [0.0, 0.5, 1.0, 2.0, None]


def test_a_part_that_lived_is_not_held_to_its_earlier_deaths() -> None:
    restarts = Restarts()
    for _ in range(10 * QUICK_DEATHS):
        assert restarts.wait_after(1.0) is not None
        assert restarts.wait_after(QUICK_SECONDS) == 0.0
