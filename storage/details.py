"""Pending items: listed items of a run that wait for their details."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol
from uuid import UUID

import orjson
from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncSession
from zstandard import ZstdError

from inventory.error_codes import ErrorCode
from inventory.stale import StalePart, lacking
from storage.bodies import BODY, Documents
from storage.compression import compress, decompress
from storage.models.base import among, table
from storage.models.runs import PendingItem
from storage.sql import BY_PLACE, statement

_PENDING = table(PendingItem)

HOLD_DOCUMENTS = text("SELECT pg_advisory_xact_lock_shared(document_lock())")
"""Keeps retention from deleting a document that this transaction will use."""


class Share(NamedTuple):
    """A part of a collection's pending items: `part` (from 0) of `of`, a divisor of `bounds.SHARDS`."""

    type_key: str
    part: int = 0
    of: int = 1


class PendingDetails(NamedTuple):
    """An item with details to read. `list_document` is canonical JSON; `attempts` counts failed reads.

    `progress` is the reader's note, None at first.
    """

    type_key: str
    external_id: str
    list_document: bytes
    list_hash: bytes
    progress: bytes | None
    attempts: int
    meta: Mapping[str, Any] = MappingProxyType({})
    """Further properties that only the list shows."""


class RemainingDetails(NamedTuple):
    """The pending items of a share. `failed` counts items whose details cannot be read."""

    items: int
    failed: int


_SHARES = """
unnest(CAST(:type_keys AS text[]), CAST(:parts AS int[]), CAST(:ofs AS int[])) AS share (type_key, part, of)
"""

# The planner has no statistics of rows that a run has just written, and would read all that the run has left: so each
# share and each row is looked up (LATERAL). The same holds below.
_SOME = text(f"""
WITH pending AS MATERIALIZED (
    SELECT pending.* FROM {_SHARES} CROSS JOIN LATERAL (
        SELECT * FROM pending_item AS pending
        WHERE (pending.run_id, pending.type_key) = (:run_id, share.type_key) AND pending.shard % share.of = share.part
            AND pending.failure IS NULL
        ORDER BY pending.attempts, pending.external_id LIMIT :limit
    ) AS pending
    ORDER BY pending.attempts, pending.type_key, pending.external_id LIMIT :limit
)
SELECT pending.type_key, pending.external_id, list_document, pending.list_hash, progress, attempts, item.meta
FROM pending CROSS JOIN LATERAL (
    SELECT meta FROM inventory_item AS item
    WHERE (item.type_key, item.external_id) = (pending.type_key, pending.external_id) LIMIT 1
) AS item
ORDER BY attempts, type_key, external_id
""")

_LEFT = text(f"""
SELECT share.type_key, items, failed FROM {_SHARES} CROSS JOIN LATERAL (
    SELECT count(*) FILTER (WHERE failure IS NULL) AS items, count(failure) AS failed FROM pending_item AS pending
    WHERE (pending.run_id, pending.type_key) = (:run_id, share.type_key) AND pending.shard % share.of = share.part
) AS counted
WHERE items + failed > 0
""")

_PLACE = """
CROSS JOIN LATERAL (
    SELECT ctid AS place FROM pending_item AS pending
    WHERE (pending.run_id, pending.type_key, pending.external_id) = (:run_id, named.type_key, named.external_id) LIMIT 1
) AS pending_row
"""

_NOTE = text(f"""
UPDATE pending_item AS pending
SET progress = named.progress, attempts = named.attempts, failure = named.failure
FROM unnest(
    CAST(:type_keys AS text[]), CAST(:external_ids AS text[]), CAST(:progresses AS bytea[]),
    CAST(:attempts AS bigint[]), CAST(:failures AS jsonb[])
) AS named (type_key, external_id, progress, attempts, failure) {_PLACE}
WHERE pending.ctid = pending_row.place AND pending_row.{BY_PLACE}
""")

