"""The pages of access rules and of acts: permissions, and visibility of acts."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest
from sqlalchemy import text

from inventory.people import Action, Role
from storage import audit
from storage.database import Database
from tests.web.support import CONTOSO, FABRIKAM, HOSTILE, json_of, person_of, words_of

Clients = dict[Role, httpx.AsyncClient]


def form(**fields: str) -> dict[str, str]:
    return {"request_id": str(uuid4()), "confirmed": "yes", **fields}


async def test_access_rules_take_effect_at_once_and_are_audited(clients: Clients) -> None:
    admin, reader = clients[Role.ADMIN], clients[Role.READER]
    page = await words_of(admin, "/access")
    assert "the reader" in page
    hide = form(who="reader", what="tag:emea", is_excluded="true", reason="their own team")
    assert (await admin.post("/access", data=hide)).status_code == 303
    assert "Contoso" not in await words_of(reader, "/")
    page = await words_of(admin, "/access")
    assert "their own team" in page
    (rule,) = [rule for rule in await json_of(admin, "/api/access") if rule["role"] == "reader"]
    assert (rule["tag"], rule["is_excluded"], rule["set_by"]) == ("emea", True, "the admin")
    assert (await admin.post("/access/revoke", data=form(rule_id=rule["access_rule_id"]))).status_code == 303
    assert "Contoso" in await words_of(reader, "/")
    await admin.post("/access", data=hide)
    assert "Contoso" in await words_of(reader, "/"), "a repeated form changes nothing"
    records = [(act["subject"], act["reason"]) for act in await json_of(admin, "/api/audit?action=access_changed")]
    assert records == [
        ("revoke: the role reader, tag emea", None),
        ("exclude: the role reader, tag emea", "their own team"),
    ]


async def test_rule_hides_or_shows_a_tenant_for_a_person(clients: Clients) -> None:
    admin, operator = clients[Role.ADMIN], clients[Role.OPERATOR]
    for person in ("the operator", "local/operator"):
        hide = form(who=person, what=f"tenant:{CONTOSO}", is_excluded="true")
        assert (await admin.post("/access", data=hide)).status_code == 303
        assert f"/tenants/{CONTOSO}" not in await words_of(operator, "/")
        show = form(who=person, what=f"tenant:{CONTOSO}")
        assert (await admin.post("/access", data=show)).status_code == 303
        assert f"/tenants/{CONTOSO}" in await words_of(operator, "/"), "a rule about the same subject is replaced"
    newcomer = form(who=f"{uuid4()}/{uuid4()}".upper(), what="all")
    assert (await admin.post("/access", data=newcomer)).status_code == 303, (
        "a person who never signed in is named by id"
    )


@pytest.mark.parametrize(
    ("fields", "line"),
    [
        ({"who": "nobody", "what": "all"}, "obody called"),
        ({"who": "reader", "what": "tag:unknown"}, "no such tenant or tag"),
        ({"who": "reader", "what": f"tenant:{uuid4()}"}, "no such tenant or tag"),
        ({"who": "reader", "what": "tenant:x"}, "no such tenant or tag"),
        ({"who": "reader", "what": "everything"}, "no such tenant or tag"),
        ({"who": "reader", "what": "all", "confirmed": ""}, "not ticked"),
    ],
)
async def test_invalid_access_rule_is_refused(clients: Clients, fields: dict[str, str], line: str) -> None:
    before = await json_of(clients[Role.ADMIN], "/api/access")
    answer = await clients[Role.ADMIN].post("/access", data=form(**fields))
    assert answer.status_code == 400
    assert line in answer.text
    assert await json_of(clients[Role.ADMIN], "/api/access") == before


async def test_ending_sessions_signs_out_only_that_person(clients: Clients) -> None:
    admin = clients[Role.ADMIN]
    assert (await admin.post("/access/end-sessions", data=form(who="local/approver"))).status_code == 303
    await words_of(clients[Role.APPROVER], "/", 401)
    await words_of(clients[Role.READER], "/")


@pytest.mark.parametrize("role", [Role.READER, Role.OPERATOR, Role.APPROVER])
async def test_only_administrators_see_and_change_access_rules(clients: Clients, role: Role) -> None:
    client = clients[role]
    assert "/access" not in await words_of(client, "/")
    for path in ("/access", "/api/access"):
        await words_of(client, path, 403)
    for path, fields in (
        ("/access", {"who": role.value, "what": "all"}),
        ("/access/revoke", {"rule_id": str(uuid4())}),
        ("/access/end-sessions", {"who": "local/admin"}),
    ):
        assert (await client.post(path, data=form(**fields))).status_code == 403, path
    await words_of(clients[Role.ADMIN], "/")


async def record_acts(database: Database) -> None:
    async with database.no_tenant() as session:
        for role in (Role.OPERATOR, Role.APPROVER):
            person = person_of(role)
            await audit.record(session, person, Action.SYNC_REQUESTED, tenant_id=CONTOSO, subject=f"by {role}")
            await audit.record(session, person, Action.PINNED, tenant_id=FABRIKAM, subject=HOSTILE, reason=HOSTILE)


async def test_only_administrators_read_other_peoples_acts(database: Database, clients: Clients) -> None:
    await record_acts(database)
    own = {act["person_id"] for act in await json_of(clients[Role.OPERATOR], "/api/audit?person=local/approver")}
    assert own == {"local/operator"}
    assert "by approver" not in await words_of(clients[Role.OPERATOR], "/audit?person=local/approver")
    assert "by approver" not in (await clients[Role.OPERATOR].get("/audit.csv?person=local/approver")).text
    assert {act["person_id"] for act in await json_of(clients[Role.ADMIN], "/api/audit")} == {
        f"local/{role}" for role in Role
    }


async def test_acts_are_filtered_by_person_tenant_action_and_day(database: Database, clients: Clients) -> None:
    await record_acts(database)
    admin = clients[Role.ADMIN]
    today = datetime.now(UTC).date()
    tomorrow = today + timedelta(days=1)
    for query, found in (
        ("action=sync_requested", 2),
        (f"action=sync_requested&person=local/operator&tenant={CONTOSO}", 1),
        (f"tenant={FABRIKAM}&since={today - timedelta(days=1)}&until={tomorrow}", 2),
        (f"tenant={FABRIKAM}&until={today - timedelta(days=2)}", 0),
        (f"since={tomorrow + timedelta(days=1)}", 0),
        ("person=&tenant=&action=&since=&until=&action=signed_in", 4),
        ("until=9999-12-31&action=signed_in", 4),
    ):
        assert len(await json_of(admin, f"/api/audit?{query}")) == found, query
        assert len(re.findall("<tr>\n  <td>", await words_of(admin, f"/audit?{query}"))) == found, query
        lines = (await admin.get(f"/audit.csv?{query}")).text.splitlines()
        assert len(lines) == found + 1, query
    assert "No such act is recorded" in await words_of(admin, f"/audit?tenant={CONTOSO}&action=pinned")
    page = await words_of(admin, f"/audit?tenant={FABRIKAM}")
    assert "<script" not in page
    assert "\u202e" not in page
    await words_of(admin, "/audit?after=nonsense", 400)
    await words_of(admin, "/audit?action=nonsense", 422)


async def test_acts_are_paginated(database: Database, clients: Clients) -> None:
    async with database.no_tenant() as session:
        await session.execute(
            text(
                "INSERT INTO audit_record (at, person_id, person, role, action, subject)"
                " SELECT now(), 'local/ada', 'ada', 'admin', 'exported', number::text"
                " FROM generate_series(1, 230) AS number"
            )
        )
    admin = clients[Role.ADMIN]
    numbers: list[str] = []
    address: str | None = "/audit?action=exported"
    while address is not None:
        page = await words_of(admin, address)
        assert len(page) < 100_000
        numbers += re.findall(r"<td>(\d+)</td>", page)
        follows = page.partition('rel="next" href="')[2].partition('"')[0].replace("&amp;", "&")
        address = f"/audit{follows}" if follows else None
    assert sorted(map(int, numbers)) == list(range(1, 231))
    records: list[Any] = []
    address = "/api/audit?action=exported&limit=100"
    while address is not None:
        answer = await admin.get(address)
        records += answer.json()
        address = answer.links.get("next", {}).get("url")
    assert len({record["audit_id"] for record in records}) == len(records) == 230
