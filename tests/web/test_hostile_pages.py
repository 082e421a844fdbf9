"""Every page of a tenant whose texts contain script, markup, direction overrides and a megabyte."""

import httpx
import pytest
from fastapi.responses import HTMLResponse

from inventory.people import Role
from storage.database import Database
from tests.web.support import CONTOSO, FABRIKAM, HOSTILE, POLICIES
from tests.web.test_tenant_isolation import THEIR_ITEM, fill, path_of, routes

ESCAPED = "&lt;script&gt;alert(1)&lt;/script&gt;"
MEGABYTE = "<x-y>" * 210_000
PAGE_BYTES = 100_000

NEEDING_MORE = {"/schedules", "/schedules/edit", "/configured-tenants/new", "/configured-tenants/{tenant_id}"}
"""Pages that need Temporal, or tenants in the database."""


@pytest.mark.slow
async def test_every_page_escapes_and_cuts_hostile_texts(
    database: Database, database_url: str, clients: dict[Role, httpx.AsyncClient]
) -> None:
    theirs = await fill(database, database_url, HOSTILE, MEGABYTE)
    showing = set()
    queries = {
        "/search": {"name": "policy"},
        "/compare": {"left": str(CONTOSO), "right": str(FABRIKAM)},
        "/settings": {"setting": "state"},
        "/tenants/{tenant_id}/drift/decide": {"finding": theirs.fingerprint},
        "/tenants/{tenant_id}/dependencies": {"item": THEIR_ITEM, "type": POLICIES},
        "/tenants/{tenant_id}/items": {"name": "policy"},
    }
    for route in routes():
        if "GET" not in (route.methods or ()) or route.response_class is not HTMLResponse:
            continue
        answer = await clients[Role.ADMIN].get(path_of(route, FABRIKAM, theirs), params=queries.get(route.path, {}))
        if route.path not in NEEDING_MORE:
            assert answer.status_code == 200, (route.path, answer.text)
        assert "<script>alert(1)" not in answer.text, route.path
        assert "<x-y>" not in answer.text, route.path
        assert "\u202e" not in answer.text, route.path
        assert len(answer.content) <= PAGE_BYTES, route.path
        if ESCAPED in answer.text:
            showing.add(route.path)
    assert len(showing) >= 15, sorted(showing)
