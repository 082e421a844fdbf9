"""A run record for people: each reason for unread collections once, within 80 columns."""

from datetime import UTC, datetime
from uuid import UUID

import pytest

from answers.runs.report import print_run
from inventory.error_codes import ErrorCode
from inventory.outcomes import Counts, Outcome, RunStatus
from inventory.records import CollectionRecord, RunRecord
from inventory.selection import Selection

NOW = datetime(2026, 7, 1, 12, tzinfo=UTC)
PERMISSIONS = ("DeviceManagementApps.Read.All", "DeviceManagementConfiguration.Read.All")


def collection(outcome: Outcome, code: ErrorCode | None = None, **context: str) -> CollectionRecord:
    return CollectionRecord(outcome=outcome, pages=1, items=3, error_code=code, context=dict(context))


def record(collections: dict[str, CollectionRecord], status: RunStatus = RunStatus.PARTIAL) -> RunRecord:
    unread = {
        entry.error_code for entry in collections.values() if entry.error_code and entry.outcome is not Outcome.SKIPPED
    }
    return RunRecord(
        run_id=UUID(int=1),
        tenant_id=UUID(int=2),
        selection_hash="a" * 64,
        selection=Selection(type_keys=tuple(collections)),
        workflow_id="sync/x",
        status=status,
        queued_at=NOW,
        started_at=NOW,
        finished_at=NOW if status.ended else None,
        counts=Counts(),
        error_codes=sorted(unread),
        collections=collections,
    )


COLLECTIONS = {
    **{f"completeCollectionNumber{number}": collection(Outcome.COMPLETE) for number in range(130)},
    **{
        f"forbiddenCollectionNumber{number}": collection(
            Outcome.FAILED,
            ErrorCode.GRAPH_PERMISSION_MISSING,
            permission=PERMISSIONS[number % 2],
            request_id=str(number),
        )
        for number in range(40)
    },
    "throttledCollection": collection(Outcome.INCOMPLETE, ErrorCode.GRAPH_THROTTLED),
    "unlicensedCollection": collection(Outcome.SKIPPED, ErrorCode.GRAPH_NOT_LICENSED),
}


def test_unread_collections_are_grouped_by_reason(capsys: pytest.CaptureFixture[str]) -> None:
    print_run(record(COLLECTIONS), "Contoso")
    lines = capsys.readouterr().out.splitlines()
    words = " ".join(" ".join(lines).split())
    assert len(lines) < 25
    assert max(map(len, lines)) <= 80
    assert words.count("graph_permission_missing") == words.count(PERMISSIONS[0]) == words.count(PERMISSIONS[1]) == 1
    assert "graph_permission_missing: 40 failed" in words
    assert "and 34 more" in words
    assert "graph_throttled: 1 incomplete" in words
    assert "throttledCollection" in words
    assert "172 collections: 130 complete, 1 incomplete, 40 failed, 1 skipped" in words
    assert "completeCollection" not in words
    assert "--verbose" in words


def test_the_end_of_a_pause_is_told_once(capsys: pytest.CaptureFixture[str]) -> None:
    paused = collection(Outcome.FAILED, ErrorCode.GRAPH_THROTTLED, throttled_until="2026-11-30T19:12:13+00:00")
    print_run(record({"a": paused, "b": paused}), "Contoso")
    assert capsys.readouterr().out.count("throttled_until: 2026-11-30T19:12:13+00:00") == 1


def test_verbose_lists_every_collection(capsys: pytest.CaptureFixture[str]) -> None:
    print_run(record(COLLECTIONS), "Contoso", verbose=True)
    output = capsys.readouterr().out
    assert all(key in output for key in COLLECTIONS)


def test_running_run_counts_collections_not_yet_read(capsys: pytest.CaptureFixture[str]) -> None:
    collections = {
        "a": collection(Outcome.COMPLETE),
        "b": collection(Outcome.INCOMPLETE),
        "c": collection(Outcome.INCOMPLETE, ErrorCode.GRAPH_THROTTLED),
    }
    print_run(record(collections, RunStatus.RUNNING), "Contoso")
    assert "3 collections: 1 complete, 1 incomplete, 1 not yet read" in capsys.readouterr().out


def test_queued_run_reports_that_no_collection_is_read(capsys: pytest.CaptureFixture[str]) -> None:
    queued = record(COLLECTIONS, RunStatus.QUEUED).model_copy(update={"collections": {}, "error_codes": []})
    print_run(queued, "Contoso")
    assert "172 collections: none read yet" in capsys.readouterr().out
