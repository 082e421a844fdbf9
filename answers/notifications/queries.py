"""What notifications ask the database."""

from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

_RUN_BEFORE = text("""
SELECT before.run_id FROM sync_run AS run
JOIN sync_run AS before ON before.selection_hash = run.selection_hash AND before.kind = run.kind
    AND before.queued_at < run.queued_at AND before.status IN ('success', 'partial', 'failed')
WHERE run.run_id = :run_id
ORDER BY before.queued_at DESC LIMIT 1
""")


async def run_before(session: AsyncSession, run_id: UUID) -> UUID | None:
    """The completed run of the same selection before a run."""
    found: UUID | None = (await session.execute(_RUN_BEFORE, {"run_id": run_id})).scalar_one_or_none()
    return found
