"""Tasks that make unread collections readable."""

from datetime import UTC, datetime
from uuid import uuid4

from answers.coverage.records import CollectionCoverageRecord
from answers.coverage.rules import tasks
from inventory.error_codes import ErrorCode
from inventory.outcomes import Outcome


def test_task_that_unblocks_most_collections_comes_first() -> None:
    def record(key: str, code: ErrorCode, *permissions: str) -> CollectionCoverageRecord:
        return CollectionCoverageRecord(
            type_key=key,
            title=key,
            category="",
            outcome=Outcome.FAILED,
            error_code=code,
            remedy=str(code),
            permissions=list(permissions),
            run_id=uuid4(),
            run_started_at=datetime(2026, 3, 1, tzinfo=UTC),
            listed_at=None,
        )

    found = tasks(
        [
            record("a", ErrorCode.GRAPH_THROTTLED),
            record("b", ErrorCode.GRAPH_PERMISSION_MISSING, "X"),
            record("c", ErrorCode.GRAPH_PERMISSION_MISSING, "Y"),
            record("d", ErrorCode.GRAPH_PERMISSION_MISSING, "X"),
        ]
    )
    assert [[record.type_key for record in task.collections] for task in found] == [["b", "d"], ["c"], ["a"]]
