"""Reads for a comparison: items, documents, and objects behind ids."""

from collections.abc import Collection, Iterable
from typing import Any, NamedTuple

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from inventory.name_key import list_place
from inventory.stale import Staleness
from storage.bodies import BODY, Documents
from storage.item_lookup import named_item
from storage.models.base import among, table
from storage.models.items import InventoryItem
from storage.rows import Values, fetch
from storage.stale import OF_ITEM

_ITEM = table(InventoryItem)


class PresentItem(NamedTuple):
    external_id: str
    display_name: str | None
    meta: dict[str, Any]
    has_document: bool
    stale: Staleness | None


class WholeItem(NamedTuple):
    """`document` is canonical JSON, None if damaged."""

    type_key: str
    external_id: str
    details_complete: bool
    document: bytes | None
    stale: Staleness | None


class Target(NamedTuple):
    """`document` is None if it was not requested or is damaged."""

    type_key: str
    external_id: str
    display_name: str | None
    meta: dict[str, Any]
    is_absent: bool
    document: bytes | None
    is_damaged: bool


# Lateral joins look rows up one by one. Else a planner that takes a new collection for a small one would read all of
# the tenant's versions for each batch.
_DOCUMENTS = text(f"""
SELECT CAST(:type_key AS text) AS type_key, wanted.external_id, item.version_number, v.details_complete, d.body,
    d.body_hash, {OF_ITEM}
FROM unnest(CAST(:external_ids AS text[])) AS wanted (external_id)
CROSS JOIN LATERAL (
    SELECT version_number, stale_since, stale_parts FROM inventory_item AS one
    WHERE (one.type_key, one.external_id) = (:type_key, wanted.external_id) LIMIT 1
) AS item
CROSS JOIN LATERAL (
    SELECT details_complete, content_hash FROM item_version AS one
    WHERE (one.type_key, one.external_id, one.version_number) = (:type_key, wanted.external_id, item.version_number)
    LIMIT 1
) AS v
CROSS JOIN LATERAL (SELECT {BODY} FROM document AS one WHERE one.content_hash = v.content_hash LIMIT 1) AS d
""")

_TARGETS = text(f"""
SELECT wanted.type_key, wanted.external_id, display_name, meta, absent_from IS NOT NULL AS is_absent,
    item.version_number, body, body_hash
FROM unnest(CAST(:type_keys AS text[]), CAST(:external_ids AS text[])) AS wanted (type_key, external_id)
CROSS JOIN LATERAL (
    {named_item("wanted.type_key", "wanted.external_id")}
) AS item
LEFT JOIN LATERAL (
    SELECT content_hash FROM item_version AS one
    WHERE (one.type_key, one.external_id, one.version_number)
            = (item.type_key, item.external_id, item.version_number)
        AND item.type_key = ANY (:with_documents)
    LIMIT 1
) AS v ON true
LEFT JOIN LATERAL (SELECT {BODY} FROM document AS one WHERE one.content_hash = v.content_hash LIMIT 1) AS d ON true
""")

_SHARED_NAMES = text("""
SELECT display_name, meta FROM (
    SELECT display_name, meta, count(*) OVER (PARTITION BY display_name) AS bearers
    FROM inventory_item WHERE type_key = :type_key AND absent_from IS NULL AND display_name IS NOT NULL
) AS named
WHERE bearers > 1
""")


async def present_items(session: AsyncSession, type_key: str) -> list[PresentItem]:
    present = select(
        *_ITEM.c["external_id", "display_name", "meta"],
        (_ITEM.c.version_number > 0).label("has_document"),
        _ITEM.c.stale_since.label("stale.since"),
        _ITEM.c.stale_parts.label("stale.parts"),
    ).where(_ITEM.c.type_key == type_key, _ITEM.c.absent_from.is_(None))
    found = await fetch(session, present, PresentItem)
    return sorted(found, key=lambda item: list_place(type_key, item.display_name, item.external_id))


async def whole_items(
    session: AsyncSession, type_key: str, external_ids: Collection[str], read: Documents
) -> dict[str, WholeItem]:
    """Leaves out items without a document."""
    named = {"type_key": type_key, "external_ids": list(external_ids)}
    found = await fetch(session, _DOCUMENTS, WholeItem, named, shape=lambda row: _with_document(row, read))
    return {item.external_id: item for item in found}


async def targets(
    session: AsyncSession, target_keys: Iterable[tuple[str, str]], with_documents: Collection[str], read: Documents
) -> list[Target]:
    """Leaves out unknown objects; `with_documents` are type keys."""
    pairs = sorted(set(target_keys))
    parameters = {
        "type_keys": [key for key, _ in pairs],
        "external_ids": [external_id for _, external_id in pairs],
        "with_documents": list(with_documents),
    }

    def shape(row: Values) -> Values:
        has_body, target = row["body"] is not None, _with_document(row, read)
        return {**target, "is_damaged": has_body and target["document"] is None}

    return await fetch(session, _TARGETS, Target, parameters, shape=shape)


def _with_document(row: Values, read: Documents) -> Values:
    body, body_hash, version = row.pop("body"), row.pop("body_hash"), row.pop("version_number")
    return {**row, "document": read.of(body, body_hash, row["type_key"], row["external_id"], version)}


async def named_items(
    session: AsyncSession, type_key: str, names: Collection[str] | None
) -> list[tuple[str, str | None]]:
    """Ids and names of present items; None for `names` means all."""
    present = select(*_ITEM.c["external_id", "display_name"]).where(
        _ITEM.c.type_key == type_key, _ITEM.c.absent_from.is_(None)
    )
    if names is not None:
        present = present.where(among(_ITEM.c.display_name, names))
    rows = await session.execute(present.order_by(_ITEM.c.external_id))
    return [(row.external_id, row.display_name) for row in rows]


async def shared_names(session: AsyncSession, type_key: str) -> list[tuple[str, dict[str, Any]]]:
    """Names that several present items share, once for each item, with its meta."""
    return [(row.display_name, row.meta) for row in await session.execute(_SHARED_NAMES, {"type_key": type_key})]
