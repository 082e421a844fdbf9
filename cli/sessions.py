"""Sessions and items for commands about one tenant."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from typing import TypeVar
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from answers.items import answer as items
from cli import output
from cli.spool import printed_afterwards
from configuration import Settings
from inventory.records import DamagedRecord
from inventory.visible_text import visible
from storage.database import Database, StorageCollisionError
from storage.timeouts import POOL_TIMEOUT_SECONDS


def opened_database(settings: Settings, *, pool_size: int = 1, pool_timeout: float = POOL_TIMEOUT_SECONDS) -> Database:
    return Database(settings.database_url.get_secret_value(), pool_size=pool_size, pool_timeout=pool_timeout)


def say_what_is_damaged(damaged: Iterable[DamagedRecord]) -> None:
    """Names damaged versions on stderr. Answers do not use their content."""
    for version in damaged:
        output.stderr.print(visible(version.in_words), style="yellow")


COLLISIONS = 5
"""The most tries of a command. In each collision one of the two succeeds."""

ResultT = TypeVar("ResultT")


async def without_collisions(ask: Callable[[], Awaitable[ResultT]]) -> ResultT:
    """Retries after collisions. Raises `StorageCollisionError` after too many."""
    for _ in range(COLLISIONS - 1):
        with suppress(StorageCollisionError):
            return await ask()
    return await ask()


@asynccontextmanager
async def tenant_session(settings: Settings, tenant_id: UUID, *, read_only: bool = True) -> AsyncIterator[AsyncSession]:
    """A transaction on a snapshot, after which output is printed. A writing one may raise `StorageCollisionError`."""
    with printed_afterwards():
        async with (
            opened_database(settings) as database,
            database.tenant(tenant_id, read_only=read_only, snapshot=True) as session,
        ):
            yield session


def answer_of_tenant(
    settings: Settings, tenant_id: UUID, ask: Callable[[AsyncSession], Awaitable[ResultT]], *, read_only: bool = True
) -> ResultT:
    """Asks in one transaction. Repeats a writing one after a collision."""

    async def once() -> ResultT:
        async with tenant_session(settings, tenant_id, read_only=read_only) as session:
            return await ask(session)

    return asyncio.run(once() if read_only else without_collisions(once))


async def find_item(session: AsyncSession, type_key: str, sought: str) -> str:
    """Finds an item by id or name, and prints an id found by name on stderr. Raises `UserError`."""
    external_id = await items.find_item(session, type_key, sought)
    if external_id != sought:
        output.stderr.print(f"{sought!r} is {external_id}", style="dim")
    return external_id
