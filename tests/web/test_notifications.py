"""Notifications on the web page: sent, pending and failed, and the snoozes of operators."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import text

from answers.notifications import routes
from answers.notifications.outbox import snooze, snoozes
from inventory.notifications import AddressedEvent, NotificationEvent, NotificationKind, NotificationState
from inventory.people import Role
from inventory.severity import Severity
from storage import notifications
from storage.database import Database
from tests.storage.support import observation, sync
from tests.web.page_text import next_of, rows_of, text_of
from tests.web.support import CONTOSO, FABRIKAM, HOSTILE, POLICIES, json_of, words_of

Clients = dict[Role, httpx.AsyncClient]

PAGE = f"/tenants/{CONTOSO}/notifications"
SNOOZES = f"/tenants/{CONTOSO}/snoozes"


def event(words: str, kind: NotificationKind = NotificationKind.CHANGE) -> NotificationEvent:
    return NotificationEvent(
        kind=kind, severity=Severity.HIGH, key=words, text=words, type_key=POLICIES, external_id="a"
    )


async def record_events(database: Database, tenant_id: UUID, *words: str, target: str = "ops") -> UUID:
    """Records events of a new run for a target; returns the run's id."""
    await sync(database, tenant_id, [observation(POLICIES, "a", name="one")], POLICIES)
    async with database.tenant(tenant_id) as session:
        newest = text("SELECT run_id FROM sync_run ORDER BY queued_at DESC LIMIT 1")
        run_id: UUID = (await session.execute(newest)).scalar_one()
        await notifications.note(session, run_id, run_id, [AddressedEvent(target, event(title)) for title in words])
    return run_id


async def record_attempt(database: Database, state: NotificationState, answer: str) -> None:
    """Claims Contoso's next message and records its result."""
    async with database.tenant(CONTOSO) as session:
        group = await notifications.claim(session, "ops", timedelta(minutes=1))
        assert group is not None
        await notifications.mark(session, group, state, answer, retry_limit=timedelta(days=1))


def form(**fields: str) -> dict[str, str]:
    until = (datetime.now(UTC) + timedelta(days=3)).isoformat()
    return {"request_id": str(uuid4()), "confirmed": "yes", "until": until, "reason": "migration", **fields}


async def acts(database: Database) -> list[tuple[Any, ...]]:
    async with database.no_tenant() as session:
        found = await session.execute(
            text("SELECT action, person_id, reason FROM audit_record WHERE action LIKE 'snooz%' ORDER BY at")
        )
        return [tuple(row) for row in found]


async def active_snoozes(database: Database) -> list[tuple[Any, ...]]:
    async with database.tenant(CONTOSO) as session:
        return [
            (record.kind, record.type_key, record.external_id, record.snoozed_by) for record in await snoozes(session)
        ]


async def test_page_shows_notifications_with_target_state_and_error(database: Database, clients: Clients) -> None:
    await record_events(database, CONTOSO, "was told")
    await record_attempt(database, NotificationState.SENT, "answered 204")
    await record_events(database, CONTOSO, HOSTILE)
    await record_attempt(database, NotificationState.FAILED, f"answered 404 {HOSTILE}")
    run_id = await record_events(database, CONTOSO, "waits still")
    await record_events(database, FABRIKAM, "is of another")

    page = await words_of(clients[Role.READER], PAGE)
    assert HOSTILE not in page
    rows = rows_of(page)
    for row, state in zip(rows, ("▲ pending", "✕ failed answered 404", "✓ sent"), strict=True):
        assert f"high ops {state}" in row
    assert "answered 204" not in page
    assert "1 pending, 1 failed" in text_of(page)
    assert f"/tenants/{CONTOSO}/runs/{run_id}" in page
    assert "is of another" not in page
    assert '<form class="act"' not in page, "a reader snoozes nothing"

    for state in NotificationState:
        assert f'<option value="{state}">{state}</option>' in page
    only = rows_of(await words_of(clients[Role.READER], f"{PAGE}?state=failed"))
    assert len(only) == 1
    everybody = rows_of(await words_of(clients[Role.READER], "/notifications"))
    assert ["Fabrikam" in row for row in everybody] == [True, False, False, False]
    records = await json_of(clients[Role.READER], f"/api{PAGE}")
    assert [record["state"] for record in records] == ["pending", "failed", "sent"]
    assert (await words_of(clients[Role.READER], f"{PAGE}.csv")).count("\r\n") == 4


async def test_page_without_notifications_explains_how_to_test_targets(clients: Clients) -> None:
    assert "starter.py notify test" in await words_of(clients[Role.READER], PAGE)


