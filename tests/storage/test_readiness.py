"""`check_readiness`, without SQLAlchemy, gives the same answers as `Database.check`."""

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from local.postgres import EmbeddedPostgres
from storage.access import REVISION
from storage.database import Database
from storage.errors import StorageNotReadyError, StorageUnavailableError
from storage.readiness import check_readiness


async def common_error(url: str) -> str:
    """The error that both checks raise."""
    async with Database(url, pool_size=1) as database:
        with pytest.raises((StorageNotReadyError, StorageUnavailableError)) as whole:
            await database.check()
    with pytest.raises(whole.type) as short:
        await check_readiness(url)
    assert str(short.value) == str(whole.value)
    return str(short.value)


async def test_current_database_is_ready_under_either_url_scheme(database_url: str) -> None:
    assert await check_readiness(database_url)
    assert await check_readiness(database_url.replace("postgresql://", "postgresql+psycopg://"))


async def test_both_checks_give_the_same_message_for_each_fault(postgres: EmbeddedPostgres, database_url: str) -> None:
    name = str(conninfo_to_dict(database_url)["dbname"])
    assert "has no tables" in await common_error(postgres.url)
    assert "does not exist" in await common_error(database_url.replace(name, "nothing"))
    assert "password" in await common_error(database_url.replace("postgres:", "postgres:wrong", 1))
    port = str(conninfo_to_dict(database_url)["port"])
    assert "nothing listens" in await common_error(database_url.replace(f":{port}/", ":1/"))


async def test_both_checks_give_the_same_message_for_another_revision(database_url: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '0001'")
        try:
            assert "is at revision 0001" in await common_error(database_url)
        finally:
            connection.execute("UPDATE alembic_version SET version_num = %s", [REVISION])


async def test_url_that_libpq_cannot_read_is_left_to_sqlalchemy() -> None:
    assert not await check_readiness("mysql://nobody@127.0.0.1/nothing")
    assert not await check_readiness("postgresql://nobody@127.0.0.1/nothing?unknown=1")
