"""`retention` over several tenants, one of which fails."""

from pathlib import Path
from uuid import UUID

import psycopg
import pytest

from storage.database import Database
from tests.cli.command_line import Terminal
from tests.storage.support import observation, sync, without_locks

ALPHA, BETA, GAMMA = (UUID(int=number) for number in (61, 62, 63))
TENANTS = "".join(
    f'[[tenant]]\nid = "{tenant_id}"\nname = "{name}"\nclient_id = "c"\nmanaged_identity = true\n'
    for tenant_id, name in ((ALPHA, "alpha"), (BETA, "beta"), (GAMMA, "gamma"))
)


async def two_versions(database: Database) -> None:
    for tenant_id in (ALPHA, BETA, GAMMA):
        for name in ("Pilot", "Pilots"):
            await sync(database, tenant_id, [observation("groups", "g", displayName=name)], "groups")


pytestmark = pytest.mark.filled.with_args(two_versions)


@pytest.fixture
def terminal(database_url: str, tmp_path: Path) -> Terminal:
    return Terminal(database_url, tmp_path, "retention", tenants=TENANTS)


async def lock_documents(connection: psycopg.AsyncConnection, tenant_id: UUID) -> None:
    """Holds the lock of the tenant's retention until the transaction ends."""
    await connection.execute("SELECT set_config('app.tenant_id', %s, true)", [str(tenant_id)])
    await connection.execute("SELECT pg_advisory_xact_lock(document_lock())")


async def test_retention_goes_on_after_a_tenant_that_fails(terminal: Terminal, database_url: str) -> None:
    async with await psycopg.AsyncConnection.connect(database_url) as connection:
        await lock_documents(connection, BETA)
        done = await without_locks(database_url, terminal("--count", "1", "--json"))
    assert done.code == 3
    assert [(line["tenant_id"], line["versions"]) for line in done.objects()] == [(str(ALPHA), 1), (str(GAMMA), 1)]
    assert done.stderr == "beta: an administrator ended a statement; run the command again for this tenant\n"
    again = await terminal("--count", "1", "--json")
    assert [line["versions"] for line in again.objects()] == [0, 1, 0]


async def test_retention_says_what_it_deleted(terminal: Terminal) -> None:
    done = await terminal("--count", "1")
    assert "versions deleted" in done.stdout
    assert "forgotten" not in done.stdout


async def test_retention_fails_if_each_tenant_does(terminal: Terminal, database_url: str) -> None:
    async with await psycopg.AsyncConnection.connect(database_url) as connection:
        for tenant_id in (ALPHA, BETA, GAMMA):
            await lock_documents(connection, tenant_id)
        done = await without_locks(database_url, terminal("--count", "1", "--json"))
    assert (done.code, done.stdout) == (4, "")
    assert [line.partition(":")[0] for line in done.stderr.splitlines()] == ["alpha", "beta", "gamma"]


async def test_retention_of_one_tenant_that_fails_is_an_error(terminal: Terminal, database_url: str) -> None:
    async with await psycopg.AsyncConnection.connect(database_url) as connection:
        await lock_documents(connection, BETA)
        done = await without_locks(database_url, terminal("beta", "--count", "1"))
    assert (done.code, done.stdout, done.stderr) == (1, "", "error: an administrator ended a statement\n")
