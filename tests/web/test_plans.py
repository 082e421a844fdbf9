"""Promotion plans on the page: review, decisions and permissions."""

import asyncio
from uuid import UUID

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import text

from answers.promotion.records import PlanRecord
from inventory.people import Person, Role
from storage.database import Database
from tests.answers.promotion.plan_application import plan_between, read
from tests.web.page_text import text_of
from tests.web.support import CONTOSO, FABRIKAM, HOSTILE, UNREAD, json_of, person_of, signed_in_as, words_of
from tests.web.test_acts import Clients, form

ACCESS, POLICIES = "conditionalAccessPolicies", "deviceCompliancePolicies"
EVERYBODY = {"target": {"@odata.type": "#microsoft.graph.allLicensedUsersAssignmentTarget"}}
ADA = Person(person_id="local/ada", name="ada", role=Role.ADMIN)


def compliance(number: int, name: str, **properties: object) -> dict[str, object]:
    return {
        "@odata.type": "#microsoft.graph.iosCompliancePolicy",
        "id": f"{number:08d}-1111-4000-8000-000000000000",
        "displayName": name,
        "passcodeRequired": True,
        "scheduledActionsForRule": [],
        "assignments": [],
        **properties,
    }


def access(number: int, name: str, state: str) -> dict[str, object]:
    users = {"includeUsers": ["All"], "excludeUsers": [], "includeGroups": [], "excludeGroups": []}
    return {
        "id": f"{number:08d}-2222-4000-8000-000000000000",
        "displayName": name,
        "state": state,
        "conditions": {"users": users, "clientAppTypes": ["all"]},
        "grantControls": {"operator": "OR", "builtInControls": ["mfa"]},
    }


async def make_plan(database: Database, database_url: str) -> PlanRecord:
    """A plan from Contoso to Fabrikam that weakens, widens, creates and is blocked."""
    lost = {"@odata.type": "#microsoft.graph.exclusionGroupAssignmentTarget", "groupId": str(UUID(int=99))}
    await read(
        database,
        CONTOSO,
        {
            ACCESS: [access(1, "MFA for all", "disabled")],
            POLICIES: [
                compliance(1, "A new one"),
                compliance(2, f"Wide {HOSTILE}", assignments=[EVERYBODY]),
                compliance(3, "For the lost", assignments=[{"target": lost}]),
                compliance(4, "Same"),
            ],
            "groups": [],
        },
    )
    await read(
        database,
        FABRIKAM,
        {
            ACCESS: [access(2, "MFA for all", "enabled")],
            POLICIES: [compliance(5, f"Wide {HOSTILE}"), compliance(6, "Same")],
            "groups": [],
        },
    )
    return await plan_between(database_url, CONTOSO, FABRIKAM, ADA)


@pytest.fixture
async def plan(database: Database, database_url: str) -> PlanRecord:
    return await make_plan(database, database_url)


def page_of(plan: PlanRecord) -> str:
    return f"/tenants/{FABRIKAM}/plans/{plan.plan_id}"


async def audit_records(database: Database) -> list[tuple[str, str, str | None]]:
    async with database.tenant(FABRIKAM) as session:
        rows = await session.execute(
            text("SELECT person, action, reason FROM audit_record WHERE action LIKE 'plan_%' ORDER BY at")
        )
        return [(row.person, row.action, row.reason) for row in rows]


async def test_plan_lists_most_severe_items_first_with_their_audience(clients: Clients, plan: PlanRecord) -> None:
    page = await words_of(clients[Role.READER], page_of(plan))
    names = ("MFA for all", "Wide ", "A new one", "For the lost", "Same")
    places = [page.index(f"<bdi>{name}") for name in names]
    assert places == sorted(places), "weakened, widened, new, blocked, the same"
    weakened, widened, new, blocked, same = (
        page[begin:end] for begin, end in zip(places, [*places[1:], len(page)], strict=True)
    )
    assert "would protect less" in weakened
    assert "all users would get it" in widened
    assert "for: <bdi>all users" in widened
    assert "would" not in new
    assert "To unblock" in blocked
    assert "request" not in same.partition("</section>")[0]
    assert "1 item</span> would protect less" in page
    assert "Nothing is written to Graph" in page
    for role, client in clients.items():
        has_form = "<button>Approve</button>" in await words_of(client, page_of(plan))
        assert has_form is role.includes(Role.APPROVER), role


async def test_plans_show_coverage_and_age_of_their_data(clients: Clients, plan: PlanRecord) -> None:
    reader = clients[Role.READER]
    page = text_of(await words_of(reader, page_of(plan)))
    assert "It rests on 2 of 2 collections known on both sides, the oldest reading" in page
    plans = text_of(await words_of(reader, f"/tenants/{FABRIKAM}/plans"))
    assert "3 of 3 collections read to their end by their latest run" in plans
    assert "This tenant was never read" in await words_of(reader, f"/tenants/{UNREAD}/plans")


