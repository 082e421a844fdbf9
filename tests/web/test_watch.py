"""Watch on the web page: its state, refused audit logs, and its runs."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from uuid import UUID, uuid4

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import text
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter

from answers.watch import routes
from connections import UnreachableError
from control.watch import WatchSchedule
from inventory.error_codes import ErrorCode
from inventory.people import Role
from inventory.portfolio import TenantChoice
from local.temporal import EmbeddedTemporal
from storage import watch
from storage.database import Database
from storage.watch import LogLook, LookItems
from tests.storage.support import Comparison, observation, sync
from tests.web.page_text import next_of, rows_of, text_of
from tests.web.support import CONTOSO, FABRIKAM, POLICIES, json_of, page_beside, person_of, signed_in_as, words_of

Clients = dict[Role, httpx.AsyncClient]

INTUNE, ENTRA = "auditEvents", "directoryAudits"


@pytest.fixture
def app(
    database: Database, database_url: str, tenants_file: Path, queue: str, request: pytest.FixtureRequest
) -> FastAPI:
    """The page, with a Temporal only if the test uses its client."""
    address = "127.0.0.1:1"
    if "client" in request.fixturenames:
        server: EmbeddedTemporal = request.getfixturevalue("temporal")
        address = server.address
    return page_beside(address, database, database_url, tenants_file, queue)


@pytest.fixture
async def client(temporal: EmbeddedTemporal, queue: str) -> AsyncIterator[Client]:
    """A client of the page's Temporal; turns watch off afterwards."""
    client = await Client.connect(temporal.address, data_converter=pydantic_data_converter)
    yield client
    await WatchSchedule(client, queue).delete()


async def record_look(database: Database, tenant_id: UUID, log: str, code: ErrorCode | None = None) -> None:
    async with database.tenant(tenant_id) as session:
        await session.execute(text("INSERT INTO tenant (name) VALUES ('one') ON CONFLICT DO NOTHING"))
        start = await watch.begin_look(session)
        await watch.keep_position(session, LogLook(log, error_code=code), start.at)


async def watched_run(database: Database, external_id: str) -> UUID:
    """Records a full run, and a later run of watch that sees a change."""
    await sync(database, CONTOSO, [observation(POLICIES, external_id, name="before")], POLICIES)
    run_id = uuid4()
    async with database.tenant(CONTOSO) as session:
        start = await watch.begin_look(session)
        found = LookItems([observation(POLICIES, external_id, name="after")], [], 3)
        await watch.record_items(session, run_id, "watch/queue", start.at, found, {}, Comparison())
    return run_id


async def test_refused_log_is_shown_on_portfolio_tenant_and_watch_pages(database: Database, clients: Clients) -> None:
    reader = clients[Role.READER]
    for tenant_id in (CONTOSO, FABRIKAM):
        await sync(database, tenant_id, [observation(POLICIES, "p1")], POLICIES)
        await record_look(database, tenant_id, INTUNE)
    await record_look(database, CONTOSO, ENTRA, ErrorCode.GRAPH_PERMISSION_MISSING)
    await record_look(database, FABRIKAM, ENTRA, ErrorCode.GRAPH_NOT_LICENSED)

    first = text_of(await words_of(reader, "/"))
    assert "not watched 1" in first
    contoso = text_of(await words_of(reader, f"/tenants/{CONTOSO}"))
    assert "Watch cannot read Entra audit events: graph_permission_missing" in contoso
    assert "cannot read" not in text_of(await words_of(reader, f"/tenants/{FABRIKAM}"))
    page = await words_of(reader, "/watch")
    assert "4 audit logs followed" in text_of(page)
    assert "2 could not be read" in text_of(page)
    rows = rows_of(page)
    assert rows[0].startswith("Contoso Entra audit events ✕ not read graph_permission_missing never")
    assert "Grant AuditLog.Read.All in the tenant" in rows[0]
    assert rows[1].startswith("Fabrikam Entra audit events ○ not licensed never")
    records = await json_of(reader, "/api/watched-logs")
    assert [(record["tenant"], record["log"], record["error_code"]) for record in records] == [
        ("Contoso", ENTRA, "graph_permission_missing"),
        ("Fabrikam", ENTRA, "graph_not_licensed"),
        ("Contoso", INTUNE, None),
        ("Fabrikam", INTUNE, None),
    ]
    assert (await words_of(reader, "/watch.csv")).splitlines()[1].startswith(f"{CONTOSO},Contoso,{ENTRA}")


async def test_logs_are_shown_without_temporal(database: Database, clients: Clients) -> None:
    await record_look(database, CONTOSO, INTUNE)
    page = text_of(await words_of(clients[Role.READER], "/watch"))
    assert "Whether watch is on is not known: Temporal does not answer" in page
    assert "Contoso Intune audit events" in page
    assert (await clients[Role.READER].get("/api/watch")).status_code == 503


async def test_page_holds_no_connection_while_it_asks_temporal(app: FastAPI, database: Database) -> None:
    async def client() -> Client:
        async with database.no_tenant(read_only=True):  # a request that holds a connection gets no second connection
            raise UnreachableError("Temporal was asked")

    app.state.site.temporal.client = client
    async with signed_in_as(app, database, person_of(Role.READER)) as reader:
        assert "Temporal was asked" in await words_of(reader, "/watch")


