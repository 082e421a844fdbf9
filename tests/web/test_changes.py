"""The feed of changes on the web page, of one tenant or several, and its coverage."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

import httpx
import pytest
from fastapi import FastAPI

from answers.changes import routes
from inventory.error_codes import ErrorCode
from inventory.observation import Observation
from inventory.outcomes import Outcome, RunStatus
from inventory.people import Role
from storage.database import Database
from tests.storage.support import audit_event, observation, sync
from tests.web.page_text import next_of, rows_of, text_of
from tests.web.support import (
    CONTOSO,
    FABRIKAM,
    HOSTILE,
    LOCATIONS,
    POLICIES,
    UNREAD,
    json_of,
    person_of,
    signed_in_as,
    words_of,
)

CHANGES = f"/tenants/{CONTOSO}/changes"
COMPLIANCE = "deviceCompliancePolicies"


def policy(external_id: str, **properties: Any) -> Observation:
    return observation(COMPLIANCE, external_id, **{"displayName": f"Policy {external_id}", **properties})


async def sync_steps(database: Database, tenant_id: UUID, *steps: Sequence[Observation]) -> None:
    """One run per step, which sees the step's policies."""
    for items in steps:
        await sync(database, tenant_id, items, COMPLIANCE)


async def test_changes_are_described_newest_first(database: Database, signed_in: httpx.AsyncClient) -> None:
    await sync_steps(
        database,
        CONTOSO,
        [policy("1", level=1), policy("2")],
        [policy("1", level=2), policy("2"), policy("3")],
        [policy("1", level=2, displayName="Renamed"), policy("3")],
    )
    page = await words_of(signed_in, CHANGES)
    rows = rows_of(page)
    assert len(rows) == 4, rows
    kinds = [next(kind for kind in ("renamed", "missing", "changed", "appeared") if kind in row) for row in rows]
    assert [set(kinds[:2]), set(kinds[2:])] == [{"renamed", "missing"}, {"changed", "appeared"}]
    changed = rows[kinds.index("changed")]
    assert "level: 1 → 2" in changed
    assert "was called “Policy 1”" in rows[kinds.index("renamed")]
    assert "has to read auditEvents" in changed, "the page names the log that would have the actor"
    assert "1 of 1 collection read to their end by their latest run" in " ".join(page.split())
    assert f'href="/tenants/{CONTOSO}/items/{COMPLIANCE}/1"' in page
    assert [record["kind"] for record in await json_of(signed_in, f"/api{CHANGES}")] == kinds


async def test_feed_is_filtered_by_collection_kind_time_run_and_author(
    database: Database, signed_in: httpx.AsyncClient
) -> None:
    await sync_steps(database, CONTOSO, [policy("1", level=1)], [policy("1", level=2), policy("2")])
    noticed = [datetime.fromisoformat(record["noticed_at"]) for record in await json_of(signed_in, f"/api{CHANGES}")]
    await sync(
        database,
        CONTOSO,
        [audit_event("e1", "1", at=noticed[0], actor={"userPrincipalName": "Bob@contoso.example"})],
        "auditEvents",
    )
    (by_bob,) = rows_of(await words_of(signed_in, f"{CHANGES}?by=bob"))
    assert "by Bob@contoso.example" in by_bob
    assert "Policy 1" in by_bob
    assert rows_of(await words_of(signed_in, f"{CHANGES}?by=eve")) == []
    (appeared,) = rows_of(await words_of(signed_in, f"{CHANGES}?kind=appeared"))
    assert "Policy 2" in appeared
    assert "nobody, by the audit log" in appeared
    assert rows_of(await words_of(signed_in, f"{CHANGES}?type={POLICIES}")) == []
    assert len(rows_of(await words_of(signed_in, f"{CHANGES}?type={COMPLIANCE}"))) == 2
    since = urlencode({"since": noticed[0].isoformat()})
    assert rows_of(await words_of(signed_in, f"{CHANGES}?{since}")) == []
    run = (await json_of(signed_in, f"/api/tenants/{CONTOSO}/runs"))[1]["run_id"]
    of_run = await words_of(signed_in, f"{CHANGES}?run={run}")
    assert len(rows_of(of_run)) == 2
    assert "that one run noticed" in of_run
    for wrong in ("since=nonsense", "since=2999-01-01"):
        await words_of(signed_in, f"{CHANGES}?{wrong}", 404)
    for wrong in ("kind=nonsense", "run=nonsense"):
        await words_of(signed_in, f"{CHANGES}?{wrong}", 422)
    await words_of(signed_in, f"{CHANGES}?after=nonsense", 404)


async def test_pagination_shows_each_change_once(database: Database, signed_in: httpx.AsyncClient) -> None:
    names = [f"p{number:03}" for number in range(120)]
    await sync_steps(database, CONTOSO, [policy("0")], [policy("0"), *(policy(name) for name in names)])
    listed: list[str] = []
    address: str | None = CHANGES
    while address is not None:
        page = await words_of(signed_in, address)
        assert len(page.encode()) < 100_000
        listed += [row.split("Policy ")[1].split()[0] for row in rows_of(page)]
        follows = next_of(page)
        address = f"{CHANGES}{follows}" if follows else None
    assert sorted(listed) == names
    assert len(set(listed)) == len(listed)
    got: list[str] = []
    address = f"/api{CHANGES}?limit=50"
    while address:
        answer = await signed_in.get(address)
        got += [record["external_id"] for record in answer.json()]
        address = answer.headers.get("link", "").partition("<")[2].partition(">")[0]
    assert got == listed


