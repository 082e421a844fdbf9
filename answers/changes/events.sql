-- A page of what runs noticed: new versions, absences, re-created items and items that came back, oldest first.
-- Variables: since timestamptz, until timestamptz, type_keys text[], left_out text[], run_id uuid,
--   after_at timestamptz, after_type_key text, after_external_id text, after_kind text, limit integer
--
-- Each of the four reads scans its own index from the end of the page before, and stops after a page.
-- `after_…`: the last event of the page before, or `since` and empty texts.

WITH
-- The parameters, each with its type once.
wanted AS (
    SELECT CAST(:since AS timestamptz) AS since, CAST(:until AS timestamptz) AS until,
        CAST(:type_keys AS text[]) AS type_keys, CAST(:left_out AS text[]) AS left_out, CAST(:run_id AS uuid) AS run_id,
        CAST(:after_at AS timestamptz) AS after_at, CAST(:after_type_key AS text) AS after_type_key,
        CAST(:after_external_id AS text) AS after_external_id, CAST(:after_kind AS text) AS after_kind
)
SELECT * FROM (
    -- New versions. The first version of an item of the collection's first complete listing is no event: nothing could be
    -- compared before. Nor is the first version of a re-created item that an absence names: the third read has it.
    (
        SELECT v.first_observed_at AS at, v.type_key, v.external_id, 'version' AS kind,
            v.first_observed_run_id AS run_id, v.version_number
        FROM item_version AS v, wanted
        WHERE v.first_observed_at > :since AND v.first_observed_at <= :until AND v.first_observed_at >= :after_at
            AND (v.first_observed_at, v.type_key, v.external_id, 'version')
                > (after_at, after_type_key, after_external_id, after_kind)
            AND (wanted.type_keys IS NULL OR v.type_key = ANY (wanted.type_keys))
            AND v.type_key <> ALL (wanted.left_out)
            AND (wanted.run_id IS NULL OR v.first_observed_run_id = wanted.run_id)
            AND (v.version_number > 1 OR (
                SELECT item.first_seen_at > coverage.first_listed_at
                FROM inventory_item AS item JOIN collection_coverage AS coverage USING (tenant_id, type_key)
                WHERE (item.type_key, item.external_id) = (v.type_key, v.external_id)
            ) AND NOT EXISTS (
                SELECT FROM item_absence AS a WHERE (a.type_key, a.recreated_as) = (v.type_key, v.external_id)
            ))
        ORDER BY v.first_observed_at, v.type_key, v.external_id LIMIT :limit
    )
    UNION ALL
    -- Absences. The absence of a re-created item is no event, whether this run or a later one saw the new item first.
    (
        SELECT a.noticed_at, a.type_key, a.external_id, 'absent', a.run_id, 0
        FROM item_absence AS a, wanted
        WHERE a.noticed_at > :since AND a.noticed_at <= :until AND a.noticed_at >= :after_at
            AND (a.noticed_at, a.type_key, a.external_id, 'absent')
                > (after_at, after_type_key, after_external_id, after_kind)
            AND (wanted.type_keys IS NULL OR a.type_key = ANY (wanted.type_keys))
            AND a.type_key <> ALL (wanted.left_out)
            AND (wanted.run_id IS NULL OR a.run_id = wanted.run_id)
            AND NOT EXISTS (
                SELECT FROM inventory_item AS item
                WHERE (item.type_key, item.recreates_external_id, item.first_seen_run_id)
                    = (a.type_key, a.external_id, a.run_id)
            )
            AND NOT EXISTS (
                SELECT FROM item_version AS v
                WHERE (v.type_key, v.external_id, v.version_number) = (a.type_key, a.recreated_as, 1)
            )
        ORDER BY a.noticed_at, a.type_key, a.external_id LIMIT :limit
    )
    UNION ALL
    -- Items that were re-created before their old item was known to be gone: the run that noticed its absence has them.
    (
        SELECT a.noticed_at, a.type_key, a.recreated_as, 'version', a.run_id, 1
        FROM item_absence AS a, wanted
        WHERE a.recreated_as IS NOT NULL
            AND a.noticed_at > :since AND a.noticed_at <= :until AND a.noticed_at >= :after_at
            AND (a.noticed_at, a.type_key, a.recreated_as, 'version')
                > (after_at, after_type_key, after_external_id, after_kind)
            AND (wanted.type_keys IS NULL OR a.type_key = ANY (wanted.type_keys))
            AND a.type_key <> ALL (wanted.left_out)
            AND (wanted.run_id IS NULL OR a.run_id = wanted.run_id)
            AND EXISTS (
                SELECT FROM item_version AS v
                WHERE (v.type_key, v.external_id, v.version_number) = (a.type_key, a.recreated_as, 1)
            )
        ORDER BY a.noticed_at, a.type_key, a.recreated_as LIMIT :limit
    )
    UNION ALL
    -- Items that came back.
    (
        SELECT a.came_back_at, a.type_key, a.external_id, 'returned', a.came_back_run_id, 0
        FROM item_absence AS a, wanted
        WHERE a.came_back_at > :since AND a.came_back_at <= :until AND a.came_back_at >= :after_at
            AND (a.came_back_at, a.type_key, a.external_id, 'returned')
                > (after_at, after_type_key, after_external_id, after_kind)
            AND (wanted.type_keys IS NULL OR a.type_key = ANY (wanted.type_keys))
            AND a.type_key <> ALL (wanted.left_out)
            AND (wanted.run_id IS NULL OR a.came_back_run_id = wanted.run_id)
        ORDER BY a.came_back_at, a.type_key, a.external_id LIMIT :limit
    )
) AS events
ORDER BY at, type_key, external_id, kind LIMIT :limit;
