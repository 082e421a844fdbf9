"""The pages of references: a group's items, dangling references, unassigned items and assignments."""

import csv
import io
from typing import Any
from xml.etree import ElementTree

import httpx
import pytest

from answers.assignments import routes
from graph.catalog import load_catalog
from inventory.error_codes import ErrorCode
from inventory.observation import Observation
from inventory.outcomes import Outcome, RunStatus
from storage import references
from storage.database import Database
from tests.storage.support import observation, sync
from tests.web.page_text import next_of
from tests.web.support import CONTOSO, FABRIKAM, HOSTILE, UNREAD, json_of, words_of

CONFIGURATIONS, GROUPS = "deviceConfigurations", "groups"
PILOT = "0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9"
NOBODYS = "1a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9"
OF = f"/tenants/{CONTOSO}"


def target(kind: str, group_id: str | None = None) -> dict[str, Any]:
    named = {} if group_id is None else {"groupId": group_id}
    return {"target": {"@odata.type": f"#microsoft.graph.{kind}AssignmentTarget", **named}}


def profile(external_id: str, *assignments: dict[str, Any], name: str = "") -> Observation:
    return observation(
        CONFIGURATIONS, external_id, displayName=name or f"Profile {external_id}", assignments=list(assignments)
    )


def group(external_id: str, name: str) -> Observation:
    return observation(GROUPS, external_id, displayName=name)


async def sync_with_references(database: Database, *items: Observation, tenant_id: Any = CONTOSO) -> None:
    """One successful run, with its references read."""
    await sync(database, tenant_id, items, CONFIGURATIONS, GROUPS)
    await references.catch_up(database, tenant_id, load_catalog().reading_rules(), in_turn=True)


def row_of(page: str, name: str) -> str:
    """The table row whose heading is this name."""
    return next(row for row in page.split("<tr>") if f">{name}</bdi>" in row.partition("</th>")[0])


async def test_group_shows_items_that_include_or_exclude_it(database: Database, signed_in: httpx.AsyncClient) -> None:
    await sync_with_references(
        database,
        group(PILOT, "Pilot devices"),
        profile("in", target("group", PILOT), name="Baseline"),
        profile("out", target("exclusionGroup", PILOT), target("allDevices"), name="Everything else"),
        profile("all", target("allDevices"), name="For everyone"),
    )
    for query in ("reaches=Pilot+devices", f"reaches={PILOT.upper()}", "type=groups&item=pilot+devices"):
        page = await words_of(signed_in, f"{OF}/dependencies?{query}")
        assert "1 item reaches this group, 1 excludes it." in page, query
        assert "yes" in row_of(page, "Baseline")
        assert "no, excluded" in row_of(page, "Everything else")
        assert ">For everyone<" not in page
        assert f'href="{OF}/items/{CONFIGURATIONS}/in"' in page
        assert "Nothing else that was read refers to it" in page
    assert ">For everyone<" in await words_of(signed_in, f"{OF}/dependencies?reaches=Pilot+devices&everyone=true")
    records = await json_of(signed_in, f"/api{OF}/reach?reaches=Pilot+devices&limit=1")
    reach = [record for record in records if record["answer"] == "reach"]
    assert [record["item"]["display_name"] for record in reach] == ["Baseline"]
    around = await json_of(signed_in, f"/api{OF}/dependencies?type={CONFIGURATIONS}&item=in")
    assert [record["target"]["display_name"] for record in around if record["answer"] == "dependency"] == [
        "Pilot devices"
    ]


async def test_item_lists_dependencies_to_the_chosen_depth(database: Database, signed_in: httpx.AsyncClient) -> None:
    await sync_with_references(
        database, group(PILOT, "Pilot devices"), profile("in", target("group", PILOT), name="Baseline")
    )
    page = await words_of(signed_in, f"{OF}/dependencies?type={CONFIGURATIONS}&item=Baseline&depth=2")
    assert "Pilot devices" in page.partition("<h2>It needs</h2>")[2]
    assert "<h2>Reaches it</h2>" not in page
    assert '<th scope="col">Through</th>' in page
    await words_of(signed_in, f"{OF}/dependencies?type={CONFIGURATIONS}&item=Baseline&depth=6", 422)