async def test_page_shows_watched_tenants_and_interval(clients: Clients, client: Client, queue: str) -> None:
    reader = clients[Role.READER]
    page = text_of(await words_of(reader, "/watch"))
    assert "Off: changes are noticed by full runs only" in page
    assert "watch on --all-tenants" in page
    assert await json_of(reader, "/api/watch") == {
        "on": False, "tenants": None, "every": None, "next_at": None, "last_at": None, "looks": 0, "skipped": 0
    }  # fmt: skip
    await WatchSchedule(client, queue).keep(TenantChoice(tenant_ids=(FABRIKAM,)), timedelta(minutes=7))
    page = text_of(await words_of(reader, "/watch"))
    assert "On: Fabrikam, every 7m" in page
    assert "No audit log was read yet" in page


async def test_watch_page_does_not_name_hidden_tenants(
    app: FastAPI, database: Database, client: Client, queue: str
) -> None:
    await record_look(database, FABRIKAM, INTUNE)
    await WatchSchedule(client, queue).keep(TenantChoice(tenant_ids=(FABRIKAM,)), timedelta(minutes=7))
    async with signed_in_as(app, database, person_of(Role.READER), [CONTOSO]) as stranger:
        page = text_of(await words_of(stranger, "/watch"))
        assert "On: tenants that you do not see, every 7m" in page
        assert "abrikam" not in page
        assert await json_of(stranger, "/api/watched-logs") == []
        await WatchSchedule(client, queue).keep(TenantChoice(tenant_ids=(CONTOSO, FABRIKAM)), timedelta(minutes=7))
        page = text_of(await words_of(stranger, "/watch"))
        # They are in the order of their ids, which are random here.
        orders = ("Contoso, a tenant that you do not see", "a tenant that you do not see, Contoso")
        assert any(f"On: {order}, every 7m" in page for order in orders)


async def test_log_unread_for_long_is_late_while_watch_is_on(
    database: Database, clients: Clients, client: Client, queue: str
) -> None:
    await record_look(database, CONTOSO, INTUNE)
    async with database.tenant(CONTOSO) as session:
        await session.execute(text("UPDATE audit_log_position SET read_at = read_at - interval '2 hours'"))
    assert "✓ read" in text_of(await words_of(clients[Role.READER], "/watch"))
    await WatchSchedule(client, queue).keep(TenantChoice(everyone=True), timedelta(minutes=7))
    assert "▲ late" in text_of(await words_of(clients[Role.READER], "/watch"))


async def test_runs_of_watch_are_listed_apart_from_full_runs(database: Database, clients: Clients) -> None:
    reader = clients[Role.READER]
    assert "Watch has seen no change" in await words_of(reader, "/runs?kind=watch")
    run_id = await watched_run(database, "p1")
    for address in ("/runs", f"/tenants/{CONTOSO}/runs"):
        assert str(run_id) not in await words_of(reader, address)
        page = await words_of(reader, f"{address}?kind=watch")
        assert "The newest 1 run of watch" in text_of(page)
        assert [row.count("watch") for row in rows_of(page)] == [1]
        assert f"/tenants/{CONTOSO}/runs/{run_id}" in page
        (record,) = await json_of(reader, f"/api{address}?kind=watch")
        assert (record["run_id"], record["kind"]) == (str(run_id), "watch")
        assert str(run_id) in await words_of(reader, f"{address}.csv?kind=watch")
    run_page = await words_of(clients[Role.OPERATOR], f"/tenants/{CONTOSO}/runs/{run_id}")
    assert "Run of watch" in text_of(run_page)
    assert "says nothing of any other item" in text_of(run_page)
    assert "Read the same again" not in run_page
    assert str(run_id) in await words_of(reader, "/watch")


async def test_logs_are_paginated(database: Database, clients: Clients, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(routes, "PAGE", 1)
    for log in (INTUNE, ENTRA):
        await record_look(database, CONTOSO, log)
    reader = clients[Role.READER]
    first = await words_of(reader, "/watch")
    rows = [*rows_of(first), *rows_of(await words_of(reader, f"/watch{next_of(first)}"))]
    assert [row.startswith("Contoso") for row in rows] == [True, True]
    assert rows[0] != rows[1]
    answer = await reader.get("/api/watched-logs?limit=1")
    assert 'rel="next"' in answer.headers["link"]


@pytest.fixture
def hostile_name(tenants_file: Path) -> None:
    tenants_file.write_text(tenants_file.read_text().replace('"Contoso"', '"<script>alert(1)</script>"'))


@pytest.mark.usefixtures("hostile_name")
async def test_hostile_tenant_name_is_escaped(database: Database, clients: Clients) -> None:
    await record_look(database, CONTOSO, ENTRA, ErrorCode.GRAPH_PERMISSION_MISSING)
    await watched_run(database, "p1")
    for address in ("/watch", "/runs?kind=watch"):
        page = await words_of(clients[Role.READER], address)
        assert "&lt;script&gt;alert(1)" in page
        assert "<script>alert" not in page
