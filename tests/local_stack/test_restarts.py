"""How often and how soon a dead part is restarted."""

from local.restarts import QUICK_DEATHS, QUICK_SECONDS, Restarts


def test_restarts_are_immediate_then_delayed_then_given_up() -> None:
    restarts = Restarts()
    waits = [restarts.wait_after(1.0) for _ in range(QUICK_DEATHS)]
    assert waits == [0.0, 0.5, 1.0, 2.0, None]


def test_a_long_life_resets_the_restart_count() -> None:
    restarts = Restarts()
    for _ in range(10 * QUICK_DEATHS):
        assert restarts.wait_after(1.0) is not None
        assert restarts.wait_after(QUICK_SECONDS) == 0.0
