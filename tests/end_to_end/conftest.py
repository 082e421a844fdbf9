"""The real parts together: one Temporal a process; a database, a task queue, a simulated Graph and workers a test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from local.simulated_graph import SimulatedGraph
from local.temporal import EmbeddedTemporal
from tests.end_to_end.system import System

CHECKOUT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def temporal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedTemporal]:
    with EmbeddedTemporal(tmp_path_factory.mktemp("temporal")) as server:
        yield server


@pytest.fixture
def graph() -> Iterator[SimulatedGraph]:
    with SimulatedGraph(tenants=2) as server:
        yield server


@pytest.fixture
def system(graph: SimulatedGraph, temporal: EmbeddedTemporal, database_url: str, tmp_path: Path) -> Iterator[System]:
    with System(graph, temporal, database_url, tmp_path) as system:
        yield system
