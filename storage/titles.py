"""Titles of items without a name: a role assignment is named after its role and holder, a role's policy after the role.

A title is stored as the item's name. Each run updates it.
"""

from collections.abc import Mapping, Sequence

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from inventory.titles import TitleRule
from storage.item_lookup import named_item
from storage.sql import BY_INDEX

_WRITE = """
UPDATE inventory_item AS item SET display_name = titled.title FROM titled
WHERE (item.type_key, item.external_id) = (titled.type_key, titled.external_id)
    AND item.display_name IS DISTINCT FROM titled.title
"""

# No collection reads persons, so the beginning of the id stands for their names. An item whose references have not been
# read gets no title: its other words alone would say too little.
_GIVE = text(f"""
WITH part AS MATERIALIZED (
    SELECT r.type_key, r.external_id, place, position, true AS is_enough,
        coalesce(target.display_name, left(r.target_id, 8) || '…') AS words
    FROM unnest(CAST(:type_keys AS text[]), CAST(:paths AS text[]), CAST(:places AS int[]))
        AS named (type_key, path, place)
    CROSS JOIN LATERAL (
        SELECT * FROM item_reference AS reference
        WHERE (reference.type_key, reference.path) = (named.type_key, named.path)
        ORDER BY type_key, external_id
    ) AS r
    LEFT JOIN LATERAL (
        SELECT candidate.display_name FROM unnest(r.target_type_keys) AS possible (type_key) CROSS JOIN LATERAL (
            {named_item("possible.type_key", "r.target_id")}
        ) AS candidate
        WHERE candidate.display_name IS NOT NULL
        ORDER BY candidate.absent_from DESC NULLS FIRST, candidate.type_key LIMIT 1
    ) AS target ON true
    UNION ALL
    SELECT item.type_key, item.external_id, place, 0, is_enough, item.meta ->> named.path
    FROM unnest(CAST(:meta_type_keys AS text[]), CAST(:meta_keys AS text[]), CAST(:meta_places AS int[]),
        CAST(:meta_enough AS bool[])) AS named (type_key, path, place, is_enough)
    CROSS JOIN LATERAL (
        SELECT * FROM inventory_item AS item WHERE item.type_key = named.type_key ORDER BY type_key, external_id
    ) AS item
    WHERE item.meta ->> named.path IS NOT NULL
), titled AS MATERIALIZED (
    SELECT type_key, external_id, string_agg(words, ' · ' ORDER BY place, position) AS title
    FROM part GROUP BY type_key, external_id HAVING bool_or(is_enough)
)
{_WRITE}
""")

# A source that has no title itself gives none.
_GIVE_FROM_SOURCES = text(f"""
WITH titled AS MATERIALIZED (
    SELECT DISTINCT ON (named.type_key, r.target_id) named.type_key, r.target_id AS external_id,
        source.display_name AS title
    FROM unnest(CAST(:type_keys AS text[]), CAST(:source_keys AS text[]), CAST(:paths AS text[]))
        AS named (type_key, source_key, path)
    CROSS JOIN LATERAL (
        SELECT * FROM item_reference AS reference
        WHERE (reference.type_key, reference.path) = (named.source_key, named.path)
        ORDER BY type_key, external_id
    ) AS r
    CROSS JOIN LATERAL (
        SELECT display_name, absent_from FROM inventory_item AS item
        WHERE (item.type_key, item.external_id) = (r.type_key, r.external_id)
            AND item.display_name NOT IN (item.external_id, coalesce(item.graph_id, item.external_id))
        LIMIT 1
    ) AS source
    ORDER BY named.type_key, r.target_id, source.absent_from DESC NULLS FIRST, source.display_name
)
{_WRITE}
""")


async def give_titles(session: AsyncSession, rules: Mapping[str, TitleRule]) -> None:
    """Idempotent: writes only titles that differ."""
    await session.execute(BY_INDEX)
    parts = [(key, part, place) for key, rule in rules.items() for place, part in enumerate(rule.parts)]
    if parts:
        references = [(key, part.path, place) for key, part, place in parts if not part.is_meta]
        titles = [
            (key, part.path, place, all(other.is_meta for other in rules[key].parts))
            for key, part, place in parts
            if part.is_meta
        ]
        parameters = {
            **_columns(("type_keys", "paths", "places"), references),
            **_columns(("meta_type_keys", "meta_keys", "meta_places", "meta_enough"), titles),
        }
        await session.execute(_GIVE, parameters)
    sources = [(key, *rule.source) for key, rule in rules.items() if rule.source is not None]
    if sources:
        # A separate statement, since it reads titles that the first one has written.
        await session.execute(_GIVE_FROM_SOURCES, _columns(("type_keys", "source_keys", "paths"), sources))


def _columns(names: Sequence[str], rows: Sequence[Sequence[object]]) -> dict[str, object]:
    return {name: [row[place] for row in rows] for place, name in enumerate(names)}
