"""A run's page in Chromium follows the run under the page's Content-Security-Policy."""

import asyncio
import signal
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
from playwright.async_api import Route, expect

from inventory.outcomes import RunStatus
from inventory.portfolio import PortfolioCounts, TenantChoice
from inventory.selection import Selection
from storage import portfolio
from storage.database import Database
from tests.browser.chromium import needs_chromium, visit
from tests.deadlines import DEADLINE_SECONDS, until_async
from tests.storage.support import begin, end, land, observation
from tests.web.process import addresses, environment_of, running

POLICIES = "conditionalAccessPolicies"
CONTOSO = uuid4()
MILLISECONDS = DEADLINE_SECONDS * 1000


@pytest.fixture
def page(database_url: str, tmp_path: Path) -> Iterator[dict[str, str]]:
    """The addresses of a page without a Temporal."""
    environment = environment_of(database_url, tmp_path, CONTOSO) | {"TEMPORAL_ADDRESS": "127.0.0.1:1"}
    with running(environment, "--port=0", "--json") as process:
        yield addresses(process)


@needs_chromium
@pytest.mark.slow
async def test_page_updates_until_its_run_ends(database: Database, page: dict[str, str]) -> None:
    run = await begin(database, CONTOSO, POLICIES)
    async with visit() as visitor:
        await visitor.page.goto(page["sign_in_url"])
        await visitor.page.goto(f"{page['url']}/tenants/{CONTOSO}/runs/{run.run_id}")
        await visitor.page.evaluate("window.isTheSame = true")
        main = visitor.page.locator("main")
        await expect(main).to_contain_text("0 items")
        await land(database, CONTOSO, run, [observation(POLICIES, "p1")])
        await expect(main).to_contain_text("1 item: 1 created", timeout=MILLISECONDS)
        await end(database, CONTOSO, run)
        await expect(main).to_contain_text("success", timeout=MILLISECONDS)
        assert await visitor.page.evaluate("window.isTheSame"), "the page was not reloaded"
        assert visitor.complaints == []


@needs_chromium
@pytest.mark.slow
async def test_page_updates_when_its_scripts_load_late(database: Database, page: dict[str, str]) -> None:
    run = await begin(database, CONTOSO, POLICIES)
    async with visit() as visitor:
        held: asyncio.Future[Route] = asyncio.get_running_loop().create_future()

        def hold(route: Route) -> None:
            held.set_result(route)

        await visitor.page.route("**/hx-sse-*.js", hold)
        await visitor.page.goto(page["sign_in_url"])
        address = f"{page['url']}/tenants/{CONTOSO}/runs/{run.run_id}"
        await visitor.page.goto(address, wait_until="commit")
        route = await asyncio.wait_for(held, DEADLINE_SECONDS)
        await visitor.page.wait_for_function("window.htmx", timeout=MILLISECONDS)
        # Runs after the tasks that htmx has queued.
        await visitor.page.evaluate("new Promise(done => setTimeout(() => setTimeout(done)))")
        await route.continue_()
        await end(database, CONTOSO, run)
        await expect(visitor.page.locator("main")).to_contain_text("success", timeout=MILLISECONDS)


@needs_chromium
@pytest.mark.slow
@pytest.mark.parametrize("failure", ["no answer", "an error"])
async def test_page_retries_a_failed_stream_and_stops_after_the_run(
    database: Database, page: dict[str, str], failure: str
) -> None:
    run = await begin(database, CONTOSO, POLICIES)
    async with visit() as visitor:
        requests: list[str] = []

        async def fail_first(route: Route) -> None:
            requests.append(route.request.url)
            if len(requests) > 1:
                await route.continue_()
            elif failure == "no answer":
                await route.abort()
            else:
                await route.fulfill(status=503, body="<h1>This cannot be answered now</h1>", content_type="text/html")

        await visitor.page.clock.install()
        await visitor.page.route("**/live", fail_first)
        await visitor.page.goto(page["sign_in_url"])
        await visitor.page.goto(f"{page['url']}/tenants/{CONTOSO}/runs/{run.run_id}")
        await until_async(lambda: _soon(len(requests) == 1))
        main = visitor.page.locator("main")
        await expect(main).to_contain_text("0 items")
        await visitor.page.clock.run_for(20_000)
        assert len(requests) == 1, "the page waits before it retries"
        await visitor.page.clock.run_for(15_000)
        await until_async(lambda: _soon(len(requests) == 2))
        await land(database, CONTOSO, run, [observation(POLICIES, "p1")])
        await expect(main).to_contain_text("1 item: 1 created", timeout=MILLISECONDS)
        await end(database, CONTOSO, run)
        await expect(main).to_contain_text("success", timeout=MILLISECONDS)
        await visitor.page.clock.run_for(300_000)
        assert len(requests) == 2, "an ended run is not requested again"