async def test_plan_is_available_as_json_and_csv(signed_in: httpx.AsyncClient, plan: PlanRecord) -> None:
    assert await json_of(signed_in, f"/api{page_of(plan)}") == plan.model_dump(mode="json")
    assert await json_of(signed_in, f"/api/tenants/{FABRIKAM}/plans") == [plan.model_dump(mode="json")]
    answer = await signed_in.get(f"/api{page_of(plan)}/items?limit=2")
    first, second = answer.json()
    assert (first["title"], first["effects"][0]["kind"], first["severity"]) == ("MFA for all", "weakens", "high")
    assert (second["effects"][0]["kind"], second["audience"][0]["name"]) == ("reaches_everyone", "all users")
    assert answer.headers["link"].endswith('rel="next"')
    rest = await json_of(signed_in, f"/api{page_of(plan)}/items?after=2")
    assert [item["action"] for item in rest] == ["create", "blocked", "nothing_to_do"]
    assert (await words_of(signed_in, f"{page_of(plan)}/items.csv")).count("\r\n") == 6
    assert str(plan.plan_id) in await words_of(signed_in, f"/tenants/{FABRIKAM}/plans.csv")


async def test_hostile_names_are_escaped(signed_in: httpx.AsyncClient, plan: PlanRecord) -> None:
    page = await words_of(signed_in, page_of(plan))
    assert "<script" not in page
    assert "\u202e" not in page
    assert "&lt;script" in page


async def test_second_person_approves_a_plan_once(database: Database, clients: Clients, plan: PlanRecord) -> None:
    approver, sent = clients[Role.APPROVER], form(reason="CHG-1", confirmed="yes")
    answers = await asyncio.gather(*(approver.post(f"{page_of(plan)}/approve", data=sent) for _ in range(4)))
    assert [answer.status_code for answer in answers] == [303] * 4
    assert (await approver.post(f"{page_of(plan)}/approve", data=sent)).status_code == 303
    page = await words_of(approver, page_of(plan))
    assert "Approved by <bdi>the approver</bdi>" in page
    assert "<button>Approve" not in page
    late = await clients[Role.ADMIN].post(f"{page_of(plan)}/reject", data=form(reason="late", confirmed="yes"))
    assert (late.status_code, "approver approved plan" in late.text) == (400, True)
    assert await audit_records(database) == [
        ("ada", "plan_created", None),
        ("the approver", "plan_approved", "CHG-1"),
    ]


async def test_only_one_of_two_concurrent_decisions_succeeds(
    database: Database, clients: Clients, plan: PlanRecord
) -> None:
    answers = await asyncio.gather(
        clients[Role.APPROVER].post(f"{page_of(plan)}/approve", data=form(reason="yes", confirmed="yes")),
        clients[Role.ADMIN].post(f"{page_of(plan)}/reject", data=form(reason="no", confirmed="yes")),
    )
    assert sorted(answer.status_code for answer in answers) == [303, 400]
    assert len(await audit_records(database)) == 2


async def test_author_may_not_approve_the_plan(
    app: FastAPI, database: Database, signed_in: httpx.AsyncClient, plan: PlanRecord
) -> None:
    assert "You made this plan" in await words_of(signed_in, page_of(plan))
    renamed = Person(person_id=ADA.person_id, name="Ada Lovelace", role=Role.ADMIN)
    namesake = Person(person_id="local/other", name="ADA", role=Role.ADMIN)
    for person in (ADA, renamed, namesake):
        async with signed_in_as(app, database, person) as client:
            answer = await client.post(f"{page_of(plan)}/approve", data=form(reason="mine", confirmed="yes"))
        assert answer.status_code == 409, person
        assert "somebody else approves it" in answer.text
    assert [action for _, action, _ in await audit_records(database)][1:] == ["plan_approval_refused"] * 3


async def test_lower_role_or_unconfirmed_form_decides_nothing(
    database: Database, clients: Clients, plan: PlanRecord
) -> None:
    for act in ("approve", "reject"):
        for role in (Role.READER, Role.OPERATOR):
            answer = await clients[role].post(f"{page_of(plan)}/{act}", data=form(reason="x", confirmed="yes"))
            assert answer.status_code == 403
        approver = clients[Role.APPROVER]
        assert (await approver.post(f"{page_of(plan)}/{act}", data=form(reason="x"))).status_code == 400
        empty = await approver.post(f"{page_of(plan)}/{act}", data=form(reason=" ", confirmed="yes"))
        assert empty.status_code == 422
    assert len(await audit_records(database)) == 1


async def test_approval_is_refused_if_the_target_changed(
    database: Database, clients: Clients, plan: PlanRecord
) -> None:
    await read(database, FABRIKAM, {ACCESS: [access(2, "MFA for all", "disabled")]})
    answer = await clients[Role.APPROVER].post(f"{page_of(plan)}/approve", data=form(reason="x", confirmed="yes"))
    assert answer.status_code == 409
    assert '"MFA for all" was changed in the target since the plan was made' in text_of(answer.text)
    assert (await audit_records(database))[-1][1] == "plan_approval_refused"


async def test_plan_requires_access_to_its_source_tenant(app: FastAPI, database: Database, plan: PlanRecord) -> None:
    async with signed_in_as(app, database, person_of(Role.APPROVER), [FABRIKAM]) as client:
        for address in (
            page_of(plan),
            f"/api{page_of(plan)}",
            f"/api{page_of(plan)}/items",
            f"{page_of(plan)}/items.csv",
        ):
            assert "MFA" not in await words_of(client, address, 404)
        assert await json_of(client, f"/api/tenants/{FABRIKAM}/plans") == []
        answer = await client.post(f"{page_of(plan)}/approve", data=form(reason="x", confirmed="yes"))
        assert answer.status_code == 404
