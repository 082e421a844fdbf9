"""Staging: the observations of one fetch attempt, copied in under their fetch token until the merge takes them."""

from collections.abc import Iterable
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from inventory.observation import Observation
from storage.compression import compress

_COPY = (
    "COPY staged_item (run_id, fetch_token, type_key, external_id, display_name, meta, content_hash, document,"
    " document_size, likeness_hash, list_hash, is_whole) FROM STDIN"
)

_DISCARD_RUN = text("DELETE FROM staged_item_of_tenant WHERE run_id = :run_id")


async def stage(
    session: AsyncSession,
    run_id: UUID,
    fetch_token: UUID,
    observations: Iterable[Observation],
    *,
    are_whole: bool = False,
) -> None:
    """Copies the observations in. `staged_at` becomes the database's clock at this moment.

    `are_whole`: their documents hold the details too, where they have any.
    """
    connection = await session.connection()
    driver_connection: Any = (await connection.get_raw_connection()).driver_connection
    async with driver_connection.cursor() as cursor, cursor.copy(_COPY) as copy:
        for observation in observations:
            await copy.write_row(
                (
                    run_id,
                    fetch_token,
                    observation.type_key,
                    observation.external_id,
                    observation.display_name,
                    orjson.dumps(observation.meta).decode(),
                    observation.content_hash,
                    compress(observation.document),
                    len(observation.document),
                    observation.likeness_hash,
                    observation.list_hash,
                    are_whole or observation.list_hash is None,
                )
            )


async def discard_staged(session: AsyncSession, run_id: UUID) -> None:
    """Removes what attempts of the run have staged and no merge has taken."""
    await session.execute(_DISCARD_RUN, {"run_id": run_id})
