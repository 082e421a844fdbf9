"""The inventory page: filters, counts and its CSV file."""

import csv
import io
import re
from html import unescape

import httpx
import pytest

from answers.items import facets as items_facets
from graph.catalog import load_catalog
from inventory.error_codes import ErrorCode
from inventory.outcomes import Outcome, RunStatus
from storage import references
from storage.database import Database
from tests.storage.support import observation, sync
from tests.web.support import CONTOSO, FABRIKAM, HOSTILE, LOCATIONS, POLICIES, UNREAD, json_of, words_of

COMPLIANCE = "deviceCompliancePolicies"
ITEMS = f"/tenants/{CONTOSO}/items"


async def write_items(database: Database) -> None:
    """Present, missing and unread items of three collections, for two platforms."""
    windows = observation(
        COMPLIANCE,
        "c1",
        **{"@odata.type": "#microsoft.graph.windows10CompliancePolicy"},
        displayName="Windows baseline",
        bitLockerEnabled=False,
    )
    mac = observation(
        COMPLIANCE, "c2", **{"@odata.type": "#microsoft.graph.macOSCompliancePolicy"}, displayName="Mac baseline"
    )
    missing = observation(POLICIES, "p2", displayName="Block legacy")
    everything = [windows, mac, missing, observation(LOCATIONS, "l1", displayName="Head office")]
    await sync(database, CONTOSO, everything, COMPLIANCE, POLICIES, LOCATIONS)
    refused = (Outcome.FAILED, ErrorCode.GRAPH_PERMISSION_MISSING)
    outcomes = {COMPLIANCE: (Outcome.COMPLETE, None), POLICIES: (Outcome.COMPLETE, None), LOCATIONS: refused}
    await sync(
        database,
        CONTOSO,
        everything[:2],
        COMPLIANCE,
        POLICIES,
        LOCATIONS,
        status=RunStatus.PARTIAL,
        outcomes=outcomes,
    )
    await references.catch_up(database, CONTOSO, load_catalog().reading_rules())


async def names_on(client: httpx.AsyncClient, query: str) -> list[str]:
    """The names of the items that the page shows; checks that the JSON has the same names."""
    page = await words_of(client, f"{ITEMS}?{query}")
    known = ("Windows baseline", "Mac baseline", "Block legacy", "Head office")
    names = [name for name in known if f">{name}<" in page]
    assert sorted(item["display_name"] for item in await json_of(client, f"/api{ITEMS}?{query}")) == sorted(names)
    return names


async def test_filters_show_only_matching_items(database: Database, signed_in: httpx.AsyncClient) -> None:
    await write_items(database)
    assert len(await names_on(signed_in, "")) == 4
    for query, names in {
        "platform=macos": ["Mac baseline"],
        "category=conditional-access": ["Block legacy", "Head office"],
        f"category=conditional-access&type={LOCATIONS}": ["Head office"],
        f"category=compliance&type={LOCATIONS}": [],
        "state=present": ["Windows baseline", "Mac baseline"],
        "state=missing": ["Block legacy"],
        "state=not_read": ["Head office"],
        "kind=windows": ["Windows baseline"],
        "setting=bitLockerEnabled%3Dfalse": ["Windows baseline"],
        "name=baseline&platform=windows": ["Windows baseline"],
        "name=&type=&category=&platform=&kind=&state=missing&setting=": ["Block legacy"],
    }.items():
        assert await names_on(signed_in, query) == names, query


@pytest.mark.parametrize("page", ["items", "missing", "coverage", "notifications"])
async def test_collections_are_sorted_by_title_without_case(
    database: Database, signed_in: httpx.AsyncClient, page: str
) -> None:
    await sync(database, CONTOSO, [], "managedEBooks", "mobileApps", "policySets")
    text = await words_of(signed_in, f"/tenants/{CONTOSO}/{page}")
    places = [re.search(rf">{title}\b", text) for title in ("Apps", "eBooks", "Policy sets")]
    assert all(places)
    starts = [place.start() for place in places if place]
    assert starts == sorted(starts)


