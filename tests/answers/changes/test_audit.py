"""The audit events that explain an observed change."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from answers.changes.audit import CLOCK_DIFFERENCE, Attribution, AuditAction, AuditEvent, AuditStatus, attribution
from graph.catalog import AUDIT_EVENTS, DIRECTORY_AUDITS
from inventory.coverage import Coverage
from inventory.outcomes import Outcome

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def event(operation: str | None, at: datetime = NOON, result: str | None = "Success", name: str = "e") -> AuditEvent:
    return AuditEvent(
        event_id=name, at=at, actor="ada", actor_id=None, operation=operation, activity=None, result=result
    )


def log(listed_from: datetime | None) -> Coverage:
    listed = dict.fromkeys(("first_listed_at", "listed_from", "listed_at"), listed_from)
    return Coverage.model_validate(
        {
            "type_key": "auditEvents",
            "run_id": uuid4(),
            "run_started_at": listed_from or NOON,
            "outcome": Outcome.COMPLETE if listed_from else Outcome.SKIPPED,
            "error_code": None,
            "listed_run_id": None,
            "listed_cleanly": None,
            **listed,
        }
    )


READ = log(NOON + HOUR)


@pytest.mark.parametrize(
    ("action", "explained_by"),
    [
        (AuditAction.APPEARED, {"Create", "create", "Add"}),
        (AuditAction.GONE, {"Delete"}),
        (AuditAction.CHANGED, {"Patch", "Action", "Assign", "SetReference", "RemoveReference", "Update"}),
    ],
)
def test_an_events_operation_decides_which_changes_it_explains(action: AuditAction, explained_by: set[str]) -> None:
    changing = {"Patch", "Action", "Assign", "SetReference", "RemoveReference", "Update"}
    operations = {"Create", "create", "Add", "Delete", "Get", *changing}
    found = {
        operation
        for operation in operations
        if attribution([event(operation)], action, NOON, NOON, READ, log=AUDIT_EVENTS).events
    }
    assert found == explained_by
    assert not attribution([event(None), event("")], action, NOON, NOON, READ, log=AUDIT_EVENTS).events


@pytest.mark.parametrize("operation", ["Update", "Add", "Other", "", None])
@pytest.mark.parametrize(
    "activity",
    ["Restore Group", "Restore application", "Restore service principal", "Restore administrative unit"],
)
def test_restore_events_with_any_operation_explain_an_appearance(activity: str, operation: str | None) -> None:
    restored = event(operation).model_copy(update={"activity": activity})
    assert {
        action
        for action in AuditAction
        if attribution([restored], action, NOON, NOON, READ, log=DIRECTORY_AUDITS).events
    } == {AuditAction.APPEARED}


def test_a_restored_consent_is_a_change_of_its_service_principal() -> None:
    restored = event("Update").model_copy(update={"activity": "Restore consent"})
    assert attribution([restored], AuditAction.CHANGED, NOON, NOON, READ, log=DIRECTORY_AUDITS).events
    assert not attribution([restored], AuditAction.APPEARED, NOON, NOON, READ, log=DIRECTORY_AUDITS).events


@pytest.mark.parametrize("result", ["Failure", "ClientError", "", None])
def test_failed_operations_explain_nothing(result: str | None) -> None:
    events = [event("Patch", result=result)]
    assert attribution(events, AuditAction.CHANGED, NOON, NOON, READ, log=AUDIT_EVENTS) == Attribution(
        status=AuditStatus.NOT_FOUND, log=AUDIT_EVENTS
    )


@pytest.mark.parametrize(
    ("covered", "status"),
    [
        (None, AuditStatus.NOT_READ),
        (log(None), AuditStatus.NOT_READ),
        (log(NOON - HOUR), AuditStatus.NOT_READ),
        (log(NOON), AuditStatus.NOT_FOUND),
        (READ, AuditStatus.NOT_FOUND),
    ],
)
def test_not_found_needs_a_log_listing_begun_after_the_observation(
    covered: Coverage | None, status: AuditStatus
) -> None:
    assert attribution([], AuditAction.CHANGED, NOON - HOUR, NOON, covered, log=AUDIT_EVENTS).status is status
    known = attribution([event("Patch")], AuditAction.CHANGED, NOON - HOUR, NOON, covered, log=AUDIT_EVENTS)
    assert known.status is AuditStatus.FOUND, "an event that was read explains the change, though others are unread"


def test_an_object_without_an_audit_log_is_not_audited() -> None:
    for events in ([], [event("Delete")]):
        found = attribution(events, AuditAction.GONE, NOON, NOON, READ, log=None)
        assert found == Attribution(status=AuditStatus.NOT_AUDITED), "the event is about another object"


@given(
    st.lists(st.tuples(st.integers(-200, 200), st.sampled_from(["Patch", "Create", "Delete", "Get"]), st.booleans())),
    st.sampled_from(AuditAction),
    st.none() | st.integers(-100, 50),
    st.integers(50, 100),
)
def test_exactly_the_matching_events_in_the_window_are_named_newest_first(
    drawn: list[tuple[int, str, bool]], action: AuditAction, after: int | None, until: int
) -> None:
    events = [
        event(operation, NOON + timedelta(minutes=minute), "Success" if succeeded else "Failure", str(number))
        for number, (minute, operation, succeeded) in enumerate(drawn)
    ]
    window = (None if after is None else NOON + timedelta(minutes=after), NOON + timedelta(minutes=until))
    answer = attribution(events, action, *window, READ, log=AUDIT_EVENTS)

    slack = CLOCK_DIFFERENCE // timedelta(minutes=1)
    operation = {AuditAction.APPEARED: "Create", AuditAction.GONE: "Delete", AuditAction.CHANGED: "Patch"}[action]
    expected = {
        str(number)
        for number, (minute, what, succeeded) in enumerate(drawn)
        if succeeded and what == operation and minute <= until + slack and (after is None or minute >= after - slack)
    }
    assert {entry.event_id for entry in answer.events} == expected
    assert (answer.status is AuditStatus.FOUND) == bool(expected)
    assert [entry.at for entry in answer.events] == sorted((entry.at for entry in answer.events), reverse=True)
    assert answer.latest == (answer.events[0] if answer.events else None)
