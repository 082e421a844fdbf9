"""Confirmation: a run asks Graph by id for unlisted items before they count as missing."""

from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, func, or_, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from inventory.meta import PARENT_ID
from storage.models.base import among, table
from storage.models.items import InventoryItem
from storage.models.runs import SyncRun
from storage.rows import fetch

_ITEM, _RUN = table(InventoryItem), table(SyncRun)


class UnlistedItem(NamedTuple):
    """An item to ask for by id."""

    type_key: str
    external_id: str
    parent_id: str = ""
    """Empty for an item without a parent."""
    graph_id: str | None = None
    """Graph's latest spelling of the id, if it is not `external_id`."""


_LOCKED = """
-- locked in key order, as merges lock rows
WITH locked AS MATERIALIZED (
    SELECT item.* FROM (
        SELECT * FROM unnest(CAST(:type_keys AS text[]), CAST(:external_ids AS text[]))
            AS key (type_key, external_id) ORDER BY type_key, external_id
    ) AS named CROSS JOIN LATERAL (
        SELECT tenant_id, type_key, external_id FROM inventory_item AS item
        WHERE (item.type_key, item.external_id) = (named.type_key, named.external_id) LIMIT 1 FOR UPDATE
    ) AS item
)
"""

_RECORD_FOUND = text(f"""{_LOCKED}
UPDATE inventory_item AS item
SET last_seen_at = clock_timestamp(), last_seen_run_id = :run_id, absent_from = NULL,
    content_observed_at = coalesce(item.content_observed_at, item.last_seen_at),
    content_observed_run_id = coalesce(item.content_observed_run_id, item.last_seen_run_id)
FROM locked
WHERE (item.tenant_id, item.type_key, item.external_id) = (locked.tenant_id, locked.type_key, locked.external_id)
    AND item.last_seen_at < (SELECT started_at FROM sync_run WHERE run_id = :run_id)
""")

_GONE = text(f"""{_LOCKED}
UPDATE inventory_item AS item SET missing_confirmed_at = clock_timestamp(), missing_confirmed_run_id = :run_id
FROM locked
WHERE (item.tenant_id, item.type_key, item.external_id) = (locked.tenant_id, locked.type_key, locked.external_id)
    AND item.last_seen_at < (SELECT started_at FROM sync_run WHERE run_id = :run_id)
""")


_MARK = text(f"""{_LOCKED}
UPDATE inventory_item AS item SET found_by_id_run_id = :run_id
FROM locked
WHERE (item.tenant_id, item.type_key, item.external_id) = (locked.tenant_id, locked.type_key, locked.external_id)
    AND item.last_seen_run_id = :run_id
""")


async def count_unlisted(session: AsyncSession, run_id: UUID, type_keys: Sequence[str]) -> dict[str, int]:
    """Counts by type key, without zeros."""
    counted = (
        select(_ITEM.c.type_key, func.count().label("items"))
        .where(*_unlisted(run_id, type_keys))
        .group_by(_ITEM.c.type_key)
    )
    return {row.type_key: row.items for row in await session.execute(counted)}


async def some_unlisted(
    session: AsyncSession, run_id: UUID, type_keys: Sequence[str], limit: int
) -> list[UnlistedItem]:
    """The first `limit` unlisted items, by type key and id."""
    parent_id = func.coalesce(_ITEM.c.meta[PARENT_ID].astext, "").label("parent_id")
    columns = (_ITEM.c.type_key, _ITEM.c.external_id, parent_id, _ITEM.c.graph_id)
    unlisted = select(*columns).where(*_unlisted(run_id, type_keys))
    first = unlisted.order_by(_ITEM.c.type_key, _ITEM.c.external_id).limit(limit)
    return await fetch(session, first, UnlistedItem)


def _unlisted(run_id: UUID, type_keys: Sequence[str]) -> tuple[ColumnElement[bool], ...]:
    """Leaves out items that a GET by id has not found since they were last seen: they were missing before the run."""
    started_at = select(_RUN.c.started_at).where(_RUN.c.run_id == run_id).scalar_subquery()
    confirmed_at = _ITEM.c.missing_confirmed_at
    return (
        among(_ITEM.c.type_key, type_keys),
        _ITEM.c.last_seen_at < started_at,
        or_(confirmed_at.is_(None), confirmed_at < _ITEM.c.last_seen_at),
    )


async def record_found(session: AsyncSession, run_id: UUID, items: Sequence[UnlistedItem]) -> None:
    """Marks items as seen by the run, which has not read their content."""
    await session.execute(_RECORD_FOUND, _named(run_id, items))


async def mark_found_by_id(session: AsyncSession, run_id: UUID, items: Sequence[UnlistedItem]) -> None:
    """Marks items that the run has found by id only."""
    await session.execute(_MARK, _named(run_id, items))


async def record_gone(session: AsyncSession, run_id: UUID, items: Sequence[UnlistedItem]) -> None:
    """Records items whose GET answered 404."""
    await session.execute(_GONE, _named(run_id, items))


def _named(run_id: UUID, items: Sequence[UnlistedItem]) -> dict[str, object]:
    return {
        "run_id": run_id,
        "type_keys": [item.type_key for item in items],
        "external_ids": [item.external_id for item in items],
    }