_DROP = text(f"""
DELETE FROM pending_item AS pending
USING unnest(CAST(:type_keys AS text[]), CAST(:external_ids AS text[])) AS named (type_key, external_id) {_PLACE}
WHERE pending.ctid = pending_row.place AND pending_row.{BY_PLACE}
""")

# Each item's last version, which replaces details that could not be read, and when it was last known to be current.
_LAST_VERSIONS = text(f"""
SELECT named.type_key, named.external_id, item.version_number, v.details_complete,
    v.stale_parts AS lacked_parts, item.stale_parts, d.body, d.body_hash,
    coalesce(item.content_observed_at, item.details_read_at, item.first_seen_at) AS as_of
FROM unnest(CAST(:type_keys AS text[]), CAST(:external_ids AS text[])) AS named (type_key, external_id)
CROSS JOIN LATERAL (
    SELECT * FROM inventory_item AS item
    WHERE (item.type_key, item.external_id) = (named.type_key, named.external_id) LIMIT 1
) AS item
LEFT JOIN LATERAL (
    SELECT * FROM item_version AS version
    WHERE (version.type_key, version.external_id, version.version_number)
        = (named.type_key, named.external_id, item.version_number) LIMIT 1
) AS v ON true
LEFT JOIN LATERAL (SELECT {BODY} FROM document WHERE document.content_hash = v.content_hash LIMIT 1) AS d ON true
""")

_LOCK_VERSIONS = text("""
SELECT item.* FROM (
    SELECT * FROM unnest(CAST(:type_keys AS text[]), CAST(:external_ids AS text[]))
        AS key (type_key, external_id) ORDER BY type_key, external_id
) AS named CROSS JOIN LATERAL (
    SELECT type_key, external_id, version_number FROM inventory_item AS item
    WHERE (item.type_key, item.external_id) = (named.type_key, named.external_id) LIMIT 1 FOR UPDATE
) AS item
""")

_SETTLE = statement("settle_details", which="true")

# Items with a version stay as they were last read.
_SETTLE_GONE = statement(
    "settle_details",
    which="""(type_key, external_id) IN (
        SELECT item.type_key, item.external_id
        FROM unnest(CAST(:type_keys AS text[]), CAST(:external_ids AS text[])) AS named (type_key, external_id)
        CROSS JOIN LATERAL (
            SELECT * FROM inventory_item AS item
            WHERE (item.type_key, item.external_id) = (named.type_key, named.external_id) LIMIT 1
        ) AS item
        WHERE item.version_number = 0
    )""",
)


class LastVersion(NamedTuple):
    """An item's last version. `document` is canonical JSON, None if unreadable.

    `as_of`: when it was last known to be current, except for its `stale` parts. `lacked`: parts that it never had, one
    part for all details if it is a list's document.
    """

    version_number: int
    document: bytes | None
    as_of: datetime
    stale: Sequence[StalePart]
    lacked: Sequence[StalePart]


class ItemKey(Protocol):
    @property
    def type_key(self) -> str:
        """Its collection."""

    @property
    def external_id(self) -> str:
        """Its key within the collection."""


async def last_versions(session: AsyncSession, items: Sequence[ItemKey]) -> dict[tuple[str, str], LastVersion]:
    read = Documents()
    by_item = {}
    for row in await session.execute(_LAST_VERSIONS, _keys(items)):
        document = read.of(row.body, row.body_hash, row.type_key, row.external_id, row.version_number)
        parts = _parts(row.lacked_parts)
        is_of_list = row.details_complete is False and not parts
        by_item[row.type_key, row.external_id] = LastVersion(
            row.version_number,
            document,
            row.as_of,
            _parts(row.stale_parts),
            [StalePart()] if is_of_list else lacking(parts),
        )
    return by_item


async def lock_versions(session: AsyncSession, items: Sequence[PendingDetails]) -> dict[tuple[str, str], int]:
    """Locks the items until the transaction ends; returns the numbers of their current versions."""
    rows = await session.execute(_LOCK_VERSIONS, _keys(items))
    return {(row.type_key, row.external_id): row.version_number for row in rows}


