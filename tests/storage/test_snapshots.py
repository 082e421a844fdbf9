"""A transaction's reads see a single moment, and a command whose writes collide is repeated."""

import asyncio
from uuid import UUID, uuid4

import pytest
from pydantic import SecretStr
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from cli.sessions import COLLISIONS, tenant_session, without_collisions
from configuration import Settings
from storage.database import Database, StorageCollisionError
from storage.references import READERS, catch_up
from tests.storage.support import observation, sync
from tests.storage.test_references import RULES

TENANT = UUID(int=1)


async def count(session: AsyncSession) -> int:
    found: int = (await session.execute(text("SELECT count(*) FROM inventory_item"))).scalar_one()
    return found


async def test_command_does_not_see_writes_between_its_reads(database: Database, database_url: str) -> None:
    settings = Settings(database_url=SecretStr(database_url))
    await sync(database, TENANT, [observation("a", "1")], "a")
    async with (
        database.tenant(TENANT, read_only=True) as reading,
        database.portfolio() as portfolio,
        tenant_session(settings, TENANT) as asking,
        tenant_session(settings, TENANT, read_only=False) as deciding,
    ):
        sessions = (reading, portfolio, asking, deciding)
        assert [await count(session) for session in sessions] == [1] * 4
        await sync(database, TENANT, [observation("a", "1"), observation("a", "2")], "a")
        assert [await count(session) for session in sessions] == [1] * 4
    async with database.tenant(TENANT, read_only=True) as session:
        assert await count(session) == 2


async def test_command_is_repeated_after_a_collision_and_sees_the_other_write(database: Database) -> None:
    async with database.tenant(TENANT) as session:
        await session.execute(text("INSERT INTO tenant (name) VALUES ('')"))
    rename = text("UPDATE tenant SET name = name || :word")
    rivals = iter(["a", "b", None])

    async def ask() -> str:
        async with database.tenant(TENANT, snapshot=True) as session:
            await session.execute(text("SELECT FROM tenant"))
            if (rival := next(rivals)) is not None:
                async with database.tenant(TENANT) as other:
                    await other.execute(rename, {"word": rival})
            await session.execute(rename, {"word": "mine"})
            named: str = (await session.execute(text("SELECT name FROM tenant"))).scalar_one()
            return named

    assert await without_collisions(ask) == "abmine"


async def test_a_command_that_always_collides_gives_up() -> None:
    attempts = []

    async def ask() -> None:
        attempts.append(1)
        raise StorageCollisionError("a transaction collided")

    with pytest.raises(StorageCollisionError):
        await without_collisions(ask)
    assert len(attempts) == COLLISIONS


async def test_a_worker_has_a_connection_for_each_activity(database_url: str) -> None:
    settings = Settings(database_url=SecretStr(database_url), worker_activities=7)
    database = Database(database_url, pool_size=settings.database_connections)
    all_at_once = asyncio.Barrier(settings.worker_activities)

    async def activity() -> None:
        async with database.tenant(uuid4()):
            await all_at_once.wait()

    try:
        await asyncio.gather(*(activity() for _ in range(settings.worker_activities)))
    finally:
        await database.close()


@pytest.mark.parametrize("readers", [1, READERS])
async def test_reading_references_needs_a_single_connection_per_reader(
    database: Database, database_url: str, readers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("storage.database.POOL_TIMEOUT_SECONDS", 0)  # waiting for a connection fails
    await sync(database, TENANT, [observation("b", str(number), needs="1") for number in range(50)], "b")
    async with Database(database_url, pool_size=readers) as small:
        await catch_up(small, TENANT, RULES, readers=readers)
