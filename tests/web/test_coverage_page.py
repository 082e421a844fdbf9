"""The coverage page: failing collections with remedy and duration, and complete collections."""

import httpx
from sqlalchemy import text

from inventory.error_codes import ErrorCode
from inventory.outcomes import Outcome, RunStatus
from storage.database import Database
from tests.storage.support import observation, sync
from tests.web.support import CONTOSO, LOCATIONS, POLICIES, UNREAD, json_of, words_of

COMPLIANCE, AUTOPILOT = "deviceCompliancePolicies", "windowsAutopilotDeploymentProfiles"
PAGE = f"/tenants/{CONTOSO}/coverage"
REFUSED = (Outcome.FAILED, ErrorCode.GRAPH_PERMISSION_MISSING)


async def read(database: Database, **outcomes: tuple[Outcome, ErrorCode | None]) -> None:
    """A run of four collections with these outcomes; the others are complete."""
    types = (POLICIES, LOCATIONS, COMPLIANCE, AUTOPILOT)
    of_each = {key: outcomes.get(key, (Outcome.COMPLETE, None)) for key in types}
    status = RunStatus.PARTIAL if outcomes else RunStatus.SUCCESS
    await sync(database, CONTOSO, [observation(POLICIES, "p")], *types, status=status, outcomes=of_each)


async def test_failing_collections_are_grouped_by_missing_permission(
    database: Database, signed_in: httpx.AsyncClient
) -> None:
    skipped = (Outcome.SKIPPED, ErrorCode.GRAPH_NOT_LICENSED)
    await read(database, **{LOCATIONS: REFUSED, POLICIES: REFUSED, AUTOPILOT: skipped})
    page = await words_of(signed_in, PAGE)
    to_do, _, rest = page.partition("<h2>What the tenant cannot have</h2>")
    assert to_do.count("<caption") == 1, "one permission mends both"
    assert "Grant <code>Policy.Read.All</code></b>: 2 collections" in to_do
    assert "Named locations" in to_do
    cannot_have, _, complete = rest.partition("<h2>Read to their end</h2>")
    assert "graph not licensed: " in cannot_have
    assert "Compliance policies" in complete.partition("<h2>")[0]
    assert len((await signed_in.get(f"{PAGE}.csv")).text.splitlines()) == 5
    assert len(page) < 100_000


async def test_failing_since_is_first_run_after_last_complete_listing(
    database: Database, signed_in: httpx.AsyncClient
) -> None:
    throttled = (Outcome.INCOMPLETE, ErrorCode.GRAPH_THROTTLED)
    for outcomes in ({LOCATIONS: REFUSED}, {}, {LOCATIONS: throttled}, {LOCATIONS: REFUSED, COMPLIANCE: REFUSED}):
        await read(database, **outcomes)
    async with database.tenant(CONTOSO) as session:
        started = (await session.execute(text("SELECT started_at FROM sync_run ORDER BY started_at"))).scalars().all()
    page = await words_of(signed_in, PAGE)
    assert f", not read since {started[2]:%Y-%m-%d %H:%M:%S} UTC" in page
    for title, place in (("Named locations", 2), ("Compliance policies", 3)):
        row = page.partition(f">{title}</a>")[2].partition("</tr>")[0]
        assert f'datetime="{started[place].isoformat()}"' in row.partition("<td>")[2].partition("<td>")[2], title
    found = {record["type_key"]: record for record in (await json_of(signed_in, f"/api{PAGE}"))["collections"]}
    failing_since = {key: found[key]["failing_since"] for key in (LOCATIONS, COMPLIANCE, POLICIES)}
    expected = {LOCATIONS: started[2], COMPLIANCE: started[3], POLICIES: None}
    assert failing_since == {
        key: None if moment is None else moment.isoformat().replace("+00:00", "Z") for key, moment in expected.items()
    }


async def test_page_distinguishes_unread_and_complete_tenants(database: Database, signed_in: httpx.AsyncClient) -> None:
    assert "never read" in await words_of(signed_in, f"/tenants/{UNREAD}/coverage")
    await read(database)
    page = await words_of(signed_in, PAGE)
    assert "4 of 4 collections read to their end" in page
    assert "<h2>To do</h2>" not in page
    assert "<h2>Never selected</h2>" in page


async def test_lists_tell_an_unread_collection_from_an_empty_one(
    database: Database, signed_in: httpx.AsyncClient
) -> None:
    await read(database, **{LOCATIONS: REFUSED})
    unread = f"<code>{LOCATIONS}</code> was not read to its end by its latest run (failed: graph permission missing)"
    for name in ("items", "missing", "changes"):
        address = f"/tenants/{CONTOSO}/{name}?type="
        assert unread in await words_of(signed_in, f"{address}{LOCATIONS}"), name
        assert "<code>groups</code> was never read" in await words_of(signed_in, f"{address}groups"), name
        page = await words_of(signed_in, f"{address}{COMPLIANCE}")
        assert f"<code>{COMPLIANCE}</code>" not in page
        assert "226 collections never read" in page, "of those that --all reads"
