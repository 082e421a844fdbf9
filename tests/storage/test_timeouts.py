"""A frozen or dead process blocks others only briefly."""

import os
import signal
import subprocess
import sys
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from sqlalchemy import URL, Engine, create_engine, text

from storage import runs, timeouts
from storage.database import Database, StorageUnavailableError
from storage.lock_watch import LockWatch
from storage.schema import upgrade
from tests.deadlines import until_async
from tests.forks import CHECKOUT
from tests.storage.support import SLOTS, identity

TENANT, NEIGHBOUR = uuid4(), uuid4()

SETTINGS = {
    "statement_timeout": "5min",
    "lock_timeout": "3min",
    "idle_in_transaction_session_timeout": "2min",
    "tcp_user_timeout": "60000",
    "tcp_keepalives_idle": "30",
    "tcp_keepalives_interval": "10",
    "tcp_keepalives_count": "3",
}

FROZEN = """
import asyncio, os, signal, sys
from uuid import uuid4
from storage import runs
from storage.database import Database
from tests.storage.support import SLOTS, identity

async def freeze():
    async with Database(sys.argv[1], application_name="frozen").tenant(uuid4()) as session:
        await runs.open_run(session, identity("a"), SLOTS)
        os.kill(os.getpid(), signal.SIGSTOP)

asyncio.run(freeze())
"""


async def test_every_transaction_sets_its_timeouts_even_behind_a_pooler(database: Database, database_url: str) -> None:
    show = text("SELECT name, current_setting(name) FROM unnest(CAST(:names AS text[])) AS name")
    for opened in (database.tenant(TENANT), database.tenant(TENANT, read_only=True), database.portfolio()):
        async with opened as session:
            found = {row.name: row.current_setting for row in await session.execute(show, {"names": list(SETTINGS)})}
        assert found == SETTINGS
    async with database._engine.connect() as connection:
        # As a pooler passes on another client's connection.
        await connection.execute(text("RESET ALL"))
        for name in timeouts.TRANSACTION_TIMEOUTS:
            await connection.execute(text(f"SET {name} = 0"))
        await connection.commit()
    async with database.tenant(TENANT) as session:
        found = {row.name: row.current_setting for row in await session.execute(show, {"names": list(SETTINGS)})}
    assert found == SETTINGS


def test_migration_has_the_same_idle_and_network_timeouts(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[Engine] = []

    def noted(url: URL, **options: Any) -> Engine:
        opened.append(create_engine(url, **options))
        return opened[-1]

    monkeypatch.setattr("storage.schema.create_engine", noted)
    upgrade(database_url)
    (engine,) = opened
    with engine.connect() as connection:
        watch = LockWatch(database_url, connection)
        for name in SETTINGS.keys() - {"statement_timeout", "lock_timeout"}:
            assert connection.execute(text(f"SHOW {name}")).scalar_one() == SETTINGS[name], name
        assert connection.execute(text("SHOW statement_timeout")).scalar_one() == "0", "a migration may take long"
    with psycopg.connect(watch._url) as onlooker:
        for name, value in SETTINGS.items():
            assert onlooker.execute(f"SHOW {name}".encode()).fetchone() == (value,)
    engine.dispose()


@pytest.mark.slow
async def test_frozen_holder_of_the_slot_lock_blocks_others_only_briefly(database: Database, database_url: str) -> None:
    frozen = _frozen(database_url)
    try:

        async def holds_the_lock() -> bool:
            # As the superuser: other logins do not see a session's activity.
            async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as onlooker:
                found = await onlooker.execute(
                    "SELECT FROM pg_locks JOIN pg_stat_activity USING (pid) WHERE locktype = 'advisory' AND granted"
                    " AND application_name = 'frozen' AND state = 'idle in transaction'"
                )
                return await found.fetchone() is not None

        await until_async(holds_the_lock)
        run = identity("a")
        async with database.tenant(NEIGHBOUR) as session:
            opening = await runs.open_run(session, run, SLOTS)
        assert opening.state is runs.OpeningState.RUNNING
        assert frozen.poll() is None, "the frozen process is still alive"
    finally:
        os.kill(frozen.pid, signal.SIGKILL)
        frozen.wait()


async def test_holder_of_the_slot_lock_may_idle_for_seconds_only(database: Database) -> None:
    async with database.tenant(TENANT) as session:
        await runs.open_run(session, identity("a"), SLOTS)
        allowed = (await session.execute(text("SHOW idle_in_transaction_session_timeout"))).scalar_one()
    assert allowed == f"{timeouts.SLOTS_IDLE_TIMEOUT_SECONDS}s"


def _frozen(database_url: str) -> "subprocess.Popen[bytes]":
    return subprocess.Popen([sys.executable, "-c", FROZEN, database_url], cwd=CHECKOUT)


async def test_idle_transaction_fails_and_the_next_transaction_works(database: Database) -> None:
    # By chance, the driver first reads PostgreSQL's message or the end of the connection.
    with pytest.raises(StorageUnavailableError, match=r"this process was idle|the connection to PostgreSQL broke"):
        async with database.tenant(TENANT) as session:
            pid = (await session.execute(text("SELECT pg_backend_pid()"))).scalar_one()
            await session.execute(text("SET LOCAL idle_in_transaction_session_timeout = '1ms'"))

            async def is_gone() -> bool:
                async with database.no_tenant() as other:
                    found = await other.execute(text("SELECT FROM pg_stat_activity WHERE pid = :pid"), {"pid": pid})
                    return found.first() is None

            await until_async(is_gone)
            await session.execute(text("SELECT 1"))
    async with database.tenant(TENANT) as session:
        assert (await session.execute(text("SELECT 1"))).scalar_one() == 1


def test_idle_timeouts_are_below_lock_and_statement_timeouts() -> None:
    assert timeouts.SLOTS_IDLE_TIMEOUT_SECONDS < timeouts.IDLE_TIMEOUT_SECONDS < timeouts.LOCK_TIMEOUT_SECONDS
    assert timeouts.LOCK_TIMEOUT_SECONDS < timeouts.STATEMENT_TIMEOUT_SECONDS
