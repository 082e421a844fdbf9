"""Drift on the web page: findings with their coverage, decisions, baselines and permissions."""

import re
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from uuid import UUID, uuid4

import httpx
import psycopg
from fastapi import FastAPI
from sqlalchemy import text

from answers.drift.baselines import set_moment
from inventory.error_codes import ErrorCode
from inventory.observation import Observation
from inventory.outcomes import Outcome, RunStatus
from inventory.people import Person, Role
from storage.database import Database
from tests.storage.support import observation, sync
from tests.web.page_text import next_of, rows_of, text_of
from tests.web.support import CONTOSO, FABRIKAM, HOSTILE, UNREAD, json_of, signed_in_as, words_of

CONFIGURATIONS = "conditionalAccessPolicies"
DRIFT = f"/tenants/{CONTOSO}/drift"
BASELINES = f"/tenants/{CONTOSO}/baselines"
Clients = dict[Role, httpx.AsyncClient]

ALWAYS_LOCKED = """
CREATE FUNCTION locked() RETURNS trigger LANGUAGE plpgsql
AS $$BEGIN RAISE 'locked' USING ERRCODE = 'lock_not_available'; END$$;
CREATE TRIGGER locked BEFORE INSERT ON baseline FOR EACH ROW EXECUTE FUNCTION locked()
"""


def policy(external_id: str, **properties: Any) -> Observation:
    return observation(CONFIGURATIONS, external_id, **{"displayName": f"Policy {external_id}", **properties})


async def read(database: Database, tenant_id: UUID, *items: Observation) -> None:
    await sync(database, tenant_id, items, CONFIGURATIONS)


def act(**fields: Any) -> dict[str, Any]:
    """A completed and confirmed form."""
    return {"request_id": str(uuid4()), "confirmed": "yes", "reason": "as agreed", **fields}


async def post(client: httpx.AsyncClient, address: str, form: dict[str, Any], status: int = 303) -> str:
    answer = await client.post(address, data=form)
    assert answer.status_code == status, answer.text
    return answer.text


async def sync_with_drift(database: Database, client: httpx.AsyncClient) -> list[dict[str, Any]]:
    """Gives Contoso a baseline from which policies deviate; returns the findings."""
    await read(database, CONTOSO, policy("1", state="enabled"), policy("2", note=1), policy("3"))
    await post(client, BASELINES, act(name="golden", of="moment"))
    await read(database, CONTOSO, policy("1", state="disabled"), policy("2", note=2))
    found: list[dict[str, Any]] = await json_of(client, f"/api/tenants/{CONTOSO}/findings")
    return found


async def acts(database: Database) -> list[tuple[Any, ...]]:
    async with database.tenant(CONTOSO) as session:
        rows = await session.execute(text("SELECT person, action, subject, reason FROM audit_record ORDER BY at"))
        return [tuple(row) for row in rows]


async def test_findings_are_listed_by_item_and_updated_after_a_run(database: Database, clients: Clients) -> None:
    approver = clients[Role.APPROVER]
    found = await sync_with_drift(database, approver)
    assert (found[0]["external_id"], found[0]["kind"]) == ("1", "changed")
    page = await words_of(clients[Role.READER], DRIFT)
    rows = rows_of(page)
    assert "weakens protection" in rows[1], "weakening findings come first"
    assert "state" in rows[1]
    assert '"enabled" "disabled"' in rows[1].replace("'", '"')
    assert any("missing" in row for row in rows)
    assert "3 open in 3 items" in text_of(page)
    assert "1 collection compared" in text_of(page)
    assert 'type="checkbox" name="finding"' not in page, "a reader decides nothing"
    await read(database, CONTOSO, policy("1", state="enabled"), policy("2", note=1), policy("3"))
    assert "as the baseline" in await words_of(clients[Role.READER], DRIFT)
    everything = await words_of(clients[Role.READER], f"{DRIFT}?all=1")
    assert len([row for row in rows_of(everything) if "resolved" in row]) == 3


