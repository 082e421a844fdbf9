"""Makes, finds and drops baselines."""

import re
from datetime import datetime
from shlex import quote
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from answers.drift import baseline_queries
from answers.drift.baseline_queries import NewBaseline, set_baseline
from answers.drift.records import BaselineRecord
from answers.drift.rules import BaselineKind
from answers.times import utc_text
from inventory.coverage import TENANT_NEVER_READ
from inventory.outcomes import COMPLETED_STATUSES
from inventory.user_errors import NeverReadError, NotHereError, UserError
from storage import queries
from storage.coverage import is_read
from storage.documents import database_time

LONGEST_NAME = 100

NO_BASELINE = "this tenant has no baseline; make one called golden: python starter.py baseline set TENANT golden"

_NO_NAME = re.compile(r"[^A-Za-z0-9._-]+")


class UnknownBaselineError(NotHereError):
    """The tenant has no baseline, or none of this name."""


class NoBaselineError(UserError):
    """The run, time or tenant cannot be a baseline."""


async def set_run(session: AsyncSession, name: str, run_id: UUID, set_by: str, reason: str | None) -> BaselineRecord:
    """Makes a run's coverage at its end a baseline. Raises `NoBaselineError` or `NeverReadError`."""
    run = await queries.run_record(session, run_id)
    if run is None:
        raise NoBaselineError(f"this tenant has no run {run_id}; python starter.py runs TENANT lists them")
    if run.finished_at is None:
        raise NoBaselineError(f"run {run_id} has not ended; a baseline is of the moment when a run ended")
    if run.status not in COMPLETED_STATUSES or run.started_at is None:
        raise NoBaselineError(f"run {run_id} was {run.status}, so it tells nothing; name one that ran to its end")
    return await _set(session, NewBaseline(name, BaselineKind.RUN, run.finished_at, run_id, None, set_by, reason))


async def set_moment(
    session: AsyncSession, name: str, at: datetime | None, set_by: str, reason: str | None
) -> BaselineRecord:
    """Makes the inventory at a moment (None: now) a baseline. Raises `NoBaselineError` or `NeverReadError`."""
    now = await database_time(session)
    if at is not None and at > now:
        raise NoBaselineError("a baseline cannot be of a moment in the future")
    return await _set(session, NewBaseline(name, BaselineKind.MOMENT, at or now, None, None, set_by, reason))


async def set_tenant(
    session: AsyncSession, name: str, tenant_id: UUID, other: UUID, set_by: str, reason: str | None
) -> BaselineRecord:
    """Makes another tenant's inventory, as it is at each evaluation, a baseline. Raises `NoBaselineError` or
    `NeverReadError`.
    """
    if other == tenant_id:
        raise NoBaselineError("a tenant does not deviate from itself; name another one")
    now = await database_time(session)
    await _refuse_unread(session)
    await set_baseline(session, NewBaseline(name, BaselineKind.TENANT, now, None, other, set_by, reason))
    (record,) = await baseline_queries.baselines(session, name)
    return record


async def golden_baseline(
    session: AsyncSession, tenant_id: UUID, other: UUID, other_name: str, set_by: str
) -> BaselineRecord:
    """The baseline that is the other tenant's inventory; set under that tenant's name if missing. Raises
    `NoBaselineError` or `NeverReadError`.
    """
    known = await baseline_queries.baselines(session)
    for baseline in known:
        if baseline.other_tenant_id == other:
            return baseline
    name = _NO_NAME.sub("-", other_name)[:LONGEST_NAME]
    if any(baseline.name == name for baseline in known):
        another = f"{name[: LONGEST_NAME - 2]}-2"
        raise NoBaselineError(
            f"this tenant's baseline {name} is not the inventory of {other_name}; make one of another name:"
            f" python starter.py baseline set TENANT {another} --tenant {quote(other_name)}"
        )
    return await set_tenant(session, name, tenant_id, other, set_by, None)


async def _set(session: AsyncSession, new: NewBaseline) -> BaselineRecord:
    await _refuse_unread(session)
    await set_baseline(session, new)
    (record,) = await baseline_queries.baselines(session, new.name)
    if not record.covered and not record.not_covered:
        raise NoBaselineError(f"no run of this tenant had completed by {utc_text(new.at)}; name a later time")
    return record


async def _refuse_unread(session: AsyncSession) -> None:
    if not await is_read(session):
        raise NeverReadError(f"{TENANT_NEVER_READ}, so it has nothing to measure")


async def baselines(session: AsyncSession) -> list[BaselineRecord]:
    return await baseline_queries.baselines(session)


async def baseline_called(session: AsyncSession, name: str) -> BaselineRecord:
    """Raises `UnknownBaselineError`."""
    found = await baseline_queries.baselines(session, name)
    if not found:
        raise _unknown(name)
    return found[0]


async def drop_baseline(session: AsyncSession, name: str) -> None:
    """Also removes the baseline's pins and findings. Raises `UnknownBaselineError`."""
    if not await baseline_queries.drop_baseline(session, name):
        raise _unknown(name)


def _unknown(name: str) -> UnknownBaselineError:
    return UnknownBaselineError(
        f"this tenant has no baseline {name!r}; python starter.py baseline list TENANT shows what it has"
    )
