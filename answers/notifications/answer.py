"""The events of a run."""

from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from answers.notifications import queries
from answers.notifications.rules import run_events
from answers.runs.answer import run_record
from inventory.notifications import NotificationEvent


async def events_of_run(session: AsyncSession, run_id: UUID) -> list[NotificationEvent]:
    """What a run that has ended brought, in the session of its tenant."""
    run = await run_record(session, run_id)
    if run is None or run.finished_at is None:
        return []
    before = await queries.run_before(session, run_id)
    return run_events(run, None if before is None else await run_record(session, before))