@pytest.mark.parametrize("of_all", [False, True])
async def test_notifications_are_paginated(
    database: Database, clients: Clients, monkeypatch: pytest.MonkeyPatch, of_all: bool
) -> None:
    monkeypatch.setattr(routes, "PAGE", 2)
    address = "/notifications" if of_all else PAGE
    await record_events(database, CONTOSO, *(f"event {number}" for number in range(5)))
    titles: list[str] = []
    query = "?"
    while query:
        page = await words_of(clients[Role.READER], address + query)
        titles += [row.partition(" run ")[0] for row in rows_of(page)]
        query = next_of(page)
    assert titles == [f"event {number}" for number in reversed(range(5))]
    for made_up in ("x", "a/b/c/d", f"2026-01-01/{CONTOSO}/ops/zz"):
        assert (await clients[Role.READER].get(address, params={"after": made_up})).status_code == 400


async def test_operator_begins_and_ends_a_snooze_once(database: Database, clients: Clients) -> None:
    await record_events(database, CONTOSO, "before")
    sent = form(kind="change", type=POLICIES, item="a")
    for _ in range(2):
        answer = await clients[Role.OPERATOR].post(SNOOZES, data=sent)
        assert (answer.status_code, answer.headers["location"]) == (303, PAGE)
    assert await active_snoozes(database) == [("change", POLICIES, "a", "the operator")]
    assert await acts(database) == [("snoozed", "local/operator", "migration")]

    page = await words_of(clients[Role.OPERATOR], PAGE)
    assert "migration" in page
    await record_events(database, CONTOSO, "not to be told")
    assert "○ snoozed" in rows_of(await words_of(clients[Role.READER], PAGE))[0]

    (record,) = await json_of(clients[Role.READER], f"/api{SNOOZES}")
    for _ in range(2):
        end = {"request_id": str(uuid4()), "confirmed": "yes", "snooze_id": record["snooze_id"]}
        assert (await clients[Role.OPERATOR].post(f"{SNOOZES}/end", data=end)).status_code == 303
    assert await active_snoozes(database) == []
    assert [action for action, *_ in await acts(database)] == ["snoozed", "snooze_ended"]


@pytest.mark.parametrize(
    ("changed", "status", "message"),
    [
        ({"confirmed": ""}, 400, "not ticked"),
        ({"until": "yesterday"}, 400, "in the future"),
        ({"until": "whenever"}, 400, "is not a time"),
        ({"until": "9999-01-01"}, 400, "a year at most"),
        ({"reason": " "}, 422, "reason"),
        ({"type": "nonsense"}, 400, "no collection"),
        ({"kind": "nonsense"}, 422, "Check kind: must be one of: run_failed, run_partial, "),
        ({"item": "nobody"}, 400, "o item has the id"),
        ({"item": "nobody", "type": POLICIES}, 404, "no item"),
    ],
)
async def test_invalid_form_changes_nothing(
    database: Database, clients: Clients, changed: dict[str, str], status: int, message: str
) -> None:
    await record_events(database, CONTOSO, "before")
    answer = await clients[Role.OPERATOR].post(SNOOZES, data=form(**changed))
    assert (answer.status_code, message in answer.text) == (status, True), answer.text
    assert await active_snoozes(database) == []
    assert await acts(database) == []


async def test_reader_may_not_begin_or_end_a_snooze(database: Database, clients: Clients) -> None:
    await record_events(database, CONTOSO, "before")
    async with database.tenant(CONTOSO) as session:
        record = await snooze(session, datetime.now(UTC) + timedelta(days=1), "why", "ada")
    assert (await clients[Role.READER].post(SNOOZES, data=form())).status_code == 403
    end = {"request_id": str(uuid4()), "confirmed": "yes", "snooze_id": str(record.snooze_id)}
    assert (await clients[Role.READER].post(f"{SNOOZES}/end", data=end)).status_code == 403
    assert len(await active_snoozes(database)) == 1


async def test_snooze_of_another_tenant_is_not_ended(database: Database, clients: Clients) -> None:
    await record_events(database, FABRIKAM, "theirs")
    async with database.tenant(FABRIKAM) as session:
        record = await snooze(session, datetime.now(UTC) + timedelta(days=1), "why", "ada")
    end = {"request_id": str(uuid4()), "confirmed": "yes", "snooze_id": str(record.snooze_id)}
    await clients[Role.OPERATOR].post(f"{SNOOZES}/end", data=end)
    async with database.tenant(FABRIKAM) as session:
        assert len(await snoozes(session)) == 1
    assert await acts(database) == []
