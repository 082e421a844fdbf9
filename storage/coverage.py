"""How far each collection has been read: what a run that ends adds to it, and what an answer rests on."""

from collections.abc import Iterable
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from inventory.coverage import Coverage

# A run that ends late does not hide what one that started after it has found.
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

_COVERAGE = text("""
SELECT type_key, run_id, run_started_at, outcome, error_code,
    first_listed_at, listed_run_id, listed_from, listed_at, listed_cleanly
FROM collection_coverage
WHERE CAST(:type_keys AS text[]) IS NULL OR type_key = ANY (CAST(:type_keys AS text[]))
ORDER BY type_key
""")


_LISTED_ONCE = text("SELECT type_key FROM collection_coverage WHERE first_listed_at IS NOT NULL")


async def record_coverage(session: AsyncSession, run_id: UUID, *, cleanly: bool) -> None:
    """Takes in what became of the collections of a completed run. `cleanly`: it is a success without an error."""
    await session.execute(_RECORD, {"run_id": run_id, "cleanly": cleanly})


async def coverage(session: AsyncSession, type_keys: Iterable[str] | None = None) -> dict[str, Coverage]:
    """How far each collection has been read, by type key; what no completed run has selected is not in it."""
    named = None if type_keys is None else sorted(type_keys)
    rows = (await session.execute(_COVERAGE, {"type_keys": named})).mappings()
    return {row["type_key"]: Coverage.model_validate(row) for row in rows}


async def listed_once(session: AsyncSession) -> frozenset[str]:
    """The collections that some run has listed to their end."""
    return frozenset((await session.execute(_LISTED_ONCE)).scalars())
