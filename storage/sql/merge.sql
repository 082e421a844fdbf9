-- Merges staged rows into items, versions, documents and references, and returns the changes.
-- Variables: run_id uuid, fetch_tokens uuid[], form smallint, of_details boolean, restarted text[], deep boolean,
--   detail_refresh interval, refresh_keys text[], refresh_periods interval[], refresh_bounds timestamptz[],
--   named integer, shards integer
-- Parts: by_place
--
-- `of_details`: the rows hold the details of items that this run has listed.
-- `form`: the number of the content hashes' normal form.
-- `restarted`: collections whose listing began anew in this run; an item that comes again there is no repetition.
-- `deep`, `detail_refresh`: read all details again, or those older than this.
-- `refresh_keys`: collections with a refresh period of their own. Details read since the bound, if any, are not due.
-- `named`: how many repeated ids are named.
-- `shards`: the number of parts, a power of two, into which the pending items of a collection are divided.
-- `by_place`: holds always, and makes the planner take rows by their place.

WITH
-- If several waves hold an item, the latest row counts. A trigger has normalized the spelling of ids; `graph_id` is
-- Graph's, if it differs.
-- Documents, references and settings are fetched by place when they are written: without them, the rows to sort, join
-- and keep until then are several times smaller.
staged AS MATERIALIZED (
    SELECT DISTINCT ON (type_key, external_id) type_key, external_id, graph_id, display_name, meta, content_hash,
        list_hash, is_whole, stale_parts, rules_hash, staged_at, raw_digest, place,
        count(*) OVER (PARTITION BY type_key, external_id) AS times
    FROM staged_observation
    WHERE run_id = :run_id AND fetch_token = ANY (:fetch_tokens) AND body_hash IS NOT NULL
    ORDER BY type_key, external_id, staged_at DESC
),

-- The planner takes a wave for one row, and would read all rows of a growing table that was small when it was last
-- analysed. So each row is looked up (LATERAL … LIMIT). The same holds below.
-- In a collection's first listing no item's look-up can hit.
with_items AS MATERIALIZED (
    SELECT type_key FROM (SELECT DISTINCT type_key FROM staged) AS listed CROSS JOIN LATERAL (
        SELECT FROM inventory_item AS one WHERE one.type_key = listed.type_key LIMIT 1
    ) AS item
),

-- The items before the update.
before AS MATERIALIZED (
    SELECT item.type_key, item.external_id, item.version_number, item.list_hash, item.details_complete,
        item.details_read_at, item.stale_asks, item.stale_asked_at, item.last_seen_at, item.last_seen_run_id,
        item.content_observed_at, item.content_observed_run_id
    FROM staged JOIN with_items USING (type_key) CROSS JOIN LATERAL (
        SELECT * FROM inventory_item AS one
        WHERE (one.type_key, one.external_id) = (with_items.type_key, staged.external_id) LIMIT 1
    ) AS item
),

