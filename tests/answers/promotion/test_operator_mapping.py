"""Operators map references to objects that documents name by an alternate key, or that no run has read."""

from typing import Any
from uuid import UUID

import pytest

from storage.database import Database
from storage.references import catch_up
from tests.answers.promotion.plan_application import COLLECTIONS, SOURCE, TARGET, Documents, read
from tests.answers.promotion.test_command import plan_items, promote
from tests.cli.command_line import CommandResult, Terminal

__all__ = ["promote"]

ACCESS, PRINCIPALS = "conditionalAccessPolicies", "servicePrincipals"
OWN_APP_HERE, OWN_APP_THERE, UNREAD_APP = (f"{number}0000000-0000-4000-9000-000000000000" for number in (1, 2, 3))
DELETED_GROUP, STAFF_THERE = (f"{number}0000000-0000-4000-b000-000000000000" for number in (1, 2))


def principal(number: int, app_id: str, name: str) -> dict[str, Any]:
    return {"id": f"{number}0000000-0000-4000-a000-000000000000", "appId": app_id, "displayName": name}


def access(number: int, name: str, app_id: str, *excluded: str) -> dict[str, Any]:
    return {
        "id": f"{number}0000000-0000-4000-8000-000000000000",
        "displayName": name,
        "state": "enabled",
        "conditions": {
            "applications": {"includeApplications": [app_id]},
            "users": {"includeUsers": ["All"], "excludeGroups": list(excluded)},
            "clientAppTypes": ["all"],
        },
        "grantControls": {"operator": "OR", "builtInControls": ["mfa"]},
    }


async def two_tenants(database: Database) -> None:
    here = {
        ACCESS: [access(1, "Own app", OWN_APP_HERE), access(2, "Unread app", UNREAD_APP, DELETED_GROUP)],
        PRINCIPALS: [principal(1, OWN_APP_HERE, "Portal")],
        "groups": [],
    }
    there = {
        ACCESS: [],
        PRINCIPALS: [principal(2, OWN_APP_THERE, "Portal EU")],
        "groups": [{"id": STAFF_THERE, "displayName": "Staff"}],
    }
    await run(database, SOURCE, here)
    await run(database, TARGET, there)


async def run(database: Database, tenant_id: UUID, documents: Documents) -> None:
    """A run that stores its references at the end."""
    await read(database, tenant_id, documents)
    await catch_up(database, tenant_id, {key: COLLECTIONS[key].reading_rules for key in documents})


pytestmark = pytest.mark.filled.with_args(two_tenants)


async def mapping(promote: Terminal, type_key: str, source: str, target: str) -> dict[str, Any]:
    words = ("--type", type_key, "--from", source, "--to", target, "--reason", "CHG-7", "--json")
    result = await promote("map", "golden", "branch", *words)
    assert result.code == 0, result.stderr
    (record,) = result.objects()
    return dict(record)


async def planned(promote: Terminal, name: str) -> dict[str, Any]:
    items, _ = await plan_items(promote, "--type", ACCESS)
    return next(item for item in items if item["title"] == name)


@pytest.mark.parametrize(
    ("source", "target"),
    [(OWN_APP_HERE, OWN_APP_THERE), ("Portal", "Portal EU"), (OWN_APP_HERE.upper(), "Portal EU")],
)
async def test_an_app_referenced_by_its_app_id_is_mapped(promote: Terminal, source: str, target: str) -> None:
    before = await planned(promote, "Own app")
    assert [reason["code"] for reason in before["reasons"]] == ["reference_unresolved"]
    assert "use promote map" in before["reasons"][0]["unblocked_by"]
    record = await mapping(promote, PRINCIPALS, source, target)
    assert record["source_id"] == principal(1, "", "")["id"], "the same item under either name"
    after = await planned(promote, "Own app")
    assert after["action"] == "create"
    assert after["requests"][0]["body"]["conditions"]["applications"]["includeApplications"] == [OWN_APP_THERE]


