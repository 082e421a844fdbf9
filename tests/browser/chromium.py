"""Debian's Chromium under Playwright, with a record of console errors and requests."""

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import pytest
from playwright.async_api import BrowserContext, Page, ViewportSize, async_playwright

EXECUTABLE = next(
    (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), ""
)

needs_chromium = pytest.mark.skipif(not EXECUTABLE, reason="there is no chromium here; a package manager has it")

ARGUMENTS = ["--no-sandbox", "--disable-dev-shm-usage"]
"""For root, without /dev/shm: containers give it 64 MB, and a page hangs when it is full."""

WIDE = ViewportSize(width=1200, height=900)


class Visit:
    """A browser with its own cookies and one page."""

    def __init__(self, context: BrowserContext, page: Page) -> None:
        self.context = context
        self.page = page
        self.complaints: list[str] = []
        """Page errors and violations of the Content-Security-Policy."""
        self.requests: set[str] = set()
        """The URLs that pages requested, except files."""
        page.on("console", lambda message: self.complaints.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", lambda request: self._note(request.url))

    def _note(self, url: str) -> None:
        if urlsplit(url).scheme != "file":
            self.requests.add(url)


@asynccontextmanager
async def visit(*, script: bool = True) -> AsyncIterator[Visit]:
    """Opens Chromium, with JavaScript only if `script` is set."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=EXECUTABLE, args=ARGUMENTS)
        try:
            context = await browser.new_context(viewport=WIDE, java_script_enabled=script)
            yield Visit(context, await context.new_page())
        finally:
            await browser.close()
