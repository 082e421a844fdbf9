"""Portfolio runs on the web page: lists, a run's tenants, visibility and cancellation."""

import asyncio
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from uuid import UUID, uuid4

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import text
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter

from activities.holders import PORTFOLIO_WORKFLOW
from answers.runs import portfolio_routes
from connections import register_search_attributes
from control.shared_looks import SharedLooks
from inventory.error_codes import ErrorCode
from inventory.outcomes import RunStatus
from inventory.people import Role
from inventory.portfolio import PortfolioCounts, TenantChoice
from inventory.selection import Selection
from local.temporal import EmbeddedTemporal
from storage import portfolio
from storage.database import Database
from tests.deadlines import until_async
from tests.web.asgi_stream import streamed
from tests.web.page_text import next_of, rows_of, text_of
from tests.web.support import (
    CONTOSO,
    FABRIKAM,
    POLICIES,
    UNREAD,
    json_of,
    page_beside,
    person_of,
    signed_in_as,
    words_of,
)
from workflows import search_attributes
from workflows.messages import PortfolioInput

Clients = dict[Role, httpx.AsyncClient]

OTHERS_CODE = ErrorCode.GRAPH_PERMISSION_MISSING


@pytest.fixture
def app(database: Database, database_url: str, tenants_file: Path) -> FastAPI:
    """A page without a Temporal."""
    return page_beside("127.0.0.1:1", database, database_url, tenants_file)


async def record_run(
    database: Database,
    chosen: TenantChoice,
    outcomes: dict[UUID, tuple[RunStatus, list[ErrorCode]]],
    *,
    ended: RunStatus | None,
    tenants: int = 3,
) -> UUID:
    """Records a portfolio run of `tenants` tenants and the given outcomes; returns its id."""
    run_id = uuid4()
    identity = portfolio.PortfolioIdentity(
        run_id, "portfolio/nightly", Selection(type_keys=(POLICIES,)), chosen, "nightly", "night watch"
    )
    async with database.no_tenant() as session:
        await portfolio.open_portfolio(session, identity)
        await portfolio.expect_tenants(session, run_id, tenants)
    counts = PortfolioCounts(tenants=tenants)
    for tenant_id, (status, codes) in outcomes.items():
        counts.count(status)
        async with database.tenant(tenant_id) as session:
            outcome = portfolio.TenantRunOutcome(uuid4(), status, False, codes)
            await portfolio.record_tenant(session, run_id, outcome)
    if ended is not None:
        async with database.no_tenant() as session:
            codes = sorted({code for _, codes in outcomes.values() for code in codes})
            await portfolio.close_portfolio(session, run_id, portfolio.PortfolioEnd(ended, counts, codes))
    return run_id


FAILED_AT_FABRIKAM: dict[UUID, tuple[RunStatus, list[ErrorCode]]] = {
    CONTOSO: (RunStatus.SUCCESS, []),
    FABRIKAM: (RunStatus.FAILED, [OTHERS_CODE]),
}


async def test_portfolio_run_lists_outcomes_with_failed_tenants_first(database: Database, clients: Clients) -> None:
    reader = clients[Role.READER]
    run_id = await record_run(database, TenantChoice(everyone=True), FAILED_AT_FABRIKAM, ended=RunStatus.PARTIAL)
    (row,) = rows_of(await words_of(reader, "/portfolio-runs"))
    assert "partial all tenants night watch nightly 3 1 failed 1 success" in row
    address = f"/portfolio-runs/{run_id}"
    page = await words_of(reader, address)
    assert "3 tenants: 1 failed 1 success. 1 tenant without an outcome" in text_of(page)
    rows = rows_of(page)
    assert [row.partition(" ")[0] for row in rows] == ["Fabrikam", "Contoso"]
    assert rows[0].endswith(OTHERS_CODE)
    assert [row.partition(" ")[0] for row in rows_of(await words_of(reader, f"{address}?status=success"))] == [
        "Contoso"
    ]
    assert "No tenant of status cancelled" in await words_of(reader, f"{address}?status=cancelled")
    record = await json_of(reader, f"/api{address}")
    (summary,) = await json_of(reader, "/api/portfolio-runs")
    assert {str(CONTOSO), str(FABRIKAM)} == {outcome["tenant_id"] for outcome in record.pop("tenants")}
    assert summary == record
    assert (await words_of(reader, "/portfolio-runs.csv")).splitlines()[1].startswith(str(run_id))
    await words_of(reader, f"/portfolio-runs/{uuid4()}", 404)


