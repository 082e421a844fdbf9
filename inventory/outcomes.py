"""Outcomes of a run's collections, and the run's status."""

from collections.abc import Iterable
from enum import StrEnum

from pydantic import BaseModel

from inventory.error_codes import ErrorCode


class RunKind(StrEnum):
    """How a run chooses what to read."""

    SYNC = "sync"
    """The run lists the collections of its selection."""
    WATCH = "watch"
    """The run reads objects of audit events by id, and covers no collection."""


class RunStatus(StrEnum):
    """`queued` → `running` → one of four ends."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCESS = "success"
    PARTIAL = "partial"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def ended(self) -> bool:
        return self not in (RunStatus.QUEUED, RunStatus.RUNNING)


COMPLETED_STATUSES: tuple[RunStatus, ...] = (RunStatus.SUCCESS, RunStatus.PARTIAL, RunStatus.FAILED)
"""Statuses of runs that decide which items are missing."""


class Outcome(StrEnum):
    """A collection's result in a run."""

    COMPLETE = "complete"
    INCOMPLETE = "incomplete"
    FAILED = "failed"
    SKIPPED = "skipped"


class Counts(BaseModel, extra="forbid"):
    """The numbers of a run; `missing`, `not_read` and `stale` are counted at its end.

    The run did not see `missing` items, which a complete listing omits or a GET by id did not find, and `not_read`
    items, whose collections were not read to their end. Some details of `stale` items could not be read.
    """

    pages: int = 0
    requests: int = 0
    throttled: int = 0
    observed: int = 0
    created: int = 0
    changed: int = 0
    unchanged: int = 0
    missing: int = 0
    not_read: int = 0
    stale: int = 0
    invalid: int = 0
    errors: int = 0


COUNT_NAMES: tuple[str, ...] = tuple(Counts.model_fields)

ContextValue = str | int | list[dict[str, str | int]]
"""Statuses, codes, request ids and invalid objects; never a token, message or document."""


class CollectionResult(BaseModel, extra="forbid"):
    """Without an outcome, the collection is still being read."""

    outcome: Outcome | None = None
    pages: int = 0
    items: int = 0
    error_code: ErrorCode | None = None
    context: dict[str, ContextValue] = {}


def run_status(results: Iterable[CollectionResult]) -> RunStatus:
    """The status of a run that was not broken off: see docs/architecture.md."""
    settled = list(results)
    clean = (Outcome.COMPLETE, Outcome.SKIPPED)
    if all(
        result.outcome in clean and (result.error_code is None or result.outcome is Outcome.SKIPPED)
        for result in settled
    ):
        return RunStatus.SUCCESS
    if any(result.outcome is Outcome.COMPLETE for result in settled):
        return RunStatus.PARTIAL
    return RunStatus.FAILED


def error_codes(results: Iterable[CollectionResult], run_error: ErrorCode | None = None) -> list[ErrorCode]:
    """Sorted, without the codes of skipped collections."""
    codes = {
        result.error_code
        for result in results
        if result.error_code is not None and result.outcome is not Outcome.SKIPPED
    }
    if run_error is not None:
        codes.add(run_error)
    return sorted(codes)
