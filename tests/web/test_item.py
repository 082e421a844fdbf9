"""The page of an item: document, versions and their authors, assignments, references, drift and pins."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
import orjson
import pytest
from sqlalchemy import text

from answers.dependencies.answer import read_references
from answers.versions import routes
from inventory.observation import Observation
from inventory.people import Role
from storage.database import Database
from tests.storage.support import audit_event, observation, sync
from tests.web.page_text import rows_of, text_of
from tests.web.support import CONTOSO, FABRIKAM, HOSTILE, POLICIES, UNREAD, json_of, words_of
from web.site import item_path

COMPLIANCE = "deviceCompliancePolicies"
ITEM = item_path(CONTOSO, COMPLIANCE, "p1")
Clients = dict[Role, httpx.AsyncClient]


def policy(external_id: str, **properties: Any) -> Observation:
    return observation(COMPLIANCE, external_id, **{"displayName": f"Policy {external_id}", **properties})


async def sync_items(database: Database, *observations: Observation) -> None:
    await sync(database, CONTOSO, observations, COMPLIANCE)


def act(**fields: Any) -> dict[str, Any]:
    return {"request_id": str(uuid4()), "confirmed": "yes", "reason": "for the audit", **fields}


def section(page: str, heading: str) -> str:
    """The part of a page below a heading."""
    return page.partition(f"{heading}</h2>")[2].partition("<h2")[0]


async def test_two_versions_are_chosen_and_compared(database: Database, signed_in: httpx.AsyncClient) -> None:
    for level in (1, 2, 3):
        await sync_items(database, policy("p1", level=level))
    page = await words_of(signed_in, ITEM)
    assert "What changed from version 2 to 3" in page
    assert rows_of(page, "What changed") == ["level 2 3"]
    older = await words_of(signed_in, f"{ITEM}?version=3&from=1")
    assert rows_of(older, "What changed") == ["level 1 3"]
    assert '<option value="1" selected>' in older
    assert "level: 3" in section(older, "Document")
    assert [difference["path"] for difference in await json_of(signed_in, _api("differences") + "?from=1")] == ["level"]
    await words_of(signed_in, f"{ITEM}?version=9", 404)
    await words_of(signed_in, item_path(CONTOSO, COMPLIANCE, "nothing"), 404)


def _api(path: str) -> str:
    return f"/api/tenants/{CONTOSO}/{path}/{COMPLIANCE}/p1"


async def test_stored_document_is_available_as_file_and_json(database: Database, signed_in: httpx.AsyncClient) -> None:
    await sync_items(database, policy("p1", level=1, large=2**70))
    await sync_items(database, policy("p1", level=2, large=2**70))
    file = await signed_in.get(f"/tenants/{CONTOSO}/documents/{COMPLIANCE}/p1?version=1")
    assert file.headers["content-disposition"] == 'attachment; filename="deviceCompliancePolicies-p1-1.json"'
    assert orjson.loads(file.content)["level"] == 1
    assert str(2**70).encode() in file.content, "every digit"
    record = await json_of(signed_in, _api("documents"))
    assert (record["version"], record["document"]["level"], record["kind"]) == (2, 2, "Compliance policies")
    assert [version["version"] for version in await json_of(signed_in, _api("versions"))] == [2, 1]
    table = await signed_in.get(f"/tenants/{CONTOSO}/versions.csv/{COMPLIANCE}/p1")
    assert table.text.count("\n") == 3
    await words_of(signed_in, f"/tenants/{FABRIKAM}/documents/{COMPLIANCE}/p1", 404)


async def test_each_version_names_its_author(database: Database, signed_in: httpx.AsyncClient) -> None:
    await sync_items(database, policy("p1", level=1))
    await sync_items(database, policy("p1", level=2))
    rows = rows_of(await words_of(signed_in, ITEM), 'id="versions"')
    assert all("has to read auditEvents" in row for row in rows)
    noticed = (await json_of(signed_in, _api("versions")))[0]["first_observed_at"]
    await sync(database, CONTOSO, [audit_event("e1", "p1", activityDateTime=noticed)], "auditEvents")
    rows = rows_of(await words_of(signed_in, ITEM), 'id="versions"')
    assert "by ada@contoso.example" in rows[0]
    assert "nobody, by the audit log auditEvents" in rows[1]


async def test_edit_is_attributed_to_the_next_noticed_version(database: Database, signed_in: httpx.AsyncClient) -> None:
    for level in (1, 2, 3):
        await sync_items(database, policy("p1", level=level))
    now = datetime.now(UTC)
    days = {1: (10, 8), 2: (7, 3), 3: (2, None)}
    async with database.no_tenant() as session:
        await session.execute(text("RESET ROLE"))
        await session.execute(text("SET LOCAL session_replication_role = replica"))
        for number, (first, last) in days.items():
            until = None if last is None else now - timedelta(days=last)
            await session.execute(
                text(
                    "UPDATE item_version SET first_observed_at = :first, last_observed_at = :last"
                    " WHERE external_id = 'p1' AND version_number = :number"
                ),
                {"first": now - timedelta(days=first), "last": until, "number": number},
            )
    between, while_it_stayed = now - timedelta(days=7.5), now - timedelta(days=5)
    events = [
        audit_event("e1", "p1", at=between),
        audit_event("e2", "p1", at=while_it_stayed, actor={"userPrincipalName": "eve@contoso.example"}),
    ]
    await sync(database, CONTOSO, events, "auditEvents")
    rows = rows_of(await words_of(signed_in, ITEM), 'id="versions"')
    assert "by ada@contoso.example" in rows[1]
    assert "eve@contoso.example" not in " ".join(rows), "no change was noticed after that edit"
    assert "ada@contoso.example" not in rows[0]


async def test_item_shows_assignments_and_references(database: Database, signed_in: httpx.AsyncClient) -> None:
    target = {"@odata.type": "#microsoft.graph.groupAssignmentTarget", "groupId": "g1"}
    await sync(
        database,
        CONTOSO,
        [policy("p1", assignments=[{"id": "a", "target": target}]), observation("groups", "g1", displayName="Pilots")],
        COMPLIANCE,
        "groups",
    )
    await read_references(database, CONTOSO, lambda _: None)
    page = await words_of(signed_in, ITEM)
    assert "Pilots" in section(page, "Whom it is for")
    (needed,) = rows_of(page, "What it needs")
    assert needed.startswith("Pilots Groups")
    assert f'href="/tenants/{CONTOSO}/items/groups/g1"' in section(page, "What it needs")
    group = await words_of(signed_in, item_path(CONTOSO, "groups", "g1"))
    (needs_it,) = rows_of(group, "What needs it")
    assert needs_it.startswith("Policy p1")
    assert "It refers to nothing" in group
    unknown = section(group, "What needs it")
    assert re.search(r"More may need it: \d+ collections \(never read\)", unknown), "most collections were never read"


async def test_item_shows_findings_and_decisions(database: Database, clients: Clients) -> None:
    approver = clients[Role.APPROVER]
    await sync_items(database, policy("p1", level=1))
    assert (
        await approver.post(f"/tenants/{CONTOSO}/baselines", data=act(name="golden", of="moment"))
    ).status_code == 303
    await sync_items(database, policy("p1", level=2))
    assert "deviates" not in await words_of(approver, ITEM), "not evaluated since"
    (finding,) = await json_of(approver, f"/api/tenants/{CONTOSO}/findings")
    assert "1 open finding of drift: level" in text_of(await words_of(approver, ITEM))
    form = act(finding=[finding["fingerprint"]], decision="accepted")
    await approver.post(f"/tenants/{CONTOSO}/drift/decisions", data=form)
    assert "deviates, as decided" in await words_of(approver, ITEM)


async def test_an_approver_pins_and_unpins_a_version(database: Database, clients: Clients) -> None:
    for level in (1, 2):
        await sync_items(database, policy("p1", level=level))
    approver, reader = clients[Role.APPROVER], clients[Role.READER]
    pins, unpins = (f"/tenants/{CONTOSO}/{name}/{COMPLIANCE}/p1" for name in ("pins", "unpins"))
    assert "Pin version" not in await words_of(reader, ITEM)
    assert "Pin version 1" in await words_of(approver, ITEM)
    form = act(version="1")
    for _ in range(2):
        answer = await approver.post(pins, data=form)
        assert (answer.status_code, answer.headers["location"]) == (303, f"{ITEM}?version=1#versions")
    rows = rows_of(await words_of(reader, ITEM), 'id="versions"')
    assert "the approver (for the audit)" in rows[1]
    assert "Unpin version 1" in await words_of(approver, ITEM)
    assert "Unpin version 1" not in await words_of(clients[Role.ADMIN], ITEM), "the pin is another person's"
    assert (await approver.post(unpins, data=act(version="1"))).status_code == 303
    assert "the approver (" not in await words_of(reader, ITEM)
    for wrong, status in (({"version": "9"}, 404), ({"version": "0"}, 422), ({"confirmed": ""}, 400)):
        assert (await approver.post(pins, data=act(**{"version": "1", **wrong}))).status_code == status
    assert (await approver.post(unpins, data=act(version="1"))).status_code == 404
    for address in (pins, unpins):
        assert (await clients[Role.OPERATOR].post(address, data=act(version="1"))).status_code == 403
    async with database.tenant(CONTOSO) as session:
        records = await session.execute(text("SELECT action, subject, reason FROM audit_record ORDER BY at"))
        assert [tuple(row) for row in records] == [
            ("pinned", f"version 1 of {COMPLIANCE} p1", "for the audit"),
            ("unpinned", f"version 1 of {COMPLIANCE} p1", None),
        ]


async def test_a_megabyte_document_is_cut_and_linked(database: Database, signed_in: httpx.AsyncClient) -> None:
    for edition in ("a", "b"):
        script = [f"{HOSTILE} line {number} {edition} " + "x" * 200 for number in range(5_000)]
        await sync_items(
            database, policy("p1", scripts=script, **{f"field{n}": f"{HOSTILE * 50}{edition}" for n in range(80)})
        )
    page = await words_of(signed_in, ITEM)
    assert len(page.encode()) < 100_000
    assert "more line" in section(page, "Document")
    assert "MB" in section(page, "Document")
    assert "more field" in page
    assert "<script" not in page
    assert "\u202e" not in page
    assert len((await signed_in.get(f"/tenants/{CONTOSO}/documents/{COMPLIANCE}/p1")).content) > 1_000_000


async def test_newest_versions_are_shown_and_earlier_versions_counted(
    database: Database, signed_in: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(routes, "ATTEMPTS", [{**routes.ATTEMPTS[0], "most": 2}])
    for level in range(5):
        await sync_items(database, policy("p1", level=level))
    page = await words_of(signed_in, ITEM)
    assert [row.split()[0] for row in rows_of(page, 'id="versions"')] == ["5", "4"]
    assert "3 earlier versions" in page
    assert len(await json_of(signed_in, _api("versions"))) == 5


async def test_item_of_unread_tenant_is_not_found(signed_in: httpx.AsyncClient) -> None:
    await words_of(signed_in, item_path(UNREAD, POLICIES, "p1"), 404)
    assert await json_of(signed_in, f"/api/tenants/{UNREAD}/versions/{POLICIES}/p1") == []
