"""Lists of changes, assignments and references name the oldest reading that the newest run did not repeat."""

import httpx
import pytest

from answers.oldest_listing import oldest_listing, oldest_listings
from storage.coverage import coverage_of_tenants
from storage.database import Database
from tests.storage.support import observation, sync
from tests.web.page_text import text_of
from tests.web.support import CONTOSO, FABRIKAM, UNREAD, json_of, words_of

CONFIGURATIONS, GROUPS, FILTERS, LOG = "deviceConfigurations", "groups", "assignmentFilters", "auditEvents"
QUESTIONS = ("changes", "assignments", "dangling", "unassigned")


async def read(database: Database) -> None:
    """Contoso's newest run reads groups alone. Fabrikam's, of an audit log, leaves no reading behind."""
    for tenant_id in (CONTOSO, FABRIKAM):
        await sync(database, tenant_id, [observation(CONFIGURATIONS, "p", assignments=[])], CONFIGURATIONS, FILTERS)
    await sync(database, CONTOSO, [], GROUPS)
    await sync(database, FABRIKAM, [], LOG)


pytestmark = pytest.mark.filled.with_args(read)


async def oldest_in(client: httpx.AsyncClient, address: str) -> list[tuple[str, str]]:
    records = await json_of(client, address)
    return [(record["tenant_id"], record["type_key"]) for record in records if record.get("answer") == "oldest_listing"]


@pytest.mark.parametrize("question", QUESTIONS)
async def test_json_names_the_oldest_listing(signed_in: httpx.AsyncClient, question: str) -> None:
    expected = [(str(CONTOSO), FILTERS if question in ("changes", "dangling") else CONFIGURATIONS)]
    assert await oldest_in(signed_in, f"/api/{question}") == expected
    assert await oldest_in(signed_in, f"/api/tenants/{CONTOSO}/{question}") == expected
    assert await oldest_in(signed_in, f"/api/tenants/{FABRIKAM}/{question}") == []
    assert await oldest_in(signed_in, f"/api/{question}?type={GROUPS}") == (expected if question == "dangling" else [])


@pytest.mark.parametrize("question", QUESTIONS)
async def test_pages_name_the_oldest_listing(signed_in: httpx.AsyncClient, question: str) -> None:
    label = "Oldest reading: "
    assert label in text_of(await words_of(signed_in, f"/tenants/{CONTOSO}/{question}"))
    assert label not in text_of(await words_of(signed_in, f"/tenants/{FABRIKAM}/{question}"))
    page = await words_of(signed_in, f"/{question}")
    assert f'<a href="/tenants/{CONTOSO}/coverage">Contoso</a>' in page.partition(label)[2].partition("</p>")[0]
    assert "rest on a reading" not in page


async def test_page_counts_further_tenants_with_such_a_reading(
    database: Database, signed_in: httpx.AsyncClient
) -> None:
    await sync(database, FABRIKAM, [], GROUPS)
    for question in QUESTIONS:
        words = text_of(await words_of(signed_in, f"/{question}"))
        assert "1 more tenant rests on a reading before the newest run, too." in words


async def test_feed_of_changes_names_it_after_the_last_change(database: Database, signed_in: httpx.AsyncClient) -> None:
    for name in ("a", "b"):
        await sync(database, CONTOSO, [observation(GROUPS, name)], GROUPS)
    for address in ("/api/changes", f"/api/tenants/{CONTOSO}/changes"):
        *changes, last = await json_of(signed_in, address)
        assert (len(changes), last["answer"]) == (2, "oldest_listing")
        first = await signed_in.get(f"{address}?limit=1")
        assert first.json() == changes[:1]
        run_id = changes[0]["run_id"]
        assert await oldest_in(signed_in, f"{address}?run={run_id}") == []


@pytest.mark.parametrize("type_keys", [None, [CONFIGURATIONS], [GROUPS], [LOG], []])
async def test_tenants_together_have_the_oldest_listings_of_each(
    database: Database, type_keys: list[str] | None
) -> None:
    tenant_ids = [CONTOSO, FABRIKAM, UNREAD]
    async with database.portfolio() as session:
        together = await oldest_listings(session, tenant_ids, type_keys)
        coverage = await coverage_of_tenants(session, tenant_ids)
    alone = [oldest_listing(tenant_id, coverage[tenant_id], type_keys) for tenant_id in tenant_ids]
    assert together == [oldest for oldest in alone if oldest is not None]
