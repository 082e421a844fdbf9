"""Coverage: when completed runs read each collection, and with which outcome."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from inventory.coverage import Coverage
from storage.models.base import among, table
from storage.models.runs import CollectionCoverage
from storage.rows import fetch

_COVERAGE = table(CollectionCoverage)

# A run that ends late does not replace the coverage by a run that started after it.
_RECORD = text("""
INSERT INTO collection_coverage AS c (
    type_key, run_id, run_started_at, outcome, error_code,
    first_listed_at, listed_run_id, listed_from, listed_at, listed_cleanly
)
SELECT type_key, run_id, started_at, outcome, error_code,
    CASE WHEN outcome = 'complete' THEN ended_at END,
    CASE WHEN outcome = 'complete' THEN run_id END,
    CASE WHEN outcome = 'complete' THEN started_at END,
    CASE WHEN outcome = 'complete' THEN ended_at END,
    CASE WHEN outcome = 'complete' THEN CAST(:cleanly AS boolean) END
FROM sync_run_collection JOIN sync_run USING (tenant_id, run_id) CROSS JOIN clock_timestamp() AS ended_at
WHERE run_id = :run_id AND started_at IS NOT NULL
ORDER BY type_key
ON CONFLICT (tenant_id, type_key) DO UPDATE SET
    (run_id, run_started_at, outcome, error_code) = (
        SELECT * FROM (VALUES
            (excluded.run_id, excluded.run_started_at, excluded.outcome, excluded.error_code),
            (c.run_id, c.run_started_at, c.outcome, c.error_code)
        ) AS latest (run_id, started_at, outcome, error_code) ORDER BY started_at DESC LIMIT 1
    ),
    first_listed_at = coalesce(c.first_listed_at, excluded.first_listed_at),
    (listed_run_id, listed_from, listed_at, listed_cleanly) = (
        SELECT * FROM (VALUES
            (excluded.listed_run_id, excluded.listed_from, excluded.listed_at, excluded.listed_cleanly),
            (c.listed_run_id, c.listed_from, c.listed_at, c.listed_cleanly)
        ) AS latest (run_id, started_at, ended_at, cleanly) ORDER BY started_at DESC NULLS LAST LIMIT 1
    )
""")


async def record_coverage(session: AsyncSession, run_id: UUID, *, cleanly: bool) -> None:
    """`cleanly`: the completed run was a success without errors."""
    await session.execute(_RECORD, {"run_id": run_id, "cleanly": cleanly})


async def coverage(session: AsyncSession, type_keys: Iterable[str] | None = None) -> dict[str, Coverage]:
    """Leaves out collections that no completed run has selected."""
    statement = select(*(_COVERAGE.c[name] for name in Coverage.model_fields)).order_by(_COVERAGE.c.type_key)
    if type_keys is not None:
        statement = statement.where(among(_COVERAGE.c.type_key, sorted(type_keys)))
    return {row.type_key: row for row in await fetch(session, statement, Coverage)}


class _TenantCoverage(NamedTuple):
    tenant_id: UUID
    collection: Coverage


async def coverage_of_tenants(session: AsyncSession, tenant_ids: Sequence[UUID]) -> dict[UUID, dict[str, Coverage]]:
    """Empty for a tenant that was never read, or that the session does not see."""
    fields = [_COVERAGE.c[name].label(f"collection.{name}") for name in Coverage.model_fields]
    statement = select(_COVERAGE.c.tenant_id, *fields).where(among(_COVERAGE.c.tenant_id, tenant_ids))
    found: dict[UUID, dict[str, Coverage]] = {tenant_id: {} for tenant_id in tenant_ids}
    for row in await fetch(session, statement.order_by(_COVERAGE.c.type_key), _TenantCoverage):
        found[row.tenant_id][row.collection.type_key] = row.collection
    return found


async def listed_once(session: AsyncSession) -> frozenset[str]:
    """Collections that any run has listed to their end."""
    statement = select(_COVERAGE.c.type_key).where(_COVERAGE.c.first_listed_at.is_not(None))
    return frozenset((await session.execute(statement)).scalars())


async def is_read(session: AsyncSession) -> bool:
    """Whether any run of the tenant has completed."""
    return bool(await session.scalar(select(select(_COVERAGE.c.type_key).exists())))
