"""Clients and tenants of a simulated Graph, and a certificate."""

from typing import Any

import trustme

from graph.client import GraphClient, GraphGet
from graph.tenants import TenantConfig
from graph.tokens import TokenSource
from local.simulated_graph import SimulatedGraph
from tests.deadlines import until_async

GROUPS = [GraphGet("groups", "/groups?$top=999")]
LEAF = trustme.CA(key_type=trustme.KeyType.RSA).issue_cert("app.example", key_type=trustme.KeyType.RSA)
CERTIFICATE, KEY = LEAF.cert_chain_pems[0].bytes(), LEAF.private_key_pem.bytes()


def client_of(graph: SimulatedGraph, **overrides: Any) -> GraphClient:
    endpoints = {"base_url": graph.base_url, "authority_url": graph.authority_url, "ca_file": graph.ca_file}
    return GraphClient.from_endpoints(**{**endpoints, **overrides})


def tenant_of(graph: SimulatedGraph, **overrides: Any) -> TenantConfig:
    tenant = graph.tenants[0]
    credential = (
        {} if {"client_secret_file", "federated_token_file"} & set(overrides) else {"client_secret_env": "TEST_SECRET"}
    )
    return TenantConfig.model_validate(
        {"id": tenant.id, "name": tenant.name, "client_id": tenant.client_id, **credential, **overrides}
    )


async def another_token(tokens: TokenSource, tenant: TenantConfig, earlier_tokens: set[str]) -> None:
    """Requests tokens until a new one comes, and adds it to `earlier_tokens`."""

    async def is_new() -> bool:
        earlier = len(earlier_tokens)
        earlier_tokens.add(await tokens.token(tenant))
        return len(earlier_tokens) > earlier

    await until_async(is_new)