async def test_drift_is_evaluated_once_after_each_run(database: Database, clients: Clients) -> None:
    await sync_with_drift(database, clients[Role.APPROVER])

    async def evaluated_at() -> str:
        (baseline,) = await json_of(clients[Role.READER], f"/api/tenants/{CONTOSO}/baselines")
        return str(baseline["evaluated_at"])

    first = await evaluated_at()
    await words_of(clients[Role.READER], DRIFT)
    assert await evaluated_at() == first
    await read(database, CONTOSO, policy("1", state="enabled"))
    await words_of(clients[Role.READER], DRIFT)
    assert await evaluated_at() > first
    await post(clients[Role.APPROVER], BASELINES, act(name="golden", of="moment"))
    assert await evaluated_at() == "None", "another baseline of the name was never evaluated"


async def test_selected_findings_are_decided_and_decisions_withdrawn(database: Database, clients: Clients) -> None:
    approver = clients[Role.APPROVER]
    found = await sync_with_drift(database, approver)
    ticked = [finding["fingerprint"] for finding in found[:2]]
    form = await words_of(approver, f"{DRIFT}/decide?finding={ticked[0]}&finding={ticked[1]}")
    assert form.count('name="finding"') == 2
    decision = act(finding=ticked, decision="accepted", until="2999-06-30")
    await post(approver, f"{DRIFT}/decisions", decision)
    await post(approver, f"{DRIFT}/decisions", decision)
    page = await words_of(clients[Role.READER], f"{DRIFT}/decisions")
    rows = rows_of(page)
    assert len(rows) == 2
    everything = await json_of(approver, f"/api/tenants/{CONTOSO}/decisions?all=1")
    assert len(everything) == 2, "sent twice, decided once"
    assert all("“as agreed”" in row and "the approver" in row and "2999-07-01" in row for row in rows)
    assert "Take back" not in page
    assert len(await json_of(approver, f"/api/tenants/{CONTOSO}/findings")) == 1
    decided = await json_of(approver, f"/api/tenants/{CONTOSO}/decisions")
    assert {record["decision_id"] for record in decided} == set(ticked)
    await post(approver, f"{DRIFT}/withdraw", act(decision=ticked[0], reason="was wrong"))
    assert len(await json_of(approver, f"/api/tenants/{CONTOSO}/findings")) == 2
    records = await acts(database)
    assert [(person, action, reason) for person, action, _, reason in records[-2:]] == [
        ("the approver", "decided", "as agreed"),
        ("the approver", "decision_withdrawn", "was wrong"),
    ]
    assert "2 findings" in records[-2][2]


async def test_decisions_about_items_and_fields_cover_later_values(database: Database, clients: Clients) -> None:
    approver = clients[Role.APPROVER]
    found = await sync_with_drift(database, approver)
    by_item = {finding["external_id"]: finding["fingerprint"] for finding in found}
    await post(approver, f"{DRIFT}/decisions", act(finding=[by_item["1"]], decision="expected", about="items"))
    await post(
        approver, f"{DRIFT}/decisions", act(finding=[by_item["2"]], decision="accepted", about="field", field="no*")
    )
    await read(database, CONTOSO, policy("1", state="other"), policy("2", note=3))
    findings = await json_of(approver, f"/api/tenants/{CONTOSO}/findings")
    assert [finding["external_id"] for finding in findings] == ["3"]
    rows = rows_of(await words_of(approver, f"{DRIFT}/decisions"))
    assert ["no*" in rows[0], "Policy 1" in rows[1], "expected here" in rows[1]] == [True] * 3
    scoped = (await json_of(approver, f"/api/tenants/{CONTOSO}/decisions"))[0]["decision_id"]
    await post(approver, f"{DRIFT}/withdraw", act(decision=scoped))
    assert len(await json_of(approver, f"/api/tenants/{CONTOSO}/findings")) == 2
    assert "taken back" in await words_of(approver, f"{DRIFT}/decisions?all=1")


async def test_invalid_decision_is_refused(database: Database, clients: Clients) -> None:
    approver = clients[Role.APPROVER]
    found = await sync_with_drift(database, approver)
    ticked = [found[0]["fingerprint"]]
    right = {"finding": ticked, "decision": "accepted"}
    for wrong, status in (
        ({"confirmed": ""}, 400),
        ({"until": "yesterday"}, 400),
        ({"until": "nonsense"}, 400),
        ({"about": "field", "field": " "}, 400),
        ({"decision": "open"}, 400),
        ({"finding": ["0" * 64]}, 400),
        ({"reason": " "}, 422),
        ({"finding": []}, 422),
        ({"finding": ["x"]}, 422),
    ):
        await post(approver, f"{DRIFT}/decisions", act(**{**right, **wrong}), status)
    await words_of(approver, f"{DRIFT}/decide", 400)
    await words_of(approver, f"{DRIFT}/decide?finding={'0' * 64}", 400)
    assert await json_of(approver, f"/api/tenants/{CONTOSO}/decisions") == []
    assert {action for _, action, _, _ in await acts(database)} == {"baseline_set"}


