"""Simulated Graphs over real HTTPS, and clients that trust them and nothing else."""

import ssl
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
import requests

from local.simulated_graph import SimulatedGraph, SimulatedTenant
from tests.deadlines import DEADLINE_SECONDS

PUBLISHED = Path(__file__).parents[3] / "shared" / "graph-data"

Connect = Callable[..., httpx.Client]


@pytest.fixture(scope="session")
def published_folder() -> Path:
    """The folder of published documents beside the checkout."""
    if not PUBLISHED.is_dir():
        pytest.skip("the published documents (shared/graph-data) are not beside this checkout")
    return PUBLISHED


@pytest.fixture(scope="session")
def published(published_folder: Path) -> Iterator[SimulatedGraph]:
    """Two tenants that serve the published documents. Shared: not to be edited."""
    with SimulatedGraph(published_folder) as graph:
        yield graph


@pytest.fixture(scope="session")
def sample() -> Iterator[SimulatedGraph]:
    """Two sample tenants. Shared: not to be edited."""
    with SimulatedGraph() as graph:
        yield graph


@pytest.fixture
def graph() -> Iterator[SimulatedGraph]:
    """A sample tenant of the test's own."""
    with SimulatedGraph(tenants=1) as graph:
        yield graph


@pytest.fixture
def tenant(graph: SimulatedGraph) -> SimulatedTenant:
    """The one tenant of `graph`."""
    return graph.tenants[0]


@pytest.fixture
def connect() -> Iterator[Connect]:
    """Clients of a simulated Graph, by default signed in to its first tenant."""
    clients: list[httpx.Client] = []

    def connected(
        graph: SimulatedGraph, tenant: SimulatedTenant | None = None, *, signed_in: bool = True
    ) -> httpx.Client:
        tenant = tenant or graph.tenants[0]
        headers = {"Authorization": f"Bearer {tenant.token()}"} if signed_in else {}
        context = trusting(graph.ca_file)
        clients.append(httpx.Client(verify=context, base_url=graph.base_url, headers=headers, timeout=DEADLINE_SECONDS))
        return clients[-1]

    yield connected
    for client in clients:
        client.close()


@pytest.fixture
def trusting_session() -> Iterator[Callable[[SimulatedGraph], requests.Session]]:
    """HTTP sessions for MSAL that trust the simulated Graph's CA and ignore the environment."""
    sessions: list[requests.Session] = []

    def session(graph: SimulatedGraph) -> requests.Session:
        sessions.append(requests.Session())
        sessions[-1].trust_env = False
        sessions[-1].verify = str(graph.ca_file)
        return sessions[-1]

    yield session
    for opened in sessions:
        opened.close()


def trusting(ca_file: Path) -> ssl.SSLContext:
    """TLS that trusts the CA alone, as strictly as Python 3.13 and newer do by default."""
    context = ssl.create_default_context(cafile=str(ca_file))
    context.verify_flags |= ssl.VERIFY_X509_STRICT | ssl.VERIFY_X509_PARTIAL_CHAIN
    return context


def batch(client: httpx.Client, *urls: str) -> httpx.Response:
    steps = [{"id": str(number), "method": "GET", "url": url} for number, url in enumerate(urls)]
    return client.post("/beta/$batch", json={"requests": steps})
