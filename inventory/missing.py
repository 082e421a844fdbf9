"""States of items, by the latest completed run: present or missing, never "deleted"."""

from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from inventory.error_codes import ErrorCode
from inventory.outcomes import Outcome, RunStatus


class State(StrEnum):
    """An item's state by a selection's latest completed run."""

    PRESENT = "present"
    MISSING = "missing"


class Confidence(StrEnum):
    """`high` only if the run was a clean success and the item's collection complete."""

    HIGH = "high"
    LOW = "low"


class EvidenceKind(StrEnum):
    """Kinds of evidence of an unseen item."""

    CONFIRMED = "confirmed"
    NOT_LISTED = "not_listed"
    NOT_READ = "not_read"
    """`collection_…`: the collection was not read to its end."""


LISTED = "listed"
FOUND_BY_ID = "found_by_id"


class CollectionInRun(NamedTuple):
    outcome: Outcome
    error_code: ErrorCode | None = None


class RunCoverage(NamedTuple):
    """The run that decides: the selection's latest completed run, by start."""

    status: RunStatus
    started_at: datetime
    has_errors: bool


class ItemState(NamedTuple):
    """`evidence`: see docs/architecture.md."""

    state: State
    confidence: Confidence
    evidence: str


def item_state(
    last_seen_at: datetime,
    run: RunCoverage,
    collection: CollectionInRun | None,
    *,
    confirmed: bool = False,
    found_by_id: bool = False,
    unlisted_before: bool = False,
) -> ItemState:
    """The state of an item by `run`.

    `collection`: the collection in `run`, None if not recorded. `found_by_id`: a GET by id saw the item last. Since
    then, a GET has answered 404 (`confirmed`), or a complete listing omitted it (`unlisted_before`).
    """
    confidence = confidence_of(run, collection)
    if last_seen_at >= run.started_at:
        return ItemState(State.PRESENT, confidence, FOUND_BY_ID if found_by_id else LISTED)
    return ItemState(State.MISSING, confidence, _evidence(collection, confirmed, unlisted_before))


def confidence_of(run: RunCoverage, collection: CollectionInRun | None) -> Confidence:
    sure = (
        run.status is RunStatus.SUCCESS
        and not run.has_errors
        and collection is not None
        and collection.outcome is Outcome.COMPLETE
    )
    return Confidence.HIGH if sure else Confidence.LOW


def _evidence(collection: CollectionInRun | None, confirmed: bool, unlisted_before: bool) -> str:
    if confirmed:
        return "confirmed"
    if unlisted_before or (collection is not None and collection.outcome is Outcome.COMPLETE):
        return "not_listed"
    if collection is None:
        return f"collection_{Outcome.INCOMPLETE}"
    suffix = f":{collection.error_code}" if collection.error_code else ""
    return f"collection_{collection.outcome}{suffix}"