async def test_lower_roles_may_not_decide_or_set_baselines(database: Database, clients: Clients) -> None:
    found = await sync_with_drift(database, clients[Role.APPROVER])
    ticked = found[0]["fingerprint"]
    before = await acts(database)
    for role in (Role.READER, Role.OPERATOR):
        client = clients[role]
        for address, form in (
            (f"{DRIFT}/decisions", act(finding=[ticked], decision="accepted")),
            (f"{DRIFT}/withdraw", act(decision=ticked)),
            (BASELINES, act(name="mine", of="moment")),
            (f"{BASELINES}/remove", act(name="golden")),
            ("/drift/golden", act(golden=str(FABRIKAM), tag="emea")),
        ):
            assert "role approver" in await post(client, address, form, 403)
        await words_of(client, f"{DRIFT}/decide?finding={ticked}", 403)
        assert '<form method="post" action="/tenants' not in await words_of(client, BASELINES)
    assert await acts(database) == before


async def test_baseline_from_run_or_tenant_is_set_and_removed(database: Database, clients: Clients) -> None:
    approver = clients[Role.APPROVER]
    await read(database, CONTOSO, policy("1", state="enabled"))
    run = (await json_of(approver, f"/api/tenants/{CONTOSO}/runs"))[0]["run_id"]
    await post(approver, BASELINES, act(name="of-run", of="run", run=run))
    await post(approver, BASELINES, act(name="x", of="tenant", other=str(uuid4())), 400)
    await post(approver, BASELINES, act(name="x", of="tenant"), 400)
    await post(approver, BASELINES, act(name="x y", of="moment"), 422)
    await post(approver, BASELINES, act(name="x", of="moment", at="nonsense"), 400)
    await post(approver, f"/tenants/{UNREAD}/baselines", act(name="x", of="moment"), 400)
    assert [baseline["name"] for baseline in await json_of(approver, f"/api{BASELINES}")] == ["of-run"]
    await read(database, FABRIKAM, policy("9", displayName="Policy 1", state="disabled"))
    await post(approver, BASELINES, act(name="theirs", of="tenant", other=str(FABRIKAM)))
    page = await words_of(approver, f"{DRIFT}?baseline=theirs")
    assert "Against the inventory of Fabrikam, as it is" in text_of(page)
    assert any("state" in row for row in rows_of(page))
    await read(database, FABRIKAM, policy("9", displayName="Policy 1", state="disabled"), policy("only there"))
    await post(approver, BASELINES, act(name="theirs", of="tenant", other=str(FABRIKAM)))
    page = await words_of(approver, f"{DRIFT}?baseline=theirs")
    link = f"/tenants/{FABRIKAM}/items/{CONFIGURATIONS}/only%20there"
    assert f'href="{link}"' in page, "the missing item's page is the other tenant's"
    await words_of(approver, link)
    findings = re.findall(r'name="finding" value="([^"]+)"', page)
    form = await words_of(approver, f"{DRIFT}/decide?{urlencode([('finding', finding) for finding in findings])}")
    assert "<bdi>Policy only there</bdi> <span" in form
    await post(approver, f"{BASELINES}/remove", act(name="theirs"))
    assert "theirs" not in await words_of(approver, BASELINES)
    await words_of(approver, f"{DRIFT}?baseline=theirs", 404)


async def test_csv_has_all_findings(database: Database, clients: Clients) -> None:
    numbers = range(1_001)
    await read(database, CONTOSO, *(policy(str(number), note="before") for number in numbers))
    async with database.tenant(CONTOSO) as session:
        await set_moment(session, "golden", None, "ada", "as approved")
    await read(database, CONTOSO, *(policy(str(number), note="after") for number in numbers))
    lines = (await words_of(clients[Role.READER], f"{DRIFT}.csv")).splitlines()
    assert len(lines) == 1 + len(numbers)


