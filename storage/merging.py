"""Merging: one wave's staged observations into items, versions and documents, in one statement."""

from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

import orjson
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

NAMED_DUPLICATES = 10
"""How many repeated ids a merge names; it counts all of them."""


class Merged(NamedTuple):
    """What one merge did. Each staged row is counted once.

    `duplicates` counts, by type key, the rows whose item this run had already seen on an earlier page, unchanged.
    """

    created: int
    changed: int
    unchanged: int
    duplicates: dict[str, int]
    duplicate_ids: list[tuple[str, str]]
    """(type key, external id), the first few."""


class StagedRowsLostError(Exception):
    """The token does not hold as many rows as it was promised to: a crash emptied the unlogged table."""


_CLAIM = text(
    "INSERT INTO merged_wave (run_id, fetch_token) VALUES (:run_id, :fetch_token) ON CONFLICT DO NOTHING"
    " RETURNING fetch_token"
)

_RECORDED = text("SELECT result FROM merged_wave WHERE run_id = :run_id AND fetch_token = :fetch_token")

_RECORD = text(
    "UPDATE merged_wave SET result = CAST(:result AS jsonb) WHERE run_id = :run_id AND fetch_token = :fetch_token"
)

# Rows are locked in key order, so merges of one tenant never deadlock. The newer observation wins: the update is
# skipped where the item has been seen since. An unchanged item keeps all but its last-seen columns, and with them
# its place on the page (HOT). What was new is read off the returned row: its version began with this observation.
_MERGE = text("""
WITH staged AS MATERIALIZED (
    SELECT type_key, external_id, display_name, meta, content_hash, document, staged_at
    FROM staged_item_of_tenant
    WHERE run_id = :run_id AND fetch_token = :fetch_token
),
seen_before AS (
    SELECT staged.type_key, staged.external_id
    FROM staged JOIN inventory_item AS item USING (type_key, external_id)
    WHERE item.last_seen_run_id = :run_id AND staged.type_key <> ALL (:restarted)
),
merged AS (
    INSERT INTO inventory_item AS item (
        type_key, external_id, display_name, meta, content_hash, version_number,
        first_seen_at, first_seen_run_id, content_changed_at, last_seen_at, last_seen_run_id
    )
    SELECT type_key, external_id, display_name, meta, content_hash, 1,
        staged_at, :run_id, staged_at, staged_at, :run_id
    FROM staged
    ORDER BY type_key, external_id
    ON CONFLICT (tenant_id, type_key, external_id) DO UPDATE SET
        display_name = excluded.display_name,
        meta = CASE WHEN item.meta = excluded.meta THEN item.meta ELSE excluded.meta END,
        content_hash = excluded.content_hash,
        version_number = item.version_number + (item.content_hash <> excluded.content_hash)::int,
        content_changed_at = CASE
            WHEN item.content_hash = excluded.content_hash THEN item.content_changed_at
            ELSE excluded.content_changed_at
        END,
        last_seen_at = excluded.last_seen_at,
        last_seen_run_id = excluded.last_seen_run_id
    WHERE item.last_seen_at < excluded.last_seen_at
    RETURNING type_key, external_id, content_hash, version_number, last_seen_at,
        first_seen_at = last_seen_at AS is_created, content_changed_at = last_seen_at AS is_new_version
),
documents AS (
    INSERT INTO document (content_hash, body)
    SELECT DISTINCT ON (merged.content_hash) merged.content_hash, staged.document
    FROM merged JOIN staged USING (type_key, external_id)
    WHERE merged.is_new_version
    ORDER BY merged.content_hash
    ON CONFLICT (tenant_id, content_hash) DO NOTHING
),
versions AS (
    INSERT INTO item_version (type_key, external_id, version_number, content_hash, observed_at, run_id)
    SELECT type_key, external_id, version_number, content_hash, last_seen_at, :run_id
    FROM merged
    WHERE is_new_version
),
repeated AS (
    SELECT type_key, external_id
    FROM seen_before LEFT JOIN merged USING (type_key, external_id)
    WHERE merged.is_new_version IS NOT TRUE
)
SELECT
    (SELECT count(*) FROM staged) AS staged,
    (SELECT count(*) FROM merged WHERE is_created) AS created,
    (SELECT count(*) FROM merged WHERE is_new_version AND NOT is_created) AS changed,
    (
        SELECT coalesce(jsonb_object_agg(type_key, times), '{}')
        FROM (SELECT type_key, count(*) AS times FROM repeated GROUP BY type_key) AS by_type
    ) AS duplicates,
    ARRAY(
        SELECT jsonb_build_array(type_key, external_id) FROM repeated ORDER BY type_key, external_id LIMIT :named
    ) AS duplicate_ids
""")

_DISCARD = text("DELETE FROM staged_item_of_tenant WHERE run_id = :run_id AND fetch_token = :fetch_token")


async def merge(
    session: AsyncSession,
    run_id: UUID,
    fetch_token: UUID,
    *,
    promised_rows: int,
    restarted: Sequence[str] = (),
) -> Merged:
    """Merges the rows staged under `fetch_token`, once: a later call answers what the first one did.

    `restarted` names collections whose listing began anew in this run, where seeing an item again means nothing.
    Raises `StagedRowsLostError` where the token does not hold `promised_rows`; nothing is merged then.
    """
    wave = {"run_id": run_id, "fetch_token": fetch_token}
    if (await session.execute(_CLAIM, wave)).first() is None:
        recorded = (await session.execute(_RECORDED, wave)).scalar_one()
        return Merged(**{**recorded, "duplicate_ids": [tuple(pair) for pair in recorded["duplicate_ids"]]})
    row = (await session.execute(_MERGE, {**wave, "restarted": list(restarted), "named": NAMED_DUPLICATES})).one()
    if row.staged != promised_rows:
        raise StagedRowsLostError(f"{row.staged} of {promised_rows} staged rows are there")
    merged = Merged(
        created=row.created,
        changed=row.changed,
        unchanged=row.staged - row.created - row.changed - sum(row.duplicates.values()),
        duplicates=row.duplicates,
        duplicate_ids=[(type_key, external_id) for type_key, external_id in row.duplicate_ids],
    )
    await session.execute(_RECORD, {**wave, "result": orjson.dumps(merged._asdict()).decode()})
    await session.execute(_DISCARD, wave)
    return merged
