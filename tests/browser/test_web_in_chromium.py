"""The web page in a browser: `make browser`. With BROWSER_PICTURES=FOLDER the pictures are kept there."""

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from inventory.error_codes import ErrorCode
from inventory.outcomes import Outcome, RunStatus
from storage.database import Database
from tests.browser.chromium import Chromium, needs_chromium
from tests.storage.support import observation, sync
from tests.web.process import addresses, environment_of, running
from web.site import item_path

pytestmark = [pytest.mark.browser, needs_chromium]

CONTOSO = uuid4()
POLICIES = "conditionalAccessPolicies"
LOCATIONS = "namedLocations"
NARROW = 320


async def _fill(url: str) -> None:
    """A policy that has changed, one that is gone, and a collection that could not be read."""
    database = Database(url)
    gone = observation(POLICIES, "p2", displayName="Block legacy authentication")
    place = observation(LOCATIONS, "l1", displayName="Head office")
    for state, others in (("enabled", [gone, place]), ("disabled", [])):
        policy = observation(POLICIES, "p1", displayName="Require MFA for administrators", state=state)
        failed = not others
        await sync(
            database,
            CONTOSO,
            [policy, *others],
            POLICIES,
            LOCATIONS,
            status=RunStatus.PARTIAL if failed else RunStatus.SUCCESS,
            outcomes={
                POLICIES: (Outcome.COMPLETE, None),
                LOCATIONS: (Outcome.FAILED, ErrorCode.GRAPH_PERMISSION_MISSING) if failed else (Outcome.COMPLETE, None),
            },
        )
    await database.close()


@pytest.fixture
def site(database_url: str, tmp_path: Path) -> Iterator[dict[str, str]]:
    asyncio.run(_fill(database_url))
    with running(environment_of(database_url, tmp_path, CONTOSO), "--port=0", "--json") as process:
        yield addresses(process)


def test_a_browser_signs_in_and_walks_the_pages(site: dict[str, str], tmp_path: Path) -> None:
    chromium = Chromium(tmp_path, keeps_profile=True)
    pictures = Path(os.environ.get("BROWSER_PICTURES", tmp_path))
    assert "Please sign in" in chromium.rendered(f"{site['url']}/")
    assert "Contoso" in chromium.rendered(site["sign_in_url"]), "the browser takes the cookie of a loopback address"
    chromium.complaints.clear()
    tenant = f"/tenants/{CONTOSO}"
    for name, address, words in (
        ("tenants", "/", "1 of 1 tenant needs attention"),
        ("tenant", tenant, "1 of 2 collections read"),
        ("inventory", f"{tenant}/items", "Require MFA for administrators"),
        ("item", item_path(CONTOSO, POLICIES, "p1"), "What changed from version 1 to 2"),
        ("missing", f"{tenant}/missing", "Block legacy authentication"),
        ("coverage", f"{tenant}/coverage", "Policy.Read.All"),
        ("runs", f"{tenant}/runs", "partial"),
    ):
        assert words in " ".join(chromium.rendered(site["url"] + address).split()), name
        for shade, width in (("light", 1200), ("dark", 1200), ("narrow", NARROW)):
            chromium.screenshot(
                site["url"] + address, pictures / f"web-{name}-{shade}.png", width, 900, dark=shade == "dark"
            )
    assert chromium.complaints == []
    assert {address.partition("/")[2].partition("/")[2].partition("/")[0] for address in chromium.requests} == {
        site["url"].rpartition("/")[2]
    }, "nothing is asked of another host"