-- Rows are locked in key order, so merges of one tenant never deadlock. The newer observation wins: the update is
-- skipped if the item has been seen since.
-- An unchanged item changes only its last-seen columns, so the update stays on the row's page (HOT).
-- `excluded.version_number` is 1 for a whole document, and 0 for the list document of an item with details, which makes
-- no version.
-- With `of_details`, the item keeps the list's name and meta, and the meta gains properties that only details have.
-- A document with `stale_parts` is whole except for them: it has their earlier content, if any.
-- An object with details gets a raw digest when a listing finds its details whole: further listings of the same bytes
-- then change only the last-seen columns.
-- A version is new if it began with this observation, which the returned row shows.
merged AS (
    INSERT INTO inventory_item AS item (
        type_key, external_id, graph_id, display_name, meta, content_hash, list_hash, version_number,
        details_complete, details_read_at, stale_parts, stale_asks, stale_asked_at, form,
        first_seen_at, first_seen_run_id, content_changed_at, last_seen_at, last_seen_run_id, raw_digest, raw_digest_at
    )
    SELECT type_key, external_id, graph_id, display_name, meta, content_hash, list_hash, is_whole::int,
        is_whole AND stale_parts IS NULL,
        CASE WHEN is_whole AND list_hash IS NOT NULL AND stale_parts IS NULL THEN staged_at END, stale_parts,
        (stale_parts IS NOT NULL)::int, CASE WHEN stale_parts IS NOT NULL THEN staged_at END, :form,
        staged_at, :run_id, staged_at, staged_at, :run_id, raw_digest, staged_at
    FROM staged
    ORDER BY type_key, external_id
    ON CONFLICT (tenant_id, type_key, external_id) DO UPDATE SET
        graph_id = excluded.graph_id,
        display_name = CASE
            WHEN :of_details OR excluded.display_name IN (excluded.external_id, excluded.graph_id) THEN item.display_name
            ELSE excluded.display_name
        END,
        meta = CASE
            WHEN item.meta = excluded.meta THEN item.meta
            WHEN :of_details OR excluded.version_number = 0 AND (item.details_complete OR item.stale_asks > 0)
                AND item.list_hash IS NOT DISTINCT FROM excluded.list_hash THEN item.meta || excluded.meta
            ELSE excluded.meta
        END,
        content_hash = CASE
            WHEN excluded.version_number = 1 OR item.version_number = 0 THEN excluded.content_hash
            ELSE item.content_hash
        END,
        form = CASE WHEN excluded.version_number = 1 OR item.version_number = 0 THEN excluded.form ELSE item.form END,
        list_hash = CASE WHEN excluded.version_number = 1 THEN excluded.list_hash ELSE item.list_hash END,
        details_complete = excluded.details_complete OR excluded.version_number = 0
            AND item.details_complete AND item.list_hash IS NOT DISTINCT FROM excluded.list_hash,
        details_read_at = CASE
            WHEN excluded.version_number = 1 AND excluded.stale_parts IS NULL THEN excluded.details_read_at
            ELSE item.details_read_at
        END,
        stale_parts = CASE WHEN excluded.version_number = 1 THEN excluded.stale_parts ELSE item.stale_parts END,
        stale_asks = CASE
            WHEN excluded.version_number = 0 THEN item.stale_asks
            WHEN excluded.stale_parts IS NULL THEN 0
            WHEN item.list_hash IS DISTINCT FROM excluded.list_hash THEN 1
            ELSE least(item.stale_asks + 1, 100)
        END,
        stale_asked_at = CASE
            WHEN excluded.version_number = 0 THEN item.stale_asked_at ELSE excluded.stale_asked_at
        END,
        stale_since = CASE
            WHEN excluded.version_number = 0 THEN item.stale_since
            WHEN excluded.stale_parts IS NOT NULL
                THEN coalesce(item.stale_since, item.content_observed_at, item.details_read_at, item.first_seen_at)
        END,
        content_observed_at = CASE
            WHEN excluded.version_number = 1 THEN NULL
            WHEN (item.details_complete OR item.stale_asks > 0)
                AND item.list_hash IS NOT DISTINCT FROM excluded.list_hash THEN NULL
            ELSE coalesce(item.content_observed_at, item.last_seen_at)
        END,
        content_observed_run_id = CASE
            WHEN excluded.version_number = 1 THEN NULL
            WHEN (item.details_complete OR item.stale_asks > 0)
                AND item.list_hash IS NOT DISTINCT FROM excluded.list_hash THEN NULL
            ELSE coalesce(item.content_observed_run_id, item.last_seen_run_id)
        END,
        version_number = item.version_number + (
            excluded.version_number = 1 AND (item.version_number = 0 OR item.content_hash <> excluded.content_hash)
        )::int,
        content_changed_at = CASE
            WHEN excluded.version_number = 1 AND (item.version_number = 0 OR item.content_hash <> excluded.content_hash)
                THEN excluded.content_changed_at
            ELSE item.content_changed_at
        END,
        absent_from = CASE WHEN item.absent_from > excluded.last_seen_at THEN item.absent_from END,
        last_seen_at = excluded.last_seen_at,
        last_seen_run_id = excluded.last_seen_run_id,
        raw_digest = CASE
            WHEN excluded.version_number = 1
                OR item.details_complete AND item.list_hash IS NOT DISTINCT FROM excluded.list_hash
                THEN excluded.raw_digest
        END,
        raw_digest_at = excluded.raw_digest_at
    WHERE item.last_seen_at < excluded.last_seen_at
    RETURNING type_key, external_id, content_hash, version_number, last_seen_at, display_name, stale_parts,
        first_seen_at = last_seen_at AS is_created,
        version_number > 0 AND content_changed_at = last_seen_at AS is_new_version
),

