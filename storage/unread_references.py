"""Collections with unread references, for answers that only name the gap."""

from collections.abc import Mapping
from typing import NamedTuple

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from storage.rows import fetch

MOST_COUNTED = 1_000
"""More items of a collection are not counted."""


class UnreadReferences(NamedTuple):
    """A collection with unread references. `items` is at most `MOST_COUNTED + 1`, and None if changed rules require
    that all items be read again.
    """

    type_key: str
    items: int | None


# Both subqueries read a primary key, to the first row or the limit.
_UNREAD = text("""
SELECT type_key, CASE WHEN is_ruled_otherwise THEN NULL ELSE items END AS items
FROM (
    SELECT ruled.type_key, rules.rules_hash IS DISTINCT FROM ruled.rules_hash AND EXISTS (
        SELECT FROM inventory_item AS item WHERE item.type_key = ruled.type_key AND version_number > 0
    ) AS is_ruled_otherwise, (
        SELECT count(*)
        FROM (SELECT FROM unread_item AS unread WHERE unread.type_key = ruled.type_key LIMIT :most) AS counted
    ) AS items
    FROM unnest(CAST(:type_keys AS text[]), CAST(:rules_hashes AS bytea[])) AS ruled (type_key, rules_hash)
        LEFT JOIN reference_rules AS rules USING (type_key)
) AS of_collection
WHERE is_ruled_otherwise OR items > 0
ORDER BY type_key
""")


async def unread_references(session: AsyncSession, rules_hashes: Mapping[str, bytes]) -> list[UnreadReferences]:
    parameters = {
        "type_keys": list(rules_hashes),
        "rules_hashes": list(rules_hashes.values()),
        "most": MOST_COUNTED + 1,
    }
    return await fetch(session, _UNREAD, UnreadReferences, parameters)
