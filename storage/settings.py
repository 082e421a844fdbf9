"""Settings: what the current versions of items set, kept when their references are read (`storage.references`)."""

from collections.abc import Mapping, Sequence

import orjson
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from inventory.searched_settings import SearchedSetting

_FORGET = text("""
DELETE FROM item_setting WHERE ctid = ANY (ARRAY(
    SELECT old.place
    FROM unnest(CAST(:type_keys AS text[]), CAST(:external_ids AS text[])) AS named (type_key, external_id)
    CROSS JOIN LATERAL (
        SELECT one.ctid AS place FROM item_setting AS one
        WHERE (one.type_key, one.external_id) = (named.type_key, named.external_id) OFFSET 0
    ) AS old
))
""")

# As JSON, as references are written. Each item comes once, with its settings in two arrays.
_KEEP = text("""
INSERT INTO item_setting (type_key, external_id, position, setting, value)
SELECT type_key, external_id, position - 1, setting, value
FROM json_to_recordset(CAST(:rows AS json)) AS kept (type_key text, external_id text, names text[], "values" text[])
    CROSS JOIN LATERAL unnest(names, "values") WITH ORDINALITY AS one (setting, value, position)
""")


async def keep_settings(
    session: AsyncSession,
    items: Sequence[tuple[str, str]],
    found: Mapping[tuple[str, str], Sequence[SearchedSetting]],
) -> None:
    """Replaces the settings of these items, by type key and id. Idempotent."""
    keys = {"type_keys": [key for key, _ in items], "external_ids": [external_id for _, external_id in items]}
    await session.execute(_FORGET, keys)
    rows = [
        {
            "type_key": type_key,
            "external_id": external_id,
            "names": [name for name, _ in settings],
            "values": [value for _, value in settings],
        }
        for (type_key, external_id), settings in found.items()
        if settings
    ]
    if rows:
        await session.execute(_KEEP, {"rows": orjson.dumps(rows).decode()})
