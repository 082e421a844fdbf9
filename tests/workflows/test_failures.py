"""The codes of activities that time out."""

import pytest
from temporalio.exceptions import ActivityError, ApplicationError, RetryState, TimeoutType
from temporalio.exceptions import TimeoutError as TemporalTimeoutError

from activities.messages.retention import EVERY_TENANT
from inventory.error_codes import ErrorCode
from workflows.failures import concerns_every_tenant, error_code_of


def timed_out(activity_type: str, cause: ApplicationError | None = None) -> ActivityError:
    error = ActivityError(
        "failed",
        scheduled_event_id=5,
        started_event_id=6,
        identity="worker",
        activity_type=activity_type,
        activity_id="1",
        retry_state=RetryState.TIMEOUT,
    )
    error.__cause__ = TemporalTimeoutError("timed out", type=TimeoutType.HEARTBEAT, last_heartbeat_details=[])
    error.__cause__.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("activity_type", "code"),
    [
        ("read_wave", ErrorCode.GRAPH_UNAVAILABLE),
        ("fetch_pages", ErrorCode.GRAPH_UNAVAILABLE),
        ("fetch_details", ErrorCode.GRAPH_UNAVAILABLE),
        ("confirm_missing", ErrorCode.GRAPH_UNAVAILABLE),
        ("upsert_items", ErrorCode.STORAGE_UNAVAILABLE),
    ],
)
def test_a_timeout_has_the_code_of_the_service_that_the_activity_calls(activity_type: str, code: ErrorCode) -> None:
    assert error_code_of(timed_out(activity_type)) is code


def test_a_timeout_after_a_failure_has_the_failures_code() -> None:
    failure = ApplicationError("disk full", type="storage_unavailable")
    assert error_code_of(timed_out("read_wave", failure)) is ErrorCode.STORAGE_UNAVAILABLE


def test_a_timeout_after_a_servers_fault_concerns_every_tenant() -> None:
    failure = ApplicationError("disk full", {EVERY_TENANT: True}, type="storage_unavailable")
    assert concerns_every_tenant(timed_out("forget_versions", failure))
    assert not concerns_every_tenant(timed_out("forget_versions", ApplicationError("locked")))
    assert not concerns_every_tenant(timed_out("forget_versions"))
