from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inventory.error_codes import ErrorCode
from inventory.missing import CollectionInRun, Confidence, RunCoverage, State, item_state
from inventory.outcomes import CollectionResult, Outcome, RunStatus, error_codes, run_status

STARTED = datetime(2026, 1, 1, tzinfo=UTC)
BEFORE, AFTER = STARTED - timedelta(microseconds=1), STARTED

COMPLETE = CollectionResult(outcome=Outcome.COMPLETE)
DETAILS = CollectionResult(outcome=Outcome.COMPLETE, error_code=ErrorCode.DETAIL_INCOMPLETE)
INCOMPLETE = CollectionResult(outcome=Outcome.INCOMPLETE, error_code=ErrorCode.GRAPH_PAGE_EXPIRED)
FAILED = CollectionResult(outcome=Outcome.FAILED, error_code=ErrorCode.GRAPH_THROTTLED)
SKIPPED = CollectionResult(outcome=Outcome.SKIPPED, error_code=ErrorCode.GRAPH_NOT_LICENSED)


@pytest.mark.parametrize(
    ("results", "status"),
    [
        ([COMPLETE, COMPLETE], RunStatus.SUCCESS),
        ([COMPLETE, SKIPPED], RunStatus.SUCCESS),
        ([SKIPPED], RunStatus.SUCCESS),
        ([COMPLETE, FAILED], RunStatus.PARTIAL),
        ([COMPLETE, INCOMPLETE], RunStatus.PARTIAL),
        ([DETAILS], RunStatus.PARTIAL),
        ([FAILED, SKIPPED], RunStatus.FAILED),
        ([INCOMPLETE], RunStatus.FAILED),
        ([CollectionResult()], RunStatus.FAILED),
    ],
)
def test_run_status_follows_from_the_outcomes(results: list[CollectionResult], status: RunStatus) -> None:
    assert run_status(results) is status


results = st.lists(st.sampled_from([COMPLETE, DETAILS, INCOMPLETE, FAILED, SKIPPED]), min_size=1)


@given(results)
def test_only_a_run_without_error_codes_is_a_success(collections: list[CollectionResult]) -> None:
    assert (run_status(collections) is RunStatus.SUCCESS) is (error_codes(collections) == [])


@given(results, st.randoms())
def test_run_status_ignores_order(collections: list[CollectionResult], random: object) -> None:
    assert run_status(collections) is run_status(list(reversed(collections)))


@pytest.mark.parametrize(
    ("last_seen_at", "status", "coverage", "expected"),
    [
        (AFTER, RunStatus.SUCCESS, (Outcome.COMPLETE, None), (State.PRESENT, Confidence.HIGH, "listed")),
        (BEFORE, RunStatus.SUCCESS, (Outcome.COMPLETE, None), (State.MISSING, Confidence.HIGH, "not_listed")),
        (BEFORE, RunStatus.PARTIAL, (Outcome.COMPLETE, None), (State.MISSING, Confidence.LOW, "not_listed")),
        (
            BEFORE,
            RunStatus.FAILED,
            (Outcome.FAILED, ErrorCode.GRAPH_THROTTLED),
            (State.MISSING, Confidence.LOW, "collection_failed:graph_throttled"),
        ),
        (
            BEFORE,
            RunStatus.SUCCESS,
            (Outcome.SKIPPED, ErrorCode.GRAPH_NOT_LICENSED),
            (State.MISSING, Confidence.LOW, "collection_skipped:graph_not_licensed"),
        ),
        (BEFORE, RunStatus.FAILED, None, (State.MISSING, Confidence.LOW, "collection_incomplete")),
    ],
)
def test_item_state_follows_from_last_sighting_and_coverage(
    last_seen_at: datetime,
    status: RunStatus,
    coverage: tuple[Outcome, ErrorCode | None] | None,
    expected: tuple[State, Confidence, str],
) -> None:
    run = RunCoverage(status, STARTED, has_errors=status is not RunStatus.SUCCESS)
    assert item_state(last_seen_at, run, CollectionInRun(*coverage) if coverage else None) == expected


def test_a_missing_item_confirmed_by_id_has_evidence_confirmed() -> None:
    run = RunCoverage(RunStatus.SUCCESS, STARTED, has_errors=False)
    state = item_state(BEFORE, run, CollectionInRun(Outcome.COMPLETE), confirmed=True)
    assert state == (State.MISSING, Confidence.HIGH, "confirmed")


@given(
    st.sampled_from([RunStatus.SUCCESS, RunStatus.PARTIAL, RunStatus.FAILED]),
    st.booleans(),
    st.sampled_from(list(Outcome)),
    st.booleans(),
)
def test_confidence_is_high_only_after_a_clean_success_that_read_the_collection(
    status: RunStatus, has_errors: bool, outcome: Outcome, confirmed: bool
) -> None:
    state = item_state(BEFORE, RunCoverage(status, STARTED, has_errors), CollectionInRun(outcome), confirmed=confirmed)
    sure = status is RunStatus.SUCCESS and not has_errors and outcome is Outcome.COMPLETE
    assert (state.confidence is Confidence.HIGH) is sure
