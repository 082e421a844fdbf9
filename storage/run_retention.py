"""Forgetting runs: those of which nothing that can be asked depends on their record."""

from datetime import timedelta

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from storage.completed_runs import completed

# What was there at a moment is told by the latest run by then that read a collection, and by the latest that listed it
# to its end (`storage.documents`).
_FORGET_RUNS = text(f"""
-- a run that never had a slot tells nothing, nor does one that was cancelled and saw nothing new
WITH completed AS MATERIALIZED (
    SELECT run_id, selection_hash, started_at, finished_at, missing FROM sync_run
    WHERE {completed()}
),
-- a run goes only where for each of its collections the run before it found the same, with as much missing, so that
-- that one tells the same of each moment of both; a run beside which another one read the same collection stays, since
-- which of the two tells changes while they end
read AS (
    SELECT run_id,
        lag(run_id) OVER of_type IS NULL
        OR (outcome, error_code, missing) IS DISTINCT FROM
            (lag(outcome) OVER of_type, lag(error_code) OVER of_type, lag(missing) OVER of_type)
        OR max(finished_at) OVER (of_type ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) > started_at
        OR lead(started_at) OVER of_type < finished_at
        OR lead(run_id) OVER of_type IS NULL AS is_telling
    FROM sync_run_collection JOIN completed USING (run_id)
    WINDOW of_type AS (PARTITION BY type_key ORDER BY started_at, run_id)
),
-- where a GET by id did not find an item, the listings before and after that tell whether it had been seen since the
-- one and before the other
listed AS (
    SELECT run_id, lead(run_id) OVER later IS NULL OR lag(run_id, 1, run_id) OVER later IS NULL AS is_telling
    FROM (
        SELECT type_key, run_id, finished_at AS at FROM sync_run_collection JOIN completed USING (run_id)
        WHERE outcome = 'complete'
        UNION ALL
        SELECT type_key, NULL, missing_confirmed_at FROM inventory_item WHERE missing_confirmed_at IS NOT NULL
    ) AS listings
    WINDOW later AS (PARTITION BY type_key ORDER BY at, run_id)
),
-- what a run noticed to be gone or to be back is told by it alone; one that could not list a collection to its end may
-- have seen an item that turns out later to have been made again (storage/recreated_items.py)
telling AS MATERIALIZED (
    SELECT run_id FROM read WHERE is_telling
    UNION SELECT run_id FROM listed WHERE is_telling AND run_id IS NOT NULL
    UNION SELECT run_id FROM item_absence
    UNION SELECT came_back_run_id FROM item_absence WHERE came_back_run_id IS NOT NULL
    UNION SELECT run_id FROM sync_run WHERE status IN ('partial', 'failed', 'cancelled') AND created > 0
    UNION SELECT run_id FROM baseline WHERE run_id IS NOT NULL
    UNION SELECT run_id FROM baseline_collection
    UNION (SELECT DISTINCT ON (selection_hash) run_id FROM completed ORDER BY selection_hash, started_at DESC)
),
-- a run that is under way will come between two that have ended, so nothing that began after it is judged
forgotten AS (
    DELETE FROM sync_run WHERE ctid = ANY (ARRAY(
        SELECT ctid FROM sync_run
        WHERE finished_at < clock_timestamp() - CAST(:older_than AS interval)
            AND coalesce(started_at, queued_at) < coalesce(
                (SELECT min(started_at) FROM sync_run WHERE finished_at IS NULL), 'infinity'
            )
            AND run_id NOT IN (SELECT run_id FROM telling)
        ORDER BY queued_at LIMIT :most
    ))
    RETURNING run_id
)
SELECT count(*) FROM forgotten
""")


async def forget_runs(session: AsyncSession, *, older_than: timedelta, most: int) -> int:
    """Forgets up to `most` runs that ended longer ago than `older_than`, the oldest first; how many.

    No answer about the inventory changes, of today or of any moment: the latest runs stay, and each run that found
    something else than the one before it. What was presumed to have been there may be sure, since of the runs that have
    seen it the one that saw it first is nearer.
    """
    count: int = (await session.execute(_FORGET_RUNS, {"older_than": older_than, "most": most})).scalar_one()
    return count
