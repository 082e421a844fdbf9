"""Schedules on the web page, in a real Temporal: their forms, acts and permissions."""

import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import text
from temporalio.client import Client, ScheduleDescription
from temporalio.contrib.pydantic import pydantic_data_converter

from answers.schedules import routes
from answers.schedules.rules import Rights, StartTimes, rights, timing
from control.schedules import Schedules
from inventory.people import Action, Role
from inventory.portfolio import TenantChoice
from local.temporal import EmbeddedTemporal
from storage import access_rules
from storage.access_rules import Subject
from storage.database import Database
from tests.deadlines import until_async
from tests.web.support import CONTOSO, FABRIKAM, POLICIES, json_of, page_beside, person_of, signed_in_as, words_of

Clients = dict[Role, httpx.AsyncClient]


@pytest.fixture
def app(temporal: EmbeddedTemporal, database: Database, database_url: str, tenants_file: Path, queue: str) -> FastAPI:
    return page_beside(temporal.address, database, database_url, tenants_file, queue)


@pytest.fixture
async def client(temporal: EmbeddedTemporal, queue: str) -> AsyncIterator[Client]:
    """A client of the page's Temporal; deletes the schedules that a test leaves."""
    client = await Client.connect(temporal.address, data_converter=pydantic_data_converter)
    yield client
    schedules = Schedules(client, queue)
    for schedule in (await schedules.all())[0]:
        await schedules.delete(schedule.record.name)


def form(name: str = "nightly", **fields: str | list[str]) -> dict[str, str | list[str]]:
    new = {"request_id": str(uuid4()), "name": name, "is_new": "true", "how": "calendar", "calendar": "mon-fri 06:30"}
    return {**new, "time_zone": "Europe/Berlin", "whom": "everyone", "reads": "some", "type": POLICIES, **fields}


def act(name: str, action: str, **fields: str) -> dict[str, str]:
    return {"request_id": str(uuid4()), "name": name, "act": action, "confirmed": "yes", **fields}


async def described(client: Client, queue: str, name: str = "nightly") -> ScheduleDescription:
    return await client.get_schedule_handle(f"tenant-inventory-portfolio/{queue}/{name}").describe()


async def audit_records(database: Database) -> list[tuple[Any, ...]]:
    async with database.no_tenant() as session:
        found = await session.execute(
            text("SELECT action, subject FROM audit_record WHERE action <> 'signed_in' ORDER BY at")
        )
        return [tuple(row) for row in found]


async def hide(database: Database, tenant_id: UUID) -> None:
    """Hides the tenant from operators."""
    async with database.no_tenant() as session:
        subject = Subject(None, Role.OPERATOR, tenant_id=tenant_id)
        await access_rules.set_rule(session, subject, is_excluded=True, set_by="ada", reason=None)


