"""Clients and tenants of a simulated Graph."""

from typing import Any

from graph.client import GraphClient, GraphGet
from graph.tenants import TenantConfig
from local.simulated_graph import SimulatedGraph

GROUPS = [GraphGet("groups", "/groups?$top=999")]


def client_of(graph: SimulatedGraph, **overrides: Any) -> GraphClient:
    endpoints = {"base_url": graph.base_url, "authority_url": graph.authority_url, "ca_file": graph.ca_file}
    return GraphClient.from_endpoints(**{**endpoints, **overrides})


def tenant_of(graph: SimulatedGraph, **overrides: Any) -> TenantConfig:
    served = graph.tenants[0]
    credential = (
        {} if {"client_secret_file", "federated_token_file"} & set(overrides) else {"client_secret_env": "TEST_SECRET"}
    )
    return TenantConfig.model_validate(
        {"id": served.id, "name": served.name, "client_id": served.client_id, **credential, **overrides}
    )
