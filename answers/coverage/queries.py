"""Since when collections have not been read."""

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from storage.completed_runs import completed
from storage.rows import fetch


class FailingCollection(NamedTuple):
    """`since`: when the first run of its current failures began."""

    type_key: str
    since: datetime


_FAILING = text(f"""
SELECT c.type_key, min(r.started_at) AS since
FROM collection_coverage AS c
    JOIN sync_run AS r ON {completed("r")} AND r.started_at > coalesce(c.listed_from, '-infinity')
    JOIN sync_run_collection AS failed ON (failed.run_id, failed.type_key) = (r.run_id, c.type_key)
WHERE c.outcome IN ('failed', 'incomplete') AND failed.outcome IN ('failed', 'incomplete')
GROUP BY c.type_key
""")


async def failing_collections(session: AsyncSession) -> list[FailingCollection]:
    """Collections that the latest run did not read to their end; `since` considers kept runs only."""
    return await fetch(session, _FAILING, FailingCollection)
