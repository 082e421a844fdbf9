"""Classifies failures: each becomes an error with a stable code.

Temporal shows messages, so they hold no text from Graph, no URL, row or secret.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from contextvars import ContextVar
from datetime import timedelta
from typing import TypeVar
from uuid import UUID

from temporalio import activity
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode

from activities.messages.retention import EVERY_TENANT
from graph.credentials import CONFIGURATION_RETRY_LIMIT
from graph.errors import BatchRefusedError, GraphRequestError, ReadFailure
from graph.tenants import TenantsFileError
from inventory.data_keys import DataKeyError
from inventory.error_codes import ErrorCode
from inventory.log_lines import place_of
from storage.database import StorageNotReadyError, StorageServerError, StorageUnavailableError

UNEXPECTED_ATTEMPTS = 3
"""Attempts until an unexpected error is final: its cause may be one worker, or may pass."""

_PASSING_STATES = (OSError, MemoryError)
"""A machine without disk space, memory or file handles: retried as after an outage."""

_LASTING_STATUSES = frozenset(
    {
        RPCStatusCode.INVALID_ARGUMENT,
        RPCStatusCode.NOT_FOUND,
        RPCStatusCode.ALREADY_EXISTS,
        RPCStatusCode.FAILED_PRECONDITION,
        RPCStatusCode.OUT_OF_RANGE,
        RPCStatusCode.UNIMPLEMENTED,
    }
)
"""Refusals of a wrong request. Others mean a busy, absent or locked server."""

ResultT = TypeVar("ResultT")

_began: ContextVar[float] = ContextVar("_began")
"""The attempt's start, by the monotonic clock."""


@asynccontextmanager
async def classified(
    *, graph_patience: timedelta = timedelta.max, retries_everything: bool = False
) -> AsyncIterator[None]:
    """Turns an exception into an `ApplicationError` whose type is an `ErrorCode`.

    Graph's retryable failures are retried for `graph_patience` after the activity was scheduled. With
    `retries_everything`, no unexpected error is final.
    """
    _began.set(time.monotonic())
    try:
        yield
    except Exception as error:  # noqa: BLE001 - the one place that gives unforeseen errors their code
        raise application_error(error, graph_patience, retries_everything=retries_everything) from None


def application_error(
    error: Exception, graph_patience: timedelta, *, retries_everything: bool = False
) -> ApplicationError:
    """The parameters are those of `classified`."""
    if isinstance(error, ApplicationError):
        return error
    if isinstance(error, GraphRequestError):
        waited = max(_waited(), error.failing_for)
        return ApplicationError(
            str(error),
            dict(error.context),
            type=error.code,
            non_retryable=not error.retryable or waited >= min(graph_patience, error.retry_limit),
            next_retry_delay=error.retry_after,
        )
    if isinstance(error, TenantsFileError | DataKeyError):
        retry_limit = min(graph_patience, CONFIGURATION_RETRY_LIMIT)
        return ApplicationError(
            str(error),
            {"reason": str(error)},
            type=ErrorCode.CONFIGURATION_INVALID,
            non_retryable=_waited() >= retry_limit,
        )
    if isinstance(error, StorageUnavailableError | StorageNotReadyError):
        return ApplicationError(str(error), type=ErrorCode.STORAGE_UNAVAILABLE)
    log_unexpected(error)
    is_final = _waited() >= graph_patience if _passes(error) else activity.info().attempt >= UNEXPECTED_ATTEMPTS
    return ApplicationError(
        f"{type(error).__name__}; the worker's log has its place",
        type=ErrorCode.UNEXPECTED_ERROR,
        non_retryable=is_final and not retries_everything,
    )


@asynccontextmanager
async def server_fault() -> AsyncIterator[None]:
    """Tells the workflow, by the detail `EVERY_TENANT`, that PostgreSQL would refuse other tenants' rows, too."""
    try:
        yield
    except (StorageServerError, StorageNotReadyError) as error:
        raise ApplicationError(str(error), {EVERY_TENANT: True}, type=ErrorCode.STORAGE_UNAVAILABLE) from None


async def tenant_result(
    tenant_id: UUID, work: Awaitable[ResultT], *, seconds: float, if_late: ErrorCode
) -> ResultT | ErrorCode:
    """The result of work for one of several tenants, or the code of its failure, which is logged and stops no other.

    `if_late`: the code if the work takes longer than `seconds`. Raises `StorageServerError` and `StorageNotReadyError`,
    which every tenant would meet.
    """
    try:
        async with asyncio.timeout(seconds):
            return await work
    except TimeoutError:
        code, words = if_late, f"no answer in time, at most {seconds:g} s"
    except (StorageServerError, StorageNotReadyError):
        raise
    except Exception as error:  # noqa: BLE001 - one tenant's defect is not the others'
        failure = application_error(error, timedelta.max)
        code, words = ErrorCode(failure.type or ErrorCode.UNEXPECTED_ERROR), failure.message
    activity.logger.warning("%s: tenant %s is left for later: %s", code, tenant_id, words)
    return code


def batch_failure(error: GraphRequestError, told_after: timedelta | None) -> ReadFailure:
    """The failure of each request of a failed `$batch`.

    Raises `error` if Temporal should retry the activity, or no request could succeed.
    """
    if isinstance(error, BatchRefusedError):
        return error.failure
    if not error.retryable or error.code is ErrorCode.CONFIGURATION_INVALID or told_after is None:
        raise error
    if told_after and max(_waited(), error.failing_for) < told_after:
        raise error
    return ReadFailure(error.code, retryable=True, retry_after=error.retry_after, context=error.context)


def log_unexpected(error: Exception) -> None:
    """Logs only type and place: the message may hold secrets."""
    activity.logger.error("unexpected_error: %s at %s", type(error).__name__, place_of(error))


def _waited() -> timedelta:
    """The time since scheduling, by the clock of Temporal's server: this machine's may be wrong."""
    info = activity.info()
    now = time.monotonic()
    return info.started_time - info.scheduled_time + timedelta(seconds=now - _began.get(now))


def _passes(error: Exception) -> bool:
    if isinstance(error, RPCError):
        return error.status not in _LASTING_STATUSES
    return isinstance(error, _PASSING_STATES)
