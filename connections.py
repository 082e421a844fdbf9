"""The servers that every process of the product talks to, with errors for people where one does not answer."""

from collections.abc import Mapping
from contextlib import suppress
from datetime import timedelta
from typing import Any

from sqlalchemy import text
from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest, ListSearchAttributesRequest
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleAlreadyRunningError,
    ScheduleIntervalSpec,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleSpec,
    ScheduleUpdate,
)
from temporalio.common import SearchAttributeIndexedValueType
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.envconfig import ClientConfig
from temporalio.service import RPCError, RPCStatusCode

from activities.messages import RetentionInput
from configuration import ConfigurationError, environment
from inventory.user_errors import UnavailableError
from storage.database import Database, StorageNotReadyError, StorageUnavailableError
from workflows.retention import RETENTION_ID, RetentionWorkflow
from workflows.search_attributes import ALL, type_name
from workflows.sweep import SWEEP_ID, SweepWorkflow

_INDEXED_VALUE_TYPES: Mapping[SearchAttributeIndexedValueType, IndexedValueType.ValueType] = {
    SearchAttributeIndexedValueType.KEYWORD: IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD,
    SearchAttributeIndexedValueType.KEYWORD_LIST: IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD_LIST,
}


class UnreachableError(UnavailableError):
    """A server does not answer as it should: which, at what address, and what to do, in one line."""


def temporal_connect_config() -> dict[str, Any]:
    """The keyword arguments of `temporalio.client.Client.connect`, from Temporal's own environment configuration.

    Raises `ConfigurationError`.
    """
    try:
        config = ClientConfig.load_client_connect_config(override_env_vars=environment())
    except ConfigurationError:
        raise
    except (RuntimeError, ValueError, OSError) as error:
        raise ConfigurationError(f"Temporal's configuration cannot be read: {error}") from None
    return {"target_host": "localhost:7233", **config}


async def connect_temporal(config: Mapping[str, Any]) -> Client:
    """A client of Temporal. Raises `UnreachableError`."""
    address = config["target_host"]
    namespace = config.get("namespace", "default")
    try:
        client = await Client.connect(**config, data_converter=pydantic_data_converter)
        await client.workflow_service.describe_namespace(DescribeNamespaceRequest(namespace=namespace))
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            raise UnreachableError(
                f"Temporal at {address} has no namespace {namespace!r}; check TEMPORAL_NAMESPACE"
            ) from None
        raise UnreachableError(
            f"Temporal at {address} refuses ({error.status.name}); check TEMPORAL_API_KEY and TLS"
        ) from None
    except (RuntimeError, OSError, ValueError):
        raise UnreachableError(
            f"Temporal does not answer at {address}; start it, or set TEMPORAL_ADDRESS (make demo starts one here)"
        ) from None
    return client


async def register_search_attributes(client: Client) -> None:
    """Adds the search attributes that the namespace lacks. Raises `UnreachableError` where that is not allowed.

    Temporal Cloud and locked-down servers do not let a client add any; there they are added once by hand.
    """
    try:
        listed = await client.operator_service.list_search_attributes(
            ListSearchAttributesRequest(namespace=client.namespace)
        )
        missing = {
            key.name: _INDEXED_VALUE_TYPES[key.indexed_value_type]
            for key in ALL
            if key.name not in listed.custom_attributes
        }
        if missing:
            await client.operator_service.add_search_attributes(
                AddSearchAttributesRequest(namespace=client.namespace, search_attributes=missing)
            )
    except RPCError as error:
        if error.status is RPCStatusCode.ALREADY_EXISTS:
            return
        names = ", ".join(f"{key.name} ({type_name(key)})" for key in ALL)
        raise UnreachableError(
            f"Temporal does not let this worker add search attributes ({error.status.name}); add them by hand: {names}"
        ) from None


async def check_database(database: Database) -> None:
    """Whether PostgreSQL answers, at the revision of this program, to a login with the privileges it needs.

    Raises `UnreachableError`.
    """
    try:
        async with database.portfolio() as session:
            await session.execute(text("SELECT 1 FROM sync_run LIMIT 1"))
    except (StorageUnavailableError, StorageNotReadyError) as error:
        raise UnreachableError(str(error)) from None


async def schedule_sweep(client: Client, task_queue: str, interval: timedelta) -> None:
    """Has Temporal start the sweep of abandoned runs every so often, or never where `interval` is zero.

    Raises `UnreachableError` where Temporal does not allow a schedule.
    """
    action = ScheduleActionStartWorkflow(SweepWorkflow.run, id=f"{SWEEP_ID}/{task_queue}", task_queue=task_queue)
    await _keep_schedule(
        client,
        f"tenant-inventory-sweep/{task_queue}",
        _every(interval, action) if interval else None,
        otherwise="set SWEEP_INTERVAL_SECONDS=0 and start SweepWorkflow by other means",
    )


async def schedule_retention(client: Client, task_queue: str, interval: timedelta, limits: RetentionInput) -> None:
    """Has Temporal forget versions and runs every so often, or never where `limits` sets none.

    Raises `UnreachableError` where Temporal does not allow a schedule.
    """
    action = ScheduleActionStartWorkflow(
        RetentionWorkflow.run, limits, id=f"{RETENTION_ID}/{task_queue}", task_queue=task_queue
    )
    await _keep_schedule(
        client,
        f"tenant-inventory-retention/{task_queue}",
        _every(interval, action) if limits.limits_anything else None,
        otherwise="set VERSION_RETENTION_DAYS, VERSION_RETENTION_COUNT and RUN_RETENTION_DAYS to 0"
        " and run: python starter.py retention",
    )


def _every(interval: timedelta, action: ScheduleActionStartWorkflow) -> Schedule:
    return Schedule(
        action=action,
        spec=ScheduleSpec(intervals=[ScheduleIntervalSpec(every=interval)]),
        policy=SchedulePolicy(overlap=ScheduleOverlapPolicy.SKIP, catchup_window=timedelta(minutes=1)),
    )


async def _keep_schedule(client: Client, schedule_id: str, schedule: Schedule | None, *, otherwise: str) -> None:
    """Makes Temporal's schedule the given one, or takes it away. `otherwise`: what to do where it does not let us."""
    handle = client.get_schedule_handle(schedule_id)
    try:
        if schedule is None:
            with suppress(RPCError):
                await handle.delete()
            return
        try:
            await client.create_schedule(schedule_id, schedule)
        except ScheduleAlreadyRunningError:
            await handle.update(lambda _: ScheduleUpdate(schedule))
    except RPCError as error:
        raise UnreachableError(
            f"Temporal does not let this worker keep a schedule ({error.status.name}); allow it, or {otherwise}"
        ) from None
