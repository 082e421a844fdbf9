"""The pages over all tenants that search items and settings."""

import csv
import io
from uuid import UUID

import httpx

from graph.catalog import load_catalog
from inventory.error_codes import ErrorCode
from inventory.outcomes import Outcome, RunStatus
from storage import references
from storage.database import Database
from tests.storage.support import observation, sync
from tests.web.support import CONTOSO, FABRIKAM, HOSTILE, POLICIES, UNREAD, json_of, words_of

COMPLIANCE = "deviceCompliancePolicies"
WINDOWS = {"@odata.type": "#microsoft.graph.windows10CompliancePolicy"}


async def two_tenants(database: Database) -> None:
    for tenant_id, on in ((CONTOSO, False), (FABRIKAM, True)):
        found = [
            observation(COMPLIANCE, "c1", **WINDOWS, displayName="Windows baseline", bitLockerEnabled=on),
            observation(POLICIES, "p1", displayName="Require MFA"),
        ]
        await sync(database, tenant_id, found, COMPLIANCE, POLICIES)
        await references.catch_up(database, tenant_id, load_catalog().reading_rules())


async def test_search_groups_items_of_all_tenants_by_tenant(database: Database, signed_in: httpx.AsyncClient) -> None:
    await two_tenants(database)
    page = await words_of(signed_in, "/search?name=baseline")
    for tenant_id in (CONTOSO, FABRIKAM):
        assert f"/tenants/{tenant_id}/items/{COMPLIANCE}/c1" in page
        assert f'href="/tenants/{tenant_id}/items?name=baseline"' in page, "the tenant's own list goes on"
    assert "Require MFA" not in page
    assert "3 tenants" in page
    assert "1 tenant never read" in page
    only = await words_of(signed_in, "/search?name=baseline&tag=emea")
    assert f"/tenants/{CONTOSO}/items/" in only
    assert f"/tenants/{FABRIKAM}/items/" not in only
    off = await json_of(signed_in, "/api/search?setting=bitLockerEnabled%3Dfalse")
    assert [item["tenant_id"] for item in off] == [str(CONTOSO)]
    answer = await signed_in.get("/search.csv?name=baseline")
    assert {row["tenant_id"] for row in csv.DictReader(io.StringIO(answer.text))} == {str(CONTOSO), str(FABRIKAM)}


async def test_search_names_collections_that_were_not_read(database: Database, signed_in: httpx.AsyncClient) -> None:
    await two_tenants(database)
    refused = (Outcome.FAILED, ErrorCode.GRAPH_PERMISSION_MISSING)
    await sync(database, FABRIKAM, [], COMPLIANCE, status=RunStatus.FAILED, outcomes={COMPLIANCE: refused})
    page = await words_of(signed_in, f"/search?name=nobody&type={COMPLIANCE}")
    assert "No such item" in page
    link = f'<a href="/tenants/{FABRIKAM}/coverage">Fabrikam</a>'
    assert f"Not read to their end: Compliance policies (failed: graph permission missing) of {link}." in page
    assert f'Never read at all: <a href="/tenants/{UNREAD}/coverage">Never read</a>.' in page
    assert "Not read to their end" not in await words_of(signed_in, f"/search?name=nobody&type={POLICIES}")
    assert "Never read: " in await words_of(signed_in, "/search?name=nobody"), "collections that no run selected"
    assert "Not read" not in await words_of(signed_in, "/search?name=nobody&tag=emea"), "another tenant's gap"
    gaps = await json_of(signed_in, f"/api/coverage?type={COMPLIANCE}")
    assert [(gap["reason"], gap["type_keys"], gap["tenant_ids"]) for gap in gaps] == [
        ("failed:graph_permission_missing", [COMPLIANCE], [str(FABRIKAM)]),
        ("never_read", [], [str(UNREAD)]),
    ]
    assert await json_of(signed_in, f"/api/coverage?type={COMPLIANCE}&tag=emea") == []


async def test_search_is_filtered_by_platform_and_state(database: Database, signed_in: httpx.AsyncClient) -> None:
    mac = observation(
        COMPLIANCE, "c2", **{"@odata.type": "#microsoft.graph.macOSCompliancePolicy"}, displayName="Mac baseline"
    )
    windows = observation(COMPLIANCE, "c1", **WINDOWS, displayName="Windows baseline")
    await sync(database, CONTOSO, [windows, mac], COMPLIANCE)
    for query, names in {
        "platform=macos": ["Mac baseline"],
        "platform=windows": ["Windows baseline"],
        "platform=linux": [],
        "state=missing": [],
        "state=present&platform=macos": ["Mac baseline"],
    }.items():
        page = await words_of(signed_in, f"/search?name=baseline&{query}")
        assert [name for name in ("Mac baseline", "Windows baseline") if f">{name}<" in page] == names, query
        found = await json_of(signed_in, f"/api/search?name=baseline&{query}")
        assert [item["display_name"] for item in found] == names, query
        table = csv.DictReader(io.StringIO((await signed_in.get(f"/search.csv?name=baseline&{query}")).text))
        assert [row["display_name"] for row in table] == names, query


