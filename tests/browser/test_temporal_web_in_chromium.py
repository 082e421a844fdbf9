"""Temporal Web in Chromium, with encrypted payloads."""

import json
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from local.processes import free_port
from local.simulated_graph import SimulatedGraph
from local.temporal import EmbeddedTemporal
from tests.browser.chromium import needs_chromium, visit
from tests.deadlines import DEADLINE_SECONDS
from tests.end_to_end.system import System

pytestmark = [pytest.mark.browser, needs_chromium]

LIMIT = DEADLINE_SECONDS * 1000


@pytest.fixture
def web_port() -> int:
    return free_port()


@pytest.fixture
def temporal(tmp_path: Path, web_port: int) -> Iterator[EmbeddedTemporal]:
    with EmbeddedTemporal(tmp_path / "temporal", codec_url=f"http://127.0.0.1:{web_port}/api/codec") as server:
        yield server


@pytest.fixture
def system(graph: SimulatedGraph, temporal: EmbeddedTemporal, database_url: str, tmp_path: Path) -> Iterator[System]:
    with System(graph, temporal, database_url, tmp_path) as system:
        system.environment |= {"PAYLOAD_KEYS": secrets.token_hex(), "TEMPORAL_WEB_URL": temporal.ui_url}
        yield system


async def test_temporal_web_shows_inputs_and_summaries_only_after_sign_in(
    system: System, temporal: EmbeddedTemporal, web_port: int, pictures: Path
) -> None:
    system.start_worker()
    run = system.sync("--type", "namedLocations")
    page_of_run = f"{temporal.ui_url}/namespaces/default/workflows/{run.workflow_id.replace('/', '%2F')}/{run.run_id}"
    web = system.popen("web", f"--port={web_port}", "--only-codec", "--json", log=system.folder / "web.log")
    assert web.stdout is not None
    sign_in_url = json.loads(web.stdout.readline())["sign_in_url"]
    async with visit() as visitor:
        page = visitor.page
        page.set_default_timeout(LIMIT)
        await page.goto(page_of_run)
        await _send_session_to(page, f"http://127.0.0.1:{web_port}/api/codec")
        await expect(page.locator("#content").get_by_text("Codec Server could not connect")).to_be_visible(
            timeout=LIMIT
        )
        assert "namedLocations" not in await page.inner_text("main")

        await page.goto(sign_in_url)
        await expect(page.get_by_text("You are signed in")).to_be_visible(timeout=LIMIT)
        await page.goto(page_of_run)
        await expect(page.get_by_text('"selection"').first).to_be_visible(timeout=LIMIT)
        await expect(page.get_by_test_id("input-and-result").get_by_text("namedLocations").first).to_be_visible()
        await page.screenshot(path=pictures / "temporal-web-input.png")
        await page.get_by_test_id("history-tab").click()
        await expect(page.get_by_text("close as success").first).to_be_visible(timeout=LIMIT)
        await page.screenshot(path=pictures / "temporal-web-history.png")


async def _send_session_to(page: Page, endpoint: str) -> None:
    """Makes Temporal Web send the session's cookie, in its dialog: the dev server has no option for it."""
    await page.locator("[data-testid^=data-encoder-status]").click()
    await page.get_by_test_id("use-local-endpoint-input").check()
    await page.get_by_test_id("data-encoder-endpoint-input").fill(endpoint)
    await page.get_by_text("Include cross-origin credentials").click()
    await page.locator("dialog[open]").get_by_test_id("confirm-modal-button").click()
