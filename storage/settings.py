"""Settings of items' current versions, one text for each item.

A search finds the collections that know a setting, then the entry in their items' texts.
"""

from collections.abc import Iterable, Mapping, Sequence

import orjson
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from inventory.searched_settings import ENTRY, VALUE, SearchedSetting, is_written, written

_FORGET = text("""
DELETE FROM item_settings WHERE ctid = ANY (ARRAY(
    SELECT old.place
    FROM unnest(CAST(:type_keys AS text[]), CAST(:external_ids AS text[])) AS named (type_key, external_id)
    CROSS JOIN LATERAL (
        SELECT settings.ctid AS place FROM item_settings AS settings
        WHERE (settings.type_key, settings.external_id) = (named.type_key, named.external_id) LIMIT 1
    ) AS old
))
""")

# As JSON, like references (storage/references.py).
_KEEP = text("""
INSERT INTO item_settings (type_key, external_id, settings)
SELECT * FROM json_to_recordset(CAST(:rows AS json)) AS item (type_key text, external_id text, settings text)
""")

# Two transactions may add the same setting at once, twice: with a unique index they could deadlock.
_KNOW = text("""
INSERT INTO collection_setting (type_key, setting)
SELECT entry.key, name
FROM json_each(CAST(:settings AS json)) AS entry CROSS JOIN LATERAL json_array_elements_text(entry.value) AS name
WHERE (
    SELECT true FROM collection_setting WHERE (collection_setting.type_key, setting) = (entry.key, name) LIMIT 1
) IS NULL
""")


def beginning(name: str) -> str:
    return f"{ENTRY}{name}{VALUE}"


def entries(names: Iterable[str], values: Sequence[str] | None) -> list[str]:
    """Entries with one of the values; without `values`, the beginnings of all entries."""
    if values is None:
        return list(map(beginning, names))
    return [f"{beginning(name)}{value}{ENTRY}" for name in names for value in values if is_written(value)]


async def know_settings(session: AsyncSession, names_by_type: Iterable[tuple[str, Iterable[str]]]) -> None:
    """Adds settings to their collections; none is ever removed."""
    names: dict[str, set[str]] = {}
    for type_key, of_item in names_by_type:
        names.setdefault(type_key, set()).update(of_item)
    known = {key: sorted(of_key) for key, of_key in sorted(names.items()) if of_key}
    if known:
        await session.execute(_KNOW, {"settings": orjson.dumps(known).decode()})


async def keep_settings(
    session: AsyncSession,
    items: Sequence[tuple[str, str]],
    by_item: Mapping[tuple[str, str], Sequence[SearchedSetting]],
) -> None:
    """Replaces the settings of these items. Idempotent."""
    keys = {"type_keys": [key for key, _ in items], "external_ids": [external_id for _, external_id in items]}
    await session.execute(_FORGET, keys)
    written_settings = [(key, written(settings)) for key, settings in by_item.items() if settings]
    rows = [
        {"type_key": type_key, "external_id": external_id, "settings": settings.text}
        for (type_key, external_id), settings in written_settings
    ]
    if rows:
        await session.execute(_KEEP, {"rows": orjson.dumps(rows).decode()})
        await know_settings(session, ((type_key, settings.names) for (type_key, _), settings in written_settings))
