-- The items that were there at a moment, each with its version of that moment.
-- Variables: at timestamptz, type_keys text[]
-- Parts: completed, since_of_version

WITH
-- The latest complete listing of each collection by the moment. An item that it does not show, and that no run has seen
-- since, was gone. If a run saw the item after the moment, its absences tell whether that listing showed it.
listed AS MATERIALIZED (
    SELECT DISTINCT ON (c.type_key) c.type_key, r.run_id, r.started_at, r.finished_at, r.missing
    FROM sync_run_collection AS c JOIN sync_run AS r USING (tenant_id, run_id)
    WHERE :completed AND r.finished_at <= :at AND c.outcome = 'complete'
    ORDER BY c.type_key, r.started_at DESC
),
-- Runs that counted more missing items than absences record: absences were not recorded yet, or the run counted
-- collections that it had not listed. For these runs only versions and a GET by id show when an item was seen.
doubtful AS MATERIALIZED (
    SELECT run_id FROM (SELECT DISTINCT run_id, started_at, finished_at, missing FROM listed WHERE missing > 0) AS r
    WHERE missing > (
        SELECT count(*) FROM item_absence AS absence JOIN sync_run_collection AS c USING (tenant_id, type_key)
        WHERE c.run_id = r.run_id AND c.outcome = 'complete' AND absence.last_seen_at < r.started_at
            AND absence.noticed_at <= r.finished_at AND coalesce(absence.came_back_at > r.finished_at, true)
    )
),
-- Each item that a run had seen by the moment, with its version of the moment, and the last time by the moment at which
-- it certainly existed.
item_then AS (
    SELECT item.type_key, item.external_id, v.version_number, v.content_hash, v.details_complete,
        coalesce(v.display_name, item.display_name) AS display_name, item.meta,
        v.version_number = item.version_number OR v.last_observed_at >= :at OR following = v.version_number + 1
            AS is_known,
        v.version_number IS NULL AND (item.version_number = 0 OR following = 1) AS is_unread,
        CASE WHEN v.version_number = item.version_number AND item.stale_since <= :at THEN item.stale_since
            ELSE :since_of_version END AS stale_since,
        CASE WHEN v.version_number = item.version_number AND item.stale_since <= :at THEN item.stale_parts
            WHEN v.version_number < item.version_number THEN v.stale_parts END AS stale_parts,
        listed.run_id, listed.started_at, item.last_seen_at, item.missing_confirmed_at,
        EXISTS (
            SELECT FROM item_absence AS absence
            WHERE (absence.type_key, absence.external_id) = (item.type_key, item.external_id)
                AND absence.absent_from <= listed.started_at AND coalesce(absence.came_back_at > :at, true)
        ) AS is_absent,
        CASE WHEN item.last_seen_at <= :at THEN item.last_seen_at
            ELSE greatest(item.first_seen_at, v.first_observed_at, v.seen_by_then)
        END AS known_seen_at
    FROM inventory_item AS item
    LEFT JOIN listed USING (type_key)
    LEFT JOIN LATERAL (
        SELECT version_number, content_hash, display_name, details_complete, first_observed_at,
            CASE WHEN last_observed_at <= :at THEN last_observed_at END AS seen_by_then, last_observed_at, stale_parts
        FROM item_version
        WHERE (type_key, external_id) = (item.type_key, item.external_id) AND first_observed_at <= :at
        ORDER BY version_number DESC LIMIT 1
    ) AS v ON true
    LEFT JOIN LATERAL (
        SELECT min(version_number) AS following FROM item_version
        WHERE (type_key, external_id) = (item.type_key, item.external_id) AND first_observed_at > :at
    ) AS later ON true
    WHERE item.first_seen_at <= :at
        AND (CAST(:type_keys AS text[]) IS NULL OR item.type_key = ANY (CAST(:type_keys AS text[])))
)

-- The items that were there, and how well that and their version are known.
-- `is_forgotten`: retention deleted the version. `is_presumed`: runs saw the item before and after, and no record says
-- whether it was there at the moment.
SELECT type_key, external_id, display_name, meta, version_number, content_hash, details_complete,
    CASE WHEN stale_parts IS NOT NULL THEN stale_since END AS stale_since, stale_parts,
    is_known IS TRUE AS is_known, is_known IS NOT TRUE AND NOT is_unread AS is_forgotten,
    coalesce(last_seen_at > :at AND known_seen_at < started_at, false)
        AND run_id IN (SELECT run_id FROM doubtful) AS is_presumed
FROM item_then
WHERE started_at IS NULL OR known_seen_at >= started_at OR last_seen_at > :at AND NOT is_absent AND (
    missing_confirmed_at IS NULL OR missing_confirmed_at > :at OR missing_confirmed_at < known_seen_at
);