def picture_on(page: str) -> ElementTree.Element:
    """The page's picture."""
    svg = page[page.index('<svg class="neighbours"') : page.index("</svg>") + 6]
    return ElementTree.fromstring(svg)  # noqa: S314 - the page is our own


async def test_picture_draws_dependents_to_the_left_of_the_item(
    database: Database, signed_in: httpx.AsyncClient
) -> None:
    await sync_with_references(
        database,
        group(PILOT, f"Pilot {HOSTILE}"),
        profile("in", target("group", PILOT), target("exclusionGroup", "gone"), name="Baseline"),
        profile("out", target("exclusionGroup", PILOT), name="Everything else"),
    )
    page = await words_of(signed_in, f"{OF}/dependencies?reaches={PILOT}&depth=2")
    picture = picture_on(page)
    places = {str(text.text): int(text.attrib["x"]) for text in picture.iter("text") if "class" not in text.attrib}
    assert sorted(places) == ["Baseline", "Everything else", next(name for name in places if "Pilot" in name)]
    assert places["Baseline"] == places["Everything else"] < max(places.values())
    assert sorted(line.attrib["class"] for line in picture if line.tag == "path") == ["exclude", "include"]
    assert f"{OF}/dependencies?type={CONFIGURATIONS}&item=in" in [link.attrib["href"] for link in picture.iter("a")]
    assert "not drawn" not in page
    of_baseline = picture_on(await words_of(signed_in, f"{OF}/dependencies?type={CONFIGURATIONS}&item=in"))
    assert len([rect for rect in of_baseline.iter("rect") if rect.attrib["class"] == "never_seen"]) == 1
    assert "<svg" not in await words_of(signed_in, f"{OF}/dependencies?type={GROUPS}&item={NOBODYS}")


@pytest.mark.parametrize(("name", "drawn"), [("A long name " * 20, 20), ("&" * 90, 8)], ids=["long", "escaped"])
async def test_large_picture_counts_omitted_objects_and_fits_the_page(
    database: Database, signed_in: httpx.AsyncClient, name: str, drawn: int
) -> None:
    many = [profile(f"p{number:03}", target("group", PILOT), name=name) for number in range(90)]
    await sync_with_references(database, group(PILOT, "Pilot devices"), *many)
    page = await words_of(signed_in, f"{OF}/dependencies?reaches={PILOT}")
    assert sum(1 for _ in picture_on(page).iter("rect")) == drawn + 1, "and the group"
    assert f"{90 - drawn} objects are and {90 - drawn} references are not drawn" in page
    assert len(page) < 100_000


async def test_unknown_item_is_reported_beside_the_form(database: Database, signed_in: httpx.AsyncClient) -> None:
    page = await words_of(signed_in, f"/tenants/{UNREAD}/dependencies?reaches=Pilot")
    assert "never read" in page
    await sync_with_references(database, group(PILOT, "Pilot devices"))
    page = await words_of(signed_in, f"{OF}/dependencies?reaches=Pilot+device")
    assert "did you mean" in page
    assert '<form class="filter"' in page
    assert (await signed_in.get(f"/api{OF}/reach?reaches=nothing-like-it")).status_code == 404
    assert "Name an item" in await words_of(signed_in, f"{OF}/dependencies")


