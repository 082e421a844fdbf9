"""Titles: what an item without a name is called, after the objects that it refers to.

A role assignment goes by its role and by whom it is for. Titles stand where names do, and follow the names of these
objects from run to run.
"""

from collections.abc import Mapping, Sequence

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from storage.item_lookup import named_item

# Of a person, whom no collection reads, the beginning of the id has to do.
_GIVE = text(f"""
WITH titled AS MATERIALIZED (
    SELECT r.type_key, r.external_id,
        string_agg(coalesce(target.display_name, left(r.target_id, 8) || '…'), ' · ' ORDER BY place, position) AS title
    FROM unnest(CAST(:type_keys AS text[]), CAST(:paths AS text[]), CAST(:places AS int[]))
        AS named (type_key, path, place)
    CROSS JOIN LATERAL (
        SELECT * FROM item_reference AS one WHERE (one.type_key, one.path) = (named.type_key, named.path) OFFSET 0
    ) AS r
    LEFT JOIN LATERAL (
        SELECT one.display_name FROM unnest(r.target_type_keys) AS possible (type_key) CROSS JOIN LATERAL (
            {named_item("possible.type_key", "r.target_id")}
        ) AS one
        WHERE one.display_name IS NOT NULL ORDER BY one.absent_from DESC NULLS FIRST, one.type_key LIMIT 1
    ) AS target ON true
    GROUP BY r.type_key, r.external_id
)
UPDATE inventory_item AS item SET display_name = titled.title FROM titled
WHERE (item.type_key, item.external_id) = (titled.type_key, titled.external_id)
    AND item.display_name IS DISTINCT FROM titled.title
""")


async def give_titles(session: AsyncSession, titles: Mapping[str, Sequence[str]]) -> None:
    """Gives items their titles. `titles` are the paths of the references that make them, by type key.

    Idempotent: an item that has its title is not written.
    """
    rows = [(type_key, path, place) for type_key, paths in titles.items() for place, path in enumerate(paths)]
    if rows:
        type_keys, paths, places = zip(*rows, strict=True)
        parameters = {"type_keys": list(type_keys), "paths": list(paths), "places": list(places)}
        await session.execute(_GIVE, parameters)
