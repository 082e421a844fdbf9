"""Stale items: some details of their current versions could not be read."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from inventory.stale import Staleness
from storage.rows import fetch

OF_ITEM = 'item.stale_since AS "stale.since", item.stale_parts AS "stale.parts"'
"""Columns of an item's staleness."""

SINCE_OF_VERSION = """CASE WHEN v.stale_parts IS NOT NULL THEN coalesce(
    (SELECT min(CAST(part ->> 'read_at' AS timestamptz)) FROM jsonb_array_elements(v.stale_parts) AS part),
    v.first_observed_at
) END"""
"""SQL: since when a version was stale when it was first observed."""

OF_VERSION = f'{SINCE_OF_VERSION} AS "stale.since", v.stale_parts AS "stale.parts"'
"""Columns of a version's staleness when it was first observed."""


class StoredStaleItem(NamedTuple):
    type_key: str
    external_id: str
    display_name: str | None
    meta: dict[str, Any]
    stale: Staleness


_STALE = text(f"""
SELECT type_key, external_id, display_name, meta, {OF_ITEM}
FROM inventory_item AS item JOIN item_name USING (tenant_id, type_key, external_id)
WHERE stale_since IS NOT NULL AND absent_from IS NULL AND type_key <> ALL (:left_out)
    AND (CAST(:type_keys AS text[]) IS NULL OR type_key = ANY (CAST(:type_keys AS text[])))
ORDER BY type_key, name_key, external_id
""")


async def stale_items(
    session: AsyncSession, type_keys: Sequence[str] | None = None, left_out: Sequence[str] = ()
) -> list[StoredStaleItem]:
    """Present items, by collection and name."""
    parameters = {"type_keys": None if type_keys is None else list(type_keys), "left_out": list(left_out)}
    return await fetch(session, _STALE, StoredStaleItem, parameters)