-- Each item's staged row, earlier state and result.
-- A full join, since PostgreSQL can only hash or merge it: otherwise the planner may compare each row with each other
-- one, which at a thousand rows is most of the merge.
seen AS MATERIALIZED (
    SELECT type_key, external_id,
        staged.place, staged.is_whole, staged.list_hash, staged.times, staged.rules_hash,
        before.details_complete AS complete_before, before.version_number AS version_before,
        before.list_hash AS list_hash_before, before.details_read_at, before.stale_asks, before.stale_asked_at,
        before.last_seen_at AS seen_before_at, before.last_seen_run_id AS seen_before_by,
        before.content_observed_at, before.content_observed_run_id,
        merged.content_hash, merged.version_number, merged.last_seen_at, merged.display_name, merged.is_new_version
    FROM staged FULL JOIN before USING (type_key, external_id) FULL JOIN merged USING (type_key, external_id)
),

-- Documents are immutable, and shared by versions with the same content.
documents AS (
    INSERT INTO document (content_hash, body, size, body_hash)
    SELECT content_hash, document, document_size, body_hash
    FROM (SELECT content_hash, min(place) AS place FROM seen WHERE is_new_version GROUP BY content_hash) AS told
    CROSS JOIN LATERAL (
        SELECT document, document_size, body_hash FROM staged_observation AS one WHERE one.place = told.place LIMIT 1
    ) AS served
    ORDER BY content_hash
    ON CONFLICT (tenant_id, content_hash) DO NOTHING
),

-- A version is incomplete if some of its details have never been read.
versions AS (
    INSERT INTO item_version (
        type_key, external_id, version_number, content_hash, display_name, details_complete, stale_parts,
        first_observed_at, first_observed_run_id
    )
    SELECT type_key, external_id, version_number, content_hash, display_name,
        NOT coalesce(stale_parts @? '$[*] ? (@.read_at == null)', false), stale_parts, last_seen_at, :run_id
    FROM merged
    WHERE is_new_version
),

-- The version before a new one was last observed when its item was; until now only the item's row had that time.
superseded AS (
    UPDATE item_version AS v
    SET last_observed_at = coalesce(seen.content_observed_at, seen.seen_before_at),
        last_observed_run_id = coalesce(seen.content_observed_run_id, seen.seen_before_by)
    FROM seen CROSS JOIN LATERAL (
        SELECT one.ctid AS place FROM item_version AS one
        WHERE (one.type_key, one.external_id, one.version_number)
            = (seen.type_key, seen.external_id, seen.version_number - 1) LIMIT 1
    ) AS old
    WHERE seen.is_new_version AND seen.version_number > 1
        AND v.ctid = old.place AND old.:by_place AND v.last_observed_at IS NULL
),

-- The rules by which references of these collections are read. A transaction that changes the rules waits (FOR SHARE),
-- and then looks for items to read again.
rules AS MATERIALIZED (
    SELECT type_key, rules_hash FROM reference_rules
    WHERE type_key = ANY (ARRAY(SELECT DISTINCT type_key FROM staged WHERE rules_hash IS NOT NULL))
    FOR SHARE
),

-- New versions, and whether their references have been read: with the observation, by the rules in force. Only first
-- versions count: no reader can hold the item, which has no earlier references.
new AS MATERIALIZED (
    SELECT type_key, external_id, version_number, place,
        version_number = 1 AND coalesce(
            (type_key, rules_hash) IN (SELECT type_key, rules_hash FROM rules), false
        ) AS is_read
    FROM seen WHERE is_new_version
),

referring AS (
    INSERT INTO item_reference (
        type_key, external_id, position, version_number, path, role, target_type_keys, target_id, intent, policy_set_id
    )
    SELECT type_key, external_id, position, version_number, path, role, target_type_keys, target_id,
        coalesce(intent, ''), coalesce(policy_set_id, '')
    FROM new CROSS JOIN LATERAL (
        SELECT read_references FROM staged_observation AS one WHERE one.place = new.place LIMIT 1
    ) AS told CROSS JOIN LATERAL json_to_recordset(read_references) AS one (
        position int, path text, role text, target_type_keys text[], target_id text, intent text, policy_set_id text
    )
    WHERE is_read
),

setting AS (
    INSERT INTO item_settings (type_key, external_id, settings)
    SELECT type_key, external_id, settings
    FROM new CROSS JOIN LATERAL (
        SELECT settings FROM staged_observation AS one WHERE one.place = new.place LIMIT 1
    ) AS told
    WHERE is_read AND settings IS NOT NULL
),