async def test_search_without_words_lists_nothing_and_asks_for_words(
    database: Database, signed_in: httpx.AsyncClient
) -> None:
    await two_tenants(database)
    page = await words_of(signed_in, "/search?platform=windows")
    assert "Windows baseline" not in page
    assert "Say words of a name" in page
    assert "say what to search for" in (await signed_in.get("/api/search?platform=windows")).text.lower()
    assert "No such item" in await words_of(signed_in, "/search?name=zzz")
    assert "did you mean" in await words_of(signed_in, "/search?setting=bitLokerEnabled")


async def test_search_is_paginated_over_tenants(database: Database, signed_in: httpx.AsyncClient) -> None:
    for tenant_id in (CONTOSO, FABRIKAM):
        found = [observation(POLICIES, f"p/{999 - number}", displayName=f"Policy {number:03}") for number in range(70)]
        await sync(database, tenant_id, found, POLICIES)
    listed: list[str] = []
    query = "?name=policy"
    while query:
        page = await words_of(signed_in, f"/search{query}")
        assert len(page) < 100_000
        rows = page.split('<th scope="row"><a href="')[1:]
        listed += [row.partition('"')[0] for row in rows]
        query = page.partition('rel="next" href="')[2].partition('"')[0].replace("&amp;", "&")
    assert len(listed) == len(set(listed)) == 140
    first = await json_of(signed_in, "/api/search?name=policy&limit=100")
    last = first[-1]
    after = f"{last['tenant_id']}/{last['type_key']}/{last['external_id']}"
    answer = await signed_in.get("/api/search", params={"name": "policy", "after": after})
    assert "link" not in answer.headers, "this is the last page"
    rest = answer.json()
    assert 'rel="next"' in (await signed_in.get("/api/search?name=policy")).headers["link"]
    assert [record["title"] for record in first + rest] == [f"Policy {number:03}" for number in range(70)] * 2
    for wrong in ("nonsense", "a/b/c", f"{CONTOSO}/x", f"{CONTOSO}/{POLICIES}/nothing"):
        await words_of(signed_in, f"/search?name=policy&after={wrong}", 404)


async def test_setting_is_set_different_or_unknown_in_each_tenant(
    database: Database, signed_in: httpx.AsyncClient
) -> None:
    await two_tenants(database)
    page = await words_of(signed_in, "/settings?setting=bitLockerEnabled&value=false")
    states = {
        tenant_id: page.partition(f'href="/tenants/{tenant_id}/items')[2].partition("</tr>")[0]
        for tenant_id in (CONTOSO, FABRIKAM, UNREAD)
    }
    assert "> set<" in states[CONTOSO]
    assert "another value" in states[FABRIKAM]
    assert "unknown" in states[UNREAD]
    assert "never read" in states[UNREAD]
    assert "setting=bitLockerEnabled%3Dfalse" in states[CONTOSO], "the link leads to the items with the setting"
    only = await words_of(signed_in, "/settings?setting=bitLockerEnabled&value=false&state=set")
    assert f"/tenants/{CONTOSO}/items" in only
    assert f"/tenants/{FABRIKAM}/items" not in only
    records = await json_of(signed_in, "/api/settings?setting=bitLockerEnabled&value=false")
    assert [record["state"] for record in records] == ["set", "other_value", "unknown"]
    after = records[0]["tenant_id"]
    rest = await json_of(signed_in, f"/api/settings?setting=bitLockerEnabled&value=false&after={after}")
    assert rest == records[1:]
    assert len((await signed_in.get("/settings.csv?setting=bitLockerEnabled")).text.splitlines()) == 4


async def test_unknown_setting_is_reported_beside_the_form(database: Database, signed_in: httpx.AsyncClient) -> None:
    unasked = await words_of(signed_in, "/settings")
    assert "Name a setting" in unasked
    assert "3 tenants; nothing was read yet" in unasked
    for address in ("/settings?setting=x", "/search?setting=x", f"/tenants/{UNREAD}/items?setting=x"):
        assert "no run has completed here" in await words_of(signed_in, address)
    await two_tenants(database)
    assert "no item that has been read sets" in await words_of(signed_in, "/settings?setting=x")
    assert "did you mean" in await words_of(signed_in, "/settings?setting=bitLokerEnabled")
    assert (await signed_in.get("/api/settings?setting=bitLokerEnabled")).status_code == 400
    await words_of(signed_in, f"/settings?setting=bitLockerEnabled&after={UUID(int=7)}", 404)


async def test_search_words_and_values_are_escaped(database: Database, signed_in: httpx.AsyncClient) -> None:
    hostile = observation(COMPLIANCE, HOSTILE, **WINDOWS, displayName=HOSTILE, passwordMinimumLength=HOSTILE)
    await sync(database, CONTOSO, [hostile], COMPLIANCE)
    await references.catch_up(database, CONTOSO, load_catalog().reading_rules())
    for address, query in (
        ("/search", {"name": HOSTILE}),
        ("/search", {"name": "alert", "tag": HOSTILE}),
        ("/settings", {"setting": HOSTILE}),
        ("/settings", {"setting": "passwordMinimumLength", "value": HOSTILE}),
        ("/settings", {"setting": "passwordMinimumLength"}),
    ):
        page = await signed_in.get(address, params=query)
        assert page.status_code == 200
        assert "<script" not in page.text, query