async def test_sparse_filter_continues_on_later_pages(
    database: Database, signed_in: httpx.AsyncClient, monkeypatch: Any
) -> None:
    monkeypatch.setattr("answers.changes.answer.EVENTS_LOOKED_AT", 10)
    names = [f"p{number:03}" for number in range(120)]
    await sync_steps(
        database, CONTOSO, [policy("0", level=1)], [policy("0", level=2)], [policy("0", level=2), *map(policy, names)]
    )
    page = await words_of(signed_in, f"{CHANGES}?kind=changed")
    assert rows_of(page) == []
    assert "There are older ones" in page
    for _ in range(5):
        follows = next_of(page)
        if not follows:
            break
        page = await words_of(signed_in, f"{CHANGES}{follows}")
        if rows_of(page):
            break
    (row,) = rows_of(page)
    assert "Policy 0" in row


async def test_feed_merges_several_tenants(database: Database, signed_in: httpx.AsyncClient) -> None:
    for level in (1, 2, 3):
        for tenant_id in (CONTOSO, FABRIKAM):
            await sync_steps(database, tenant_id, [policy("1", level=level)])
    rows = rows_of(await words_of(signed_in, "/changes"))
    found = [(row.split("Policy")[0].split()[-1], row.split("level: ")[1].split(" by ")[0]) for row in rows]
    assert found == [("Fabrikam", "2 → 3"), ("Contoso", "2 → 3"), ("Fabrikam", "1 → 2"), ("Contoso", "1 → 2")]
    page = await words_of(signed_in, "/changes?tag=emea")
    assert len(rows_of(page)) == 2
    assert "Fabrikam" not in page
    first = await signed_in.get("/api/changes?limit=1")
    (record,) = first.json()
    assert record["tenant_id"] == str(FABRIKAM)
    (second,) = await json_of(signed_in, first.headers["link"].partition("<")[2].partition(">")[0])
    assert (second["tenant_id"], second["fields"][0]["after"]) == (str(CONTOSO), 3)
    assert "1 tenant never read" in await words_of(signed_in, "/changes")


async def test_feed_has_only_visible_tenants(app: FastAPI, database: Database) -> None:
    for level in (1, 2):
        for tenant_id in (CONTOSO, FABRIKAM):
            await sync_steps(database, tenant_id, [policy("1", level=level)])
    async with signed_in_as(app, database, person_of(Role.READER), [CONTOSO]) as client:
        page = await words_of(client, "/changes")
        assert len(rows_of(page)) == 1
        assert "Fabrikam" not in page
        assert {record["tenant_id"] for record in await json_of(client, "/api/changes")} == {str(CONTOSO)}
        await words_of(client, f"/tenants/{FABRIKAM}/changes", 404)


async def test_feed_names_unread_tenants_and_collections(database: Database, signed_in: httpx.AsyncClient) -> None:
    assert "never read" in await words_of(signed_in, f"/tenants/{UNREAD}/changes")
    await sync(database, CONTOSO, [observation(POLICIES, "p1")], POLICIES, LOCATIONS)
    assert "No change was noticed" in await words_of(signed_in, CHANGES)
    await sync(
        database,
        CONTOSO,
        [observation(POLICIES, "p1")],
        POLICIES,
        LOCATIONS,
        status=RunStatus.PARTIAL,
        outcomes={POLICIES: (Outcome.COMPLETE, None), LOCATIONS: (Outcome.FAILED, ErrorCode.GRAPH_THROTTLED)},
    )
    page = " ".join((await words_of(signed_in, CHANGES)).split())
    assert "1 of 2 collections read" in page
    assert "1 collection not read" in page


async def test_large_hostile_changes_fit_the_page_and_are_escaped(
    database: Database, signed_in: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def large(number: int, edition: str) -> Observation:
        fields = {f"field{place}{HOSTILE}": HOSTILE * 50 + edition for place in range(12)}
        return policy(f"{HOSTILE}{number}", displayName=HOSTILE * 40, **fields)

    await sync_steps(database, CONTOSO, *([large(number, edition) for number in range(60)] for edition in "ab"))
    page = await words_of(signed_in, CHANGES)
    assert len(page.encode()) < 100_000
    assert "<script" not in page
    assert "\u202e" not in page
    assert "more field" in page
    monkeypatch.setattr(routes, "MOST_AT_ONCE", 7)
    for address in (f"{CHANGES}.csv", "/changes.csv"):
        table = await signed_in.get(address)
        assert table.headers["content-type"] == "text/csv; charset=utf-8"
        assert table.text.startswith("tenant_id,run_id,noticed_at,")
        assert table.text.count(str(CONTOSO)) == 60, "all changes"
    assert (await signed_in.get("/changes.csv?kind=missing")).text.count("\n") == 1


async def test_changes_of_one_collection_name_the_tenants_in_which_it_was_not_read(
    database: Database, signed_in: httpx.AsyncClient
) -> None:
    failed: dict[str, tuple[Outcome, ErrorCode | None]] = {POLICIES: (Outcome.FAILED, ErrorCode.GRAPH_THROTTLED)}
    await sync(database, CONTOSO, [], POLICIES)
    await sync(database, FABRIKAM, [], POLICIES, status=RunStatus.FAILED, outcomes=failed)
    page = text_of(await words_of(signed_in, f"/changes?type={POLICIES}"))
    assert "Not read to their end: Conditional Access policies (failed: graph throttled) of Fabrikam." in page
    assert "Never read at all: Never read." in page
