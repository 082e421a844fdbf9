"""Documents of one item by id or name, or of all items at a moment."""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from inventory.bounds import ID_BEGINNING
from inventory.item_ids import item_key, may_begin_guid
from inventory.records import DamagedRecord
from inventory.stale import Staleness
from storage.bodies import BODY, DOCUMENTS_AT_A_TIME, Documents, document_of
from storage.completed_runs import completed
from storage.models.base import among, table
from storage.models.items import Document, InventoryItem, ItemVersion
from storage.rows import Values, fetch, fetch_stream
from storage.sql import sql
from storage.stale import SINCE_OF_VERSION

_ITEM, _VERSION, _DOCUMENT = table(InventoryItem), table(ItemVersion), table(Document)

NAMED_ITEMS = 2_000
"""Items of a collection searched for names like a misspelt one."""


class NamedItem(NamedTuple):
    external_id: str
    display_name: str | None
    meta: dict[str, Any]


class ItemAtMoment(NamedTuple):
    """An item as it was at a moment.

    `document` is None if its version is forgotten (`is_forgotten`) or `damaged`, or was not read by then.
    `is_presumed`: runs saw the item before and after, but no record shows it at the moment. `stale`: details that could
    not be read by then.
    """

    type_key: str
    external_id: str
    display_name: str | None
    meta: dict[str, Any]
    details_complete: bool
    is_forgotten: bool
    is_presumed: bool
    document: bytes | None
    damaged: DamagedRecord | None = None
    stale: Staleness | None = None


_OF_VERSION = text(f"""
SELECT {BODY} FROM item_version JOIN document USING (tenant_id, content_hash)
WHERE (type_key, external_id, version_number) = (:type_key, :external_id, :version_number)
""")

_COMPLETED = f"{completed('r')} AND r.finished_at <= :at"

ITEMS_THEN = sql("items_then", completed=completed("r"), since_of_version=SINCE_OF_VERSION)
"""The items that existed at a moment, with their versions of then."""

_AT = text(f"""
WITH there AS ({ITEMS_THEN})
SELECT t.type_key, t.external_id, t.display_name, t.meta, coalesce(t.details_complete, true) AS details_complete,
    t.is_forgotten, t.is_presumed, t.version_number, t.stale_since AS "stale.since", t.stale_parts AS "stale.parts",
    coalesce(d.body_hash, d.content_hash) AS body_hash, CASE WHEN t.is_known THEN d.body END AS body
FROM there AS t LEFT JOIN document AS d ON d.content_hash = t.content_hash
ORDER BY t.type_key, t.external_id
""")

_NOT_READ = text(f"""
SELECT type_key FROM (
    SELECT DISTINCT ON (c.type_key) c.type_key, c.outcome
    FROM sync_run_collection AS c JOIN sync_run AS r USING (tenant_id, run_id)
    WHERE {_COMPLETED}
    ORDER BY c.type_key, r.started_at DESC
) AS latest
WHERE outcome <> 'complete' AND (
    outcome <> 'skipped' OR EXISTS (SELECT FROM inventory_item AS item WHERE item.type_key = latest.type_key)
)
UNION
SELECT type_key FROM inventory_item WHERE first_seen_at <= :at AND type_key NOT IN (
    SELECT c.type_key FROM sync_run_collection AS c JOIN sync_run AS r USING (tenant_id, run_id) WHERE {_COMPLETED}
)
ORDER BY 1
""")

_WAS_READ = text(f"""
SELECT EXISTS (
    SELECT FROM sync_run_collection AS c JOIN sync_run AS r USING (tenant_id, run_id)
    WHERE {_COMPLETED} AND (CAST(:type_keys AS text[]) IS NULL OR c.type_key = ANY (CAST(:type_keys AS text[])))
)
""")


