"""What a comparison of tenants reads: the items of a collection, their documents, and what ids stand for."""

from collections.abc import Collection, Iterable
from typing import Any, NamedTuple

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from storage.compression import decompress


class PresentItem(NamedTuple):
    """An item of a collection that is not absent. `has_document`: one has been read."""

    external_id: str
    display_name: str | None
    meta: dict[str, Any]
    has_document: bool


class WholeItem(NamedTuple):
    """The current document of an item, as canonical JSON."""

    external_id: str
    details_complete: bool
    document: bytes


class Target(NamedTuple):
    """An object that documents refer to. The `document` is there where it was asked for."""

    type_key: str
    external_id: str
    display_name: str | None
    meta: dict[str, Any]
    is_absent: bool
    document: bytes | None


_PRESENT = text("""
SELECT external_id, display_name, meta, version_number > 0 AS has_document FROM inventory_item
WHERE type_key = :type_key AND absent_from IS NULL
ORDER BY external_id
""")

_DOCUMENTS = text("""
SELECT external_id, v.details_complete, body
FROM inventory_item AS item
JOIN item_version AS v USING (tenant_id, type_key, external_id, version_number)
JOIN document AS d ON (d.tenant_id, d.content_hash) = (v.tenant_id, v.content_hash)
WHERE type_key = :type_key AND external_id = ANY (:external_ids)
ORDER BY external_id
""")

_TARGETS = text("""
SELECT item.type_key, item.external_id, item.display_name, meta, absent_from IS NOT NULL AS is_absent, body
FROM unnest(CAST(:type_keys AS text[]), CAST(:external_ids AS text[])) AS wanted (type_key, external_id)
JOIN inventory_item AS item USING (type_key, external_id)
LEFT JOIN item_version AS v ON item.type_key = ANY (:with_documents)
    AND (v.tenant_id, v.type_key, v.external_id, v.version_number)
        = (item.tenant_id, item.type_key, item.external_id, item.version_number)
LEFT JOIN document AS d ON (d.tenant_id, d.content_hash) = (v.tenant_id, v.content_hash)
""")

_SHARED_NAMES = text("""
SELECT display_name, meta FROM (
    SELECT display_name, meta, count(*) OVER (PARTITION BY display_name) AS bearers
    FROM inventory_item WHERE type_key = :type_key AND absent_from IS NULL AND display_name IS NOT NULL
) AS named
WHERE bearers > 1
""")


async def present_items(session: AsyncSession, type_key: str) -> list[PresentItem]:
    """The items of a collection that are not absent, by id, without their documents."""
    return [PresentItem(*row) for row in await session.execute(_PRESENT, {"type_key": type_key})]


async def whole_items(session: AsyncSession, type_key: str, external_ids: Collection[str]) -> dict[str, WholeItem]:
    """The documents of some items of a collection; an item of which none has been read is left out."""
    rows = await session.execute(_DOCUMENTS, {"type_key": type_key, "external_ids": list(external_ids)})
    return {row.external_id: WholeItem(row.external_id, row.details_complete, decompress(row.body)) for row in rows}


async def targets(
    session: AsyncSession, wanted: Iterable[tuple[str, str]], with_documents: Collection[str]
) -> list[Target]:
    """The objects of these type keys and ids that the inventory has; with documents for some type keys."""
    pairs = sorted(set(wanted))
    parameters = {
        "type_keys": [key for key, _ in pairs],
        "external_ids": [one for _, one in pairs],
        "with_documents": list(with_documents),
    }
    return [
        Target(
            row.type_key,
            row.external_id,
            row.display_name,
            row.meta,
            row.is_absent,
            None if row.body is None else decompress(row.body),
        )
        for row in await session.execute(_TARGETS, parameters)
    ]


async def shared_names(session: AsyncSession, type_key: str) -> list[tuple[str, dict[str, Any]]]:
    """The names that several items of a collection have, once for each of them, with its meta."""
    return [(row.display_name, row.meta) for row in await session.execute(_SHARED_NAMES, {"type_key": type_key})]