async def test_running_portfolio_run_counts_ended_tenants(database: Database, clients: Clients) -> None:
    run_id = await record_run(database, TenantChoice(tags=("emea",)), FAILED_AT_FABRIKAM, ended=None, tenants=9)
    page = await words_of(clients[Role.READER], f"/portfolio-runs/{run_id}")
    assert "running tag emea; night watch; schedule nightly" in text_of(page)
    assert "9 tenants: 1 failed 1 success. So far; this page renews itself, or load it again" in text_of(page)
    assert "Cancel this portfolio run" not in page
    assert "Cancel this portfolio run" in await words_of(clients[Role.OPERATOR], f"/portfolio-runs/{run_id}")


async def test_live_page_follows_the_filtered_tenants(
    app: FastAPI, database: Database, clients: Clients, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(portfolio_routes, "LOOK_SECONDS", 0.02)
    reader = clients[Role.READER]
    run_id = await record_run(database, TenantChoice(everyone=True), {}, ended=None)
    address = f"/portfolio-runs/{run_id}"
    assert f'hx-sse:connect="{address}/live?status=failed"' in await words_of(reader, f"{address}?status=failed")
    async with streamed(app, reader, f"{address}/live?status=failed") as stream:
        assert await stream.status() == 200
        assert "none has ended" in (await stream.event() or "")
        async with database.tenant(FABRIKAM) as session:
            outcome = portfolio.TenantRunOutcome(uuid4(), RunStatus.FAILED, False, [OTHERS_CODE])
            await portfolio.record_tenant(session, run_id, outcome)
        assert "Fabrikam" in (await stream.event() or "")
        counts = PortfolioCounts(tenants=3)
        counts.count(RunStatus.FAILED)
        async with database.no_tenant() as session:
            await portfolio.close_portfolio(session, run_id, portfolio.PortfolioEnd(RunStatus.PARTIAL, counts, []))
        last = await stream.event() or ""
        assert "2 tenants without an outcome" in last
        assert '<div id="live" hx-swap-oob="delete">' in last
        assert await stream.event() is None
    assert "hx-sse" not in await words_of(reader, address)
    await words_of(reader, f"/portfolio-runs/{uuid4()}/live", 404)
    await words_of(reader, f"{address}/live?after=x", 404)


async def test_concurrent_readers_share_one_look() -> None:
    looks = SharedLooks[int]()
    count = 0

    async def find() -> int:
        nonlocal count
        count += 1
        await asyncio.sleep(0)
        return count

    assert set(await asyncio.gather(*(looks.look("run", find, within=1e6) for _ in range(200)))) == {1}
    assert await looks.look("run", find) == 2
    assert await looks.look("another", find, within=1e6) == 3


async def test_portfolio_run_is_hidden_unless_all_its_tenants_are_visible(app: FastAPI, database: Database) -> None:
    outcomes: dict[UUID, tuple[RunStatus, list[ErrorCode]]] = {CONTOSO: (RunStatus.SUCCESS, [])}
    ours = await record_run(database, TenantChoice(tenant_ids=(CONTOSO,)), outcomes, ended=None, tenants=1)
    shared = await record_run(database, TenantChoice(tenant_ids=(CONTOSO, FABRIKAM)), FAILED_AT_FABRIKAM, ended=None)
    everybody = await record_run(database, TenantChoice(everyone=True), outcomes, ended=RunStatus.PARTIAL)
    sent = {"request_id": str(uuid4()), "confirmed": "yes"}
    async with signed_in_as(app, database, person_of(Role.OPERATOR), [CONTOSO]) as client:
        (record,) = await json_of(client, "/api/portfolio-runs")
        assert record["portfolio_run_id"] == str(ours)
        assert "1 tenant: 1 success" in text_of(await words_of(client, f"/portfolio-runs/{ours}"))
        assert (await client.post(f"/portfolio-runs/{ours}/cancel", data=sent)).status_code == 503
        for hidden in (shared, everybody):
            await words_of(client, f"/portfolio-runs/{hidden}", 404)
            await words_of(client, f"/portfolio-runs/{hidden}/live", 404)
            await words_of(client, f"/portfolio-runs?after={hidden}", 404)
            assert (await client.post(f"/portfolio-runs/{hidden}/cancel", data=sent)).status_code == 404


async def test_portfolio_runs_are_paginated_and_filtered_by_status(
    database: Database, clients: Clients, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(portfolio_routes, "PAGE", 2)
    monkeypatch.setattr(portfolio_routes, "OUTCOMES", 2)
    reader = clients[Role.READER]
    of_three: dict[UUID, tuple[RunStatus, list[ErrorCode]]] = {**FAILED_AT_FABRIKAM, UNREAD: (RunStatus.SUCCESS, [])}
    for number in range(5):
        status = RunStatus.PARTIAL if number < 2 else RunStatus.SUCCESS
        await record_run(database, TenantChoice(everyone=True), of_three, ended=status)
    await _give_equal_start_times(database)
    for address, expected in (("/portfolio-runs?", 5), ("/portfolio-runs?status=partial", 2)):
        listed: list[str] = []
        query = address.partition("?")[2]
        while True:
            page = await words_of(reader, f"/portfolio-runs?{query.lstrip('?')}")
            listed += [part.partition('"')[0] for part in page.split('<th scope="row"><a href="/portfolio-runs/')[1:]]
            if not (query := next_of(page)):
                break
        assert (len(listed), len(set(listed))) == (expected, expected)
    records = await json_of(reader, "/api/portfolio-runs?limit=2&status=success")
    link = (await reader.get("/api/portfolio-runs?limit=2&status=success")).headers["link"]
    assert f"after={records[1]['portfolio_run_id']}" in link
    run_path = f"/portfolio-runs/{records[0]['portfolio_run_id']}"
    first = await words_of(reader, run_path)
    assert len(rows_of(first)) == 2
    assert len(rows_of(await words_of(reader, f"{run_path}{next_of(first)}"))) == 1


async def _give_equal_start_times(database: Database) -> None:
    """Gives all portfolio runs the same start, so that only their ids order them."""
    async with database.no_tenant() as session:
        await session.execute(text("UPDATE portfolio_run SET started_at = (SELECT min(started_at) FROM portfolio_run)"))


async def test_cancellation_without_temporal_is_recorded_as_not_done(database: Database, clients: Clients) -> None:
    run_id = await record_run(database, TenantChoice(everyone=True), FAILED_AT_FABRIKAM, ended=None)
    sent = {"request_id": str(uuid4()), "reason": "wrong tag", "confirmed": "yes"}
    address = f"/portfolio-runs/{run_id}/cancel"
    assert (await clients[Role.READER].post(address, data=sent)).status_code == 403
    answer = await clients[Role.OPERATOR].post(address, data=sent)
    assert (answer.status_code, "Temporal does not answer" in answer.text) == (503, True)
    async with database.no_tenant() as session:
        found = await session.execute(text("SELECT action, subject, reason FROM audit_record WHERE reason IS NOT NULL"))
        rows = sorted(tuple(row) for row in found)
    assert [row[1].partition(" ")[0] for row in rows] == ["not", "portfolio"]
    assert {(row[0], row[2]) for row in rows} == {("sync_cancelled", "wrong tag")}


async def test_empty_list_says_that_no_portfolio_run_exists(clients: Clients) -> None:
    assert "No portfolio run yet" in await words_of(clients[Role.READER], "/portfolio-runs")
    assert "No portfolio run of status failed" in await words_of(clients[Role.READER], "/portfolio-runs?status=failed")


async def test_queued_portfolio_run_without_worker_is_shown(
    database: Database, database_url: str, tenants_file: Path, temporal: EmbeddedTemporal
) -> None:
    queue, name = f"queue-{uuid4()}", f"quiet-{uuid4()}"
    app = page_beside(temporal.address, database, database_url, tenants_file, queue)
    client = await Client.connect(temporal.address, data_converter=pydantic_data_converter)
    await register_search_attributes(client)
    of_all, ours = TenantChoice(everyone=True), TenantChoice(tenant_ids=(CONTOSO,))
    ids: dict[TenantChoice, str] = {}
    async with AsyncExitStack() as stack:
        for chosen in (of_all, ours):
            portfolio_input = PortfolioInput(
                selection=Selection(type_keys=(POLICIES,)), selection_name=name, chosen=chosen
            )
            attributes = search_attributes.portfolio(portfolio_input.selection, name)
            handle = await client.start_workflow(
                PORTFOLIO_WORKFLOW,
                portfolio_input,
                id=f"{name}/{len(ids)}",
                task_queue=queue,
                search_attributes=attributes,
            )
            stack.push_async_callback(handle.terminate)
            ids[chosen] = str(handle.first_execution_run_id)
        everybody = await stack.enter_async_context(signed_in_as(app, database, person_of(Role.OPERATOR)))
        contoso = await stack.enter_async_context(signed_in_as(app, database, person_of(Role.READER), [CONTOSO]))
        nobody = await stack.enter_async_context(signed_in_as(app, database, person_of(Role.APPROVER), [FABRIKAM]))
        for person, visible in ((everybody, [*ids.values()]), (contoso, [ids[ours]]), (nobody, [])):
            for query in ("", "?status=queued"):
                await until_async(partial(_lists, person, query, visible))
            assert await _listed(person, "?status=partial") == [[], [], []]
        page = text_of(await words_of(everybody, f"/portfolio-runs/{ids[of_all]}"))
        assert f"queued all tenants; {name}" in page
        assert "No worker has taken it up yet, so its tenants are not known" in page
        assert (await json_of(contoso, f"/api/portfolio-runs/{ids[ours]}"))["status"] == "queued"
        await words_of(contoso, f"/portfolio-runs/{ids[of_all]}", 404)
        async with streamed(app, everybody, f"/portfolio-runs/{ids[of_all]}/live") as live:
            assert await live.status() == 200
        sent = {"request_id": str(uuid4()), "reason": "wrong tag", "confirmed": "yes"}
        assert (await everybody.post(f"/portfolio-runs/{ids[of_all]}/cancel", data=sent)).status_code == 303
        identity = portfolio.PortfolioIdentity(
            UUID(ids[ours]), "portfolio/quiet", Selection(type_keys=(POLICIES,)), ours, None, name
        )
        async with database.no_tenant() as session:
            await portfolio.open_portfolio(session, identity)
        assert await _listed(contoso, "") == [[ids[ours]]] * 3, "its record and Temporal's entry are one row"


async def _lists(client: httpx.AsyncClient, query: str, ids: list[str]) -> bool:
    return [sorted(found) for found in await _listed(client, query)] == [sorted(ids)] * 3


async def _listed(client: httpx.AsyncClient, query: str) -> list[list[str]]:
    """The ids on the page, in the JSON and in the file; empty if one of them does not know the queued runs."""
    page = await words_of(client, f"/portfolio-runs{query}")
    records = await client.get(f"/api/portfolio-runs{query}")
    file = await client.get(f"/portfolio-runs.csv{query}")
    if "Temporal does not answer" in page or "queued-runs" in {*records.headers, *file.headers}:
        return []
    return [
        [part.partition('"')[0] for part in page.split('<th scope="row"><a href="/portfolio-runs/')[1:]],
        [record["portfolio_run_id"] for record in records.json()],
        [row.partition(",")[0] for row in file.text.splitlines()[1:]],
    ]


async def test_lists_say_that_queued_runs_are_unknown_without_temporal(database: Database, clients: Clients) -> None:
    run_id = await record_run(database, TenantChoice(everyone=True), FAILED_AT_FABRIKAM, ended=None)
    reader = clients[Role.READER]
    page = await words_of(reader, "/portfolio-runs")
    assert "Temporal does not answer, so queued portfolio runs that no worker has taken up are not shown" in page
    assert str(run_id) in page
    for twin in ("/api/portfolio-runs", "/portfolio-runs.csv"):
        answer = await reader.get(twin)
        assert (answer.headers["queued-runs"], str(run_id) in answer.text) == ("unknown", True)
    for address in ("?status=partial", f"?after={run_id}"):
        assert "Temporal" not in await words_of(reader, f"/portfolio-runs{address}")
