"""When tenants were last read, and the number of open runs."""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from storage.completed_runs import completed

_READ_AT = text(f"""
SELECT tenant.tenant_id, latest.started_at
FROM unnest(CAST(:tenant_ids AS uuid[])) AS tenant (tenant_id)
    CROSS JOIN LATERAL (
        SELECT started_at FROM sync_run
        WHERE sync_run.tenant_id = tenant.tenant_id AND {completed()} AND status <> 'failed'
        ORDER BY queued_at DESC LIMIT 1
    ) AS latest
""")

_OPEN = text("""
SELECT count(*) FILTER (WHERE status = 'queued') AS queued, count(*) FILTER (WHERE status = 'running') AS running,
    clock_timestamp() AS asked_at
FROM sync_run WHERE status IN ('queued', 'running')
""")


class Freshness(NamedTuple):
    read_at: Mapping[UUID, datetime]
    """The start of each tenant's latest completed run that did not fail."""
    queued: int
    running: int
    asked_at: datetime


async def freshness(session: AsyncSession, tenant_ids: Collection[UUID]) -> Freshness:
    """Needs a portfolio session."""
    read = await session.execute(_READ_AT, {"tenant_ids": list(tenant_ids)})
    read_at = {row.tenant_id: row.started_at for row in read}
    counted = (await session.execute(_OPEN)).one()
    return Freshness(read_at, counted.queued, counted.running, counted.asked_at)
