"""Audit events found by object id and time."""

from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from answers.changes.audit import CLOCK_DIFFERENCE
from answers.changes.audit_queries import audit_events
from graph.catalog import AUDIT_EVENTS
from storage.database import Database
from tests.storage.support import AUDITED_AT, audit_event, observation, sync

TENANT = uuid4()


async def found(
    database: Database, *ids: str, after: datetime | None = None, until: datetime = AUDITED_AT
) -> dict[str, list[str]]:
    async with database.tenant(TENANT, read_only=True) as session:
        events = await audit_events(session, ids, after, until)
    return {object_id: [event.event_id for event in of_object] for (_, object_id), of_object in events.items()}


async def test_an_event_is_found_by_each_object_it_names(database: Database) -> None:
    await sync(database, TENANT, [audit_event("e", "1", "2"), audit_event("f", "3")], AUDIT_EVENTS)
    assert await found(database, "1", "2", "4") == {"1": ["e"], "2": ["e"]}


async def test_an_event_has_an_actor_operation_and_result(database: Database) -> None:
    await sync(database, TENANT, [audit_event("e", "1", activityDateTime="2026-03-02T09:30:00.1234567Z")], AUDIT_EVENTS)
    async with database.tenant(TENANT, read_only=True) as session:
        (event,) = (await audit_events(session, ["1"], None, AUDITED_AT))[AUDIT_EVENTS, "1"]
    assert event.model_dump() == {
        "event_id": "e",
        "at": AUDITED_AT + timedelta(microseconds=123457),
        "actor": "ada@contoso.example",
        "actor_id": "u1",
        "operation": "Patch",
        "activity": "Patch DeviceConfiguration",
        "result": "Success",
    }


@pytest.mark.parametrize(
    ("actor", "name", "actor_id"),
    [
        ({"userPrincipalName": None, "applicationDisplayName": "Autopilot", "applicationId": "a1"}, "Autopilot", "a1"),
        ({"servicePrincipalName": "sync service"}, "sync service", None),
        ({"userPrincipalName": {"odd": 1}, "userId": 7}, None, None),
        ("nobody", None, None),
        (None, None, None),
    ],
)
async def test_the_actor_may_be_an_application_or_unknown(
    database: Database, actor: Any, name: str | None, actor_id: str | None
) -> None:
    await sync(database, TENANT, [audit_event("e", "1", actor=actor)], AUDIT_EVENTS)
    async with database.tenant(TENANT, read_only=True) as session:
        (event,) = (await audit_events(session, ["1"], None, AUDITED_AT))[AUDIT_EVENTS, "1"]
    assert (event.actor, event.actor_id) == (name, actor_id)


async def test_events_are_selected_by_time_within_the_clock_difference(database: Database) -> None:
    hours = [AUDITED_AT + timedelta(hours=hour) for hour in range(4)]
    await sync(database, TENANT, [audit_event(str(n), "1", at=at) for n, at in enumerate(hours)], AUDIT_EVENTS)
    assert await found(database, "1", until=hours[3]) == {"1": ["3", "2", "1", "0"]}, "newest first"
    assert await found(database, "1", after=hours[1], until=hours[2]) == {"1": ["2", "1"]}
    just_within = {"after": hours[1] + CLOCK_DIFFERENCE, "until": hours[2] - CLOCK_DIFFERENCE}
    assert await found(database, "1", **just_within) == {"1": ["2", "1"]}
    beyond = timedelta(seconds=1)
    outside = {"after": just_within["after"] + beyond, "until": just_within["until"] - beyond}
    assert await found(database, "1", **outside) == {}


@pytest.mark.parametrize(
    "properties",
    [
        {"activityDateTime": "yesterday"},
        {"activityDateTime": "2026-02-30T00:00:00Z"},
        {"activityDateTime": "2026-02-28T00:00:00+99:00Z"},
        {"activityDateTime": 7},
        {"activityDateTime": None},
        {"resources": None},
        {"resources": "1"},
        {"resources": [{"resourceId": None}, {"resourceId": ""}, {"resourceId": "\U0001f600" * 1000}, "1"]},
        {"resources": [{"resourceId": {"odd": "1"}}, {"resourceId": "1"}]},
    ],
)
async def test_an_event_without_usable_ids_or_time_is_still_stored(
    database: Database, properties: dict[str, Any]
) -> None:
    merged = await sync(
        database, TENANT, [audit_event("e", "1", **properties), audit_event("f", "1")], AUDIT_EVENTS, "groups"
    )
    assert merged.created == 2
    assert await found(database, "1") == {"1": ["f"]}


async def test_events_of_an_earlier_release_are_found_after_a_new_listing(
    database: Database,
) -> None:
    event = audit_event("e", "1")
    await sync(database, TENANT, [event._replace(meta={})], AUDIT_EVENTS)
    assert await found(database, "1") == {}
    merged = await sync(database, TENANT, [event], AUDIT_EVENTS)
    assert merged.unchanged == 1
    assert await found(database, "1") == {"1": ["e"]}
    await sync(database, TENANT, [event], AUDIT_EVENTS)
    assert await found(database, "1") == {"1": ["e"]}


async def test_other_items_are_not_found_as_audit_events(database: Database) -> None:
    event = audit_event("e", "1")
    await sync(database, TENANT, [observation("groups", "g")._replace(meta=event.meta)], "groups")
    assert await found(database, "1") == {}
