"""A run's details in Temporal Web: problems come first."""

from inventory.error_codes import ErrorCode
from inventory.outcomes import CollectionResult, Counts, Outcome, RunStatus
from inventory.portfolio import PortfolioCounts
from workflows.frontier import Frontier
from workflows.report import details, portfolio_details


def failed(code: ErrorCode) -> CollectionResult:
    return CollectionResult(outcome=Outcome.FAILED, error_code=code)


COMPLETE = CollectionResult(outcome=Outcome.COMPLETE, pages=1, items=5)


def test_the_report_of_a_partial_run_starts_with_its_problems() -> None:
    denied, cut = ErrorCode.GRAPH_PERMISSION_MISSING, ErrorCode.GRAPH_THROTTLED
    results = {
        "a": COMPLETE,
        "b": failed(denied),
        "c": CollectionResult(),
        "d": CollectionResult(outcome=Outcome.INCOMPLETE, pages=1, items=1, error_code=cut),
        "e": failed(denied),
        "f": CollectionResult(outcome=Outcome.SKIPPED, error_code=ErrorCode.GRAPH_NOT_LICENSED),
    }
    frontier = Frontier(counts=Counts(observed=10, missing=2, not_read=3), results=results)
    lines = [line for line in details(RunStatus.PARTIAL, None, frontier).splitlines() if line]
    assert lines[:3] == [
        "**partial**",
        "**not complete: 3 of 6** (graph_permission_missing 2, graph_throttled 1)",
        "**2 missing**, 3 not read",
    ]
    rows = [line.split(" | ")[0] for line in lines if line.startswith("| ")]
    assert rows == ["| collection", "| b", "| d", "| e", "| c", "| a", "| f"]


def test_a_successful_run_reports_no_problems() -> None:
    report = details(RunStatus.SUCCESS, None, Frontier(counts=Counts(observed=5), results={"a": COMPLETE}))
    assert "not complete" not in report
    assert "missing" not in report


def test_a_queued_run_names_its_wait() -> None:
    assert details(RunStatus.QUEUED, "waiting_for_slot", Frontier()).startswith("**queued** (waiting for slot)")


def test_a_portfolio_run_counts_incomplete_tenants_with_error_codes() -> None:
    counts = PortfolioCounts(tenants=9, success=4, partial=2, failed=1)
    report = portfolio_details(RunStatus.RUNNING, counts, [ErrorCode.AUTH_FAILED, ErrorCode.GRAPH_THROTTLED])
    assert report.splitlines()[:3:2] == [
        "**running**: 7 of 9 tenants ended",
        "**not complete: 3 of 9** (auth_failed, graph_throttled)",
    ]
    assert "not complete" not in portfolio_details(RunStatus.SUCCESS, PortfolioCounts(tenants=1, success=1), [])
