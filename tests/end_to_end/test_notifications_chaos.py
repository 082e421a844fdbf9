"""Workers die while they deliver notifications: none is lost, and each repetition has a cause and the same key."""

import os
import signal
import threading
from collections import Counter
from pathlib import Path

import psycopg
import pytest

from local.simulated_graph import Fault, FaultKind, SimulatedGraph
from local.temporal import EmbeddedTemporal
from tests.deadlines import DEADLINE_SECONDS, until
from tests.end_to_end.system import SEEDS, System
from tests.end_to_end.test_notifications import TYPES, configure_receiver
from tests.forks import Fork
from tests.receiver import Reception, receiving

TENANTS = 6
KILLING = (2, 5)
"""The receptions at which the workers die before they get the response."""

REFUSED = 4
"""Every fourth reception gets a 503."""


class ReceptionAnswers:
    """Answers receptions by their number, and kills all workers at some."""

    def __init__(self, workers: list[Fork]) -> None:
        self._lock = threading.Lock()
        self._workers = workers
        self.number = 0
        self.killed: list[Fork] = []
        self.refused = 0

    def __call__(self, _: Reception) -> tuple[int, dict[str, str]]:
        with self._lock:
            self.number += 1
            if self.number in KILLING:
                # The test cannot know which worker waits for this response, so all die.
                for worker in self._workers:
                    os.kill(worker.pid, signal.SIGKILL)
                self.killed += self._workers
                self._workers.clear()
            elif self.number % REFUSED == 0:
                self.refused += 1
                return 503, {}
            return 204, {}


def states(url: str) -> Counter[str]:
    with psycopg.connect(url) as connection:
        return Counter(state for (state,) in connection.execute("SELECT state FROM notification"))


@pytest.mark.slow
def test_each_failed_run_is_notified_despite_killed_workers(
    temporal: EmbeddedTemporal, database_url: str, tmp_path: Path
) -> None:
    with (
        SimulatedGraph(tenants=TENANTS, seed=next(SEEDS)) as graph,
        receiving() as receiver,
        System(graph, temporal, database_url, tmp_path) as system,
    ):
        configure_receiver(system, receiver)
        graph.faults.add(Fault(FaultKind.FORBIDDEN))
        workers = [system.start_worker(), system.start_worker()]
        fate = receiver.answer = ReceptionAnswers(workers)
        portfolio = system.popen("portfolio", "sync", "--all-tenants", *TYPES, log=tmp_path / "follow.log")
        for deaths in range(1, len(KILLING) + 1):
            until(lambda deaths=deaths: len(fate.killed) >= 2 * deaths)  # type: ignore[misc]
            for worker in fate.killed[-2:]:
                worker.wait()
            workers += [system.start_worker(), system.start_worker()]
        portfolio.communicate(timeout=DEADLINE_SECONDS)
        until(lambda: states(database_url) == {"sent": TENANTS})
        keys = {
            (received.json["tenant_id"], received.json["run_id"], received.delivery_id)
            for received in receiver.received
        }
        assert len(keys) == TENANTS
        assert {tenant_id for tenant_id, _, _ in keys} == {tenant.id for tenant in graph.tenants}
        repeated = len(receiver.received) - TENANTS - fate.refused
        # At each death, the two workers may have had a delivery about each tenant under way.
        assert 0 <= repeated <= len(KILLING) * TENANTS
        assert repeated >= len(KILLING), "killed workers had not recorded the answer"
        assert all(received.is_signed() for received in receiver.received)
