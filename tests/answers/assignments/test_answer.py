"""Assignments: ids in any letter case, old details, unread collections."""

from datetime import timedelta
from typing import Any
from uuid import UUID

from answers.assignments import answer
from answers.assignments.records import ItemAssignment
from answers.dependencies.records import CannotSayRecord
from inventory.error_codes import ErrorCode
from inventory.outcomes import Outcome, RunStatus
from storage.database import Database
from tests.answers.dependencies.test_answer import CONFIGURATIONS, FILTERS, GROUPS, configuration, group, target
from tests.storage.support import age_details, observation, sync

TENANT = UUID(int=92)
APPS, SETS = "mobileApps", "policySets"
GROUP, FILTER, SET = (f"0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f{digit}" for digit in "123")


def app(external_id: str, *assignments: dict[str, Any]) -> Any:
    return observation(APPS, external_id, displayName=external_id, assignments=list(assignments), relationships=[])


async def assignments_and_gaps(
    database: Database, sought: str | None = None
) -> tuple[list[ItemAssignment], list[tuple[str, str, int | None]]]:
    """The assignments, and the reasons other than `never_read` why more may exist."""
    async with database.tenant(TENANT, read_only=True) as session:
        found = [record async for record in answer.assignments(session, TENANT, sought)]
    left_open = [record for record in found if isinstance(record, CannotSayRecord) and record.reason != "never_read"]
    return (
        [record for record in found if isinstance(record, ItemAssignment)],
        [(record.type_key, record.reason, record.references) for record in left_open],
    )


async def test_names_are_found_by_ids_in_any_letter_case(database: Database) -> None:
    by_set = {**target("group", GROUP.upper(), filtered_by=FILTER.upper()), "intent": "required"}
    by_set |= {"source": "policySets", "sourceId": SET.upper()}
    items = [
        group(GROUP),
        observation(FILTERS, FILTER, displayName="Windows 11"),
        observation(SETS, SET, displayName="Office", assignments=[]),
        app("a", by_set),
    ]
    await sync(database, TENANT, items, APPS, FILTERS, GROUPS, SETS)
    (found,), _ = await assignments_and_gaps(database, "a")
    assert (found.target_id, found.filter_id, found.policy_set_id) == (GROUP, FILTER, SET)
    assert (found.target_name, found.filter_name, found.policy_set_name) == (f"Group {GROUP}", "Windows 11", "Office")
    assert "Windows 11" in found.text
    assert "Office" in found.text
    assert f"Group {GROUP}" in found.text


async def test_assignments_from_old_details_are_uncertain(database: Database) -> None:
    await sync(database, TENANT, [app("a"), app("b"), configuration("c")], APPS, CONFIGURATIONS)
    assert (await assignments_and_gaps(database))[1] == []
    await age_details(database, TENANT, timedelta(days=3), APPS, CONFIGURATIONS)
    old = (APPS, "old_details", 2)
    assert (await assignments_and_gaps(database))[1] == [old]
    assert (await assignments_and_gaps(database, "a"))[1] == [old]
    assert (await assignments_and_gaps(database, "c"))[1] == [], "its list shows its assignments"
    async with database.tenant(TENANT, read_only=True) as session:
        page = await answer.assignment_page(session, TENANT, None, [APPS], after=None, most=1)
    assert [record.reason for record in page.cannot_say] == ["old_details"]


async def test_collection_unread_by_the_latest_run_is_named(database: Database) -> None:
    items = [app("a"), configuration("c")]
    await sync(database, TENANT, items, APPS, CONFIGURATIONS)
    outcomes = {APPS: (Outcome.FAILED, ErrorCode.GRAPH_PERMISSION_MISSING), CONFIGURATIONS: (Outcome.COMPLETE, None)}
    await sync(database, TENANT, items[1:], *outcomes, status=RunStatus.PARTIAL, outcomes=outcomes)
    unread = (APPS, "failed:graph_permission_missing", None)
    found, left_open = await assignments_and_gaps(database)
    assert [record.external_id for record in found] == ["c", "a"], "as an earlier run listed it"
    assert left_open == [unread]
    assert (await assignments_and_gaps(database, "a"))[1] == [unread]
    assert (await assignments_and_gaps(database, "c"))[1] == [], "its own collection was read"
    async with database.tenant(TENANT, read_only=True) as session:
        page = await answer.assignment_page(session, TENANT, None, [APPS], after=None, most=1)
        first = await answer.first_assignments(session, TENANT, None, [APPS, CONFIGURATIONS], 8)
    assert [record.reason for record in page.cannot_say] == [unread[1]]
    assert first.unread == 1
