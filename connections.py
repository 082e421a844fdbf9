"""Connections to Temporal and PostgreSQL, with errors for people."""

import asyncio
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest, ListSearchAttributesRequest
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
from temporalio.client import Client, Interceptor
from temporalio.common import SearchAttributeIndexedValueType
from temporalio.envconfig import ClientConfig
from temporalio.runtime import Runtime
from temporalio.service import RPCError, RPCStatusCode

from configuration import ConfigurationError, environment, payload_keys
from inventory.user_errors import UnavailableError
from payload_codec import data_converter
from storage.errors import StorageNotReadyError, StorageUnavailableError
from temporal_errors import connection_failure, no_answer, refusal, refusal_in, search_attributes_by_hand
from temporal_runtime import quiet_runtime
from workflows.search_attributes import ALL

if TYPE_CHECKING:
    from storage.database import Database

ANSWER_SECONDS = 15
"""The time limit for connecting to Temporal, a hundred times the usual time."""

CALL_TIMEOUT = timedelta(seconds=ANSWER_SECONDS)
"""The SDK's own is 30 seconds."""

_ADDRESS = re.compile(r"(?:[^\s/:]+|\[[0-9A-Fa-f:.]+\]):\d{1,5}")

NOT_ALLOWED = (RPCStatusCode.PERMISSION_DENIED, RPCStatusCode.UNIMPLEMENTED)
"""Temporal Cloud and locked-down servers refuse administrators' calls with these."""

_INDEXED_VALUE_TYPES: Mapping[SearchAttributeIndexedValueType, IndexedValueType.ValueType] = {
    SearchAttributeIndexedValueType.KEYWORD: IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD,
    SearchAttributeIndexedValueType.KEYWORD_LIST: IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD_LIST,
}


class UnreachableError(UnavailableError):
    """The message names server, address and remedy."""


def temporal_connect_config() -> dict[str, Any]:
    """Arguments of `temporalio.client.Client.connect`. Raises `ConfigurationError`."""
    try:
        config = ClientConfig.load_client_connect_config(override_env_vars=environment())
    except ConfigurationError:
        raise
    except (RuntimeError, ValueError, OSError) as error:
        raise ConfigurationError(f"Temporal's configuration cannot be read: {error}") from None
    complete: dict[str, Any] = {
        "target_host": "localhost:7233",
        "data_converter": data_converter(payload_keys()),
        **config,
    }
    if not _ADDRESS.fullmatch(complete["target_host"]):
        raise ConfigurationError(
            f"TEMPORAL_ADDRESS: {complete['target_host']!r} is not an address; write host:port, such as localhost:7233"
        )
    return complete


async def connect_temporal(
    config: Mapping[str, Any], *, runtime: Runtime | None = None, interceptors: Sequence[Interceptor] = ()
) -> Client:
    """Without `runtime`, the SDK logs nothing. Raises `UnreachableError`."""
    address, namespace = config["target_host"], config.get("namespace", "default")
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            client = await Client.connect(
                **{"data_converter": data_converter(), **config},
                interceptors=interceptors,
                runtime=runtime or quiet_runtime(),
            )
            await client.workflow_service.describe_namespace(DescribeNamespaceRequest(namespace=namespace))
    except TimeoutError:
        raise UnreachableError(no_answer(address, ANSWER_SECONDS)) from None
    except RPCError as error:
        raise UnreachableError(refusal(error, address, namespace)) from None
    except (RuntimeError, OSError, ValueError) as error:
        raise UnreachableError(connection_failure(error, address, namespace)) from None
    return client


async def connect_to_start(config: Mapping[str, Any]) -> Client:
    """Connects, and adds missing search attributes to the namespace. Raises `UnreachableError`."""
    client = await connect_temporal(config)
    await register_search_attributes(client)
    return client


def refused(client: Client, error: RPCError) -> UnreachableError:
    return UnreachableError(refusal(error, client.service_client.config.target_host, client.namespace))


def refused_call(error: RPCError) -> UnreachableError:
    """As `refused`, with the configured address instead of a client's."""
    config = temporal_connect_config()
    return UnreachableError(refusal(error, config["target_host"], config.get("namespace", "default")))


@contextmanager
def polling(client: Client) -> Iterator[None]:
    """Raises `UnreachableError` if Temporal has refused the body's worker for a minute.

    The SDK keeps retrying transient failures, such as an absent server.
    """
    try:
        yield
    except RuntimeError as error:
        address = client.service_client.config.target_host
        if (reason := refusal_in(str(error.__cause__), address, client.namespace)) is None:
            raise
        raise UnreachableError(reason) from None


async def register_search_attributes(client: Client) -> None:
    """Adds missing search attributes, unless the client may not list them. Raises `UnreachableError`."""
    missing = await missing_search_attributes(client)
    if not missing:
        return
    try:
        await client.operator_service.add_search_attributes(
            AddSearchAttributesRequest(namespace=client.namespace, search_attributes=missing), timeout=CALL_TIMEOUT
        )
    except RPCError as error:
        if error.status is RPCStatusCode.ALREADY_EXISTS:
            return
        if error.status not in NOT_ALLOWED:
            raise refused(client, error) from None
        raise UnreachableError(
            f"Temporal's namespace {client.namespace!r} lacks the search attributes {', '.join(missing)}, and does not"
            f" let this program add any ({error.status.name}); {search_attributes_by_hand(client.namespace)}"
        ) from None


async def missing_search_attributes(client: Client) -> dict[str, IndexedValueType.ValueType] | None:
    """The types of missing search attributes by name; None if the client may not list them.

    Raises `UnreachableError`, also if an attribute has another type.
    """
    try:
        listed = await client.operator_service.list_search_attributes(
            ListSearchAttributesRequest(namespace=client.namespace), timeout=CALL_TIMEOUT
        )
    except RPCError as error:
        if error.status in NOT_ALLOWED:
            return None
        raise refused(client, error) from None
    there = listed.custom_attributes
    attributes = {key.name: _INDEXED_VALUE_TYPES[key.indexed_value_type] for key in ALL}
    if other := [name for name, kind in attributes.items() if there.get(name, kind) != kind]:
        raise UnreachableError(
            f"namespace {client.namespace!r} has search attributes of other types: {', '.join(other)};"
            " give this product a namespace of its own, and set TEMPORAL_NAMESPACE"
        )
    return {name: kind for name, kind in attributes.items() if name not in there}


async def check_database(database: "Database") -> None:
    """Raises `UnreachableError` unless PostgreSQL answers and has our revision and privileges."""
    try:
        await database.check()
    except (StorageUnavailableError, StorageNotReadyError) as error:
        raise UnreachableError(str(error)) from None
