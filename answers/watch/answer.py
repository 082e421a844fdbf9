"""How far `watch` has followed audit logs."""

from collections.abc import Callable
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from answers.watch.records import WatchedLogRecord
from storage import watch


async def watched_logs(session: AsyncSession, name_of: Callable[[UUID], str]) -> list[WatchedLogRecord]:
    """Audit logs of the session's tenant, or of all tenants in a portfolio session."""
    return [
        WatchedLogRecord(
            tenant_id=log.tenant_id,
            tenant=name_of(log.tenant_id),
            log=log.type_key,
            tried_at=log.tried_at,
            read_at=log.read_at,
            unknown_events=log.unknown_events,
            error_code=log.error_code,
        )
        for log in await watch.watched_logs(session)
    ]
