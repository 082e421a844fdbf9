-- Items that are gone, and items that appeared under the same name: grouped by name, gone items first, the most recently
-- seen first.
-- Variables: run_id uuid, type_keys text[], telling integer
--
-- `type_keys`: the collections that this run has listed to their end.
-- `telling`: the length from which an id is removed from a name.

WITH
-- Items that complete listings do not show.
gone AS MATERIALIZED (
    SELECT type_key, external_id, graph_id, version_number, display_name, last_seen_at, absent_from,
        NULL::timestamptz AS seen_from,
        absent_from = (SELECT started_at FROM sync_run WHERE run_id = :run_id) AS is_of_this_run
    FROM inventory_item
    WHERE type_key = ANY (:type_keys) AND absent_from IS NOT NULL AND version_number > 0
        AND last_seen_at < (SELECT started_at FROM sync_run WHERE run_id = :run_id)
),
-- Items that this run saw first. Also, for absences that this run noticed, items that runs since the last observation
-- saw first: those runs did not list the collection to its end, so they could not know that the old item was gone.
appeared AS (
    SELECT type_key, external_id, graph_id, version_number, display_name, last_seen_at, absent_from,
        NULL::timestamptz, true
    FROM inventory_item
    WHERE type_key = ANY (:type_keys) AND first_seen_run_id = :run_id AND recreates_external_id IS NULL
        AND version_number > 0 AND EXISTS (SELECT FROM gone)
    UNION ALL
    SELECT item.type_key, item.external_id, item.graph_id, item.version_number, item.display_name, item.last_seen_at,
        item.absent_from, run.started_at, false
    FROM item_version AS v CROSS JOIN LATERAL (
        SELECT * FROM inventory_item AS item
        WHERE (item.type_key, item.external_id) = (v.type_key, v.external_id) LIMIT 1
    ) AS item JOIN sync_run AS run ON run.run_id = item.first_seen_run_id
    WHERE v.first_observed_at > (SELECT min(last_seen_at) FROM gone WHERE is_of_this_run) AND v.version_number = 1
        AND v.type_key = ANY (:type_keys) AND item.first_seen_run_id <> :run_id
        AND item.recreates_external_id IS NULL AND item.absent_from IS NULL
),
-- Names are compared without the item's own id, as in the likeness.
named AS (
    SELECT *, CASE
        WHEN length(external_id) < :telling THEN display_name
        ELSE replace(display_name, coalesce(graph_id, external_id), '')
    END AS name
    FROM (SELECT *, true AS is_gone FROM gone UNION ALL SELECT *, false FROM appeared) AS both_of_them
),
-- One sort brings namesakes together. A join would scan a collection again for every new item, because the planner's
-- statistics do not know a run under way. If nothing is gone, nothing is sorted.
namesakes AS (
    SELECT *, bool_or(is_gone) OVER of_a_name AND NOT bool_and(is_gone) OVER of_a_name AS are_both
    FROM named WINDOW of_a_name AS (PARTITION BY type_key, name)
)
SELECT type_key, name, external_id, version_number, v.content_hash, is_gone, last_seen_at, absent_from, seen_from,
    is_of_this_run
FROM namesakes CROSS JOIN LATERAL (
    SELECT content_hash FROM item_version AS version
    WHERE (version.type_key, version.external_id, version.version_number)
        = (namesakes.type_key, namesakes.external_id, namesakes.version_number) LIMIT 1
) AS v
WHERE are_both
ORDER BY type_key, name, is_gone DESC, last_seen_at DESC;
