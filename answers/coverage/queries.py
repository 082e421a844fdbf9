"""Collections that were not read, and since when."""

from collections.abc import Collection
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncSession

from answers.coverage.records import UnreadCollections
from inventory.coverage import NEVER_READ
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


# Only tenants with fewer of the expected collections than there are can lack one, which most do not.
def _unread(condition: str) -> TextClause:
    return text(f"""
    SELECT 'not_read' AS answer, reason, array_remove(array_agg(DISTINCT type_key ORDER BY type_key), '') AS type_keys,
        array_agg(DISTINCT tenant_id ORDER BY tenant_id) AS tenant_ids
    FROM (
        SELECT tenant_id, type_key, concat_ws(':', outcome, error_code) AS reason FROM collection_coverage
        WHERE {condition} AND outcome NOT IN ('complete', 'skipped')
            AND (CAST(:type_keys AS text[]) IS NULL OR type_key = ANY (CAST(:type_keys AS text[])))
        UNION ALL
        SELECT tenant_id, named.type_key, '{NEVER_READ}'
        FROM (
            SELECT tenant_id FROM collection_coverage WHERE {condition} GROUP BY tenant_id
            HAVING count(*) FILTER (WHERE type_key = ANY (CAST(:expected AS text[]))) < :expectations
        ) AS lacking
        CROSS JOIN unnest(CAST(:expected AS text[])) AS named (type_key)
        WHERE NOT EXISTS (
            SELECT FROM collection_coverage AS c
            WHERE {condition} AND (c.tenant_id, c.type_key) = (lacking.tenant_id, named.type_key)
        )
        UNION ALL
        SELECT tenant_id, '', '{NEVER_READ}' FROM unnest(CAST(:tenant_ids AS uuid[])) AS tenant (tenant_id)
        WHERE NOT EXISTS (SELECT FROM collection_coverage AS c WHERE {condition} AND c.tenant_id = tenant.tenant_id)
    ) AS unread
    GROUP BY reason, type_key = ''
    ORDER BY reason, type_key = ''
    """)


_UNREAD, _UNREAD_OF_ALL = _unread("tenant_id = ANY (CAST(:tenant_ids AS uuid[]))"), _unread("true")


async def unread_collections(
    session: AsyncSession,
    tenant_ids: Collection[UUID] | None,
    type_keys: Collection[str] | None,
    expected: Collection[str],
) -> list[UnreadCollections]:
    """By reason. `expected`: collections that are a gap if no run has selected them.

    Without `tenant_ids`, of visible tenants that were read.
    """
    parameters = {
        "tenant_ids": None if tenant_ids is None else list(tenant_ids),
        "type_keys": None if type_keys is None else sorted(type_keys),
        "expected": sorted(expected),
        "expectations": len(expected),
    }
    statement = _UNREAD_OF_ALL if tenant_ids is None else _UNREAD
    return await fetch(session, statement, UnreadCollections, parameters)
