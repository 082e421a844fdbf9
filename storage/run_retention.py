"""Retention of runs: deletes records that no answer depends on."""

from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from storage.completed_runs import completed
from storage.sql import statement

_FORGET_RUNS = statement("forget_runs", completed=completed())


async def forget_runs(session: AsyncSession, *, older_than: timedelta, most: int) -> int:
    """Deletes up to `most` runs that ended longer ago than `older_than`, the oldest first; returns how many.

    No answer about the inventory changes, of today or of any moment: the latest runs stay, and each run whose result
    differs from that of the run before. A presumed presence may become certain, since the remaining run that saw the
    item first is nearer.
    """
    count: int = (await session.execute(_FORGET_RUNS, {"older_than": older_than, "most": most})).scalar_one()
    return count