async def test_golden_baseline_is_set_for_tenants_of_a_tag(database: Database, clients: Clients) -> None:
    approver = clients[Role.APPROVER]
    for tenant_id, state in ((CONTOSO, "enabled"), (FABRIKAM, "disabled")):
        await read(database, tenant_id, policy("1", state=state))
    form = act(golden=str(FABRIKAM), tag="emea")
    assert "1 tenant with the tag emea has its inventory" in text_of(await post(approver, "/drift/golden", form, 200))
    await post(approver, "/drift/golden", form, 200)
    row = rows_of(await words_of(approver, "/drift"))[0]
    assert ["Contoso" in row, "Fabrikam, as it is" in row, "not evaluated yet" in row] == [True] * 3
    await words_of(clients[Role.READER], DRIFT)
    (drift,) = await json_of(clients[Role.READER], "/api/drift")
    assert (drift["high"] + drift["medium"] + drift["low"], drift["is_behind"]) == (1, False)
    await read(database, FABRIKAM, policy("1", state="enabled"))
    (drift,) = await json_of(clients[Role.READER], "/api/drift?tag=emea")
    assert drift["is_behind"], "the golden tenant was read since"
    assert "read since" in await words_of(clients[Role.READER], "/drift")
    assert (await clients[Role.READER].get("/drift.csv")).text.count("\n") == 2
    assert [action for _, action, _, _ in await acts(database)] == ["baseline_set"]


async def test_golden_baseline_is_set_for_others_if_a_tenant_fails(
    database: Database, clients: Clients, tenants_file: Path
) -> None:
    approver = clients[Role.APPROVER]
    give_all_the_tag(tenants_file)
    await read(database, CONTOSO, policy("1"))
    answer = text_of(await post(approver, "/drift/golden", act(golden=str(FABRIKAM), tag="emea"), 200))
    assert "1 tenant with the tag emea has its inventory as a baseline. 1 tenant not." in answer
    assert "set Contoso" in answer
    assert "not set Never read: this tenant was never read" in answer
    assert [action for _, action, _, _ in await acts(database)] == ["baseline_set"]


def give_all_the_tag(tenants_file: Path) -> None:
    tenants_file.write_text(tenants_file.read_text().replace("tags = []", 'tags = ["emea"]'))


async def test_locked_tenant_is_reported_as_not_set(database: Database, database_url: str, clients: Clients) -> None:
    await read(database, CONTOSO, policy("1"))
    form = act(golden=str(FABRIKAM), tag="emea")
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(ALWAYS_LOCKED)
        try:
            answer = text_of(await post(clients[Role.APPROVER], "/drift/golden", form, 200))
        finally:
            connection.execute("DROP FUNCTION locked CASCADE")
    assert "not set Contoso: a lock was not free in time" in answer


async def test_pages_name_missing_baseline_and_unread_data(database: Database, clients: Clients) -> None:
    reader = clients[Role.READER]
    assert "never read" in await words_of(reader, f"/tenants/{UNREAD}/drift")
    assert "never read" in await words_of(reader, f"/tenants/{UNREAD}/baselines")
    nothing = await words_of(reader, f"/tenants/{UNREAD}/drift/decisions")
    assert "Nothing is decided" in nothing
    assert "on this page" not in nothing
    await read(database, CONTOSO, policy("1"))
    assert "no baseline" in await words_of(reader, DRIFT)
    assert "Without a baseline" in await words_of(reader, "/drift")
    assert await json_of(reader, f"/api/tenants/{CONTOSO}/findings") == []
    await words_of(reader, f"/api/tenants/{CONTOSO}/drift", 404)
    await post(clients[Role.APPROVER], BASELINES, act(name="golden", of="moment"))
    await sync(
        database,
        CONTOSO,
        [],
        CONFIGURATIONS,
        status=RunStatus.FAILED,
        outcomes={CONFIGURATIONS: (Outcome.FAILED, ErrorCode.GRAPH_THROTTLED)},
    )
    page = text_of(await words_of(reader, DRIFT))
    assert "1 left out" in page
    assert "failed:graph throttled now" in page
    await words_of(reader, f"/tenants/{uuid4()}/drift", 404)


