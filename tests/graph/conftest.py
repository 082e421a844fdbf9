"""A simulated Graph, and a client and a tenant of it."""

from collections.abc import AsyncIterator, Iterator

import pytest

from graph.client import GraphClient
from graph.tenants import TenantConfig
from local.simulated_graph import SimulatedGraph
from tests.graph.clients import client_of, tenant_of


@pytest.fixture(scope="module")
def shared_graph() -> Iterator[SimulatedGraph]:
    with SimulatedGraph(tenants=2) as graph:
        yield graph


@pytest.fixture
def graph(shared_graph: SimulatedGraph) -> Iterator[SimulatedGraph]:
    shared_graph.clear_requests()
    yield shared_graph
    shared_graph.before_answer = None


@pytest.fixture
async def client(graph: SimulatedGraph) -> AsyncIterator[GraphClient]:
    async with client_of(graph) as client:
        yield client


@pytest.fixture
def tenant(graph: SimulatedGraph, monkeypatch: pytest.MonkeyPatch) -> TenantConfig:
    monkeypatch.setenv("TEST_SECRET", graph.tenants[0].client_secret)
    return tenant_of(graph)