def _parts(stored: Sequence[Any] | None) -> list[StalePart]:
    return [StalePart.model_validate(part) for part in stored or ()]


def _keys(items: Sequence[ItemKey]) -> dict[str, list[str]]:
    return {"type_keys": [item.type_key for item in items], "external_ids": [item.external_id for item in items]}


async def count_pending(session: AsyncSession, run_id: UUID, type_keys: Sequence[str]) -> dict[str, int]:
    """Counts by type key, without zeros."""
    counted = (
        select(_PENDING.c.type_key, func.count().label("items"))
        .where(_PENDING.c.run_id == run_id, among(_PENDING.c.type_key, type_keys), _PENDING.c.failure.is_(None))
        .group_by(_PENDING.c.type_key)
    )
    return {row.type_key: row.items for row in await session.execute(counted)}


async def some_pending(
    session: AsyncSession, run_id: UUID, shares: Sequence[Share], limit: int
) -> list[PendingDetails]:
    """The first `limit` pending items of the shares, by attempts, type key and id."""
    rows = await session.execute(_SOME, {**_named(run_id, shares), "limit": limit})
    return [
        PendingDetails(
            row.type_key,
            row.external_id,
            _unfolded(row.list_document),
            bytes(row.list_hash),
            None if row.progress is None else _unfolded(row.progress),
            row.attempts,
            row.meta,
        )
        for row in rows
    ]


def _unfolded(frame: bytes) -> bytes:
    try:
        return decompress(frame)
    except ZstdError:
        return b""


async def note(
    session: AsyncSession, run_id: UUID, items: Sequence[PendingDetails], failures: Sequence[dict[str, Any] | None]
) -> None:
    """Records items' progress. An item with a failure is not read again in this run."""
    if not items:
        return
    values = {
        "run_id": run_id,
        "type_keys": [item.type_key for item in items],
        "external_ids": [item.external_id for item in items],
        "progresses": [None if item.progress is None else compress(item.progress) for item in items],
        "attempts": [item.attempts for item in items],
        "failures": [None if failure is None else orjson.dumps(failure).decode() for failure in failures],
    }
    await session.execute(_NOTE, values)


async def drop(session: AsyncSession, run_id: UUID, items: Sequence[PendingDetails]) -> None:
    """Deletes pending items that were read."""
    if items:
        await session.execute(_DROP, {"run_id": run_id, **_keys(items)})


async def drop_gone(session: AsyncSession, run_id: UUID, items: Sequence[PendingDetails]) -> None:
    """Deletes pending items that Graph has deleted since it listed them; `merge.claim` must have been called.

    An item without a version gets its list document as an incomplete first version.
    """
    if items:
        await session.execute(_SETTLE_GONE, {"run_id": run_id, "damaged": ErrorCode.STORAGE_DAMAGED, **_keys(items)})
        await drop(session, run_id, items)


async def left(session: AsyncSession, run_id: UUID, shares: Sequence[Share]) -> dict[str, RemainingDetails]:
    """The rest of each unfinished share, by type key, which only one share may have."""
    rows = await session.execute(_LEFT, _named(run_id, shares))
    return {row.type_key: RemainingDetails(row.items, row.failed) for row in rows}


async def settle(session: AsyncSession, run_id: UUID) -> dict[str, int]:
    """Deletes the run's pending items; returns their number by type key, without zeros.

    An item without a version gets its list document as an incomplete first version.
    """
    await session.execute(HOLD_DOCUMENTS)
    settled = {"run_id": run_id, "damaged": ErrorCode.STORAGE_DAMAGED}
    return {row.type_key: row.items for row in await session.execute(_SETTLE, settled)}


def _named(run_id: UUID, shares: Sequence[Share]) -> dict[str, object]:
    return {
        "run_id": run_id,
        "type_keys": [share.type_key for share in shares],
        "parts": [share.part for share in shares],
        "ofs": [share.of for share in shares],
    }