async def find(session: AsyncSession, type_key: str, sought: str, most: int) -> list[NamedItem]:
    """Finds up to `most` items: by id, else by name, else by name in any case, else by the id's beginning."""
    of_collection = select(*_ITEM.c["external_id", "display_name", "meta"]).where(_ITEM.c.type_key == type_key)
    ways = [
        _ITEM.c.external_id == item_key(sought),
        _ITEM.c.display_name == sought,
        func.lower(_ITEM.c.display_name) == func.lower(sought),
    ]
    if len(sought) >= ID_BEGINNING:
        ways.append(func.starts_with(_ITEM.c.external_id, sought))
        if may_begin_guid(sought):
            ways.append(func.starts_with(_ITEM.c.external_id, sought.lower()))
    for way in ways:
        found = await fetch(session, of_collection.where(way).order_by(_ITEM.c.external_id).limit(most), NamedItem)
        if found:
            return found
    return []


async def some_items(session: AsyncSession, type_key: str) -> list[NamedItem]:
    """Up to `NAMED_ITEMS` items of the collection, most recently seen first."""
    of_collection = select(*_ITEM.c["external_id", "display_name", "meta"]).where(_ITEM.c.type_key == type_key)
    return await fetch(session, of_collection.order_by(_ITEM.c.last_seen_at.desc()).limit(NAMED_ITEMS), NamedItem)


async def sorted_versions(
    session: AsyncSession, type_key: str, external_id: str, version_numbers: Sequence[int]
) -> set[int]:
    """The versions among these with documents of normal form 0, which were stored sorted."""
    sorted_ones = (
        select(_VERSION.c.version_number)
        .select_from(_VERSION.join(_DOCUMENT))
        .where(
            _VERSION.c.type_key == type_key,
            _VERSION.c.external_id == external_id,
            among(_VERSION.c.version_number, version_numbers),
            _DOCUMENT.c.body_hash.is_(None),
        )
    )
    return set((await session.execute(sorted_ones)).scalars())


async def document(session: AsyncSession, type_key: str, external_id: str, version_number: int) -> bytes | None:
    """Canonical JSON; None if the version does not exist or is forgotten. Raises `DamagedDocumentError`."""
    named = {"type_key": type_key, "external_id": external_id, "version_number": version_number}
    row = (await session.execute(_OF_VERSION, named)).one_or_none()
    return None if row is None else document_of(row.body, row.body_hash, type_key, external_id, version_number)


async def items_at(
    session: AsyncSession, at: datetime, type_keys: Sequence[str] | None = None
) -> AsyncIterator[ItemAtMoment]:
    """Streams the items that existed at a moment, by type key and id."""
    parameters = {"at": at, "type_keys": None if type_keys is None else list(type_keys)}
    async for item in fetch_stream(
        session, _AT, ItemAtMoment, parameters, rows_at_a_time=DOCUMENTS_AT_A_TIME, shape=_with_document
    ):
        yield item


def _with_document(row: Values) -> Values:
    read, key = Documents(), (row["type_key"], row["external_id"])
    document = read.of(row.pop("body"), row.pop("body_hash"), *key, row.pop("version_number"))
    return {**row, "document": document, "damaged": read.damaged[0] if read.damaged else None}


async def types_not_read(session: AsyncSession, at: datetime) -> list[str]:
    """Collections that their latest completed run by then did not read to the end, or with items but no such run."""
    return list((await session.execute(_NOT_READ, {"at": at})).scalars())


async def was_read(session: AsyncSession, at: datetime, type_keys: Sequence[str] | None = None) -> bool:
    """Whether a completed run had covered one of these collections, or any, by then."""
    parameters = {"at": at, "type_keys": None if type_keys is None else list(type_keys)}
    found: bool = (await session.execute(_WAS_READ, parameters)).scalar_one()
    return found


async def database_time(session: AsyncSession) -> datetime:
    """Times are compared only with PostgreSQL's clock."""
    now: datetime = (await session.execute(select(func.clock_timestamp()))).scalar_one()
    return now
