"""What commands that answer by references do first: read what has not been read yet."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from answers.dependencies import Reading
from commands import output
from commands.asking import say_what_is_damaged
from commands.spool import printed_afterwards
from configuration import Settings
from graph.catalog import load_catalog
from storage import references
from storage.database import Database


@asynccontextmanager
async def read_session(settings: Settings, tenant_id: UUID) -> AsyncIterator[tuple[AsyncSession, Reading]]:
    """A transaction on a tenant whose references have all been read, and how far the tenant itself has been.

    Items whose stored documents are damaged are named on stderr. What is printed meanwhile is printed when the
    transaction has ended.
    """
    catalog = load_catalog()
    database = Database(
        settings.database_url.get_secret_value(), pool_size=references.READERS, application_name="tenant-inventory"
    )
    try:
        with output.stderr.status("reading references …") as status:
            damaged = await references.catch_up(
                database,
                tenant_id,
                catalog.reading_rules(),
                in_turn=True,
                progress=lambda items: status.update(f"reading references … {items} items"),
            )
        say_what_is_damaged(damaged)
        with printed_afterwards():
            async with database.tenant(tenant_id, read_only=True) as session:
                yield session, await Reading.of(session, catalog, tenant_id, damaged)
    finally:
        await database.close()
