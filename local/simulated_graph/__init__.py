"""A simulated Microsoft Graph: a real HTTPS server with its own token endpoint, tenants and documents.

It is an independent witness: it imports nothing of the product, and its table of endpoints (`endpoints.py`) is its own.
The way of a request: `application` (HTTP) → `service` (who asks, faults, record) → `batch`, `reading` → `content`.
"""

from local.simulated_graph.messages import Answer, BeforeAnswer, GraphRequest, Kind
from local.simulated_graph.recording import RecordedRequest
from local.simulated_graph.server import SimulatedGraph
from local.simulated_graph.tenant import SimulatedTenant

__all__ = [
    "Answer",
    "BeforeAnswer",
    "GraphRequest",
    "Kind",
    "RecordedRequest",
    "SimulatedGraph",
    "SimulatedTenant",
]
