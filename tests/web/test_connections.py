"""The database connections of a web process: many requests wait in turns, and slow readers hold none."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from pydantic import SecretStr
from sqlalchemy import text
from starlette.types import Message

from configuration import Settings
from storage import connection_turns
from storage.connection_turns import SEVERAL
from storage.database import Database
from tests.deadlines import DEADLINE_SECONDS
from tests.web.support import CONTOSO, FABRIKAM, browser, words_of
from tests.web.test_pages import addresses
from web.application import create_app
from web.sign_in import COOKIE, new_link
from web.site import Site


@pytest.fixture
async def small(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url, pool_size=SEVERAL + 1)
    yield database
    await database.close()


@pytest.fixture
def crowded(small: Database, database_url: str, tenants_file: Path) -> FastAPI:
    """A site with the fewest connections that suffice."""
    settings = Settings(database_url=SecretStr(database_url), tenants_file=tenants_file, _env_file=None)
    return create_app(Site(settings, small))


@pytest.fixture
async def client(crowded: FastAPI, small: Database) -> AsyncIterator[httpx.AsyncClient]:
    async with browser(crowded) as client:
        assert (await client.get(await new_link(small, "", "ada"))).status_code == 303
        yield client


@pytest.mark.slow
async def test_concurrent_pages_finish_with_few_connections(client: httpx.AsyncClient) -> None:
    visited = [address for address in addresses() if not address.endswith("/live")] * 2
    async with asyncio.timeout(DEADLINE_SECONDS):
        answers = await asyncio.gather(*(client.get(address) for address in visited))
    assert [(answer.url.path, answer.text) for answer in answers if answer.status_code == 500] == []


async def test_pages_that_read_tenants_in_sequence_need_no_turn(
    crowded: FastAPI, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection_turns, "WAIT_SECONDS", 0)
    has_turn, may_end = asyncio.Event(), asyncio.Event()

    async def hold_the_only_turn() -> None:
        async with crowded.state.site.turns.several():
            has_turn.set()
            await may_end.wait()

    holding = asyncio.create_task(hold_the_only_turn())
    await has_turn.wait()
    lists = [f"{kind}/{name}" for name in ("changes", "assignments", "dangling", "unassigned") for kind in ("", "/api")]
    for address in (*lists, *(f"{name}.csv" for name in lists if "api" not in name), f"/tenants/{CONTOSO}/drift"):
        await words_of(client, address)
    of_two = f"/compare?left={CONTOSO}&right={FABRIKAM}"
    assert "Too many people ask at once" in await words_of(client, of_two, 503)
    may_end.set()
    await holding


@pytest.mark.parametrize("path", ["/tenants/{}/items", "/tenants/{}/items.csv", "/", "/changes", "/compare", "/audit"])
async def test_slow_reader_holds_no_connection(
    crowded: FastAPI, client: httpx.AsyncClient, database: Database, path: str
) -> None:
    path, cookie = path.format(CONTOSO), client.cookies[COOKIE]
    sending, reading = asyncio.Event(), asyncio.Event()

    async def receive() -> Message:
        await asyncio.Event().wait()
        raise AssertionError

    async def send(message: Message) -> None:
        if message["type"] == "http.response.body":
            sending.set()
            await reading.wait()

    headers = [(b"host", b"127.0.0.1"), (b"cookie", f"{COOKIE}={cookie}".encode())]
    request = {
        "type": "http",
        "method": "GET",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "scheme": "https",
        "headers": headers,
        "server": ("127.0.0.1", 443),
        "client": ("127.0.0.1", 1),
        "http_version": "1.1",
    }
    response = asyncio.create_task(crowded(request, receive, send))
    async with asyncio.timeout(DEADLINE_SECONDS):
        await sending.wait()
    async with database.no_tenant() as session:
        held = text(
            "SELECT query FROM pg_stat_activity"
            " WHERE datname = current_database() AND state LIKE 'idle in transaction%' AND pid <> pg_backend_pid()"
        )
        await session.execute(text("RESET ROLE"))
        assert (await session.execute(held)).scalars().all() == []
    reading.set()
    await response
