"""Forgetting runs: those of which nothing that can be asked depends on their record."""

from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from storage.completed_runs import completed
from storage.sql import statement

_FORGET_RUNS = statement("forget_runs", completed=completed())


async def forget_runs(session: AsyncSession, *, older_than: timedelta, most: int) -> int:
    """Forgets up to `most` runs that ended longer ago than `older_than`, the oldest first; how many.

    No answer about the inventory changes, of today or of any moment: the latest runs stay, and each run that found
    something else than the one before it. What was presumed to have been there may be sure, since of the runs that have
    seen it the one that saw it first is nearer.
    """
    count: int = (await session.execute(_FORGET_RUNS, {"older_than": older_than, "most": most})).scalar_one()
    return count
