"""What commands that look at one tenant share: a session, and items by their id or name."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from difflib import get_close_matches
from typing import TypeVar
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from commands import output
from commands.errors import UsageError
from commands.ids import NAMED, find_run, id_range, named
from commands.options import time_of
from commands.spool import printed_afterwards
from configuration import Settings
from inventory.records import DamagedRecord, RunRecord
from inventory.visible_text import visible
from storage import documents, queries
from storage.database import Database, StorageCollisionError


@asynccontextmanager
async def opened_database(settings: Settings, *, pool_size: int = 1) -> AsyncIterator[Database]:
    """The configured database; its connections are closed at the end."""
    database = Database(
        settings.database_url.get_secret_value(), pool_size=pool_size, application_name="tenant-inventory"
    )
    try:
        yield database
    finally:
        await database.close()


def say_what_is_damaged(damaged: Iterable[DamagedRecord]) -> None:
    """Names on stderr the versions whose stored documents are damaged: nothing of an answer rests on them."""
    for version in damaged:
        output.stderr.print(visible(version.in_words), style="yellow", markup=False)


COLLISIONS = 5
"""How often a command begins again because another one has changed the same rows: each time one of them gets on."""

ResultT = TypeVar("ResultT")


async def without_collisions(ask: Callable[[], Awaitable[ResultT]]) -> ResultT:
    """What `ask` answers, which is begun again where another transaction got in its way.

    Raises `StorageCollisionError` where that happens too often.
    """
    for _ in range(COLLISIONS - 1):
        with suppress(StorageCollisionError):
            return await ask()
    return await ask()


@asynccontextmanager
async def tenant_session(settings: Settings, tenant_id: UUID, *, read_only: bool = True) -> AsyncIterator[AsyncSession]:
    """One transaction on the configured database, which reads of one moment. One that writes may collide.

    What is printed meanwhile is printed when the transaction has ended.
    """
    with printed_afterwards():
        async with (
            opened_database(settings) as database,
            database.tenant(tenant_id, read_only=read_only, snapshot=True) as session,
        ):
            yield session


async def moment_of(session: AsyncSession, value: str) -> datetime:
    """What RUN|TIME names: a time, or the end of a run. Raises `UsageError`."""
    moment = time_of(value)
    if moment is not None:
        return moment
    if id_range(value) is None:
        raise UsageError(f"{value!r} is neither a run id nor a time such as 2025-03-01T00:00:00Z")
    _, finished_at = await ended_run(session, await find_run(session, value))
    return finished_at


async def ended_run(session: AsyncSession, run_id: UUID) -> tuple[RunRecord, datetime]:
    """A run of the tenant that has ended, and when it did. Raises `UsageError`."""
    run = await queries.run_record(session, run_id)
    if run is None:
        raise UsageError(f"this tenant has no run {run_id}; python starter.py runs TENANT lists them")
    if run.finished_at is None:
        raise UsageError(f"run {run_id} has not ended; it stands for the moment when it does")
    return run, run.finished_at


async def find_item(session: AsyncSession, type_key: str, sought: str) -> str:
    """The id of the one item of this id or name. Raises `UsageError`, which names what may have been meant."""
    found = await documents.find(session, type_key, sought, NAMED + 1)
    if len(found) > 1:
        alike = found[0].external_id.startswith(sought)
        which = (
            f"several ids of {type_key} begin with {sought!r}"
            if alike
            else (f"several items of {type_key} are called {sought!r}")
        )
        raise UsageError(f"{which}; give the id: {named([item.external_id for item in found])}")
    if not found:
        raise UsageError(
            f"{type_key} has no item {sought!r} in this tenant's inventory{await _near(session, type_key, sought)}"
        )
    (item,) = found
    if item.external_id != sought:
        output.stderr.print(f"{sought!r} is {item.external_id}", style="dim", markup=False)
    return item.external_id


async def _near(session: AsyncSession, type_key: str, sought: str) -> str:
    """What an error adds: the items that are called nearly so."""
    by_word: dict[str, str] = {}
    for item in await documents.some_items(session, type_key):
        by_word.setdefault(item.external_id.casefold(), item.external_id)
        if item.display_name:
            by_word.setdefault(item.display_name.casefold(), f"{item.display_name!r} ({item.external_id})")
    near = get_close_matches(sought.casefold(), by_word, n=3)
    if near:
        return f"; did you mean {' or '.join(by_word[word] for word in near)}?"
    return f"; python starter.py items TENANT --type {type_key} lists what it has"
