-- Deletes run records that no answer depends on, the oldest first, and counts them.
-- Variables: older_than interval, most integer
-- Parts: completed
--
-- Answers about a moment depend, for each collection, on the latest run by then that read it, and on the latest that
-- listed it to its end (items_then.sql).

WITH
-- A run that never had a slot tells nothing, nor does a cancelled one that saw nothing new.
completed AS MATERIALIZED (
    SELECT run_id, selection_hash, started_at, finished_at, missing FROM sync_run
    WHERE :completed
),
-- A run may go if the run before it found the same in each of its collections, with as many missing items: then that run
-- answers for the moments of both. Runs that read one collection at the same time stay, since either may end last.
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
-- If a GET by id did not find an item, the listings before and after it show when the item was last seen.
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
-- The runs that stay. Only the run that noticed an absence or a return tells of it. A run that did not list a collection
-- to its end may have seen an item that turns out later to be re-created (storage/recreated_items.py). Baselines name
-- their runs, and the latest completed run of each selection decides what is missing.
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
-- A run under way will come between two that have ended, so runs that began after it stay.
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
SELECT count(*) FROM forgotten;
