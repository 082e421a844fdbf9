-- Items that may deviate from a baseline: missing, added, or with another document, by type key and id.
-- Variables: baseline text, pinned_by text, type_keys text[]
-- Parts: body
--
-- Rows are looked up one by one (LATERAL … LIMIT), since the planner underestimates how many candidates there are.

WITH
-- One pass over the items finds the possible deviations by the numbers of their versions. An item whose list shows
-- something new, but whose details could not be read since, is left out: its findings stay as they are.
moved AS MATERIALIZED (
    SELECT item.type_key, item.external_id, pin.version_number AS pinned_version, item.display_name, item.meta,
        item.version_number AS version, item.content_hash AS hash_now, item.absent_from, item.last_seen_at,
        CASE WHEN pin.version_number IS NULL THEN item.first_seen_at ELSE item.content_changed_at END AS since
    FROM inventory_item AS item LEFT JOIN item_version_pin AS pin
        ON pin.pinned_by = :pinned_by AND (pin.type_key, pin.external_id) = (item.type_key, item.external_id)
    WHERE item.type_key = ANY (:type_keys) AND CASE
        WHEN pin.version_number IS NULL THEN item.absent_from IS NULL
        WHEN item.absent_from IS NOT NULL THEN true
        ELSE pin.version_number <> item.version_number AND item.content_observed_at IS NULL
    END
),
-- Hashes decide which of them deviate, so only documents that differ are read. A missing or added item for which the
-- baseline has a gap is left out, because the baseline cannot tell whether it deviates.
candidate AS (
    SELECT moved.*, pinned.content_hash AS hash_before, pinned.details_complete AS whole_before,
        pinned.display_name AS name_before
    FROM moved LEFT JOIN LATERAL (
        SELECT * FROM item_version AS one
        WHERE (one.type_key, one.external_id, one.version_number)
            = (moved.type_key, moved.external_id, moved.pinned_version) LIMIT 1
    ) AS pinned ON true
    WHERE CASE
        WHEN pinned_version IS NULL OR absent_from IS NOT NULL THEN NOT EXISTS (
            SELECT FROM baseline_gap AS gap WHERE (gap.baseline, gap.type_key, gap.external_id)
                = (:baseline, moved.type_key, moved.external_id)
        )
        ELSE hash_now <> pinned.content_hash
    END
)
-- `whole_…` and `sorted_…`: whether the version has all details, and whether its document is of normal form 0.
-- An absent item has only the document of the baseline; its last observation is the listing that omits it.
SELECT c.type_key, c.external_id, coalesce(c.display_name, c.name_before) AS display_name, c.meta,
    coalesce(c.pinned_version, 0) AS pinned_version, c.version, c.absent_from IS NOT NULL AS is_absent, c.whole_before,
    now.details_complete AS whole_now, coalesce(c.absent_from, c.since) AS since, came_back.at AS came_back_at,
    CASE WHEN c.absent_from IS NULL THEN c.last_seen_at ELSE coverage.listed_from END AS last_seen_at,
    CASE WHEN c.absent_from IS NULL THEN 'observed' ELSE coalesce(absence.evidence, 'not_listed') END AS evidence,
    before.body AS body_before, before.body_hash AS hash_before,
    before.is_sorted AS sorted_before, d.is_sorted AS sorted_now,
    CASE WHEN c.absent_from IS NULL THEN d.body END AS body_now, d.body_hash AS hash_now
FROM candidate AS c JOIN collection_coverage AS coverage USING (type_key)
LEFT JOIN LATERAL (
    SELECT * FROM item_version AS one
    WHERE (one.type_key, one.external_id, one.version_number) = (c.type_key, c.external_id, c.version) LIMIT 1
) AS now ON true
LEFT JOIN LATERAL (SELECT :body FROM document AS one WHERE one.content_hash = c.hash_before LIMIT 1) AS before ON true
LEFT JOIN LATERAL (SELECT :body FROM document AS one WHERE one.content_hash = now.content_hash LIMIT 1) AS d ON true
LEFT JOIN LATERAL (
    SELECT evidence FROM item_absence AS one
    WHERE (one.type_key, one.external_id, one.absent_from) = (c.type_key, c.external_id, c.absent_from) LIMIT 1
) AS absence ON true
LEFT JOIN LATERAL (
    SELECT max(came_back_at) AS at FROM item_absence AS one
    WHERE (one.type_key, one.external_id) = (c.type_key, c.external_id)
) AS came_back ON true
ORDER BY c.type_key, c.external_id;
