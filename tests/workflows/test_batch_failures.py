"""How an activity handles failures: it retries them, reports them to the run, or fails."""

from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import pytest
from temporalio.testing import ActivityEnvironment

from activities.details import _attempts
from activities.failures import batch_failure
from activities.messages.details import DetailShare, FetchDetails
from graph.errors import BatchRefusedError, GraphRequestError, ReadFailure
from inventory.backoff import KnownFailure
from inventory.error_codes import ErrorCode

UNREACHABLE = GraphRequestError(
    ErrorCode.GRAPH_UNAVAILABLE, "Graph cannot be reached", retryable=True, retry_after=timedelta(seconds=7)
)
NO_TOKEN_EVER = GraphRequestError(ErrorCode.AUTH_FAILED, "the secret is wrong", retryable=False)
REFUSED = BatchRefusedError(ReadFailure(ErrorCode.GRAPH_MALFORMED_RESPONSE, retryable=True), "not JSON")
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)


def reported_by_activity(
    error: GraphRequestError, told_after: timedelta | None, waited: timedelta = timedelta(0)
) -> ReadFailure:
    environment = ActivityEnvironment()
    started = environment.info.started_time
    environment.info = replace(environment.info, scheduled_time=started - waited)
    answer: ReadFailure = environment.run(batch_failure, error, told_after)
    return answer


@pytest.mark.parametrize(("told_after", "waited"), [(HOUR, MINUTE), (None, HOUR)])
def test_an_unanswered_batch_is_retried_for_a_while(told_after: timedelta | None, waited: timedelta) -> None:
    with pytest.raises(GraphRequestError) as raised:
        reported_by_activity(UNREACHABLE, told_after, waited)
    assert raised.value is UNREACHABLE


@pytest.mark.parametrize(("told_after", "waited"), [(MINUTE, HOUR), (timedelta(0), timedelta(0))])
def test_a_batch_unanswered_for_too_long_is_reported_as_a_failure(told_after: timedelta, waited: timedelta) -> None:
    failure = reported_by_activity(UNREACHABLE, told_after, waited)
    assert failure == ReadFailure(ErrorCode.GRAPH_UNAVAILABLE, True, timedelta(seconds=7))


def test_a_refused_batch_is_reported_at_once() -> None:
    assert reported_by_activity(REFUSED, None) == REFUSED.failure


def test_a_non_retryable_error_fails_the_activity() -> None:
    with pytest.raises(GraphRequestError) as raised:
        reported_by_activity(NO_TOKEN_EVER, timedelta(0))
    assert raised.value is NO_TOKEN_EVER


KNOWN = KnownFailure(code=ErrorCode.GRAPH_UNAVAILABLE, runs=2, in_details=True, attempts=3, within=timedelta(minutes=1))


@pytest.mark.parametrize(
    ("type_key", "code", "attempts"),
    [
        ("a", ErrorCode.GRAPH_UNAVAILABLE, 3),
        ("a", ErrorCode.GRAPH_MALFORMED_RESPONSE, 4),
        ("b", ErrorCode.GRAPH_UNAVAILABLE, 20),
        ("b", ErrorCode.GRAPH_MALFORMED_RESPONSE, 4),
    ],
)
def test_the_attempts_for_details_depend_on_the_collection_and_the_code(
    type_key: str, code: ErrorCode, attempts: int
) -> None:
    request = FetchDetails(
        tenant_id=uuid4(),
        run_id=uuid4(),
        api_version="beta",
        wave_token=uuid4(),
        shares=[DetailShare(type_key="a", known_failure=KNOWN), DetailShare(type_key="b")],
        limit=20,
        attempts=20,
        graph_patience=timedelta(hours=1),
        malformed_attempts=4,
    )
    assert _attempts(request, type_key, code) == attempts
    earlier_release = request.model_copy(
        update={"malformed_attempts": None, "shares": [DetailShare(type_key=type_key)]}
    )
    assert _attempts(earlier_release, type_key, code) == 20
