"""Confirming: what a complete listing did not show is asked for by id before it is called missing."""

from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from inventory.meta import PARENT_ID
from storage.rows import fetch


class UnlistedItem(NamedTuple):
    """An item that was present before the run, and that the run has not seen."""

    type_key: str
    external_id: str
    parent_id: str = ""
    """Of the item under which it stands, if it does."""
    graph_id: str | None = None
    """Its id as Graph last spelled it, where that is not `external_id`."""


# An item that a GET has not found since it was last seen was missing before the run: it is not asked for again.
_UNLISTED = """
    FROM inventory_item
    WHERE type_key = ANY (:type_keys) AND last_seen_at < (SELECT started_at FROM sync_run WHERE run_id = :run_id)
        AND (missing_confirmed_at IS NULL OR missing_confirmed_at < last_seen_at)
"""

_COUNT = text(f"SELECT type_key, count(*) AS items {_UNLISTED} GROUP BY type_key")

_SOME = text(f"""
SELECT type_key, external_id, coalesce(meta ->> '{PARENT_ID}', '') AS parent_id, graph_id {_UNLISTED}
ORDER BY type_key, external_id LIMIT :limit
""")

_LOCKED = """
WITH asked AS MATERIALIZED (
    SELECT tenant_id, type_key, external_id
    FROM inventory_item JOIN unnest(CAST(:type_keys AS text[]), CAST(:external_ids AS text[]))
        AS named (type_key, external_id) USING (type_key, external_id)
    ORDER BY type_key, external_id
    FOR UPDATE OF inventory_item
)
"""

_FOUND = text(f"""{_LOCKED}
UPDATE inventory_item AS item
SET last_seen_at = clock_timestamp(), last_seen_run_id = :run_id, absent_from = NULL,
    content_observed_at = coalesce(item.content_observed_at, item.last_seen_at),
    content_observed_run_id = coalesce(item.content_observed_run_id, item.last_seen_run_id)
FROM asked
WHERE (item.tenant_id, item.type_key, item.external_id) = (asked.tenant_id, asked.type_key, asked.external_id)
    AND item.last_seen_at < (SELECT started_at FROM sync_run WHERE run_id = :run_id)
""")

_GONE = text(f"""{_LOCKED}
UPDATE inventory_item AS item SET missing_confirmed_at = clock_timestamp(), missing_confirmed_run_id = :run_id
FROM asked
WHERE (item.tenant_id, item.type_key, item.external_id) = (asked.tenant_id, asked.type_key, asked.external_id)
    AND item.last_seen_at < (SELECT started_at FROM sync_run WHERE run_id = :run_id)
""")


_MARK = text(f"""{_LOCKED}
UPDATE inventory_item AS item SET found_by_id_run_id = :run_id
FROM asked
WHERE (item.tenant_id, item.type_key, item.external_id) = (asked.tenant_id, asked.type_key, asked.external_id)
    AND item.last_seen_run_id = :run_id
""")


async def count_unlisted(session: AsyncSession, run_id: UUID, type_keys: Sequence[str]) -> dict[str, int]:
    """How many items of each type were present before the run and have not been seen by it; none are left out."""
    rows = await session.execute(_COUNT, {"run_id": run_id, "type_keys": list(type_keys)})
    return {row.type_key: row.items for row in rows}


async def some_unlisted(
    session: AsyncSession, run_id: UUID, type_keys: Sequence[str], limit: int
) -> list[UnlistedItem]:
    """The first `limit` of them, by type key and id."""
    named = {"run_id": run_id, "type_keys": list(type_keys), "limit": limit}
    return await fetch(session, _SOME, UnlistedItem, named)


async def record_found(session: AsyncSession, run_id: UUID, items: Sequence[UnlistedItem]) -> None:
    """Items that a GET by id has found and that are not read anew: seen by the run, their content as of before."""
    await session.execute(_FOUND, _named(run_id, items))


async def mark_found_by_id(session: AsyncSession, run_id: UUID, items: Sequence[UnlistedItem]) -> None:
    """Items that the run has seen by a GET by id alone, whether they were read anew or not."""
    await session.execute(_MARK, _named(run_id, items))


async def record_gone(session: AsyncSession, run_id: UUID, items: Sequence[UnlistedItem]) -> None:
    """Items that a GET by id has answered with 404."""
    await session.execute(_GONE, _named(run_id, items))


def _named(run_id: UUID, items: Sequence[UnlistedItem]) -> dict[str, object]:
    return {
        "run_id": run_id,
        "type_keys": [item.type_key for item in items],
        "external_ids": [item.external_id for item in items],
    }