async def test_pagination_continues_after_a_decided_finding(database: Database, clients: Clients) -> None:
    approver = clients[Role.APPROVER]
    await read(database, CONTOSO, *(policy(str(number), note=1) for number in range(5)))
    await post(approver, BASELINES, act(name="golden", of="moment"))
    await read(database, CONTOSO, *(policy(str(number), note=2) for number in range(5)))
    findings = f"/api/tenants/{CONTOSO}/findings"
    everything = await json_of(approver, findings)
    first = await approver.get(f"{findings}?limit=2")
    assert first.json() == everything[:2]
    last_shown = everything[1]["fingerprint"]
    await post(approver, f"{DRIFT}/decisions", act(finding=[last_shown], decision="accepted"))
    follows = first.headers["link"].partition("<")[2].partition(">")[0]
    second = await approver.get(follows)
    assert [row["fingerprint"] for row in second.json()] == [row["fingerprint"] for row in everything[2:4]]
    third = await approver.get(second.headers["link"].partition("<")[2].partition(">")[0])
    assert [row["fingerprint"] for row in third.json()] == [everything[4]["fingerprint"]]
    assert "link" not in third.headers
    await words_of(approver, f"{DRIFT}?after=nonsense", 404)
    await words_of(approver, f"/drift?after={FABRIKAM}/golden", 404)


async def test_many_hostile_findings_are_small_escaped_pages(database: Database, clients: Clients) -> None:
    approver = clients[Role.APPROVER]

    def large(number: int, edition: str) -> Observation:
        fields = {f"field{place}{HOSTILE}": f"{HOSTILE * 20}{edition}" for place in range(5)}
        return policy(f"{HOSTILE}{number:03}", displayName=f"{number}{HOSTILE}", **fields)

    await read(database, CONTOSO, *(large(number, "a") for number in range(50)))
    await post(approver, BASELINES, act(name="golden", of="moment"))
    await read(database, CONTOSO, *(large(number, "b") for number in range(50)))
    fingerprints: list[str] = []
    address: str | None = DRIFT
    while address is not None:
        page = await words_of(approver, address)
        assert len(page.encode()) < 100_000
        assert "<script" not in page
        assert "\u202e" not in page
        fingerprints += [part.partition('"')[0] for part in page.split('name="finding" value="')[1:]]
        follows = next_of(page)
        address = f"{DRIFT}{follows}" if follows else None
    assert len(fingerprints) == len(set(fingerprints)) == 250
    query = "&".join(f"finding={fingerprint}" for fingerprint in fingerprints[:100])
    assert len((await words_of(approver, f"{DRIFT}/decide?{query}")).encode()) < 100_000


async def test_golden_tenant_is_hidden_from_people_without_access(
    app: FastAPI, database: Database, clients: Clients
) -> None:
    for tenant_id, state in ((CONTOSO, "enabled"), (FABRIKAM, "disabled")):
        await read(database, tenant_id, policy("1", state=state))
    await post(clients[Role.APPROVER], BASELINES, act(name="theirs", of="tenant", other=str(FABRIKAM)))
    somebody = Person(person_id="local/somebody", name="somebody", role=Role.APPROVER)
    async with signed_in_as(app, database, somebody, [CONTOSO]) as client:
        page = await words_of(client, DRIFT)
        assert "Fabrikam" not in page
        assert "takes a person who may see the other tenant" in page
        await post(client, BASELINES, act(name="mine", of="tenant", other=str(FABRIKAM)), 400)
        await post(client, "/drift/golden", act(golden=str(FABRIKAM), tag="emea"), 404)
        assert "Fabrikam" not in await words_of(client, "/drift")
        assert "Fabrikam" not in await words_of(client, BASELINES)
        for address in (f"/tenants/{FABRIKAM}/drift", f"/compare?left={CONTOSO}&right={FABRIKAM}"):
            await words_of(client, address, 404)
        await words_of(client, f"/compare?golden={FABRIKAM}", 404)
        assert "Fabrikam" not in await words_of(client, "/compare")
        await words_of(clients[Role.READER], DRIFT)
        assert any("state" in row for row in rows_of(await words_of(client, DRIFT))), "as somebody else evaluated it"
