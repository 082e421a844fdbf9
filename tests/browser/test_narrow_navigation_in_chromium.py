"""The navigation on a narrow screen: two menus, which open by keyboard and without JavaScript."""

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Locator, Page, ViewportSize, expect

from storage.database import Database
from tests.browser.chromium import WIDE, needs_chromium, visit
from tests.browser.test_web_in_chromium import RULES
from tests.storage.support import observation, sync
from tests.web.process import addresses, environment_of, running

pytestmark = [pytest.mark.slow, needs_chromium]

CONTOSO = uuid4()
NARROW = ViewportSize(width=320, height=640)
LINES = 5
"""The header's greatest height, in lines of text with their spacing."""


@pytest.fixture
def site(database_url: str, tmp_path: Path) -> Iterator[dict[str, str]]:
    with running(environment_of(database_url, tmp_path, CONTOSO), "--port=0", "--json") as process:
        yield addresses(process)


async def open_tenant(page: Page, site: dict[str, str], database: Database) -> None:
    await sync(database, CONTOSO, [observation("namedLocations", "l1")], "namedLocations")
    await page.goto(site["sign_in_url"])
    await page.goto(f"{site['url']}/tenants/{CONTOSO}/items")


def links(page: Page, name: str) -> Locator:
    return page.get_by_role("navigation", name=name, exact=True).get_by_role("link")


async def test_keyboard_opens_the_navigation_on_a_narrow_screen(site: dict[str, str], database: Database) -> None:
    async with visit(script=False) as visitor:
        page = visitor.page
        await open_tenant(page, site, database)
        await expect(links(page, "Tenant").first).to_be_visible()
        await expect(page.locator("summary").first).to_be_hidden()
        await page.set_viewport_size(NARROW)
        for name in ("All tenants", "Tenant"):
            await expect(links(page, name)).to_have_count(0)
        header = await page.locator("header").bounding_box()
        assert header is not None
        assert header["height"] < LINES * 24
        for _ in range(5):  # past the skip link, the brand, the sign-out and the other menu
            await page.keyboard.press("Tab")
        assert await page.locator(":focus").inner_text() == "Contoso"
        await page.keyboard.press("Enter")
        await expect(links(page, "All tenants")).to_have_count(0)
        await expect(links(page, "Tenant").first).to_be_visible()
        await page.keyboard.press("Tab")
        await page.keyboard.press("Tab")
        await expect(page.locator(":focus")).to_have_attribute("aria-current", "page")
        await page.keyboard.press("Tab")
        await page.keyboard.press("Enter")
        await expect(page.locator("h1")).to_have_text("Changes")


async def test_navigation_is_accessible_open_and_closed(
    site: dict[str, str], database: Database, pictures: Path
) -> None:
    async with visit() as visitor:
        page = visitor.page
        await open_tenant(page, site, database)
        for size, shade in ((NARROW, "light"), (NARROW, "dark"), (WIDE, "light")):
            await page.set_viewport_size(size)
            await page.emulate_media(color_scheme="dark" if shade == "dark" else "light")
            for is_open in (False, True):
                await page.evaluate("open => document.querySelectorAll('.menu').forEach(m => m.open = open)", is_open)
                found = await Axe().run(page, options=RULES)
                assert [broken["id"] for broken in found.response["violations"]] == [], (size, shade)
                assert not await page.evaluate("document.scrollingElement.scrollWidth > window.innerWidth")
                await page.screenshot(path=pictures / f"navigation-{size['width']}-{shade}-{is_open}.png")
        assert visitor.complaints == []
