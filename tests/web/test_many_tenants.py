"""Pages of five hundred tenants with names and tags of realistic length."""

from pathlib import Path
from uuid import UUID

import httpx
import pytest
from fastapi.responses import HTMLResponse
from fastapi.routing import APIRoute

from inventory.people import Role
from storage.database import Database
from tests.storage.support import observation, sync
from tests.web.support import LOCATIONS, POLICIES, json_of, words_of
from web.application import ROUTERS

Clients = dict[Role, httpx.AsyncClient]

TENANTS = 500
PAGE_BYTES = 100_000
FIRST = UUID(int=1)


def name_of(number: int) -> str:
    return f"Müller & Söhne GmbH & Co. KG {number:03}"


@pytest.fixture
def tenants_file(tmp_path: Path) -> Path:
    path = tmp_path / "tenants.toml"
    path.write_text(
        "".join(
            f'[[tenant]]\nid = "{UUID(int=number)}"\nname = "{name_of(number)}"\nclient_id = "{UUID(int=number)}"\n'
            f'managed_identity = true\ntags = ["customers-of-region-{number % 20}", "production"]\n'
            for number in range(1, TENANTS + 1)
        )
    )
    return path


def pages() -> list[str]:
    """The address of each page route whose only parameter, if any, is the tenant."""
    return [
        route.path.replace("{tenant_id}", str(FIRST))
        for router in ROUTERS
        for route in router.routes
        if isinstance(route, APIRoute)
        and "GET" in (route.methods or ())
        and route.response_class is HTMLResponse
        and "{" not in route.path.replace("{tenant_id}", "")
    ]


async def test_pages_of_many_tenants_stay_small(database: Database, clients: Clients) -> None:
    for number in range(1, 4):
        found = [observation(POLICIES, "p1", displayName="Require MFA")]
        await sync(database, UUID(int=number), found, POLICIES, LOCATIONS)
    sizes = {}
    for address in pages():
        answer = await clients[Role.ADMIN].get(address)
        sizes[address] = len(answer.content) if answer.status_code == 200 else 0
    assert {address: size for address, size in sizes.items() if size > PAGE_BYTES} == {}
    assert min(sizes[address] for address in ("/", "/schedules/edit", "/configured-tenants")) > PAGE_BYTES / 4


async def test_configured_tenants_are_paginated(clients: Clients) -> None:
    admin = clients[Role.ADMIN]
    tenant_ids = [str(UUID(int=number)) for number in range(1, TENANTS + 1)]
    listed: list[str] = []
    address: str | None = "/configured-tenants"
    while address is not None:
        page = await words_of(admin, address)
        assert f"{TENANTS} tenants" in page
        listed += [tenant_id for tenant_id in tenant_ids if f"<code>{tenant_id}</code>" in page]
        follows = page.partition('rel="next" href="')[2].partition('"')[0].replace("&amp;", "&")
        address = f"/configured-tenants{follows}" if follows else None
    assert listed == tenant_ids
    first = await admin.get("/api/configured-tenants?limit=300")
    rest = await json_of(admin, first.links["next"]["url"])
    assert [entry["tenant_id"] for entry in [*first.json(), *rest]] == listed
