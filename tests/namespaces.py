"""New Temporal namespaces: they have none of our search attributes, as on an operator's server."""

import asyncio
from uuid import uuid4

from google.protobuf.duration_pb2 import Duration
from temporalio.api.operatorservice.v1 import ListSearchAttributesRequest
from temporalio.api.workflowservice.v1 import RegisterNamespaceRequest
from temporalio.client import Client
from temporalio.service import RPCError

from local.temporal import EmbeddedTemporal


async def new_namespace(temporal: EmbeddedTemporal) -> str:
    """Its name, once the server's frontend knows it."""
    name = f"test-{uuid4()}"
    client = await Client.connect(temporal.address, namespace=name)
    await client.workflow_service.register_namespace(
        RegisterNamespaceRequest(namespace=name, workflow_execution_retention_period=Duration(seconds=86_400))
    )
    while not await _known(client):  # noqa: ASYNC110 - it is in another process
        await asyncio.sleep(0.1)
    return name


async def _known(client: Client) -> bool:
    try:
        await search_attributes_of(client)
    except RPCError:
        return False
    return True


async def search_attributes_of(client: Client) -> set[str]:
    """The custom search attributes of the client's namespace."""
    listed = await client.operator_service.list_search_attributes(
        ListSearchAttributesRequest(namespace=client.namespace)
    )
    return set(listed.custom_attributes)
