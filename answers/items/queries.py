"""Sizes of collections, counted only as far as people read."""

from typing import NamedTuple

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from storage.rows import fetch

MOST_COUNTED = 1_000


class CollectionSize(NamedTuple):
    """`items` is at most `MOST_COUNTED + 1`, which stands for more."""

    type_key: str
    items: int


# Each count stops at the limit, so a collection of a million items costs no more than one of a thousand.
_SIZES = text("""
SELECT c.type_key, (
    SELECT count(*) FROM (SELECT FROM inventory_item AS item WHERE item.type_key = c.type_key LIMIT :most) AS counted
) AS items
FROM collection_coverage AS c ORDER BY c.type_key
""")


async def collection_sizes(session: AsyncSession) -> list[CollectionSize]:
    """Covered collections, by type key."""
    return await fetch(session, _SIZES, CollectionSize, {"most": MOST_COUNTED + 1})
