"""Ages of items' details: runs read old ones again, and answers name them."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from storage.item_lookup import key_columns
from storage.rows import fetch

REFRESHED_ITEMS = 1000
"""The most items of a collection whose details one run reads again though the list shows no change."""


class OldDetails(NamedTuple):
    """`items` of a collection have details older than its latest complete listing, the oldest read at `read_at`."""

    tenant_id: UUID
    type_key: str
    items: int
    read_at: datetime


# The oldest come first, so that each item has its turn.
_READ_BEFORE = text("""
SELECT named.type_key, item.details_read_at
FROM unnest(CAST(:type_keys AS text[])) AS named (type_key) CROSS JOIN LATERAL (
    SELECT details_read_at FROM inventory_item AS item
    WHERE item.type_key = named.type_key AND item.details_read_at IS NOT NULL AND item.absent_from IS NULL
    ORDER BY details_read_at OFFSET :most LIMIT 1
) AS item
""")

_OLD = text("""
SELECT c.tenant_id, c.type_key, old.items, old.read_at
FROM collection_coverage AS c CROSS JOIN LATERAL (
    SELECT count(*) AS items, min(item.details_read_at) AS read_at FROM inventory_item AS item
    WHERE (item.tenant_id, item.type_key) = (c.tenant_id, c.type_key) AND item.absent_from IS NULL
        AND item.details_read_at < c.listed_from
) AS old
WHERE (CAST(:tenant_ids AS uuid[]) IS NULL OR c.tenant_id = ANY (CAST(:tenant_ids AS uuid[])))
    AND c.type_key = ANY (:type_keys) AND old.items > 0
ORDER BY c.tenant_id, c.type_key
""")

_OLD_ITEMS = text("""
SELECT item.type_key, item.external_id
FROM unnest(CAST(:type_keys AS text[]), CAST(:external_ids AS text[])) AS named (type_key, external_id)
JOIN inventory_item AS item USING (type_key, external_id) JOIN collection_coverage AS c USING (tenant_id, type_key)
WHERE item.details_read_at < c.listed_from
""")


async def read_before(
    session: AsyncSession, type_keys: Collection[str], most: int = REFRESHED_ITEMS
) -> dict[str, datetime]:
    """The moment before which the oldest `most` details were read, for collections with more items."""
    rows = await session.execute(_READ_BEFORE, {"type_keys": sorted(type_keys), "most": most})
    return {row.type_key: row.details_read_at for row in rows}


async def old_details(
    session: AsyncSession, type_keys: Collection[str], tenant_ids: Sequence[UUID] | None = None
) -> list[OldDetails]:
    """Covers these tenants, or all that the session sees."""
    tenants = None if tenant_ids is None else list(tenant_ids)
    return await fetch(session, _OLD, OldDetails, {"type_keys": sorted(type_keys), "tenant_ids": tenants})


async def with_old_details(session: AsyncSession, items: Collection[tuple[str, str]]) -> set[tuple[str, str]]:
    """Items with details older than the latest complete listing."""
    if not items:
        return set()
    return {(row.type_key, row.external_id) for row in await session.execute(_OLD_ITEMS, key_columns(items))}
