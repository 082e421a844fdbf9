import asyncio
from uuid import uuid4

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import create_engine, text

from storage.database import (
    Database,
    DatabaseUrlError,
    StorageNotReadyError,
    StorageUnavailableError,
)
from storage.database import (
    database_url as sqlalchemy_url,
)
from storage.models import Base
from storage.schema import head, upgrade


def test_the_migrations_make_what_the_models_say(database_url: str) -> None:
    engine = create_engine(sqlalchemy_url(database_url))
    with engine.connect() as connection:
        context = MigrationContext.configure(
            connection, opts={"compare_type": True, "compare_server_default": False, "target_metadata": Base.metadata}
        )
        assert compare_metadata(context, Base.metadata) == []
    engine.dispose()


def test_upgrading_an_upgraded_database_changes_nothing(empty_database_url: str) -> None:
    assert upgrade(empty_database_url) == (None, head())
    assert upgrade(empty_database_url) == (head(), head())


async def test_two_upgrades_at_once_both_succeed(empty_database_url: str) -> None:
    results = await asyncio.gather(*(asyncio.to_thread(upgrade, empty_database_url) for _ in range(2)))
    assert {before for before, _ in results} == {None, head()}


async def test_a_database_without_tables_says_what_to_do(empty_database_url: str) -> None:
    database = Database(empty_database_url)
    try:
        with pytest.raises(StorageNotReadyError, match="database upgrade"):
            async with database.portfolio() as session:
                await session.execute(text("SELECT * FROM sync_run"))
    finally:
        await database.close()


@pytest.mark.parametrize("url", ["mysql://user:hunter2@host/db", "hunter2", ""])
def test_a_url_that_is_not_postgresql_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(DatabaseUrlError) as refused:
        sqlalchemy_url(url)
    assert "hunter2" not in str(refused.value)


async def test_an_unreachable_database_is_unavailable_and_its_password_stays_secret() -> None:
    database = Database("postgresql://user:hunter2@127.0.0.1:1/db")
    try:
        with pytest.raises(StorageUnavailableError) as unreachable:
            async with database.tenant(uuid4()):
                pass
        assert "hunter2" not in str(unreachable.value)
    finally:
        await database.close()


async def test_a_connection_that_dies_is_unavailable_and_the_next_one_works(database_url: str) -> None:
    database = Database(database_url)
    try:
        with pytest.raises(StorageUnavailableError):
            async with database.tenant(uuid4()) as session:
                pid = (await session.execute(text("SELECT pg_backend_pid()"))).scalar_one()
                with psycopg.connect(database_url, autocommit=True) as other:
                    other.execute("SELECT pg_terminate_backend(%s)", (pid,))
                await session.execute(text("SELECT 1"))
        async with database.tenant(uuid4()) as session:
            assert (await session.execute(text("SELECT 1"))).scalar_one() == 1
    finally:
        await database.close()
