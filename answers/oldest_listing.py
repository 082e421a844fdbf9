"""The oldest reading on which an answer rests, if a run has begun since then."""

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import BaseModel
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from graph.catalog import load_catalog
from inventory.coverage import Coverage
from storage.rows import fetch


class OldestListing(BaseModel, frozen=True):
    """Of the collections on which an answer rests, this one's latest complete listing began first, at `read_from`.

    The tenant's newest run, which began at `newest_run_at`, did not read it. Watch's looks are no runs here.
    """

    answer: Literal["oldest_listing"] = "oldest_listing"
    tenant_id: UUID
    type_key: str
    read_from: datetime
    newest_run_at: datetime


def oldest_listing(
    tenant_id: UUID, coverage: Mapping[str, Coverage], type_keys: Collection[str] | None = None
) -> OldestListing | None:
    """None if the newest run has read the whole basis: all collections of these type keys but logs."""
    collections = [collection for key, collection in coverage.items() if key not in load_catalog().logs]
    listings = [
        (collection.listed_from, collection.type_key)
        for collection in collections
        if collection.is_current
        and collection.listed_from is not None
        and (type_keys is None or collection.type_key in type_keys)
    ]
    if not listings:
        return None
    read_from, type_key = min(listings)
    newest = max(collection.run_started_at for collection in collections)
    if read_from >= newest:
        return None
    return OldestListing(tenant_id=tenant_id, type_key=type_key, read_from=read_from, newest_run_at=newest)


def oldest_first(of_tenants: Iterable[OldestListing | None]) -> list[OldestListing]:
    return sorted((oldest for oldest in of_tenants if oldest is not None), key=lambda oldest: oldest.read_from)


# As `oldest_listing`, without the rows of tenants whose newest run has read the whole basis.
_OF_TENANTS = text("""
SELECT 'oldest_listing' AS answer, tenant_id, oldest.type_key, oldest.listed_from AS read_from,
    newest.started_at AS newest_run_at
FROM unnest(CAST(:tenant_ids AS uuid[])) AS tenant (tenant_id)
    CROSS JOIN LATERAL (
        SELECT type_key, listed_from FROM collection_coverage AS c
        WHERE c.tenant_id = tenant.tenant_id AND outcome = 'complete' AND listed_from IS NOT NULL
            AND type_key <> ALL (CAST(:logs AS text[]))
            AND (CAST(:type_keys AS text[]) IS NULL OR type_key = ANY (CAST(:type_keys AS text[])))
        ORDER BY listed_from, type_key LIMIT 1
    ) AS oldest
    CROSS JOIN LATERAL (
        SELECT max(run_started_at) AS started_at FROM collection_coverage AS c
        WHERE c.tenant_id = tenant.tenant_id AND type_key <> ALL (CAST(:logs AS text[]))
    ) AS newest
WHERE oldest.listed_from < newest.started_at
ORDER BY oldest.listed_from, oldest.type_key, tenant_id
""")


async def oldest_listings(
    session: AsyncSession, tenant_ids: Collection[UUID], type_keys: Collection[str] | None = None
) -> list[OldestListing]:
    """`oldest_listing` of each tenant that has one, the oldest first. The session sees the tenants."""
    parameters = {
        "tenant_ids": list(tenant_ids),
        "logs": sorted(load_catalog().logs),
        "type_keys": None if type_keys is None else sorted(type_keys),
    }
    return await fetch(session, _OF_TENANTS, OldestListing, parameters)
