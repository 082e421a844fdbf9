"""Items with a current version of normal form 0, which the next run that reads them compares anew.

If the stored document and Graph's have one hash by today's rules, the item keeps its version. Otherwise it gets a new
one, which is no change if form 0 had only lost an order or a property.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from inventory.normal_form import FORM
from storage.bodies import BODY, Documents
from storage.rows import Values, fetch

ITEMS_AT_A_TIME = 200


class FirstFormItem(NamedTuple):
    """An item and its `stored` document, None if damaged. `content_hash` is of Graph's document now."""

    type_key: str
    external_id: str
    stored: bytes | None
    content_hash: bytes


SameItems = Callable[[Sequence[FirstFormItem]], Awaitable[Sequence[bool]]]
"""Whether each item's stored document has its `content_hash`."""

# The planner takes a wave for one row, and would look each of its items up. Most collections have none of form 0.
_ARE_THERE = text("""
SELECT EXISTS (
    SELECT FROM inventory_item WHERE form < 1 AND type_key = ANY (ARRAY(
        SELECT DISTINCT type_key FROM staged_observation
        WHERE run_id = :run_id AND fetch_token = ANY (:fetch_tokens)
    ))
)
""")

_SOME = text(f"""
SELECT item.type_key, item.external_id, item.version_number, d.body, d.body_hash, s.content_hash
FROM inventory_item AS item
JOIN staged_observation AS s USING (type_key, external_id)
JOIN item_version AS v USING (type_key, external_id, version_number)
CROSS JOIN LATERAL (SELECT {BODY} FROM document WHERE document.content_hash = v.content_hash LIMIT 1) AS d
WHERE item.form < 1 AND item.version_number > 0 AND item.details_complete
    AND (item.type_key, item.external_id) > (:type_key, :external_id)
    AND s.run_id = :run_id AND s.fetch_token = ANY (:fetch_tokens) AND s.is_whole AND s.body_hash IS NOT NULL
ORDER BY item.type_key, item.external_id LIMIT :most
FOR UPDATE OF item
""")

_TAKE_OVER = text("""
UPDATE inventory_item AS item SET content_hash = same.content_hash, form = :form
FROM unnest(CAST(:type_keys AS text[]), CAST(:external_ids AS text[]), CAST(:content_hashes AS bytea[]))
    AS same (type_key, external_id, content_hash)
WHERE (item.type_key, item.external_id) = (same.type_key, same.external_id)
""")


async def take_over(session: AsyncSession, run_id: UUID, fetch_tokens: Sequence[UUID], same: SameItems) -> None:
    """Gives an item the new hash if its staged document equals its version's, in one of the waves at least."""
    wave = {"run_id": run_id, "fetch_tokens": list(fetch_tokens)}
    if not (await session.execute(_ARE_THERE, wave)).scalar_one():
        return
    place = {"type_key": "", "external_id": ""}
    while items := await fetch(
        session, _SOME, FirstFormItem, {**wave, **place, "most": ITEMS_AT_A_TIME}, shape=_with_documents
    ):
        are_same = await same(items)
        taken = [item for item, is_same in zip(items, are_same, strict=True) if is_same]
        if taken:
            type_keys, external_ids, hashes = zip(
                *((item.type_key, item.external_id, item.content_hash) for item in taken), strict=True
            )
            named = {"type_keys": list(type_keys), "external_ids": list(external_ids), "content_hashes": list(hashes)}
            await session.execute(_TAKE_OVER, {**named, "form": FORM})
        if len(items) < ITEMS_AT_A_TIME:
            return
        place = {"type_key": items[-1].type_key, "external_id": items[-1].external_id}


def _with_documents(row: Values) -> Values:
    item = row["type_key"], row["external_id"]
    stored = Documents().of(row.pop("body"), row.pop("body_hash"), *item, row.pop("version_number"))
    return {**row, "stored": stored}
