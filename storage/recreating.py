"""Recognising items that were deleted and made again: a new id, the same content, and with it the same name."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

# The newest of several that are gone; each of the new ones is linked, since a tenant may have made two of one. Those
# alike are brought together by one sort and not by a join, for which the planner knows too little of a run under way:
# it would look through a collection again for every new item. Where nothing is gone, nothing is sorted.
_LINK = text("""
WITH gone AS MATERIALIZED (
    SELECT type_key, external_id, likeness_hash, last_seen_at
    FROM inventory_item
    WHERE type_key = ANY (:type_keys) AND last_seen_at < (SELECT started_at FROM sync_run WHERE run_id = :run_id)
        AND version_number > 0 AND likeness_hash IS NOT NULL
),
appeared AS (
    SELECT type_key, external_id, likeness_hash, last_seen_at
    FROM inventory_item
    WHERE type_key = ANY (:type_keys) AND first_seen_run_id = :run_id AND recreates_external_id IS NULL
        AND version_number > 0 AND likeness_hash IS NOT NULL AND EXISTS (SELECT FROM gone)
),
alike AS (
    SELECT type_key, external_id, is_gone, first_value(is_gone) OVER newest AS is_recreated,
        first_value(external_id) OVER newest AS old_id
    FROM (SELECT *, true AS is_gone FROM gone UNION ALL SELECT *, false FROM appeared) AS both_of_them
    WINDOW newest AS (PARTITION BY type_key, likeness_hash ORDER BY is_gone DESC, last_seen_at DESC)
)
UPDATE inventory_item AS item SET recreates_external_id = alike.old_id
FROM alike
WHERE alike.is_recreated AND NOT alike.is_gone
    AND (item.type_key, item.external_id) = (alike.type_key, alike.external_id)
""")


async def link_recreated(session: AsyncSession, run_id: UUID, type_keys: Sequence[str]) -> None:
    """Links what the run saw for the first time to what is gone and was the same.

    `type_keys`: the collections that the run has listed to their end, so that what it did not see is gone.
    """
    await session.execute(_LINK, {"run_id": run_id, "type_keys": list(type_keys)})