async def test_filter_choices_show_item_counts(database: Database, signed_in: httpx.AsyncClient) -> None:
    await write_items(database)
    page = await words_of(signed_in, f"{ITEMS}?type={POLICIES}")
    assert ">Conditional Access policies (1)<" in page
    assert "conditional access (2)" in page
    assert ">compliance (2)<" in page
    many = [observation(POLICIES, f"p{number}") for number in range(1_002)]
    await sync(database, FABRIKAM, many, POLICIES)
    page = await words_of(signed_in, f"/tenants/{FABRIKAM}/items")
    assert ">Conditional Access policies (1,000+)<" in page
    assert "conditional access (1000+)" in page


def facets_on(page: str) -> dict[str, dict[str, tuple[int, str]]]:
    """By parameter, each value's count, and the query string of its link."""
    found = {}
    for part in page.partition('<dl class="facets"')[2].partition("</dl>")[0].split("<dt>")[1:]:
        links = re.findall(r'<a href="([^"]*)"[^>]*>([^<]*)</a> (\d+)', part)
        found[part.partition("<")[0].lower()] = {value: (int(count), unescape(to)) for to, value, count in links}
    return found


async def test_facet_counts_equal_the_linked_items(database: Database, signed_in: httpx.AsyncClient) -> None:
    await write_items(database)
    counts = {
        name: {value: count for value, (count, _) in values.items()}
        for name, values in facets_on(await words_of(signed_in, ITEMS)).items()
    }
    assert counts["platform"] == {"macOS": 1, "windows": 1}
    assert counts["state"] == {"present": 2, "missing": 1, "not read": 1}
    assert counts["category"] == {"compliance": 2, "conditional access": 2}
    assert sum(counts["kind"].values()) == 4
    for query in (
        "",
        "?platform=windows",
        "?state=missing&name=b",
        f"?type={COMPLIANCE}",
        "?kind=mac",
        "?setting=bitLockerEnabled",
    ):
        facets = facets_on(await words_of(signed_in, f"{ITEMS}{query}"))
        assert facets, query
        for values in facets.values():
            for value, (count, link) in values.items():
                items = await json_of(signed_in, f"/api{ITEMS}{link}")
                assert len(items) == count, (query, value, link)


async def test_facet_ignores_only_its_own_filter(database: Database, signed_in: httpx.AsyncClient) -> None:
    await write_items(database)
    facets = facets_on(await words_of(signed_in, f"{ITEMS}?platform=macos&state=present"))
    assert {value: count for value, (count, _) in facets["platform"].items()} == {"macOS": 1, "windows": 1}
    assert {value: count for value, (count, _) in facets["state"].items()} == {"present": 1}
    page = await words_of(signed_in, f"{ITEMS}?platform=macos&state=present")
    assert 'href="?state=present">any platform</a>' in page


