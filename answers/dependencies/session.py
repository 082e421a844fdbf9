"""Sessions for commands about references, which first read unread ones."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from answers.dependencies.answer import READERS, read_references, read_tenants
from answers.dependencies.tenant_coverage import TenantCoverage
from cli import output
from cli.output_options import output_options
from cli.sessions import find_item, opened_database, say_what_is_damaged
from cli.spool import printed_afterwards
from configuration import Settings
from inventory.item_ids import item_key
from inventory.plurals import counted
from storage.database import Database


@asynccontextmanager
async def read_session(settings: Settings, tenant_id: UUID) -> AsyncIterator[tuple[AsyncSession, TenantCoverage]]:
    """Reads a tenant's references, then opens a transaction. Output is printed after the transaction."""
    async with opened_database(settings, pool_size=READERS) as database:
        with printed_afterwards():
            async with references_session(database, tenant_id) as found:
                yield found


@asynccontextmanager
async def references_session(database: Database, tenant_id: UUID) -> AsyncIterator[tuple[AsyncSession, TenantCoverage]]:
    """As `read_session`, on an open database with `READERS` connections.

    If nothing is unread, one transaction is enough. Names damaged items on stderr.
    """
    async with database.tenant(tenant_id, read_only=True) as session:
        if await read_tenants(session, [tenant_id]):
            yield session, await TenantCoverage.of(session, tenant_id)
            return
    if output_options().about:  # a status line would disturb the answers of earlier tenants
        damaged = await read_references(database, tenant_id, lambda _: None)
    else:
        with output.stderr.status("reading references …") as status:
            damaged = await read_references(
                database, tenant_id, lambda items: status.update(f"reading references … {counted(items, 'item')}")
            )
    say_what_is_damaged(damaged)
    async with database.tenant(tenant_id, read_only=True) as session:
        yield session, await TenantCoverage.of(session, tenant_id, damaged)


async def item_id(session: AsyncSession, type_key: str, sought: str) -> str:
    """`sought` is an id, perhaps never seen, or a name."""
    try:
        UUID(sought)
    except ValueError:
        return await find_item(session, type_key, sought)
    return item_key(sought)