async def test_objects_known_only_from_references_are_mapped(promote: Terminal) -> None:
    """The blocked item's reasons advise it: no run has read the app, and the group is deleted."""
    before = await planned(promote, "Unread app")
    assert len(before["reasons"]) == 2
    assert all("use promote map" in reason["unblocked_by"] for reason in before["reasons"])
    await mapping(promote, PRINCIPALS, UNREAD_APP, OWN_APP_THERE)
    await mapping(promote, "groups", DELETED_GROUP, "Staff")
    conditions = [
        request["body"]["conditions"]
        for request in (await planned(promote, "Unread app"))["requests"]
        if "conditions" in request["body"]
    ]
    assert [UNREAD_APP in str(sent) or DELETED_GROUP in str(sent) for sent in conditions] == [False] * len(conditions)
    assert conditions[0]["applications"]["includeApplications"] == [OWN_APP_THERE]
    assert [STAFF_THERE] in [sent.get("users", {}).get("excludeGroups") for sent in conditions]


async def test_a_mapping_of_an_unknown_id_is_refused(promote: Terminal) -> None:
    for source, target in ((OWN_APP_THERE, OWN_APP_THERE), (UNREAD_APP, UNREAD_APP)):
        words = ("--type", PRINCIPALS, "--from", source, "--to", target, "--reason", "z")
        result = await promote("map", "golden", "branch", *words)
        assert (result.code, f"servicePrincipals has no item '{source}'" in result.stderr) == (2, True)


@pytest.mark.parametrize("source", [OWN_APP_HERE, "portal", OWN_APP_HERE.upper(), principal(1, "", "")["id"].upper()])
async def test_a_mapping_is_removed_by_any_name_of_its_source(promote: Terminal, source: str) -> None:
    await mapping(promote, PRINCIPALS, "Portal", "Portal EU")
    assert (await removed(promote, PRINCIPALS, source)).code == 0
    assert (await promote("map", "golden", "branch", "--json")).objects() == []


async def test_a_mapping_is_removable_after_its_source_is_read_or_unreferenced(
    promote: Terminal, database: Database
) -> None:
    await mapping(promote, PRINCIPALS, UNREAD_APP, OWN_APP_THERE)
    await mapping(promote, "groups", DELETED_GROUP, "Staff")
    await run(database, SOURCE, {ACCESS: [], PRINCIPALS: [principal(3, UNREAD_APP, "Read since")]})
    assert (await removed(promote, PRINCIPALS, UNREAD_APP)).code == 0
    assert (await removed(promote, "groups", DELETED_GROUP.upper())).code == 0


async def removed(promote: Terminal, type_key: str, source: str) -> CommandResult:
    words = ("--type", type_key, "--from", source, "--remove", "--reason", "CHG-8")
    return await promote("map", "golden", "branch", *words)


async def test_an_approval_is_refused_if_the_mapped_app_is_gone(promote: Terminal) -> None:
    await mapping(promote, PRINCIPALS, "Portal", "Portal EU")
    _, record = await plan_items(promote, "--item", "Own app")
    database = Database(promote.environment["DATABASE_URL"])
    await run(database, TARGET, {ACCESS: [], PRINCIPALS: [], "groups": []})
    await database.close()
    result = await promote("approve", "branch", record["plan_id"], "--reason", "CHG-1", LOGNAME="grace")
    assert (result.code, "was gone from the target" in result.stderr) == (4, True)
    again = await planned(promote, "Own app")
    assert (again["action"], again["reasons"][0]["code"]) == ("blocked", "reference_unresolved")


async def test_a_simulation_finds_no_difference_in_mapped_references(promote: Terminal) -> None:
    await mapping(promote, PRINCIPALS, "Portal", "Portal EU")
    await mapping(promote, PRINCIPALS, UNREAD_APP, OWN_APP_THERE)
    await mapping(promote, "groups", DELETED_GROUP, "Staff")
    _, record = await plan_items(promote, "--type", ACCESS)
    *items, summary = (await promote("simulate", "branch", record["plan_id"], "--json")).objects()
    assert (summary["written"], summary["proven"]) == (2, 2)
    assert [(item["compared"], item["differences"], item["again"]) for item in items] == [
        ("same", [], "nothing_to_do")
    ] * 2
