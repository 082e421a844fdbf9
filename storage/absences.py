"""Absences: a run marks, at its end, items that complete listings did not show.

The item's next observation removes the mark, and a trigger records the time.
"""

from collections.abc import Sequence

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

IS_CONFIRMED = "coalesce(missing_confirmed_at > last_seen_at, false)"
"""SQL condition: since the item was last seen, a GET by id has answered 404."""

_MARK = text("""
-- locked in key order, as merges lock rows; what was seen while the lock was waited for is left out
WITH unlisted AS MATERIALIZED (
    SELECT item.tenant_id, item.type_key, item.external_id, item.last_seen_at,
        coverage.listed_from, coverage.listed_run_id, coverage.listed_cleanly,
        item.missing_confirmed_at > item.last_seen_at AS is_confirmed
    FROM (
        SELECT * FROM collection_coverage WHERE type_key = ANY (:type_keys) ORDER BY type_key
    ) AS coverage CROSS JOIN LATERAL (
        SELECT * FROM inventory_item AS item
        WHERE item.type_key = coverage.type_key AND item.last_seen_at < coverage.listed_from
            AND item.absent_from IS NULL
        ORDER BY item.type_key, item.external_id FOR UPDATE
    ) AS item
),
-- the mark on the item, in the statement that records the absence: one is never there without the other
marked AS (
    UPDATE inventory_item AS item SET absent_from = unlisted.listed_from FROM unlisted
    WHERE (item.tenant_id, item.type_key, item.external_id)
        = (unlisted.tenant_id, unlisted.type_key, unlisted.external_id)
)
INSERT INTO item_absence (type_key, external_id, absent_from, run_id, last_seen_at, evidence, confidence)
SELECT type_key, external_id, listed_from, listed_run_id, last_seen_at,
    CASE WHEN is_confirmed THEN 'confirmed' ELSE 'not_listed' END,
    CASE WHEN listed_cleanly THEN 'high' ELSE 'low' END
FROM unlisted
""")


async def mark_absent(session: AsyncSession, type_keys: Sequence[str]) -> None:
    """Marks items that the latest complete listing omits and no run has seen since."""
    await session.execute(_MARK, {"type_keys": list(type_keys)})
