"""Items whose raw objects did not change: they are neither read nor staged again."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from functools import cache
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Row, TextClause, text
from sqlalchemy.ext.asyncio import AsyncSession

from inventory.normal_form import FORM
from storage.sql import BY_PLACE, statement
from storage.staging import SameItems

SETTLED = (
    "one.raw_digest_at = one.last_seen_at AND one.version_number > 0 AND one.details_complete"
    " AND one.absent_from IS NULL"
    f" AND one.stale_since IS NULL AND one.content_observed_at IS NULL AND one.form = {FORM}"
)
"""SQL condition: an observation of the same bytes changes only the item's last-seen columns.

A merge by an earlier release leaves `raw_digest_at` behind `last_seen_at`, so the digest no longer counts.
"""


class DetailAges(NamedTuple):
    """When details are due; the fields are parameters of `storage.merge.merge`."""

    detail_refresh: timedelta | None
    refreshes: Mapping[str, tuple[timedelta, datetime | None]]


_SAME = f"""
SELECT page.number, array_agg(named.place) AS places
FROM (VALUES {{pages}}) AS page (number, type_key, ids, digests)
LEFT JOIN unnest(
    CAST(:refresh_keys AS text[]), CAST(:refresh_periods AS interval[]), CAST(:refresh_bounds AS timestamptz[])
) AS refresh (type_key, period, read_before) USING (type_key)
CROSS JOIN LATERAL unnest(string_to_array(page.ids, E'\\x1f')) WITH ORDINALITY AS named (external_id, place)
CROSS JOIN LATERAL (
    SELECT * FROM inventory_item AS one
    WHERE (one.type_key, one.external_id) = (page.type_key, named.external_id) LIMIT 1
) AS one
WHERE one.raw_digest = substr(page.digests, named.place::int * 16 - 15, 16) AND {SETTLED} AND (
    one.list_hash IS NULL OR NOT :deep AND one.details_read_at >= least(
        refresh.read_before,
        clock_timestamp() - coalesce(refresh.period, CAST(:detail_refresh AS interval))
            * (0.5 + (hashtext(one.external_id) >> 16 & 65535) / 131072.0)
    )
)
GROUP BY page.number
"""

_MERGE_SAME = statement("merge_same", settled=SETTLED, by_place=BY_PLACE)

_DROP = text("""
DELETE FROM staged_observation AS staged
USING unnest(CAST(:type_keys AS text[]), CAST(:external_ids AS text[])) AS outdated (type_key, external_id)
WHERE staged.run_id = :run_id AND staged.fetch_token = ANY (:fetch_tokens)
    AND (staged.type_key, staged.external_id) = (outdated.type_key, outdated.external_id)
""")


async def same_items(
    session: AsyncSession, pages: Sequence[SameItems], ages: DetailAges, *, deep: bool
) -> list[set[str]]:
    """The ids of each page's items that have the same digest and no due details."""
    named: dict[str, object] = {}
    for number, page in enumerate(pages):
        named[f"type_key_{number}"] = page.type_key
        named[f"ids_{number}"] = page.joined_ids
        named[f"digests_{number}"] = page.joined_digests
    due = {
        "refresh_keys": list(ages.refreshes),
        "refresh_periods": [period for period, _ in ages.refreshes.values()],
        "refresh_bounds": [bound for _, bound in ages.refreshes.values()],
        "detail_refresh": ages.detail_refresh,
        "deep": deep,
    }
    ids_of_pages: list[set[str]] = [set() for _ in pages]
    for row in await session.execute(_same(len(pages)), {**named, **due}):
        external_ids = pages[row.number].external_ids
        ids_of_pages[row.number] = {external_ids[place - 1] for place in row.places}
    return ids_of_pages


@cache
def _same(pages: int) -> TextClause:
    """With parameters for each page: psycopg scans each text of an array in Python, and writes its bytes as text."""
    rows = (
        f"({number}, CAST(:type_key_{number} AS text), CAST(:ids_{number} AS text), CAST(:digests_{number} AS bytea))"
        for number in range(pages)
    )
    return text(_SAME.format(pages=", ".join(rows)))


async def merge_same(
    session: AsyncSession, run_id: UUID, fetch_tokens: Sequence[UUID], *, restarted: Sequence[str], named: int
) -> Row[Any]:
    """Updates the last-seen columns of items staged as unchanged, and drops older staged rows of these items."""
    waves = {"run_id": run_id, "fetch_tokens": list(fetch_tokens)}
    row = (await session.execute(_MERGE_SAME, {**waves, "restarted": list(restarted), "named": named})).one()
    if row.outdated:
        type_keys, external_ids = zip(*row.outdated, strict=True)
        await session.execute(_DROP, {**waves, "type_keys": list(type_keys), "external_ids": list(external_ids)})
    return row
