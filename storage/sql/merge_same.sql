-- Updates the last-seen columns of items whose objects are the same, byte for byte, as when they were last read.
-- Variables: run_id uuid, fetch_tokens uuid[], restarted text[], named integer
-- Parts: settled, by_place
--
-- `restarted`: collections whose listing began anew in this run; an item that comes again there is no repetition.
-- `named`: how many repeated ids are named.
-- `settled`: whether a listing of the same bytes changes only the item's last-seen columns.
-- `by_place`: holds always, and makes the planner take rows by their place.
-- Other objects of the waves are left to the merge: here they are only locked, and their repetitions counted.

WITH
-- The concatenation loads a page's digests once: otherwise `substr` would read them all for each item.
page AS MATERIALIZED (
    SELECT type_key, same_ids, same_digests || ''::bytea AS same_digests, staged_at FROM staged_observation
    WHERE run_id = :run_id AND fetch_token = ANY (:fetch_tokens) AND same_items IS NOT NULL
),

told AS MATERIALIZED (
    SELECT type_key, external_id, substr(same_digests, place::int * 16 - 15, 16) AS digest, staged_at
    FROM page CROSS JOIN LATERAL unnest(string_to_array(same_ids, E'\x1f')) WITH ORDINALITY AS same (external_id, place)
    UNION ALL
    SELECT type_key, external_id, NULL, staged_at FROM staged_observation
    WHERE run_id = :run_id AND fetch_token = ANY (:fetch_tokens) AND body_hash IS NOT NULL
),

-- If several pages hold an item, the latest counts.
latest AS MATERIALIZED (
    SELECT DISTINCT ON (type_key, external_id) type_key, external_id, digest, staged_at,
        count(*) OVER of_item AS times, count(digest) OVER of_item AS same_times
    FROM told WINDOW of_item AS (PARTITION BY type_key, external_id)
    ORDER BY type_key, external_id, staged_at DESC
),

-- All rows are locked in key order, those of the merge that follows too, so merges of one tenant never deadlock.
before AS MATERIALIZED (
    SELECT latest.*, item.place, item.last_seen_at, item.last_seen_run_id,
        item.raw_digest = latest.digest AND item.is_settled AS is_same
    FROM latest CROSS JOIN LATERAL (
        SELECT one.ctid AS place, one.last_seen_at, one.last_seen_run_id, one.raw_digest, :settled AS is_settled
        FROM inventory_item AS one
        WHERE (one.type_key, one.external_id) = (latest.type_key, latest.external_id) LIMIT 1
        FOR NO KEY UPDATE
    ) AS item
),

moved AS (
    UPDATE inventory_item AS item
    SET last_seen_at = before.staged_at, last_seen_run_id = :run_id, raw_digest_at = before.staged_at
    FROM before
    WHERE item.ctid = before.place AND before.:by_place AND before.is_same AND before.last_seen_at < before.staged_at
    RETURNING item.type_key
),

repeated AS (
    SELECT type_key, external_id, type_key = ANY (:restarted) AS is_reread,
        CASE
            WHEN digest IS NULL THEN same_times
            ELSE times - 1 + coalesce(last_seen_run_id = :run_id, false)::int
        END AS times
    FROM latest LEFT JOIN before USING (type_key, external_id, digest, staged_at, times, same_times)
    WHERE times > 1 OR digest IS NOT NULL AND last_seen_run_id = :run_id
)

-- `lost`: objects that are no longer the same, without items that were seen since.
-- `outdated`: items with other staged rows, older than the one that is the same.
SELECT
    (SELECT coalesce(sum(CASE WHEN digest IS NULL THEN same_times ELSE times END), 0)::int FROM latest) AS staged,
    (SELECT count(*) FROM latest WHERE digest IS NOT NULL)
        - (SELECT count(*) FROM before WHERE digest IS NOT NULL AND last_seen_at >= staged_at)
        - (SELECT count(*) FROM moved) AS lost,
    ARRAY(
        SELECT jsonb_build_array(type_key, external_id) FROM latest WHERE digest IS NOT NULL AND times > same_times
    ) AS outdated,
    (
        SELECT coalesce(jsonb_object_agg(type_key, times), '{}')
        FROM (SELECT type_key, sum(times) AS times FROM repeated WHERE NOT is_reread AND times > 0 GROUP BY type_key)
            AS by_type
    ) AS duplicates,
    (
        SELECT coalesce(jsonb_object_agg(type_key, times), '{}')
        FROM (SELECT type_key, sum(times) AS times FROM repeated WHERE is_reread AND times > 0 GROUP BY type_key)
            AS by_type
    ) AS reread,
    ARRAY(
        SELECT jsonb_build_array(type_key, external_id) FROM repeated
        WHERE NOT is_reread AND times > 0 ORDER BY type_key, external_id LIMIT :named
    ) AS duplicate_ids;