async def test_schedule_is_created_changed_paused_triggered_and_deleted(
    database: Database, clients: Clients, client: Client, queue: str
) -> None:
    operator = clients[Role.OPERATOR]
    assert "No schedule yet" in await words_of(operator, "/schedules")
    answer = await operator.post("/schedules", data=form(note="by night"))
    assert (answer.status_code, answer.headers.get("location")) == (303, "/schedules"), answer.text
    (record,) = await json_of(operator, "/api/schedules")
    assert (record["name"], record["tenants"], record["selection_name"]) == ("nightly", "all tenants", POLICIES)
    assert (record["when"], record["note"]) == ("mon-fri 06:30 Europe/Berlin", "by night")
    page = await words_of(operator, "/schedules")
    assert "mon-fri 06:30 Europe/Berlin" in page
    assert f"No worker is polling task queue &#39;{queue}&#39;" in page

    assert "\r\nnightly,all tenants," in await words_of(operator, "/schedules.csv")
    edit = "/schedules/edit?name=nightly"
    edit_page = await words_of(operator, edit)
    assert 'value="mon-fri 06:30"' in edit_page
    assert 'value="Europe/Berlin"' in edit_page
    await operator.post("/schedules/act", data=act("nightly", "pause", reason="maintenance"))
    assert "It is paused: nothing starts" in await words_of(operator, edit)
    changed = form(is_new="false", how="every", every="2h", time_zone="", whom="some", tenant=str(CONTOSO))
    assert (await operator.post("/schedules", data=changed)).status_code == 303
    found = await described(client, queue)
    assert found.schedule.state.paused, "a change does not resume it"
    assert found.schedule.spec.intervals[0].every.total_seconds() == 7200
    assert "Contoso" in await words_of(operator, "/schedules")
    await operator.post("/schedules/act", data=act("nightly", "resume"))
    assert not (await described(client, queue)).schedule.state.paused
    (resumed,) = await json_of(operator, "/api/schedules")
    assert resumed["note"] is None, "nobody gave a note"
    await operator.post("/schedules/act", data=act("nightly", "trigger"))

    async def has_started() -> bool:
        return (await described(client, queue)).info.num_actions == 1

    await until_async(has_started)
    assert (await operator.post("/schedules/act", data=act("nightly", "delete", confirmed=""))).status_code == 400
    await operator.post("/schedules/act", data=act("nightly", "delete"))
    assert await json_of(operator, "/api/schedules") == []
    await words_of(operator, edit, 404)
    assert await audit_records(database) == [
        (Action.SCHEDULE_CHANGED, "schedule nightly: made"),
        (Action.SCHEDULE_CHANGED, "schedule nightly: pause"),
        (Action.SCHEDULE_CHANGED, "schedule nightly: changed"),
        (Action.SCHEDULE_CHANGED, "schedule nightly: resume"),
        (Action.SCHEDULE_CHANGED, "schedule nightly: trigger"),
        (Action.SCHEDULE_DELETED, "schedule nightly: delete"),
    ]


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"name": "no name"}, "is not a schedule&#39;s name"),
        ({"calendar": "someday"}, "Time of day: &#39;someday&#39; is not a time"),
        ({"how": "every", "time_zone": ""}, "Interval: &#39;&#39; is not a duration"),
        ({"how": "cron", "cron": "* *"}, "Cron takes five fields"),
        ({"how": "cron", "cron": "x x x x x"}, "Temporal does not take this schedule"),
        ({"time_zone": "Moon/Sea"}, "Time zone: &#39;Moon/Sea&#39; is not known"),
        ({"jitter": "2d"}, "Random delay: 2d is not between"),
        ({"at_once": "0"}, "a number from 1 to"),
        ({"whom": "some"}, "or some by name or tag"),
        ({"whom": "some", "tag": "moon"}, "no tenant of yours has the tag"),
        ({"note": "a\nb"}, "note: holds a control character"),
    ],
)
async def test_invalid_form_creates_no_schedule(
    clients: Clients, client: Client, fields: dict[str, str], words: str
) -> None:
    answer = await clients[Role.OPERATOR].post("/schedules", data=form(**fields))
    assert answer.status_code == 400
    assert words.casefold() in answer.text.casefold()
    assert await json_of(clients[Role.READER], "/api/schedules") == []


async def test_new_schedule_with_a_used_name_is_refused(clients: Clients, client: Client) -> None:
    operator = clients[Role.OPERATOR]
    await operator.post("/schedules", data=form())
    answer = await operator.post("/schedules", data=form(calendar="22:00"))
    assert (answer.status_code, "already" in answer.text) == (400, True)
    (record,) = await json_of(operator, "/api/schedules")
    assert record["when"].startswith("mon-fri 06:30")


async def test_readers_see_schedules_and_may_not_change_them(
    clients: Clients, client: Client, database: Database
) -> None:
    await clients[Role.OPERATOR].post("/schedules", data=form())
    reader = clients[Role.READER]
    page = await words_of(reader, "/schedules")
    assert "nightly" in page
    assert "/schedules/edit" not in page
    assert (await reader.get("/schedules/edit")).status_code == 403
    assert (await reader.post("/schedules", data=form("other"))).status_code == 403
    assert (await reader.post("/schedules/act", data=act("nightly", "pause"))).status_code == 403
    assert len(await audit_records(database)) == 1


