"""When a `$batch` that fails as a whole is retried by its activity, and when it is told as the failure of its pages."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from temporalio.testing import ActivityEnvironment

from activities.failures import told
from graph.errors import BatchRefusedError, GraphRequestError, ReadFailure
from inventory.error_codes import ErrorCode

UNREACHABLE = GraphRequestError(
    ErrorCode.GRAPH_UNAVAILABLE, "Graph cannot be reached", retryable=True, retry_after=timedelta(seconds=7)
)
NO_TOKEN_EVER = GraphRequestError(ErrorCode.AUTH_FAILED, "the secret is wrong", retryable=False)
REFUSED = BatchRefusedError(ReadFailure(ErrorCode.GRAPH_MALFORMED_RESPONSE, retryable=True), "not JSON")
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)


def told_by_activity(
    error: GraphRequestError, told_after: timedelta | None, waited: timedelta = timedelta(0)
) -> ReadFailure:
    environment = ActivityEnvironment()
    environment.info = replace(environment.info, scheduled_time=datetime.now(UTC) - waited)
    answer: ReadFailure = environment.run(told, error, told_after)
    return answer


@pytest.mark.parametrize(("told_after", "waited"), [(HOUR, MINUTE), (None, HOUR)])
def test_a_batch_that_came_to_nothing_is_retried_for_a_while(told_after: timedelta | None, waited: timedelta) -> None:
    with pytest.raises(GraphRequestError) as raised:
        told_by_activity(UNREACHABLE, told_after, waited)
    assert raised.value is UNREACHABLE


@pytest.mark.parametrize(("told_after", "waited"), [(MINUTE, HOUR), (timedelta(0), timedelta(0))])
def test_then_it_is_told_as_the_failure_of_each_page(told_after: timedelta, waited: timedelta) -> None:
    failure = told_by_activity(UNREACHABLE, told_after, waited)
    assert failure == ReadFailure(ErrorCode.GRAPH_UNAVAILABLE, True, timedelta(seconds=7))


def test_an_answer_to_the_batch_is_told_at_once() -> None:
    assert told_by_activity(REFUSED, None) == REFUSED.failure


def test_what_no_request_could_cure_fails_the_activity() -> None:
    with pytest.raises(GraphRequestError) as raised:
        told_by_activity(NO_TOKEN_EVER, timedelta(0))
    assert raised.value is NO_TOKEN_EVER
