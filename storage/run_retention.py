"""Retention of runs and promotion plans."""

from datetime import timedelta

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from storage.completed_runs import completed
from storage.sql import statement

_FORGET_RUNS = statement("forget_runs", completed=completed())

_FORGET_PLANS = text("""
DELETE FROM promotion_plan AS plan
WHERE expires_at < clock_timestamp() - CAST(:older_than AS interval)
    AND NOT EXISTS (SELECT FROM promotion_decision AS d WHERE (d.tenant_id, d.plan_id) = (plan.tenant_id, plan.plan_id))
""")


async def forget_plans(session: AsyncSession, *, older_than: timedelta) -> int:
    """Deletes plans that expired longer ago than `older_than` without a decision; returns their number."""
    done = await session.execute(_FORGET_PLANS, {"older_than": older_than})
    return int(done.rowcount)  # type: ignore[attr-defined]


async def forget_runs(session: AsyncSession, *, older_than: timedelta, most: int) -> int:
    """Deletes up to `most` runs that ended longer ago than `older_than`, oldest first; returns their number.

    Keeps runs on which answers depend; only a presumed presence may become certain.
    """
    count: int = (await session.execute(_FORGET_RUNS, {"older_than": older_than, "most": most})).scalar_one()
    return count