-- The end of the run reads the other versions' references.
-- DO UPDATE waits for a reader that holds an item's row: it may have read the version before.
unread AS (
    INSERT INTO unread_item (type_key, external_id)
    SELECT type_key, external_id FROM new WHERE NOT is_read ORDER BY type_key, external_id
    ON CONFLICT (tenant_id, type_key, external_id) DO UPDATE SET external_id = excluded.external_id
),

-- Items with details to read.
-- Details are due at an age from half the refresh period to the whole, which differs from item to item: items that were
-- first read together take turns. `least` ignores nulls.
-- Details that could not be read three times in a row are read again at growing intervals, up to the refresh period,
-- unless the list shows something new: otherwise one broken detail would cost an item's requests in every run.
pending AS (
    INSERT INTO pending_item AS pending (
        run_id, type_key, external_id, shard, list_hash, list_document, list_document_size, list_body_hash
    )
    SELECT :run_id, type_key, external_id, hashtext(external_id) & (:shards - 1), list_hash, document, document_size, body_hash
    FROM seen CROSS JOIN LATERAL (
        SELECT document, document_size, body_hash FROM staged_observation AS one WHERE one.place = seen.place LIMIT 1
    ) AS served LEFT JOIN unnest(
        CAST(:refresh_keys AS text[]), CAST(:refresh_periods AS interval[]), CAST(:refresh_bounds AS timestamptz[])
    ) AS refresh (type_key, period, read_before) USING (type_key)
    WHERE NOT is_whole AND (
        complete_before IS NOT TRUE
        OR list_hash_before IS DISTINCT FROM list_hash
        OR details_read_at IS NULL
        OR :deep AND details_read_at < (SELECT started_at FROM sync_run WHERE run_id = :run_id)
        OR details_read_at < least(
            refresh.read_before,
            clock_timestamp() - coalesce(refresh.period, CAST(:detail_refresh AS interval))
                * (0.5 + (hashtext(external_id) >> 16 & 65535) / 131072.0)
        )
    ) AND NOT (
        complete_before IS FALSE AND NOT :deep AND list_hash_before IS NOT DISTINCT FROM list_hash AND stale_asks >= 3
        AND stale_asked_at > clock_timestamp() - least(
            coalesce(refresh.period, CAST(:detail_refresh AS interval)), interval '10 minutes' * 2 ^ least(stale_asks, 12)
        )
    )
    ORDER BY type_key, external_id
    ON CONFLICT (tenant_id, run_id, type_key, external_id) DO UPDATE SET
        list_hash = excluded.list_hash, list_document = excluded.list_document,
        list_document_size = excluded.list_document_size, list_body_hash = excluded.list_body_hash,
        progress = NULL, failure = NULL
    WHERE pending.list_hash <> excluded.list_hash
),

-- Repeated items: this run had seen them on an earlier page, or the waves hold them several times.
repeated AS (
    SELECT type_key, external_id, type_key = ANY (:restarted) AS is_reread,
        times - 1 + (seen_before_by IS NOT DISTINCT FROM :run_id AND is_new_version IS NOT TRUE)::int AS times
    FROM seen
    WHERE times > 1 OR seen_before_by = :run_id AND is_new_version IS NOT TRUE
)

-- `new_versions` leaves out items' first versions. The last value: the version before is one that this statement does
-- not see, since it waited for the merge that made it.
SELECT
    (SELECT coalesce(sum(times), 0)::int FROM staged) AS staged,
    (SELECT count(*) FROM merged WHERE is_created) AS created,
    ARRAY(
        SELECT jsonb_build_array(
            type_key, external_id, version_number, version_before IS DISTINCT FROM version_number - 1
        ) FROM seen
        WHERE is_new_version AND version_number > 1 ORDER BY type_key, external_id
    ) AS new_versions,
    (
        SELECT coalesce(jsonb_object_agg(type_key, times), '{}')
        FROM (SELECT type_key, sum(times) AS times FROM repeated WHERE NOT is_reread GROUP BY type_key) AS by_type
    ) AS duplicates,
    (
        SELECT coalesce(jsonb_object_agg(type_key, times), '{}')
        FROM (SELECT type_key, sum(times) AS times FROM repeated WHERE is_reread GROUP BY type_key) AS by_type
    ) AS reread,
    ARRAY(
        SELECT jsonb_build_array(type_key, external_id) FROM repeated
        WHERE NOT is_reread ORDER BY type_key, external_id LIMIT :named
    ) AS duplicate_ids;
