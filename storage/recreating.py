"""Recognising items that were deleted and made again: a new id, the same name, and the same content but for the id."""

from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple, TypeAlias
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from inventory.canonical import MIN_TELLING_ID_LENGTH
from storage.compression import decompress

AT_ONCE = 100
"""How many documents are held at a time."""


class StoredDocument(NamedTuple):
    """The canonical document of an item."""

    type_key: str
    external_id: str
    document: bytes


Likenesses: TypeAlias = Callable[[Sequence[StoredDocument]], Awaitable[Sequence[bytes]]]
"""What each document comes to without the item's identity (`inventory.canonical.likeness_hash`)."""

# What is gone and what has appeared under the same name, each name's together, and of what is gone the newest first.
# They are brought together by one sort and not by a join, for which the planner knows too little of a run under way: it
# would look through a collection again for every new item. Where nothing is gone, nothing is sorted. As in the
# likeness, an item's own id is no part of its name.
_CANDIDATES = text("""
WITH gone AS MATERIALIZED (
    SELECT type_key, external_id, display_name, content_hash, last_seen_at
    FROM inventory_item
    WHERE type_key = ANY (:type_keys) AND absent_from IS NOT NULL AND version_number > 0
        AND last_seen_at < (SELECT started_at FROM sync_run WHERE run_id = :run_id)
),
appeared AS (
    SELECT type_key, external_id, display_name, content_hash, last_seen_at
    FROM inventory_item
    WHERE type_key = ANY (:type_keys) AND first_seen_run_id = :run_id AND recreates_external_id IS NULL
        AND version_number > 0 AND EXISTS (SELECT FROM gone)
),
named AS (
    SELECT *, CASE
        WHEN length(external_id) < :telling THEN display_name ELSE replace(display_name, external_id, '')
    END AS name
    FROM (SELECT *, true AS is_gone FROM gone UNION ALL SELECT *, false FROM appeared) AS both_of_them
),
namesakes AS (
    SELECT *, bool_or(is_gone) OVER of_a_name AND NOT bool_and(is_gone) OVER of_a_name AS are_both
    FROM named WINDOW of_a_name AS (PARTITION BY type_key, name)
)
SELECT type_key, name, external_id, content_hash, is_gone FROM namesakes
WHERE are_both
ORDER BY type_key, name, is_gone DESC, last_seen_at DESC
""")

_DOCUMENTS = text("SELECT content_hash, body FROM document WHERE content_hash = ANY (:content_hashes)")

_LINK = text("""
UPDATE inventory_item AS item SET recreates_external_id = link.old_id
FROM unnest(CAST(:type_keys AS text[]), CAST(:new_ids AS text[]), CAST(:old_ids AS text[]))
    AS link (type_key, new_id, old_id)
WHERE (item.type_key, item.external_id) = (link.type_key, link.new_id)
""")


async def link_recreated(session: AsyncSession, run_id: UUID, type_keys: Sequence[str], likenesses: Likenesses) -> None:
    """Links what the run saw for the first time to what is gone and was the same: to the newest of several.

    Each of several new ones is linked, since a tenant may have made two of one. `type_keys`: the collections that the
    run has listed to their end, so that what it did not see is gone.
    """
    sought = {"run_id": run_id, "type_keys": list(type_keys), "telling": MIN_TELLING_ID_LENGTH}
    name = None
    gone: dict[bytes, str] = {}
    async for rows in (await session.stream(_CANDIDATES, sought)).partitions(AT_ONCE):
        hashes = {"content_hashes": [row.content_hash for row in rows]}
        bodies = {row.content_hash: row.body for row in await session.execute(_DOCUMENTS, hashes)}
        documents = [
            StoredDocument(row.type_key, row.external_id, decompress(bodies[row.content_hash])) for row in rows
        ]
        links = []
        for row, likeness in zip(rows, await likenesses(documents), strict=True):
            if name != (row.type_key, row.name):
                name, gone = (row.type_key, row.name), {}
            if row.is_gone:
                gone.setdefault(likeness, row.external_id)
            elif likeness in gone:
                links.append((row.type_key, row.external_id, gone[likeness]))
        if links:
            of_type, new_ids, old_ids = zip(*links, strict=True)
            await session.execute(
                _LINK, {"type_keys": list(of_type), "new_ids": list(new_ids), "old_ids": list(old_ids)}
            )
