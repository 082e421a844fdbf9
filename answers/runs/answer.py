"""Run records, and the run or moment that a person's RUN or TIME means."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, tzinfo
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from answers.ids import IdRange, id_range, run_id_range, the_one
from answers.times import TIME_FORMS, typed_time
from inventory.bounds import NAMED
from inventory.outcomes import CollectionResult, Counts, Outcome, RunKind, RunStatus
from inventory.records import CollectionRecord, RunRecord
from inventory.user_errors import NotHereError
from storage import coverage, queries, recorded_runs
from storage.documents import database_time
from storage.queries import RunPlace

is_read = coverage.is_read
run_record = queries.run_record


class UnknownRunError(NotHereError):
    """There is no such run, or it has not ended."""


class UnknownMomentError(NotHereError):
    """The text is neither a run nor a past time."""


async def recent_runs(
    session: AsyncSession,
    limit: int,
    after: UUID | None = None,
    status: RunStatus | None = None,
    kind: RunKind = RunKind.SYNC,
) -> list[RunRecord]:
    """Newest first, after the run `after`; a portfolio session has all tenants' runs. Raises `UnknownRunError`."""
    if after is None:
        return await queries.recent_runs(session, limit, None, status, kind)
    run = await queries.run_record(session, after)
    if run is None:
        raise UnknownRunError("the run after which the list goes on is not here; begin with the newest")
    return await queries.recent_runs(session, limit, RunPlace(run.queued_at, run.run_id), status, kind)


def newest_runs(recorded: Sequence[RunRecord], queued: Iterable[RunRecord], limit: int) -> list[RunRecord]:
    """Merges both lists; a queued run may have been recorded meanwhile."""
    known = {record.run_id for record in recorded}
    found = [*recorded, *(record for record in queued if record.run_id not in known)]
    return sorted(found, key=lambda record: record.queued_at, reverse=True)[:limit]


async def run_record_in(session: AsyncSession, id_range: IdRange, value: str) -> RunRecord | None:
    """None without a run; raises `UnknownIdError` for several."""
    ids = await recorded_runs.run_ids_between(session, id_range.low, id_range.high, NAMED + 1)
    return await run_record(session, the_one(ids, value, "runs")) if ids else None


def live_record(record: RunRecord, counts: Counts, collections: Mapping[str, CollectionResult]) -> RunRecord:
    reported = {
        key: CollectionRecord(
            outcome=result.outcome or Outcome.INCOMPLETE,
            pages=result.pages,
            items=result.items,
            error_code=result.error_code,
            context=result.context,
        )
        for key, result in collections.items()
    }
    return record.model_copy(update={"counts": counts, "collections": reported or record.collections})


async def find_run(session: AsyncSession, value: str) -> UUID:
    """A run with a whole id need not exist. Raises `UserError`."""
    ids = run_id_range(value)
    if ids.whole:
        return ids.low
    found = await recorded_runs.run_ids_between(session, ids.low, ids.high, NAMED + 1)
    if not found:
        raise UnknownRunError(f"there is no run {value}; python starter.py runs lists them")
    return the_one(found, value, "runs")


async def ended_run(session: AsyncSession, run_id: UUID) -> tuple[RunRecord, datetime]:
    """Raises `UnknownRunError`, also if the run has not ended."""
    run = await run_record(session, run_id)
    if run is None:
        raise UnknownRunError(f"this tenant has no run {run_id}; python starter.py runs TENANT lists them")
    if run.finished_at is None:
        raise UnknownRunError(f"run {run_id} has not ended; it stands for the moment when it does")
    return run, run.finished_at


async def moment_of(session: AsyncSession, value: str, zone: tzinfo | None = None) -> datetime:
    """A past time, or a run's end. Raises `UserError`.

    `zone` is the default of a time; None is local time.
    """
    moment = await time_over(session, value, zone)
    if moment is not None:
        return moment
    if id_range(value) is None:
        raise UnknownMomentError(f"{value!r} is neither a run id nor a time; write {TIME_FORMS}")
    _, finished_at = await ended_run(session, await find_run(session, value))
    return finished_at


async def time_over(session: AsyncSession, value: str, zone: tzinfo | None = None) -> datetime | None:
    """The beginning of a TIME; None for another text. Raises `UnknownMomentError` for the future."""
    now = await database_time(session)
    typed = typed_time(value, now, zone)
    if typed is not None and typed.begins > now:
        raise UnknownMomentError(f"{value} is in the future; name a run or a time that is over")
    return None if typed is None else typed.begins
