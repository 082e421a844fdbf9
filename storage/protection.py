"""Checks for a diagnosis: whether the database keeps tenants apart, and its clock."""

from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from storage.access import access
from storage.database import PROBE

_OPEN_TABLES = text("""
-- tables with a tenant's rows that the current role may read, and to which row-level security does not apply for it
SELECT c.relname
FROM pg_class AS c
JOIN pg_class AS run ON run.oid = to_regclass('sync_run') AND run.relnamespace = c.relnamespace
WHERE c.relkind IN ('r', 'p')
    AND EXISTS (
        SELECT FROM pg_attribute AS a WHERE a.attrelid = c.oid AND a.attname = 'tenant_id' AND NOT a.attisdropped
    )
    AND has_table_privilege(c.oid, 'SELECT') AND NOT row_security_active(c.oid)
    -- has no policies: it is read through a view, which binds; under one role, its owner may bypass that view
    AND c.relname <> 'staged_item'
ORDER BY c.relname
""")

_SEES_A_TENANT = text("SELECT EXISTS (SELECT FROM tenant)")

_SMALLEST_WORK_MEM = text("SELECT set_config('work_mem', '64kB', true)")

SPILL = "SELECT count(*) FROM generate_series(1, 50000)"
"""Writes more than a megabyte to a temporary file, which a session that only reads may do, too."""

_NOW = text("SELECT clock_timestamp()")


async def check_access(session: AsyncSession) -> None:
    """Checks revision and roles anew, which `Database` does once. Raises `StorageNotReadyError`."""
    access((await session.execute(PROBE)).one_or_none())


async def open_tables(session: AsyncSession) -> list[str]:
    """Tables in which the session's role may read all tenants."""
    return list((await session.execute(_OPEN_TABLES)).scalars())


async def sees_a_tenant(session: AsyncSession) -> bool:
    """The session must be bound to no tenant."""
    return bool((await session.execute(_SEES_A_TENANT)).scalar_one())


async def check_disk(session: AsyncSession) -> None:
    """Its error, from PostgreSQL's SQLSTATE 53100, is `StorageServerError`: reads alone do not show a full disk."""
    await session.execute(_SMALLEST_WORK_MEM)
    await session.execute(text(SPILL))


async def database_clock(session: AsyncSession) -> datetime:
    now: datetime = (await session.execute(_NOW)).scalar_one()
    return now
