"""Names of items by type key and id or alternate key."""

from collections.abc import Iterable

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from storage.item_lookup import key_columns, named_item

_NAMES = text(f"""
SELECT named.type_key, named.external_id, display_name
FROM unnest(CAST(:type_keys AS text[]), CAST(:external_ids AS text[])) AS named (type_key, external_id)
CROSS JOIN LATERAL (
    {named_item("named.type_key", "named.external_id")}
) AS item
WHERE display_name IS NOT NULL
""")


async def display_names(session: AsyncSession, objects: Iterable[tuple[str, str]]) -> dict[tuple[str, str], str]:
    """Leaves out unknown and nameless items."""
    pairs = sorted(set(objects))
    if not pairs:
        return {}
    rows = await session.execute(_NAMES, key_columns(pairs))
    return {(row.type_key, row.external_id): row.display_name for row in rows}