async def _soon(holds: bool) -> bool:
    await asyncio.sleep(0.05)
    return holds


@needs_chromium
@pytest.mark.slow
async def test_portfolio_run_page_updates_until_the_run_ends(database: Database, page: dict[str, str]) -> None:
    run_id, of_tenant = uuid4(), uuid4()
    identity = portfolio.PortfolioIdentity(
        run_id, "portfolio/nightly", Selection(type_keys=(POLICIES,)), TenantChoice(everyone=True), None, None
    )
    async with database.no_tenant() as session:
        await portfolio.open_portfolio(session, identity)
        await portfolio.expect_tenants(session, run_id, 1)
    async with visit() as visitor:
        await visitor.page.goto(page["sign_in_url"])
        await visitor.page.goto(f"{page['url']}/portfolio-runs/{run_id}")
        await visitor.page.evaluate("window.isTheSame = true")
        main = visitor.page.locator("main")
        await expect(main).to_contain_text("1 tenant: none has ended")
        async with database.tenant(CONTOSO) as session:
            outcome = portfolio.TenantRunOutcome(of_tenant, RunStatus.FAILED, False, [])
            await portfolio.record_tenant(session, run_id, outcome)
        await expect(main).to_contain_text("1 tenant: 1 failed", timeout=MILLISECONDS)
        async with database.no_tenant() as session:
            counts = PortfolioCounts(tenants=1)
            counts.count(RunStatus.FAILED)
            await portfolio.close_portfolio(session, run_id, portfolio.PortfolioEnd(RunStatus.FAILED, counts, []))
        await expect(main).not_to_contain_text("So far", timeout=MILLISECONDS)
        assert await visitor.page.locator("#live").count() == 0
        assert await visitor.page.evaluate("window.isTheSame"), "the page was not reloaded"
        assert visitor.complaints == []


@needs_chromium
@pytest.mark.slow
async def test_link_reloads_the_page_without_javascript(database: Database, page: dict[str, str]) -> None:
    run = await begin(database, CONTOSO, POLICIES)
    async with visit(script=False) as visitor:
        await visitor.page.goto(page["sign_in_url"])
        await visitor.page.goto(f"{page['url']}/tenants/{CONTOSO}/runs/{run.run_id}")
        await end(database, CONTOSO, run)
        await visitor.page.get_by_role("link", name="load it again").click()
        await expect(visitor.page.locator("main")).to_contain_text("success")


@pytest.mark.slow
async def test_ctrl_c_stops_the_page_during_a_live_stream(
    database: Database, database_url: str, tmp_path: Path
) -> None:
    run = await begin(database, CONTOSO, POLICIES)
    environment = environment_of(database_url, tmp_path, CONTOSO) | {"TEMPORAL_ADDRESS": "127.0.0.1:1"}
    with running(environment, "--port=0", "--json") as process:
        printed = addresses(process)
        async with httpx.AsyncClient(base_url=printed["url"], timeout=DEADLINE_SECONDS, trust_env=False) as client:
            cookie = (await client.get(printed["sign_in_url"])).headers["set-cookie"].partition(";")[0]
            address = f"/tenants/{CONTOSO}/runs/{run.run_id}/live"
            async with client.stream("GET", address, headers={"Cookie": cookie}) as answer:
                async for line in answer.aiter_lines():
                    assert line.startswith("data:")
                    break
                process.send_signal(signal.SIGINT)
                _, errors = process.communicate(timeout=DEADLINE_SECONDS)
    assert "Traceback" not in errors