async def test_dangling_references_exclude_unread_targets(database: Database, signed_in: httpx.AsyncClient) -> None:
    everything = [group(PILOT, "Pilot devices"), profile("in", target("group", PILOT), name="Baseline")]
    await sync_with_references(database, *everything)
    assert "No reference leads to nothing" in await words_of(signed_in, f"{OF}/dangling")
    await sync_with_references(database, everything[1])
    page = await words_of(signed_in, f"{OF}/dangling")
    assert "Pilot devices" in row_of(page, "Baseline"), "under its latest name"
    assert "gone" in row_of(page, "Baseline")
    assert "1 reference of items" in page
    (record,) = [record for record in await json_of(signed_in, f"/api{OF}/dangling") if record["answer"] == "dangling"]
    assert record["target"]["external_id"] == PILOT
    rows = list(csv.DictReader(io.StringIO((await signed_in.get(f"{OF}/dangling.csv")).text)))
    assert [row["target.external_id"] for row in rows] == [PILOT]
    only = await words_of(signed_in, f"{OF}/dangling?type=conditionalAccessPolicies")
    assert "No reference of Conditional Access policies leads to nothing" in only
    refused = (Outcome.FAILED, ErrorCode.GRAPH_PERMISSION_MISSING)
    outcomes = {CONFIGURATIONS: (Outcome.COMPLETE, None), GROUPS: refused}
    await sync(
        database,
        FABRIKAM,
        [everything[1]],
        CONFIGURATIONS,
        GROUPS,
        status=RunStatus.PARTIAL,
        outcomes=outcomes,
    )
    await references.catch_up(database, FABRIKAM, load_catalog().reading_rules(), in_turn=True)
    page = await words_of(signed_in, f"/tenants/{FABRIKAM}/dangling")
    assert "No reference leads to nothing, as far as it is known" in page
    assert "Groups (1)" in page.partition("<h2>Not known</h2>")[2]
    assert "graph permission missing" in page


async def test_unassigned_items_are_listed(database: Database, signed_in: httpx.AsyncClient) -> None:
    await sync_with_references(
        database,
        group(PILOT, "Pilot devices"),
        profile("none", name="Forgotten"),
        profile("out", target("exclusionGroup", PILOT), name="Excludes only"),
        profile("in", target("group", PILOT), name="Baseline"),
    )
    page = await words_of(signed_in, f"{OF}/unassigned")
    assert "no assignments" in row_of(page, "Forgotten")
    assert "only excludes 1 group" in row_of(page, "Excludes only")
    assert ">Baseline<" not in page
    records = [
        record for record in await json_of(signed_in, f"/api{OF}/unassigned") if record["answer"] == "unassigned"
    ]
    assert [record["display_name"] for record in records] == ["Excludes only", "Forgotten"]
    assert len((await signed_in.get(f"{OF}/unassigned.csv")).text.splitlines()) == 3


async def test_page_names_unread_references_and_does_not_read_them(
    database: Database, signed_in: httpx.AsyncClient
) -> None:
    await sync_with_references(database, group(PILOT, "Pilot devices"), profile("in", target("group", PILOT)))
    await sync(database, CONTOSO, [group(PILOT, "Pilot devices"), profile("in")], CONFIGURATIONS, GROUPS)
    for _ in range(2):
        page = await words_of(signed_in, f"{OF}/unassigned")
        assert "Device configuration profiles (1): references not read; the next run reads them" in " ".join(
            page.split()
        )
        assert ">Profile in<" not in page
    await references.catch_up(database, CONTOSO, load_catalog().reading_rules(), in_turn=True)
    page = await words_of(signed_in, f"{OF}/unassigned")
    assert "references not read" not in page
    assert ">Profile in<" in page


async def test_new_reading_rules_mark_a_collections_references_unread(
    database: Database, signed_in: httpx.AsyncClient
) -> None:
    await sync_with_references(database, group(PILOT, "Pilot devices"), profile("in"))
    async with database.tenant(CONTOSO) as session:
        rules = dict(load_catalog().reading_rules())
        rules[CONFIGURATIONS] = rules[CONFIGURATIONS]._replace(has_settings=False)
        await references.follow_rules(session, rules)
    (record,) = [
        record
        for record in await json_of(signed_in, f"/api{OF}/dangling")
        if record.get("reason") == "references_not_read"
    ]
    assert (record["type_key"], record["references"]) == (CONFIGURATIONS, None)


