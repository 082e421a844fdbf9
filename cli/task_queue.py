"""Rate limits of the activity task queue, which Temporal enforces."""

import asyncio
import struct
from contextlib import suppress
from datetime import UTC, datetime
from typing import NamedTuple

from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import RateLimit, RateLimitConfig, TaskQueue
from temporalio.api.workflowservice.v1 import (
    DescribeTaskQueueRequest,
    ListTaskQueuePartitionsRequest,
    UpdateTaskQueueConfigRequest,
)
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from connections import UnreachableError, refused

TOLD_WITHIN_SECONDS = 10


class Rate(NamedTuple):
    """Activities a second (None: no limit), and who set them, when and why."""

    per_second: float | None
    set_by: str | None
    set_at: datetime | None
    reason: str | None


class Rates(NamedTuple):
    """A task queue's limits, which its `partitions` share."""

    overall: Rate
    per_tenant: Rate
    partitions: int


async def read_rates(client: Client, task_queue: str) -> Rates:
    """Raises `UnreachableError`."""
    queue = TaskQueue(name=task_queue)
    try:
        described = await client.workflow_service.describe_task_queue(
            DescribeTaskQueueRequest(
                namespace=client.namespace,
                task_queue=queue,
                task_queue_type=TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY,
                report_config=True,
            )
        )
        listed = await client.workflow_service.list_task_queue_partitions(
            ListTaskQueuePartitionsRequest(namespace=client.namespace, task_queue=queue)
        )
    except RPCError as error:
        raise _refused(client, error, "tell the limits of its task queues") from None
    config = described.config
    return Rates(
        _rate(config.queue_rate_limit),
        _rate(config.fairness_keys_rate_limit_default),
        len(listed.activity_task_queue_partitions),
    )


async def set_rates(
    client: Client,
    task_queue: str,
    *,
    overall: float | None,
    per_tenant: float | None,
    identity: str,
    reason: str,
) -> None:
    """Sets both limits, and waits some seconds for their effect. None removes a limit. Raises `UnreachableError`."""
    request = UpdateTaskQueueConfigRequest(
        namespace=client.namespace,
        identity=identity,
        task_queue=task_queue,
        task_queue_type=TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY,
        update_queue_rate_limit=_update(overall, reason),
        update_fairness_key_rate_limit_default=_update(per_tenant, reason),
    )
    try:
        await client.workflow_service.update_task_queue_config(request)
    except RPCError as error:
        raise _refused(client, error, "limit a task queue") from None
    with suppress(TimeoutError):
        async with asyncio.timeout(TOLD_WITHIN_SECONDS):
            while not await _tells(client, task_queue, overall, per_tenant):  # noqa: ASYNC110 - it is in another process
                await asyncio.sleep(0.1)


async def _tells(client: Client, task_queue: str, overall: float | None, per_tenant: float | None) -> bool:
    """The task queue learns its limits a moment after Temporal."""
    rates = await read_rates(client, task_queue)
    return same_rate(rates.overall.per_second, overall) and same_rate(rates.per_tenant.per_second, per_tenant)


def same_rate(rate: float | None, other: float | None) -> bool:
    """Compares in single precision, as Temporal keeps limits."""
    if rate is None or other is None:
        return rate is other
    return _single(rate) == _single(other)


def _single(rate: float) -> float:
    value: float = struct.unpack("f", struct.pack("f", rate))[0]
    return value


def _update(per_second: float | None, reason: str) -> UpdateTaskQueueConfigRequest.RateLimitUpdate:
    # An update without a limit removes the limit; a limit of zero would stop the queue.
    limit = None if per_second is None else RateLimit(requests_per_second=per_second)
    return UpdateTaskQueueConfigRequest.RateLimitUpdate(rate_limit=limit, reason=reason)


def _rate(config: RateLimitConfig) -> Rate:
    metadata = config.metadata
    return Rate(
        # Seven digits, since Temporal keeps single precision: 0.1 is shown as 0.1.
        float(f"{config.rate_limit.requests_per_second:.7g}") if config.HasField("rate_limit") else None,
        metadata.update_identity or None,
        metadata.update_time.ToDatetime(UTC) if metadata.HasField("update_time") else None,
        metadata.reason or None,
    )


def _refused(client: Client, error: RPCError, action: str) -> UnreachableError:
    if error.status is RPCStatusCode.UNIMPLEMENTED:
        return UnreachableError(
            f"this Temporal is too old to {action}; use server 1.29 or newer, or do without ACTIVITIES_PER_SECOND and"
            " ACTIVITIES_PER_SECOND_PER_TENANT"
        )
    if error.status is RPCStatusCode.PERMISSION_DENIED:
        return UnreachableError(f"Temporal does not let you {action}; ask for the right to write to the namespace")
    return refused(client, error)
