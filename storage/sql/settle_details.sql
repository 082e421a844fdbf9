-- Settles items of a run whose details it did not read and no longer reads, and counts them by collection.
-- Variables: run_id uuid, damaged text
-- Parts: which
--
-- `damaged`: the error code of an item whose stored row cannot be read.
-- `which`: of the pending items of the run: at its end all of them, before it those that are gone.

WITH
pending AS (
    DELETE FROM pending_item AS pending WHERE run_id = :run_id AND :which
    RETURNING type_key, external_id, list_document, list_document_size, list_body_hash, failure
),
-- The items that are left, locked in key order, as in merges. An item with a damaged row waits for the next run.
remaining AS MATERIALIZED (
    SELECT item.type_key, item.external_id, item.version_number, item.content_hash, item.display_name,
        item.last_seen_at, list_document, list_document_size, list_body_hash, failure
    FROM (SELECT * FROM pending ORDER BY type_key, external_id) AS pending CROSS JOIN LATERAL (
        SELECT * FROM inventory_item AS item
        WHERE (item.type_key, item.external_id) = (pending.type_key, pending.external_id)
            AND (item.version_number > 0 OR failure ->> 'code' IS DISTINCT FROM CAST(:damaged AS text))
        LIMIT 1 FOR UPDATE
    ) AS item
),
-- An item without a version gets its list document as the first one. An item with a version keeps it, since the list
-- document lacks its details.
unread AS (
    SELECT * FROM remaining WHERE version_number = 0
),
-- The new versions, in three tables.
documents AS (
    INSERT INTO document (content_hash, body, size, body_hash)
    SELECT DISTINCT ON (content_hash) content_hash, list_document, list_document_size, list_body_hash FROM unread
    ORDER BY content_hash
    ON CONFLICT DO NOTHING
),
versions AS (
    INSERT INTO item_version (
        type_key, external_id, version_number, content_hash, display_name, details_complete,
        first_observed_at, first_observed_run_id
    )
    SELECT type_key, external_id, 1, content_hash, display_name, false, last_seen_at, :run_id FROM unread
),
to_read AS (
    INSERT INTO unread_item (type_key, external_id)
    SELECT type_key, external_id FROM unread ORDER BY type_key, external_id
    ON CONFLICT (tenant_id, type_key, external_id) DO UPDATE SET external_id = excluded.external_id
),
-- An item is stale if its list shows something new or the requests for its details failed. The next run asks again.
stale AS (
    UPDATE inventory_item AS item
    SET version_number = greatest(item.version_number, 1),
        details_complete = item.details_complete AND remaining.failure IS NULL,
        stale_since = coalesce(
            item.stale_since, item.content_observed_at, item.details_read_at, item.first_seen_at
        ),
        stale_parts = coalesce(remaining.failure -> 'parts', item.stale_parts, jsonb_build_array(jsonb_strip_nulls(
            jsonb_build_object('error_code', remaining.failure -> 'code', 'http_status', remaining.failure -> 'http_status',
                'read_at', coalesce(item.content_observed_at, item.details_read_at))
        )))
    FROM remaining
    WHERE (item.type_key, item.external_id) = (remaining.type_key, remaining.external_id)
        AND (remaining.failure IS NOT NULL OR item.content_observed_at IS NOT NULL OR NOT item.details_complete)
)
SELECT type_key, count(*) AS items FROM pending GROUP BY type_key;