@pytest.mark.parametrize("question", ["dangling", "unassigned"])
async def test_page_over_tenants_links_to_each_tenants_page(
    database: Database, signed_in: httpx.AsyncClient, question: str
) -> None:
    await sync_with_references(database, *(profile(f"p{number:02}") for number in range(12)))
    await sync_with_references(database, profile("x", target("group", PILOT), name="Lonely"), tenant_id=FABRIKAM)
    page = await words_of(signed_in, f"/{question}")
    assert "Tenants 1 to 3 of 3" in page
    contoso, fabrikam = (
        page.partition(f'<a href="/tenants/{tenant_id}/{question}">')[2].partition("</tbody>")[0]
        for tenant_id in (CONTOSO, FABRIKAM)
    )
    if question == "unassigned":
        assert "12 items" in contoso
        assert ">Profile p07<" in contoso
        assert ">Profile p08<" not in contoso
        assert "0 items" in fabrikam
    else:
        assert "0 references" in contoso
        assert "Lonely" in fabrikam
    assert "never read" in page.partition(str(UNREAD))[2]
    only = await words_of(signed_in, f"/{question}?tag=emea")
    assert "Tenants 1 to 1 of 1" in only
    assert "Lonely" not in only
    await words_of(signed_in, f"/{question}?after=nonsense", 404)


async def test_long_lists_are_paginated(database: Database, signed_in: httpx.AsyncClient) -> None:
    await sync_with_references(
        database, *(profile(f"p{number:03}", target("group", PILOT), name="One name") for number in range(230))
    )
    for question in (f"dangling?type={CONFIGURATIONS}", f"dependencies?reaches={PILOT}"):
        items: list[str] = []
        address: str | None = f"{OF}/{question}"
        while address is not None:
            page = await words_of(signed_in, address)
            assert len(page) < 100_000
            items += [row.partition('"')[0] for row in page.split(f'<th scope="row"><a href="{OF}/items/')[1:]]
            follows = page.partition('rel="next" href="')[2].partition('"')[0].replace("&amp;", "&")
            address = f"{OF}/{question.partition('?')[0]}{follows}" if follows else None
        assert len(items) == len(set(items)) == 230, question
    await words_of(signed_in, f"{OF}/dangling?after=nonsense", 404)
    await words_of(signed_in, f'{OF}/dangling?after=["\\u0000"]', 200)


async def test_hostile_names_are_escaped_on_reference_pages(database: Database, signed_in: httpx.AsyncClient) -> None:
    await sync_with_references(
        database,
        group(PILOT, HOSTILE),
        profile("in", {**target("group", PILOT), "intent": HOSTILE}, target("group", HOSTILE), name=HOSTILE),
        profile("none", name=HOSTILE),
    )
    for address in (
        f"{OF}/dangling",
        f"{OF}/dangling?type={HOSTILE}",
        f"{OF}/unassigned",
        f"{OF}/dependencies?reaches={PILOT}",
        f"{OF}/dependencies?type={HOSTILE}&item={HOSTILE}",
        f"{OF}/dependencies?type={CONFIGURATIONS}&item=in&depth=3",
        f"{OF}/assignments",
        f"{OF}/assignments?item={HOSTILE}",
        "/dangling",
        "/unassigned",
    ):
        page = await words_of(signed_in, address)
        assert "<script" not in page, address
        assert "\u202e" not in page.partition("</form>")[2].partition("</form>")[2], address


async def test_assignments_are_listed_by_item_with_group_names(
    database: Database, signed_in: httpx.AsyncClient
) -> None:
    await sync_with_references(
        database,
        group(PILOT, "Pilot devices"),
        profile("in", target("group", PILOT), target("exclusionGroup", "gone"), name="Baseline"),
        profile("none", name="Forgotten"),
    )
    page = await words_of(signed_in, f"{OF}/assignments")
    baseline = page.partition(">Baseline</bdi>")[2].partition("</tbody>")[0]
    assert "Pilot devices" in baseline
    assert f"dependencies?reaches={PILOT}" in baseline
    assert "> not<" in baseline
    assert "nobody" in page.partition(">Forgotten</bdi>")[2].partition("</tbody>")[0]
    only = await words_of(signed_in, f"{OF}/assignments?item=forgotten")
    assert ">Baseline<" not in only
    assert "nothing that can be assigned has the id or name" in await words_of(signed_in, f"{OF}/assignments?item=x")
    assert (await signed_in.get(f"/api{OF}/assignments?item=x")).status_code == 400
    records = await json_of(signed_in, f"/api{OF}/assignments?type={CONFIGURATIONS}")
    assert [record["target_name"] for record in records if record["record"] == "assignment"] == [
        "Pilot devices",
        None,
        None,
    ]
    assert len((await signed_in.get(f"{OF}/assignments.csv")).text.splitlines()) == 4
    assert "never read" in await words_of(signed_in, f"/tenants/{UNREAD}/assignments")
    outcomes: dict[str, tuple[Outcome, ErrorCode | None]] = {
        CONFIGURATIONS: (Outcome.FAILED, ErrorCode.GRAPH_THROTTLED)
    }
    await sync(database, CONTOSO, [], CONFIGURATIONS, status=RunStatus.FAILED, outcomes=outcomes)
    page = await words_of(signed_in, f"{OF}/assignments?item=baseline")
    assert "Pilot devices" in page
    assert "Not all assignments are known of Device configuration profiles: failed: graph throttled" in page


