"""Recognises re-created items: a new id, the same name, and the same content but for the id."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import NamedTuple, TypeAlias
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from inventory.canonical import MIN_TELLING_ID_LENGTH
from inventory.records import DamagedRecord
from storage.bodies import BODY, Documents
from storage.sql import statement
from storage.streams import opened_stream

AT_ONCE = 100
"""Documents held at a time."""


class StoredDocument(NamedTuple):
    """`document` is canonical JSON."""

    type_key: str
    external_id: str
    document: bytes


Likenesses: TypeAlias = Callable[[Sequence[StoredDocument]], Awaitable[Sequence[bytes]]]
"""The likeness of each document (`inventory.normal_form.likeness_hash`)."""

_CANDIDATES = statement("recreation_candidates")

_DOCUMENTS = text(f"SELECT content_hash, {BODY} FROM document WHERE content_hash = ANY (:content_hashes)")

_LINK = text("""
UPDATE inventory_item AS item SET recreates_external_id = link.old_id
FROM unnest(CAST(:type_keys AS text[]), CAST(:new_ids AS text[]), CAST(:old_ids AS text[]))
    AS link (type_key, new_id, old_id)
WHERE (item.type_key, item.external_id) = (link.type_key, link.new_id)
""")

_NOTE_LATE = text("""
UPDATE item_absence AS absence SET recreated_as = late.new_id
FROM unnest(CAST(:type_keys AS text[]), CAST(:new_ids AS text[]), CAST(:old_ids AS text[]),
    CAST(:moments AS timestamptz[])) AS late (type_key, new_id, old_id, absent_from)
WHERE (absence.type_key, absence.external_id, absence.absent_from) = (late.type_key, late.old_id, late.absent_from)
    AND absence.recreated_as IS NULL
""")


class _Gone(NamedTuple):
    external_id: str
    last_seen_at: datetime
    absent_from: datetime
    is_of_this_run: bool


class _Link(NamedTuple):
    """A re-created item. `absent_from` is the old item's, if an earlier run saw the new one."""

    type_key: str
    new_id: str
    old_id: str
    absent_from: datetime | None


async def link_recreated(
    session: AsyncSession, run_id: UUID, type_keys: Sequence[str], likenesses: Likenesses
) -> list[DamagedRecord]:
    """Links each re-created item to the latest item that it may replace; several may replace one item.

    `type_keys`: collections listed to their end. Returns versions with damaged documents, which are not linked.
    """
    read = Documents()
    sought = {"run_id": run_id, "type_keys": list(type_keys), "telling": MIN_TELLING_ID_LENGTH}
    name = None
    gone: dict[bytes, list[_Gone]] = {}
    async with opened_stream(session, _CANDIDATES, sought, AT_ONCE) as candidates:
        async for rows in candidates.partitions():
            hashes = {"content_hashes": [row.content_hash for row in rows]}
            bodies = {row.content_hash: (row.body, row.body_hash) for row in await session.execute(_DOCUMENTS, hashes)}
            readable = [
                (row, StoredDocument(row.type_key, row.external_id, document))
                for row in rows
                for document in [read.of(*bodies[row.content_hash], row.type_key, row.external_id, row.version_number)]
                if document is not None
            ]
            links: list[_Link] = []
            of_each = await likenesses([document for _, document in readable])
            for (row, _), likeness in zip(readable, of_each, strict=True):
                if name != (row.type_key, row.name):
                    name, gone = (row.type_key, row.name), {}
                if row.is_gone:
                    predecessor = _Gone(row.external_id, row.last_seen_at, row.absent_from, row.is_of_this_run)
                    gone.setdefault(likeness, []).append(predecessor)
                    continue
                for predecessor in gone.get(likeness, ()):
                    if row.is_of_this_run:
                        links.append(_Link(row.type_key, row.external_id, predecessor.external_id, None))
                        break
                    if predecessor.is_of_this_run and predecessor.last_seen_at < row.seen_from:
                        links.append(
                            _Link(row.type_key, row.external_id, predecessor.external_id, predecessor.absent_from)
                        )
                        break
            await _link(session, links)
    return read.damaged


async def _link(session: AsyncSession, links: Sequence[_Link]) -> None:
    if links:
        await session.execute(_LINK, _columns(links))
    late = [link for link in links if link.absent_from is not None]
    if late:
        await session.execute(_NOTE_LATE, {**_columns(late), "moments": [link.absent_from for link in late]})


def _columns(links: Sequence[_Link]) -> dict[str, list[str]]:
    return {
        "type_keys": [link.type_key for link in links],
        "new_ids": [link.new_id for link in links],
        "old_ids": [link.old_id for link in links],
    }
