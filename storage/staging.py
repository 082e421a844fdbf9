"""Staging: a fetch attempt copies observations in under its token; the merge takes them out."""

from collections.abc import Iterable, Sequence
from hashlib import sha256
from typing import Any, NamedTuple
from uuid import UUID

import orjson
from psycopg.types.json import Json, Jsonb
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from inventory.observation import Observation
from inventory.reference_extraction import ReadReferences
from storage.compression import compress
from storage.references import rows_of
from storage.settings import know_settings

_COLUMNS = {
    "run_id": "uuid",
    "fetch_token": "uuid",
    "type_key": "text",
    "external_id": "text",
    "display_name": "text",
    "meta": "jsonb",
    "content_hash": "bytea",
    "body_hash": "bytea",
    "document": "bytea",
    "document_size": "int8",
    "list_hash": "bytea",
    "is_whole": "bool",
    "read_references": "json",
    "rules_hash": "bytea",
    "settings": "text",
    "stale_parts": "jsonb",
    "raw_digest": "bytea",
    "same_items": "int8",
    "same_ids": "text",
    "same_digests": "bytea",
}

# Binary, since the text format writes every byte of a document in two.
_COPY = f"COPY staged_item ({', '.join(_COLUMNS)}) FROM STDIN (FORMAT BINARY)"

_DISCARD_RUN = text("DELETE FROM staged_observation WHERE run_id = :run_id")


ID_SEPARATOR = "\x1f"


class SameItems(NamedTuple):
    """A page's items with unchanged raw digests: only ids and digests are staged."""

    type_key: str
    external_ids: Sequence[str]
    """No id contains `ID_SEPARATOR`."""
    digests: Sequence[bytes]

    @property
    def joined_ids(self) -> str:
        """PostgreSQL takes one text much faster than an array."""
        return ID_SEPARATOR.join(self.external_ids)

    @property
    def joined_digests(self) -> bytes:
        return b"".join(self.digests)


async def stage(
    session: AsyncSession,
    run_id: UUID,
    fetch_token: UUID,
    observations: Iterable[Observation],
    same: Iterable[SameItems] = (),
    *,
    are_whole: bool = False,
) -> None:
    """Copies observations into the staging table. `are_whole`: their documents include their details."""
    connection = await session.connection()
    driver_connection: Any = (await connection.get_raw_connection()).driver_connection
    setting_names: list[tuple[str, Sequence[str]]] = []
    async with driver_connection.cursor() as cursor, cursor.copy(_COPY) as copy:
        copy.set_types(list(_COLUMNS.values()))
        for observation in observations:
            await copy.write_row(
                (
                    run_id,
                    fetch_token,
                    observation.type_key,
                    observation.external_id,
                    observation.display_name,
                    Jsonb(observation.meta, orjson.dumps),
                    observation.content_hash,
                    observation.body_hash,
                    compress(observation.document),
                    len(observation.document),
                    _list_hash(observation, run_id),
                    are_whole or observation.list_hash is None,
                    *_read(observation.references),
                    _stale(observation),
                    observation.raw_digest,
                    *(None, None, None),
                )
            )
            if observation.references is not None:
                setting_names.append((observation.type_key, observation.references.settings.names))
        for items in same:
            nothing = Jsonb({}, orjson.dumps)
            head = (run_id, fetch_token, items.type_key, "", None, nothing, b"", None, b"", 0, None, False)
            unread = (None, None, None, None, None)
            await copy.write_row((*head, *unread, len(items.external_ids), items.joined_ids, items.joined_digests))
    await know_settings(session, setting_names)


def _list_hash(observation: Observation, run_id: UUID) -> bytes | None:
    """A document with cut lists gets another hash in each run, so that each run reads the rest."""
    if observation.list_hash is None or not observation.is_cut:
        return observation.list_hash
    return sha256(observation.list_hash + run_id.bytes).digest()


def _read(read: ReadReferences | None) -> tuple[Json | None, bytes | None, str | None]:
    if read is None:
        return None, None, None
    return Json(rows_of(read.references), orjson.dumps), read.rules_hash, read.settings.text


def _stale(observation: Observation) -> Jsonb | None:
    if not observation.stale_parts:
        return None
    return Jsonb([part.model_dump(mode="json") for part in observation.stale_parts], orjson.dumps)


async def discard_staged(session: AsyncSession, run_id: UUID) -> None:
    await session.execute(_DISCARD_RUN, {"run_id": run_id})
