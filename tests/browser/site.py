"""The page in its own process, and a sign-in to it."""

import json

from tests.browser.chromium import Visit
from tests.end_to_end.system import System


async def sign_in(visitor: Visit, week: System) -> str:
    """Starts the page, signs in and returns the page's address."""
    process = week.popen("web", "--port=0", "--json", log=week.folder / "web.log")
    assert process.stdout is not None
    addresses: dict[str, str] = json.loads(process.stdout.readline())
    answer = await visitor.page.goto(addresses["url"])
    assert answer is not None
    assert answer.status == 401
    assert "Please sign in" in await visitor.page.inner_text("h1")
    visitor.complaints.clear()
    await visitor.page.goto(addresses["sign_in_url"])
    return addresses["url"]
