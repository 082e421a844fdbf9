"""Runs, combined from Temporal and the database."""

from datetime import timedelta
from uuid import UUID

from answers.runs.answer import live_record, newest_runs
from inventory.outcomes import CollectionResult, Counts, Outcome, RunStatus
from inventory.records import RunRecord
from tests.answers.runs.test_report import NOW, collection, record

RUNNING = record({"groups": collection(Outcome.INCOMPLETE)}, RunStatus.RUNNING)


def run(number: int, status: RunStatus) -> RunRecord:
    return RUNNING.model_copy(
        update={"run_id": UUID(int=number), "status": status, "queued_at": NOW + timedelta(minutes=number)}
    )


def test_recorded_run_replaces_its_queued_entry() -> None:
    recorded = [run(2, RunStatus.RUNNING), run(1, RunStatus.SUCCESS)]
    queued = [run(3, RunStatus.QUEUED), run(2, RunStatus.QUEUED)]
    listed = newest_runs(recorded, queued, 10)
    assert [(found.run_id.int, found.status) for found in listed] == [
        (3, RunStatus.QUEUED),
        (2, RunStatus.RUNNING),
        (1, RunStatus.SUCCESS),
    ]
    assert newest_runs(recorded, queued, 2) == listed[:2]


def test_open_run_shows_its_workflows_counts_and_collections() -> None:
    counts = Counts(pages=7)
    live = live_record(RUNNING, counts, {"users": CollectionResult(pages=7)})
    assert (live.counts, list(live.collections)) == (counts, ["users"])
    assert (live.collections["users"].outcome, live.collections["users"].pages) == (Outcome.INCOMPLETE, 7)


def test_an_open_run_keeps_its_recorded_collections_until_its_workflow_reports_any() -> None:
    assert live_record(RUNNING, Counts(), {}).collections == RUNNING.collections
