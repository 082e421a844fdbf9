"""If a test fails, the processes that it started end with it."""

import os
from collections.abc import Callable
from pathlib import Path
from signal import SIGUSR1, signal
from threading import Timer

import pytest

from local.simulated_graph import SimulatedGraph
from local.temporal import EmbeddedTemporal
from tests.end_to_end.system import System
from tests.forks import Fork


class FailureError(Exception):
    """Stands for a failed assertion, or for pytest's own timeout."""


def test_commands_and_workers_end_with_a_failed_test(
    graph: SimulatedGraph, temporal: EmbeddedTemporal, database_url: str, tmp_path: Path
) -> None:
    with pytest.raises(FailureError), System(graph, temporal, database_url, tmp_path) as system:
        worker = system.start_worker()
        command = system.popen("sync", system.tenant.name, "--type", "groups")
        raise FailureError
    assert not worker.running()
    assert command.returncode is not None
    assert command.stdout is not None
    assert command.stdout.closed


def _fail(*_: object) -> None:
    raise FailureError


@pytest.mark.parametrize("wait", [Fork.wait, lambda fork: fork.wait_until(lambda: False)], ids=["wait", "wait_until"])
def test_interrupted_wait_ends_the_process(
    system: System, wait: Callable[[Fork], object], request: pytest.FixtureRequest
) -> None:
    output = system.folder / "output"
    # No worker runs, so the command follows the run without end.
    fork = Fork(
        "starter.py",
        ("sync", system.tenant.name, "--type", "groups"),
        environment=system.environment,
        folder=system.folder,
        stdout=output,
        stderr=output,
    )
    request.addfinalizer(fork.stop)
    before = signal(SIGUSR1, _fail)
    interruption = Timer(0.5, os.kill, (os.getpid(), SIGUSR1))
    try:
        with pytest.raises(FailureError):
            interruption.start()
            wait(fork)
    finally:
        interruption.cancel()
        signal(SIGUSR1, before)
    assert not fork.running()
