"""Recognising items that were deleted and made again: a new id, the same content, and with it the same name."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

# The newest of several that are gone; each of the new ones is linked, since a tenant may have made two of one.
_LINK = text("""
WITH recreated AS MATERIALIZED (
    SELECT DISTINCT ON (new.type_key, new.external_id) new.type_key, new.external_id, old.external_id AS old_id
    FROM inventory_item AS new
    JOIN inventory_item AS old ON old.type_key = new.type_key AND old.likeness_hash = new.likeness_hash
    WHERE new.first_seen_run_id = :run_id AND new.type_key = ANY (:type_keys) AND new.recreates_external_id IS NULL
        AND old.last_seen_at < (SELECT started_at FROM sync_run WHERE run_id = :run_id)
        AND old.version_number > 0 AND new.version_number > 0
    ORDER BY new.type_key, new.external_id, old.last_seen_at DESC
)
UPDATE inventory_item AS item SET recreates_external_id = recreated.old_id
FROM recreated
WHERE (item.type_key, item.external_id) = (recreated.type_key, recreated.external_id)
""")


async def link_recreated(session: AsyncSession, run_id: UUID, type_keys: Sequence[str]) -> None:
    """Links what the run saw for the first time to what is gone and was the same.

    `type_keys`: the collections that the run has listed to their end, so that what it did not see is gone.
    """
    await session.execute(_LINK, {"run_id": run_id, "type_keys": list(type_keys)})