async def test_limited_operator_changes_only_schedules_of_visible_tenants(
    clients: Clients, client: Client, database: Database
) -> None:
    everybody, limited = clients[Role.ADMIN], clients[Role.OPERATOR]
    await hide(database, FABRIKAM)
    both = [str(CONTOSO), str(FABRIKAM)]
    for name, fields in (
        ("all", {}),
        ("both", {"whom": "some", "tenant": both}),
        ("theirs", {"whom": "some", "tenant": str(FABRIKAM)}),
        ("mine", {"whom": "some", "tenant": str(CONTOSO)}),
    ):
        assert (await everybody.post("/schedules", data=form(name, **fields))).status_code == 303, name
    records = await json_of(limited, "/api/schedules")
    assert [record["name"] for record in records] == ["all", "both", "mine"]
    assert "Fabrikam" not in str(records)
    assert "Fabrikam" not in await words_of(limited, "/schedules/edit?name=both")
    await words_of(limited, "/schedules/edit?name=theirs", 404)
    for name, status in (("all", 400), ("both", 400), ("theirs", 404), ("mine", 303)):
        assert (await limited.post("/schedules/act", data=act(name, "pause"))).status_code == status, name
        mine = form(name, is_new="false", whom="some", tenant=str(CONTOSO))
        assert (await limited.post("/schedules", data=mine)).status_code == status, name
    for fields in ({}, {"whom": "some", "tag": "emea"}, {"whom": "some", "tenant": both}):
        assert (await limited.post("/schedules", data=form("new", **fields))).status_code == 400, fields
    assert [record["paused"] for record in await json_of(everybody, "/api/schedules")] == [False, False, True, False]


@pytest.mark.parametrize("address", ["/schedules", "/schedules/edit?name=nightly"])
async def test_pages_wait_briefly_for_a_silent_temporal(
    database: Database, database_url: str, tenants_file: Path, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    monkeypatch.setattr(routes, "PAGE_WAITS_SECONDS", 0.01)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        app = page_beside(f"127.0.0.1:{silent.getsockname()[1]}", database, database_url, tenants_file)
        async with signed_in_as(app, database, person_of(Role.OPERATOR)) as client:
            is_list = address == "/schedules"
            page = await words_of(client, address, 200 if is_list else 503)
    assert "within 0.01 seconds; check that it is up" in page
    assert ("Which schedules there are is not known: Temporal does not answer" in page) == is_list
    for claim in ("No schedule yet", "0 schedules"):
        assert claim not in page


def test_choice_by_tag_or_everyone_requires_access_to_all_tenants() -> None:
    mine, other = uuid4(), uuid4()
    some = TenantChoice(tenant_ids=(mine,))
    assert rights(some, [mine], [mine], sees_all=False) == Rights(may_see=True, may_change=True)
    assert rights(some, [mine, other], [mine], sees_all=False) == Rights(may_see=True, may_change=False)
    assert rights(some, [other], [mine], sees_all=False) == Rights(may_see=False, may_change=False)
    for chosen in (TenantChoice(everyone=True), TenantChoice(tags=("emea",))):
        assert rights(chosen, [mine], [mine], sees_all=False) == Rights(may_see=True, may_change=False)
        assert rights(chosen, [mine, other], [mine, other], sees_all=True) == Rights(may_see=True, may_change=True)


def test_form_shows_a_schedules_start_times() -> None:
    assert timing("2h", "") == StartTimes("every", every="2h")
    assert timing(None, "mon-fri 06:30") == StartTimes("calendar", calendar="mon-fri 06:30")
    assert timing(None, "0 * * * *") == StartTimes("cron", cron="0 * * * *")
