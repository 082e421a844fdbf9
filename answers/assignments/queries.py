"""Assignable items, and groups that are gone."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from inventory.bounds import ID_BEGINNING
from storage.rows import fetch


class AssignableItem(NamedTuple):
    type_key: str
    external_id: str
    display_name: str | None
    meta: dict[str, Any]


_ITEMS = text("""
SELECT type_key, external_id, display_name, meta
FROM inventory_item JOIN item_name USING (tenant_id, type_key, external_id)
WHERE type_key = ANY (:type_keys) AND absent_from IS NULL AND (
    CAST(:sought AS text) IS NULL OR external_id = :sought OR lower(display_name) = lower(:sought)
    OR :is_beginning AND starts_with(external_id, :sought)
)
ORDER BY type_key, name_key, external_id LIMIT :most
""")

_ABSENT = text("""
SELECT external_id FROM inventory_item
WHERE type_key = 'groups' AND external_id = ANY (:external_ids) AND absent_from IS NOT NULL
""")


async def items(
    session: AsyncSession, type_keys: Sequence[str], sought: str | None, most: int | None = None
) -> list[AssignableItem]:
    """Present items; `sought` is an id, its beginning, or a name."""
    is_beginning = sought is not None and len(sought) >= ID_BEGINNING
    parameters = {"type_keys": list(type_keys), "sought": sought, "is_beginning": is_beginning, "most": most}
    return await fetch(session, _ITEMS, AssignableItem, parameters)


async def absent_groups(session: AsyncSession, ids: Iterable[str]) -> set[str]:
    found = await session.execute(_ABSENT, {"external_ids": sorted(set(ids))})
    return set(found.scalars())
