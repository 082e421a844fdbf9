"""The web page in a browser, over a week of simulated tenants: `make browser`.

BROWSER_PICTURES=FOLDER keeps the pictures there.
"""

import asyncio
import re
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.async_playwright import Axe
from fastapi.responses import HTMLResponse
from fastapi.routing import APIRoute
from playwright.async_api import Page

from tests.browser.chromium import WIDE, needs_chromium, visit
from tests.browser.site import sign_in
from tests.end_to_end.system import System
from web.application import ROUTERS

pytestmark = [pytest.mark.browser, needs_chromium]

PAGE_BYTES = 100_000
WIDTHS = (320, 1200, 2560)
RULES = {
    "resultTypes": ["violations"],
    "runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
}
"""https://www.deque.com/axe/core-documentation/api-documentation/"""

PAGE_SECONDS = 120
"""A page takes two. Chromium once hung without a timeout; then a new browser opens the page."""

EACH = 2
"""The number of pages to check per route; their addresses differ in the query or in the tenant."""


class Route:
    """A route that answers GET with a page, and its addresses found in links."""

    def __init__(self, route: APIRoute) -> None:
        self.path = route.path
        self.pattern = route.path_regex
        self.addresses: list[str] = []

    @property
    def name(self) -> str:
        """For a picture's file: `tenants-one-items`."""
        return re.sub(r"\W+", "-", re.sub(r"{[^}]*}", "one", self.path)).strip("-") or "portfolio"


def page_routes() -> list[Route]:
    return [
        Route(route)
        for router in ROUTERS
        for route in router.routes
        if isinstance(route, APIRoute) and "GET" in (route.methods or ()) and route.response_class is HTMLResponse
    ]


def route_of(routes: list[Route], address: str) -> Route | None:
    """The route that answers an address."""
    return next((route for route in routes if route.pattern.match(urlsplit(address).path)), None)


def unseen_route(routes: list[Route], address: str) -> Route | None:
    """The route of an address, if fewer than `EACH` of its addresses are noted; notes the address."""
    route = route_of(routes, address)
    if route is None or address in route.addresses or len(route.addresses) >= EACH:
        return None
    route.addresses.append(address)
    return route


_LINKS = """() => {
    const forms = [...document.querySelectorAll("form[method=get][action]")].map(form => {
        const box = form.querySelector("input[type=checkbox]");
        if (box) box.checked = true;
        return form.action + "?" + new URLSearchParams(new FormData(form));
    });
    // Of a link in a picture `href` is no text.
    const addressOf = link => new URL(link.getAttribute("href"), document.baseURI).href;
    return [...[...document.querySelectorAll("a[href]")].map(addressOf), ...forms];
}"""


async def links_of(page: Page) -> list[str]:
    """The addresses of this site in a page's links and GET forms."""
    addresses: list[str] = await page.evaluate(_LINKS)
    here = "{0.scheme}://{0.netloc}".format(urlsplit(page.url))
    return [address.removeprefix(here).partition("#")[0] for address in addresses if address.startswith(f"{here}/")]


async def problems_of(page: Page, pictures: Path, name: str) -> list[str]:
    """The problems of the open page."""
    problems = []
    if len((await page.content()).encode()) > PAGE_BYTES:
        problems.append(f"more than {PAGE_BYTES} bytes")
    for shade in ("light", "dark"):
        await page.emulate_media(color_scheme=shade)
        await page.screenshot(path=pictures / f"web-{name}-{shade}.png")
        found = await Axe().run(page, options=RULES)
        problems += [
            f"{shade}: {broken['id']}: {broken['help']}: {broken['nodes'][0]['html'][:160]}"
            for broken in found.response["violations"]
        ]
    for width in WIDTHS:
        await page.set_viewport_size({"width": width, "height": 900})
        if await page.evaluate("document.scrollingElement.scrollWidth > window.innerWidth"):
            problems.append(f"scrolls sideways at {width} pixels")
        if width == WIDTHS[0]:
            await page.screenshot(path=pictures / f"web-{name}-narrow.png")
    await page.set_viewport_size(WIDE)
    return problems


async def test_every_page_is_linked_and_accessible(week: System, pictures: Path) -> None:
    routes = page_routes()
    problems: dict[str, list[str]] = {}
    waiting, stood_still = ["/"], ""
    while waiting:
        async with visit() as visitor:
            site = await sign_in(visitor, week)
            while waiting:
                route = unseen_route(routes, waiting[0]) if waiting[0] != stood_still else route_of(routes, waiting[0])
                try:
                    async with asyncio.timeout(PAGE_SECONDS):
                        if route is not None:
                            waiting += await check_page(visitor.page, site, waiting[0], route, pictures, problems)
                except TimeoutError:
                    assert waiting[0] != stood_still, f"Chromium stands still on {waiting[0]}"
                    stood_still = waiting[0]
                    break
                waiting.pop(0)
            assert visitor.complaints == []
            assert {urlsplit(request).netloc for request in visitor.requests} == {urlsplit(site).netloc}
    assert problems == {}
    assert [route.path for route in routes if not route.addresses] == [], "no link leads there"


async def check_page(
    page: Page, site: str, path: str, route: Route, pictures: Path, problems: dict[str, list[str]]
) -> list[str]:
    """Opens a page, adds its problems to `problems` and returns its links."""
    answer = await page.goto(f"{site}{path}")
    assert answer is not None
    found = await problems_of(page, pictures, f"{route.name}-{len(route.addresses)}")
    if answer.status != 200:
        found.append(f"status {answer.status}")
    if found:
        problems[path] = found
    return await links_of(page)


async def test_first_tab_skips_to_content_and_print_omits_navigation(week: System, pictures: Path) -> None:
    async with visit(script=False) as visitor:
        await sign_in(visitor, week)
        await visitor.page.keyboard.press("Tab")
        assert await visitor.page.locator(":focus").inner_text() == "Skip to the content"
        await visitor.page.keyboard.press("Enter")
        assert urlsplit(visitor.page.url).fragment == "content"
        await visitor.page.emulate_media(media="print")
        assert not await visitor.page.locator("header nav, header form").first.is_visible()
        assert (await visitor.page.pdf(path=pictures / "web-portfolio.pdf")).startswith(b"%PDF")


async def test_accessibility_problems_are_found(pictures: Path) -> None:
    """The test of every page relies on these checks."""
    async with visit() as visitor:
        await visitor.page.set_content(
            '<html><body><img src="x.png"><p style="color: #aaa; width: 400px">grey</p></body></html>'
        )
        found = "\n".join(await problems_of(visitor.page, pictures, "broken"))
    assert all(rule in found for rule in ("image-alt", "color-contrast", "html-has-lang", "sideways at 320")), found