async def test_facets_of_many_items_say_that_counts_are_partial(
    database: Database, signed_in: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(items_facets, "MOST_COUNTED", 3)
    await write_items(database)
    page = await words_of(signed_in, ITEMS)
    assert "items the first are counted" in page
    assert re.search(r"</a> 2\+", page)
    assert "items the first are counted" not in await words_of(signed_in, f"{ITEMS}?type={COMPLIANCE}")


async def test_invalid_filter_is_reported_beside_the_form(database: Database, signed_in: httpx.AsyncClient) -> None:
    await write_items(database)
    for query, words in (
        ("setting=bitLokerEnabled", "did you mean"),
        ("setting=%3Dx", "a setting is NAME or NAME=VALUE"),
        ("category=nonsense", "unknown category"),
    ):
        page = await words_of(signed_in, f"{ITEMS}?{query}")
        assert words in page
        assert '<form class="filter"' in page
        assert (await signed_in.get(f"/api{ITEMS}?{query}")).status_code == 400, query
    await words_of(signed_in, f"{ITEMS}?platform=amiga", 422)


async def test_pagination_keeps_the_filter(database: Database, signed_in: httpx.AsyncClient) -> None:
    found = [observation(POLICIES, f"p{999 - number}", displayName=f"Policy {number:03}") for number in range(130)]
    await sync(database, CONTOSO, found, POLICIES)
    page = await words_of(signed_in, f"{ITEMS}?name=policy&state=present")
    follows = page.partition('rel="next" href="')[2].partition('"')[0].replace("&amp;", "&")
    assert "name=policy&state=present&after=" in follows
    last = await words_of(signed_in, f"{ITEMS}{follows}")
    assert ">Policy 129<" in last
    assert ">Policy 099<" not in last
    assert 'rel="next"' not in last
    records = await json_of(signed_in, f"/api{ITEMS}?limit=2")
    follows = (await signed_in.get(f"/api{ITEMS}?limit=2")).headers["link"].partition("<")[2].partition(">")[0]
    records += await json_of(signed_in, follows)
    assert [record["title"] for record in records] == [f"Policy {number:03}" for number in range(4)]
    await words_of(signed_in, f"{ITEMS}?after={POLICIES}/nothing", 404)


async def test_csv_has_all_items_of_the_filter(database: Database, signed_in: httpx.AsyncClient) -> None:
    found = [observation(POLICIES, f"p{number:03}", displayName=f"Policy {number:03}") for number in range(130)]
    await sync(database, CONTOSO, [*found, observation(POLICIES, "x", displayName="=1+1")], POLICIES)
    answer = await signed_in.get(f"{ITEMS}.csv?type={POLICIES}")
    assert answer.headers["content-type"].startswith("text/csv")
    assert answer.headers["content-disposition"] == 'attachment; filename="items-Contoso.csv"'
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert len(rows) == 131
    assert {row["state"] for row in rows} == {"present"}
    assert rows[0]["display_name"] == "'=1+1", "a spreadsheet takes it for text"
    assert len(list(csv.DictReader(io.StringIO((await signed_in.get(f"{ITEMS}.csv?name=129")).text)))) == 1


async def test_page_distinguishes_empty_and_unread_tenants(database: Database, signed_in: httpx.AsyncClient) -> None:
    assert "never read" in await words_of(signed_in, f"/tenants/{UNREAD}/items?state=missing")
    await sync(database, CONTOSO, [], POLICIES)
    page = await words_of(signed_in, ITEMS)
    assert "No items from here on" in page
    assert "Conditional Access policies (0)" in page


async def test_filter_values_are_escaped(database: Database, signed_in: httpx.AsyncClient) -> None:
    await sync(database, CONTOSO, [observation(POLICIES, "p1", displayName=HOSTILE)], POLICIES)
    for name in ("name", "type", "category", "kind", "setting"):
        page = await signed_in.get(ITEMS, params={name: HOSTILE})
        assert "<script" not in page.text, name


async def test_missing_items_are_filtered_on_the_page_and_in_csv(
    database: Database, signed_in: httpx.AsyncClient
) -> None:
    await write_items(database)
    missing = f"/tenants/{CONTOSO}/missing"
    for query, is_shown in (
        ("", True),
        ("evidence=not_listed&confidence=low", True),
        (f"type={COMPLIANCE}", False),
        ("evidence=confirmed", False),
        ("confidence=high", False),
    ):
        page = await words_of(signed_in, f"{missing}?{query}")
        assert (">Block legacy<" in page) is is_shown, query
        assert "Head office" not in page, "it was not searched"
        found = [item["display_name"] for item in await json_of(signed_in, f"/api{missing}?{query}")]
        assert ("Block legacy" in found) is is_shown, query
        assert ("Block legacy" in (await signed_in.get(f"{missing}.csv?{query}")).text) is is_shown, query
    assert "No such item is missing" in await words_of(signed_in, f"{missing}?evidence=confirmed")
    assert len((await signed_in.get(f"/tenants/{UNREAD}/missing.csv")).text.splitlines()) == 1
