"""The web page over the real database, and a client for each role."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
from fastapi import FastAPI
from pydantic import SecretStr

from answers.runs import routes as run_routes
from answers.schedules import routes as schedule_routes
from answers.watch import routes as watch_routes
from configuration import Settings
from control import live_runs
from inventory.people import Role
from storage.database import Database
from tests.deadlines import DEADLINE_SECONDS
from tests.web.support import browser, person_of, signed_in_as, write_tenants
from web.application import create_app
from web.sign_in import new_link
from web.site import Site


@pytest.fixture(autouse=True)
def long_page_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages wait long enough for Temporal on a busy machine."""
    for module in (live_runs, run_routes, schedule_routes, watch_routes):
        monkeypatch.setattr(module, "PAGE_WAITS_SECONDS", DEADLINE_SECONDS)


@pytest.fixture
def tenants_file(tmp_path: Path) -> Path:
    return write_tenants(tmp_path / "tenants.toml")


@pytest.fixture
def queue() -> str:
    return f"queue-{uuid4()}"


@pytest.fixture
def app(database: Database, database_url: str, tenants_file: Path) -> FastAPI:
    settings = Settings(
        database_url=SecretStr(database_url),
        tenants_file=tenants_file,
        temporal_web_url="http://temporal.example:8233",
        _env_file=None,
    )
    return create_app(Site(settings, database))


@pytest.fixture
async def anonymous(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    async with browser(app) as client:
        yield client


@pytest.fixture
async def signed_in(app: FastAPI, database: Database) -> AsyncIterator[httpx.AsyncClient]:
    """The person who started the page and opened its link: an administrator; the client sends no Origin header."""
    async with browser(app) as client:
        assert (await client.get(await new_link(database, "", "ada"))).status_code == 303
        yield client


@pytest.fixture
async def clients(app: FastAPI, database: Database) -> AsyncIterator[dict[Role, httpx.AsyncClient]]:
    """A client for each role. Its person sees all tenants, and it sends the page's origin."""
    async with AsyncExitStack() as stack:
        yield {role: await stack.enter_async_context(signed_in_as(app, database, person_of(role))) for role in Role}
