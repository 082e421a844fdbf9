"""How failures are classified: some end an activity, others are retried."""

import asyncio
import errno
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID

import pytest
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode
from temporalio.testing import ActivityEnvironment

from activities.failures import UNEXPECTED_ATTEMPTS, classified, tenant_result
from activities.tenants import UNNAMED_RETRY_LIMIT, UnnamedTenantError
from graph.credentials import CONFIGURATION_RETRY_LIMIT, CredentialError
from graph.errors import GraphRequestError
from graph.tenants import TenantsFileError
from inventory.data_keys import DataKeyError
from inventory.error_codes import ErrorCode
from storage.database import StorageNotReadyError, StorageServerError, StorageUnavailableError

HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)


def failing_for(error: GraphRequestError, span: timedelta) -> GraphRequestError:
    error.failing_for = span
    return error


async def classify(
    error: Exception,
    *,
    attempt: int = 1,
    waited: timedelta = timedelta(0),
    scheduled: datetime = datetime(2026, 1, 1, tzinfo=UTC),
    **options: Any,
) -> ApplicationError:
    environment = ActivityEnvironment()
    environment.info = replace(
        environment.info, attempt=attempt, scheduled_time=scheduled, started_time=scheduled + waited
    )

    async def fail() -> None:
        async with classified(**options):
            raise error

    with pytest.raises(ApplicationError) as failed:
        await environment.run(fail)
    return failed.value


def unreachable() -> GraphRequestError:
    return GraphRequestError(ErrorCode.GRAPH_UNAVAILABLE, "no", retryable=True)


@pytest.mark.parametrize("clock", [-HOUR, timedelta(0), HOUR])
@pytest.mark.parametrize(("waited", "is_final"), [(59 * MINUTE, False), (61 * MINUTE, True)])
async def test_the_retry_limit_is_measured_by_the_servers_clock_only(
    clock: timedelta, waited: timedelta, is_final: bool
) -> None:
    """The server's clock is an hour ahead of or behind this machine's."""
    scheduled = datetime.now(UTC) + clock - waited
    error = await classify(unreachable(), waited=waited, scheduled=scheduled, graph_patience=HOUR)
    assert error.non_retryable == is_final


@pytest.mark.parametrize(
    ("error", "code", "retry_limit"),
    [
        (unreachable, ErrorCode.GRAPH_UNAVAILABLE, HOUR),
        (lambda: CredentialError("gone"), ErrorCode.CONFIGURATION_INVALID, CONFIGURATION_RETRY_LIMIT),
        (lambda: TenantsFileError("gone"), ErrorCode.CONFIGURATION_INVALID, CONFIGURATION_RETRY_LIMIT),
        (lambda: UnnamedTenantError(timedelta(0)), ErrorCode.AUTH_FAILED, UNNAMED_RETRY_LIMIT),
    ],
)
async def test_each_failure_has_its_retry_limit(error: Any, code: ErrorCode, retry_limit: timedelta) -> None:
    for waited, is_final in ((retry_limit - MINUTE, False), (retry_limit, True)):
        met = await classify(error(), waited=waited, graph_patience=HOUR)
        assert (met.type, met.non_retryable) == (code, is_final)


async def test_earlier_waits_of_other_activities_count_towards_the_retry_limit() -> None:
    for span, is_final in ((timedelta(0), False), (CONFIGURATION_RETRY_LIMIT, True)):
        for error in (failing_for(CredentialError("gone"), span), UnnamedTenantError(span)):
            assert (await classify(error, graph_patience=HOUR)).non_retryable == is_final


PASSING = [
    OSError(errno.ENOSPC, "No space left on device"),
    OSError(errno.EMFILE, "Too many open files"),
    MemoryError(),
    RPCError("busy", RPCStatusCode.RESOURCE_EXHAUSTED, b""),
    RPCError("away", RPCStatusCode.UNAVAILABLE, b""),
]
LASTING = [KeyError("defect"), RPCError("wrong", RPCStatusCode.INVALID_ARGUMENT, b"")]


@pytest.mark.parametrize("error", PASSING, ids=repr)
async def test_transient_errors_of_the_machine_or_temporal_are_retried(error: Exception) -> None:
    met = await classify(error, attempt=50, waited=59 * MINUTE, graph_patience=HOUR)
    assert (met.type, met.non_retryable) == (ErrorCode.UNEXPECTED_ERROR, False)
    assert (await classify(error, attempt=50, waited=HOUR, graph_patience=HOUR)).non_retryable


@pytest.mark.parametrize("error", LASTING, ids=repr)
async def test_a_defect_is_retried_a_few_times(error: Exception) -> None:
    assert not (await classify(error, attempt=UNEXPECTED_ATTEMPTS - 1)).non_retryable
    assert (await classify(error, attempt=UNEXPECTED_ATTEMPTS)).non_retryable


@pytest.mark.parametrize("error", [*PASSING, *LASTING, StorageUnavailableError("away")], ids=repr)
async def test_every_failure_is_retryable_with_retries_everything(error: Exception) -> None:
    met = await classify(error, attempt=1000, waited=5 * HOUR, retries_everything=True)
    assert not met.non_retryable


async def test_a_cancellation_is_passed_on() -> None:
    async def cancelled() -> None:
        async with classified(retries_everything=True):
            raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await ActivityEnvironment().run(cancelled)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (StorageUnavailableError("a lock was not free in time"), ErrorCode.STORAGE_UNAVAILABLE),
        (DataKeyError("another key"), ErrorCode.CONFIGURATION_INVALID),
        (KeyError("a defect"), ErrorCode.UNEXPECTED_ERROR),
        (None, ErrorCode.GRAPH_UNAVAILABLE),
    ],
)
async def test_a_tenant_that_fails_or_is_late_becomes_a_code(error: Exception | None, code: ErrorCode) -> None:
    async def work() -> None:
        if error is not None:
            raise error
        await asyncio.Event().wait()

    seconds = 60 if error else 0
    result = await ActivityEnvironment().run(
        partial(tenant_result, seconds=seconds, if_late=ErrorCode.GRAPH_UNAVAILABLE), UUID(int=1), work()
    )
    assert result is code


@pytest.mark.parametrize("error", [StorageServerError("PostgreSQL's disk is full"), StorageNotReadyError("no tables")])
async def test_a_fault_of_the_server_is_no_tenants(error: Exception, caplog: pytest.LogCaptureFixture) -> None:
    async def work() -> None:
        raise error

    with pytest.raises(type(error)):
        await ActivityEnvironment().run(
            partial(tenant_result, seconds=60, if_late=ErrorCode.GRAPH_UNAVAILABLE), UUID(int=1), work()
        )
    assert caplog.messages == []