async def test_assignments_are_paginated_by_item(database: Database, signed_in: httpx.AsyncClient) -> None:
    many = [target("group", f"g{number}") for number in range(60)]
    await sync_with_references(
        database, profile("p000", *many), *(profile(f"p{number:03}", target("allUsers")) for number in range(1, 120))
    )
    names: list[str] = []
    address: str | None = f"{OF}/assignments"
    while address is not None:
        page = await words_of(signed_in, address)
        assert len(page) < 100_000
        names += [row.partition("<")[0] for row in page.split("<bdi>Profile ")[1:]]
        follows = page.partition('rel="next" href="')[2].partition('"')[0].replace("&amp;", "&")
        address = f"{OF}/assignments{follows}" if follows else None
    assert names == [f"p{number:03}" for number in range(120)]
    assert "40 more assignments" in await words_of(signed_in, f"{OF}/assignments")
    await words_of(signed_in, f"{OF}/assignments?after=nonsense", 404)
    external_ids: list[str] = []
    api: str | None = f"/api{OF}/assignments?type={CONFIGURATIONS}&limit=50"
    while api is not None:
        answer = await signed_in.get(api)
        external_ids += [record["external_id"] for record in answer.json() if record["record"] == "assignment"]
        api = answer.headers["link"].partition("<")[2].partition(">")[0] if "link" in answer.headers else None
    assert list(dict.fromkeys(external_ids)) == names
    assert len(external_ids) == 60 + 119
    records = await json_of(signed_in, f"/api{OF}/assignments?type={CONFIGURATIONS}&limit=1")
    assert len([record for record in records if record["record"] == "assignment"]) == 60


async def test_assignments_over_tenants_are_grouped_by_tenant(
    database: Database, signed_in: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared = profile("in", target("group", PILOT), name="Baseline")
    many = [profile(f"p{number:03}", target("allUsers")) for number in range(routes.OF_A_TENANT)]
    await sync_with_references(database, group(PILOT, "Pilot devices"), shared, *many)
    await sync_with_references(database, profile("other", target("allDevices"), name="Baseline"), tenant_id=FABRIKAM)
    page = await words_of(signed_in, "/assignments")
    assert "3 tenants" in page
    assert page.count(">Baseline</bdi>") == 2
    contoso, fabrikam, unread = page.split('<tr class="group">')[1:]
    assert "Pilot devices" in contoso
    assert contoso.count('<th scope="row">') == routes.OF_A_TENANT
    assert ">all of Contoso</a>" in contoso
    assert "all devices" in fabrikam.lower()
    assert "all of Fabrikam" not in fabrikam
    assert "never read" in unread
    of_name = await words_of(signed_in, "/assignments?item=baseline")
    assert of_name.count('<th scope="row">') == 2
    assert "nothing of this name, as far as is known" in await words_of(signed_in, "/assignments?item=nothing")
    assert "Fabrikam</a>" not in await words_of(signed_in, "/assignments?tag=emea")
    monkeypatch.setattr(routes, "TENANTS_AT_A_TIME", 1)
    names: list[str] = []
    address = "/assignments"
    while address:
        page = await words_of(signed_in, address)
        names += [part.partition("<")[0] for part in page.split('/assignments">')[1:]]
        follows = next_of(page)
        address = f"/assignments{follows}" if follows else ""
    assert names == ["Contoso", "Fabrikam", "Never read"]
    await words_of(signed_in, "/assignments?after=nonsense", 404)
