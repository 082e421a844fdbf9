"""Pages that an open run has read: they contain its links and prove its listings."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple
from uuid import UUID

import orjson
from sqlalchemy import and_, bindparam, delete, exists, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from inventory.error_codes import OF_TENANT_CODES, ErrorCode
from inventory.listing import BEGINNING, PageLinks, is_listed_to_its_end, position_of
from storage.models.base import among, table
from storage.models.runs import ListedPage, SyncRun

_PAGE, _RUN = table(ListedPage), table(SyncRun)

BEGINNINGS = UUID(int=0)
"""The fetch token of the rows that open each collection's first page."""


class ReadPage(NamedTuple):
    type_key: str
    url: str
    opens: Sequence[str]
    """The URLs that it links to, allowed or not."""
    items: int
    error_code: ErrorCode | None = None
    """Why the tenant cannot have the collection, if Graph answered so."""


class ListingProgress(NamedTuple):
    listed: frozenset[str]
    """Collections that were listed to their end, and merged."""
    refused: frozenset[str]
    """Collections that, by Graph's answer, the tenant cannot have."""


_RECORD = text("""
INSERT INTO listed_page (run_id, type_key, fetch_token, position, opens, error_code, is_merged)
SELECT :run_id, type_key, :fetch_token, position, opens, error_code, is_merged
FROM jsonb_to_recordset(CAST(:pages AS jsonb)) AS page (
    type_key text, position uuid, opens uuid[], error_code text, is_merged boolean
)
ON CONFLICT (tenant_id, run_id, type_key, fetch_token) DO UPDATE SET opens = excluded.opens
""")

_OPENED = text("""
SELECT DISTINCT link.type_key, link.position
FROM unnest(CAST(:type_keys AS text[]), CAST(:positions AS uuid[])) AS link (type_key, position)
JOIN listed_page AS p ON p.run_id = :run_id AND p.type_key = link.type_key AND link.position = ANY (p.opens)
""")


_MERGED = (
    update(_PAGE)
    .where(_PAGE.c.run_id == bindparam("of_run"), among(_PAGE.c.fetch_token, "of_waves"), ~_PAGE.c.is_merged)
    .values(is_merged=True)
)


async def open_listings(session: AsyncSession, run_id: UUID, first_urls: Mapping[str, str]) -> None:
    beginnings = [
        {"type_key": type_key, "position": BEGINNING, "opens": _array([url]), "is_merged": True}
        for type_key, url in first_urls.items()
    ]
    await _record(session, run_id, BEGINNINGS, beginnings)


async def record_pages(session: AsyncSession, run_id: UUID, fetch_token: UUID, pages: Sequence[ReadPage]) -> None:
    """Pages without items count as merged at once."""
    rows = [
        {
            "type_key": page.type_key,
            "position": position_of(page.url),
            "opens": _array(page.opens),
            "error_code": page.error_code,
            "is_merged": not page.items,
        }
        for page in pages
    ]
    await _record(session, run_id, fetch_token, rows)


async def _record(
    session: AsyncSession, run_id: UUID, fetch_token: UUID, pages: Sequence[Mapping[str, object]]
) -> None:
    if pages:
        values = {"run_id": run_id, "fetch_token": fetch_token, "pages": orjson.dumps(pages).decode()}
        await session.execute(_RECORD, values)


def _array(urls: Sequence[str]) -> str:
    return "{" + ",".join(str(position_of(url)) for url in urls) + "}"


async def opened(session: AsyncSession, run_id: UUID, links: Collection[tuple[str, str]]) -> frozenset[tuple[str, str]]:
    """The links among these that the run's pages contain."""
    by_position = {(type_key, position_of(url)): (type_key, url) for type_key, url in links}
    sought = {
        "run_id": run_id,
        "type_keys": [type_key for type_key, _ in by_position],
        "positions": [position for _, position in by_position],
    }
    rows = await session.execute(_OPENED, sought)
    return frozenset(by_position[row.type_key, row.position] for row in rows)


async def are_unrecorded(session: AsyncSession, run_id: UUID) -> bool:
    """Whether release 0.3.0, which recorded no pages, began the run."""
    has_begun = exists().where(_RUN.c.run_id == run_id, _RUN.c.started_at.is_not(None))
    is_recorded = exists().where(_PAGE.c.run_id == run_id, _PAGE.c.fetch_token == BEGINNINGS)
    return bool((await session.execute(select(and_(has_begun, ~is_recorded)))).scalar_one())


async def mark_merged(session: AsyncSession, run_id: UUID, fetch_tokens: Sequence[UUID]) -> None:
    await session.execute(_MERGED, {"of_run": run_id, "of_waves": list(fetch_tokens)})


async def listing_progress(session: AsyncSession, run_id: UUID) -> ListingProgress | None:
    """The listings that the run's pages prove; None if release 0.3.0 began the run."""
    pages: dict[str, list[PageLinks]] = defaultdict(list)
    refusals: list[tuple[str, UUID]] = []
    of_tenant: set[str] = set()
    first: set[tuple[str, UUID]] = set()
    statement = select(*_PAGE.c["type_key", "position", "opens", "error_code", "is_merged"]).where(
        _PAGE.c.run_id == run_id
    )
    for row in await session.execute(statement):
        if row.error_code is not None:
            refusals.append((row.type_key, row.position))
            if row.error_code in OF_TENANT_CODES:
                of_tenant.add(row.type_key)
            continue
        pages[row.type_key].append(PageLinks(row.position, row.opens, row.is_merged))
        if row.position == BEGINNING:
            first.update((row.type_key, position) for position in row.opens)
    # If 0.3.0 began the run, this release may have recorded its last pages: they prove nothing without the first.
    if not first and await are_unrecorded(session, run_id):
        return None
    listed = frozenset(type_key for type_key, read in pages.items() if is_listed_to_its_end(read))
    # An answer that one parent is gone says nothing about the collection: only the answer to its first page does.
    at_first = {type_key for type_key, position in refusals if (type_key, position) in first}
    return ListingProgress(listed, frozenset(at_first | of_tenant))


async def forget_pages(session: AsyncSession, run_id: UUID) -> None:
    """Deletes the pages of an ended run; its record holds their result."""
    await session.execute(delete(_PAGE).where(_PAGE.c.run_id == run_id))
