"""Three tenants, clients of the web page and signed-in people for its tests."""

import secrets
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
from fastapi import FastAPI
from pydantic import SecretStr
from starlette.types import ASGIApp

from configuration import Settings
from inventory.people import Person, Role
from storage import access_rules, web_sessions
from storage.database import Database
from tests.deadlines import DEADLINE_SECONDS
from web.application import create_app
from web.sign_in import COOKIE, digest
from web.site import Site
from web.temporal import TemporalAccess

CONTOSO, FABRIKAM, UNREAD = uuid4(), uuid4(), uuid4()
ORIGIN = "https://127.0.0.1"
SAME_ORIGIN = {"Origin": ORIGIN}
POLICIES = "conditionalAccessPolicies"
LOCATIONS = "namedLocations"
HOSTILE = '<script>alert(1)</script>\u202e"'


def page_beside(
    temporal_address: str, database: Database, database_url: str, tenants_file: Path, queue: str = "tenant-inventory"
) -> FastAPI:
    """The page, configured with this address of a Temporal that may be absent."""
    settings = Settings(
        database_url=SecretStr(database_url), tenants_file=tenants_file, temporal_task_queue=queue, _env_file=None
    )
    access = TemporalAccess(lambda: {"target_host": temporal_address})
    return create_app(Site(settings, database, temporal=access))


def write_tenants(path: Path) -> Path:
    """Writes a tenants file with the three tenants."""
    entries = [(CONTOSO, "Contoso", ["emea"]), (FABRIKAM, "Fabrikam", []), (UNREAD, "Never read", [])]
    path.write_text(
        "".join(
            f'[[tenant]]\nid = "{tenant_id}"\nname = "{name}"\ntags = {tags}\nclient_id = "{uuid4()}"\n'
            "managed_identity = true\n"
            for tenant_id, name, tags in entries
        )
    )
    return path


@asynccontextmanager
async def browser(app: ASGIApp) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the page without a session; it sends no Origin header."""
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url=ORIGIN, timeout=DEADLINE_SECONDS) as client:
        yield client


def person_of(role: Role) -> Person:
    """A person of a role."""
    return Person(person_id=f"local/{role}", name=f"the {role}", role=role)


@asynccontextmanager
async def signed_in_as(
    app: ASGIApp, database: Database, person: Person, tenants: Collection[UUID] | None = None
) -> AsyncIterator[httpx.AsyncClient]:
    """A client with a session of this person, who sees these tenants or all; it sends the page's origin."""
    token = secrets.token_urlsafe(32)
    async with database.no_tenant() as session:
        await web_sessions.add_link(session, digest(token), person, timedelta(hours=1))
        await web_sessions.redeem_link(session, digest(token), digest(token), timedelta(hours=1))
        for tenant_id in [None] if tenants is None else tenants:
            subject = access_rules.Subject(person.person_id, None, tenant_id)
            await access_rules.set_rule(session, subject, is_excluded=False, set_by="the test", reason=None)
    async with browser(app) as client:
        client.cookies.set(COOKIE, token)
        client.headers.update(SAME_ORIGIN)
        yield client


async def words_of(client: httpx.AsyncClient, address: str, status: int = 200) -> str:
    """The text of a page, which answers with this status."""
    answer = await client.get(address)
    assert answer.status_code == status, answer.text
    return answer.text


async def json_of(client: httpx.AsyncClient, address: str) -> Any:
    """The JSON of an address."""
    return (await client.get(address)).json()
