-- A page of what runs noticed in each tenant: new versions, absences, re-created items and items that came back.
-- Variables: since timestamptz, until timestamptz, type_keys text[], left_out text[], run_id uuid, tenant_ids uuid[],
--   after_at timestamptz, after_tenant_id uuid, after_type_key text, after_external_id text, after_kind text, limit integer
-- Parts: order, beyond
--
-- Each of the four reads scans its own index from the end of the page before, and stops after the moment that fills a page.
-- For this the planner has to know the variables: out of a CTE it expects a handful of rows, and sorts all that there are.
-- `tenant_ids`: null in a session that is bound to one tenant.
-- `after_…`: the last event of the page before, or an end of the window; `order` is ASC and `beyond` >, or DESC and <.

SELECT events.* FROM unnest(coalesce(CAST(:tenant_ids AS uuid[]), ARRAY[current_tenant()])) AS tenant (tenant_id)
CROSS JOIN LATERAL (
    -- New versions. The first version of an item of the collection's first complete listing is no event: nothing could be
    -- compared before. Nor is the first version of a re-created item that an absence names: the third read has it.
    (
        SELECT v.tenant_id, v.first_observed_at AS at, v.type_key, v.external_id, 'version' AS kind,
            v.first_observed_run_id AS run_id, v.version_number
        FROM item_version AS v
        WHERE v.tenant_id = tenant.tenant_id
            AND v.first_observed_at > :since AND v.first_observed_at <= :until AND v.first_observed_at :beyond= :after_at
            AND (v.first_observed_at, tenant.tenant_id, v.type_key, v.external_id, 'version')
                :beyond (:after_at, coalesce(CAST(:after_tenant_id AS uuid), current_tenant()), :after_type_key,
                    :after_external_id, CAST(:after_kind AS text))
            AND (CAST(:type_keys AS text[]) IS NULL OR v.type_key = ANY (:type_keys))
            AND v.type_key <> ALL (:left_out)
            AND (CAST(:run_id AS uuid) IS NULL OR v.first_observed_run_id = :run_id)
            AND (v.version_number > 1 OR (
                SELECT item.first_seen_at > coverage.first_listed_at
                FROM inventory_item AS item JOIN collection_coverage AS coverage USING (tenant_id, type_key)
                WHERE (item.tenant_id, item.type_key, item.external_id) = (v.tenant_id, v.type_key, v.external_id)
            ) AND NOT EXISTS (
                SELECT FROM item_absence AS a
                WHERE (a.tenant_id, a.type_key, a.recreated_as) = (v.tenant_id, v.type_key, v.external_id)
            ))
        ORDER BY v.first_observed_at :order, v.type_key :order, v.external_id :order LIMIT :limit
    )
    UNION ALL
    -- Absences. The absence of a re-created item is no event, whether this run or a later one saw the new item first.
    (
        SELECT a.tenant_id, a.noticed_at, a.type_key, a.external_id, 'absent', a.run_id, 0
        FROM item_absence AS a
        WHERE a.tenant_id = tenant.tenant_id
            AND a.noticed_at > :since AND a.noticed_at <= :until AND a.noticed_at :beyond= :after_at
            AND (a.noticed_at, tenant.tenant_id, a.type_key, a.external_id, 'absent')
                :beyond (:after_at, coalesce(CAST(:after_tenant_id AS uuid), current_tenant()), :after_type_key,
                    :after_external_id, CAST(:after_kind AS text))
            AND (CAST(:type_keys AS text[]) IS NULL OR a.type_key = ANY (:type_keys))
            AND a.type_key <> ALL (:left_out)
            AND (CAST(:run_id AS uuid) IS NULL OR a.run_id = :run_id)
            AND NOT EXISTS (
                SELECT FROM inventory_item AS item
                WHERE (item.tenant_id, item.type_key, item.recreates_external_id, item.first_seen_run_id)
                    = (a.tenant_id, a.type_key, a.external_id, a.run_id)
            )
            AND NOT EXISTS (
                SELECT FROM item_version AS v
                WHERE (v.tenant_id, v.type_key, v.external_id, v.version_number) = (a.tenant_id, a.type_key, a.recreated_as, 1)
            )
        ORDER BY a.noticed_at :order, a.type_key :order, a.external_id :order LIMIT :limit
    )
    UNION ALL
    -- Items that were re-created before their old item was known to be gone: the run that noticed its absence has them.
    (
        SELECT a.tenant_id, a.noticed_at, a.type_key, a.recreated_as, 'version', a.run_id, 1
        FROM item_absence AS a
        WHERE a.tenant_id = tenant.tenant_id AND a.recreated_as IS NOT NULL
            AND a.noticed_at > :since AND a.noticed_at <= :until AND a.noticed_at :beyond= :after_at
            AND (a.noticed_at, tenant.tenant_id, a.type_key, a.recreated_as, 'version')
                :beyond (:after_at, coalesce(CAST(:after_tenant_id AS uuid), current_tenant()), :after_type_key,
                    :after_external_id, CAST(:after_kind AS text))
            AND (CAST(:type_keys AS text[]) IS NULL OR a.type_key = ANY (:type_keys))
            AND a.type_key <> ALL (:left_out)
            AND (CAST(:run_id AS uuid) IS NULL OR a.run_id = :run_id)
            AND EXISTS (
                SELECT FROM item_version AS v
                WHERE (v.tenant_id, v.type_key, v.external_id, v.version_number) = (a.tenant_id, a.type_key, a.recreated_as, 1)
            )
        ORDER BY a.noticed_at :order, a.type_key :order, a.recreated_as :order LIMIT :limit
    )
    UNION ALL
    -- Items that came back.
    (
        SELECT a.tenant_id, a.came_back_at, a.type_key, a.external_id, 'returned', a.came_back_run_id, 0
        FROM item_absence AS a
        WHERE a.tenant_id = tenant.tenant_id
            AND a.came_back_at > :since AND a.came_back_at <= :until AND a.came_back_at :beyond= :after_at
            AND (a.came_back_at, tenant.tenant_id, a.type_key, a.external_id, 'returned')
                :beyond (:after_at, coalesce(CAST(:after_tenant_id AS uuid), current_tenant()), :after_type_key,
                    :after_external_id, CAST(:after_kind AS text))
            AND (CAST(:type_keys AS text[]) IS NULL OR a.type_key = ANY (:type_keys))
            AND a.type_key <> ALL (:left_out)
            AND (CAST(:run_id AS uuid) IS NULL OR a.came_back_run_id = :run_id)
        ORDER BY a.came_back_at :order, a.type_key :order, a.external_id :order LIMIT :limit
    )
) AS events
ORDER BY at :order, tenant_id :order, type_key :order, external_id :order, kind :order LIMIT :limit;
