"""`promote` as people and machines see it: plans are made, shown, approved and rejected, and never change."""

from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest
from sqlalchemy import text

from storage.compression import compress, decompress
from storage.database import Database, StorageUnavailableError
from storage.run_retention import forget_plans
from tests.answers.promotion.plan_application import SOURCE, TARGET, read
from tests.cli.command_line import CommandResult, Terminal

POLICIES, FILTERS = "deviceCompliancePolicies", "assignmentFilters"
TENANTS = "".join(
    f'[[tenant]]\nid = "{tenant_id}"\nname = "{name}"\nclient_id = "{SOURCE}"\nclient_secret_env = "S"\n'
    for tenant_id, name in ((SOURCE, "golden"), (TARGET, "branch"))
)
PILOT_HERE, PILOT_THERE, STAFF = (f"{number}0000000-0000-4000-8000-000000000000" for number in (1, 2, 3))


def policy(external_id: str, name: str, group_id: str | None = None, **properties: Any) -> dict[str, Any]:
    target = {"@odata.type": "#microsoft.graph.exclusionGroupAssignmentTarget", "groupId": group_id}
    direct = {"source": "direct", "sourceId": external_id}
    return {
        "@odata.type": "#microsoft.graph.iosCompliancePolicy",
        "id": external_id,
        "displayName": name,
        "passcodeRequired": True,
        "scheduledActionsForRule": [],
        "assignments": [] if group_id is None else [{"id": f"{external_id}_{group_id}", **direct, "target": target}],
        **properties,
    }


def golden(**properties: Any) -> dict[str, list[dict[str, Any]]]:
    return {
        POLICIES: [
            policy("11111111-0000-4000-8000-000000000001", "New", PILOT_HERE, **properties),
            policy("11111111-0000-4000-8000-000000000002", "Changed", passcodeMinimumLength=8),
            policy("11111111-0000-4000-8000-000000000003", "Same"),
            policy("11111111-0000-4000-8000-000000000004", "For staff", STAFF),
        ],
        "groups": [
            {"id": PILOT_HERE, "displayName": "Pilot"},
            {"id": STAFF, "displayName": "Staff"},
        ],
        FILTERS: [],
    }


def branch(**properties: Any) -> dict[str, list[dict[str, Any]]]:
    return {
        POLICIES: [
            policy("22222222-0000-4000-8000-000000000002", "Changed", **{"passcodeMinimumLength": 4, **properties}),
            policy("22222222-0000-4000-8000-000000000003", "Same"),
        ],
        "groups": [{"id": PILOT_THERE, "displayName": "Pilot"}],
        FILTERS: [],
    }


async def two_tenants(database: Database) -> None:
    await read(database, SOURCE, golden())
    await read(database, TARGET, branch())


pytestmark = pytest.mark.filled.with_args(two_tenants)


@pytest.fixture
def promote(filled: None, database_url: str, tmp_path: Path) -> Terminal:
    return Terminal(database_url, tmp_path, "promote", tenants=TENANTS, COLUMNS="200")


async def plan_items(promote: Terminal, *options: str) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    result = await promote("plan", "golden", "branch", *options, "--json")
    *items, record = result.objects()
    return items, record


async def test_a_plan_names_each_items_action_and_requests(promote: Terminal) -> None:
    items, record = await plan_items(promote)
    actions = {item["title"]: item["action"] for item in items}
    assert actions == {"New": "create", "Changed": "update", "Same": "nothing_to_do", "For staff": "blocked"}
    assert record["counts"] == {"create": 1, "update": 1, "nothing_to_do": 1, "blocked": 1, "requests": 3}
    by_title = {item["title"]: item for item in items}
    create, assign = by_title["New"]["requests"]
    (update,) = by_title["Changed"]["requests"]
    assert [create["number"], update["number"], assign["number"]] == [2, 1, 3], (
        "assignments follow when all items exist"
    )
    assert not {"id", "createdDateTime", "assignments"} & create["body"].keys()
    (assignment,) = assign["body"]["assignments"]
    assert assignment["target"] == {
        "@odata.type": "#microsoft.graph.exclusionGroupAssignmentTarget",
        "groupId": PILOT_THERE,
    }
    assert update["body"] == {"@odata.type": "#microsoft.graph.iosCompliancePolicy", "passcodeMinimumLength": 8}
    (field,) = by_title["Changed"]["fields"]
    assert (field["path"], field["before"], field["after"]) == ("passcodeMinimumLength", 4, 8)
    (reason,) = by_title["For staff"]["reasons"]
    assert reason["code"] == "reference_unresolved"
    assert "(exclude)" in reason["text"]
    assert '"Staff"' in reason["text"]


async def test_a_plan_is_printed_as_text(promote: Terminal) -> None:
    result = await promote("plan", "golden", "branch")
    assert result.code == 3
    assert "1 to create, 1 to update, 1 with nothing to do, 1 blocked; 3 requests" in result.stdout
    assert "reference unresolved" in result.stderr
    _, record = await plan_items(promote)
    printed = await promote("show", "branch", record["plan_id"][:13], "--fields", "--requests")
    assert "4 → 8" in printed.stdout
    assert "POST /deviceManagement/deviceCompliancePolicies/{created:" in printed.stdout
    listed = await promote("list", "branch")
    assert listed.stdout.count("open") == 2


async def test_an_item_with_two_reasons_is_not_taken_for_two_items(promote: Terminal, database: Database) -> None:
    note = "an item with several reasons counts for each of them"
    assert note not in (await promote("plan", "golden", "branch")).stderr
    leads = "77777777-0000-4000-8000-000000000001"
    documents = golden()
    documents["groups"].append({"id": leads, "displayName": "Leads"})
    documents[POLICIES][-1] = policy("11111111-0000-4000-8000-000000000004", "For both", STAFF)
    (assignment,) = documents[POLICIES][-1]["assignments"]
    other = {**assignment, "id": f"x_{leads}", "target": {**assignment["target"], "groupId": leads}}
    documents[POLICIES][-1]["assignments"] = [assignment, other]
    await read(database, SOURCE, documents)
    ambiguous = branch()
    ambiguous["groups"] += [{"id": leads.replace("1", number), "displayName": "Leads"} for number in "23"]
    await read(database, TARGET, ambiguous)
    result = await promote("plan", "golden", "branch")
    assert "1 blocked; 3 requests" in result.stdout
    assert result.stderr.splitlines()[0] == note
    assert result.stderr.count("1 item blocked (reference ") == 2
    matrix = await promote("plan", "golden", "--all-tenants")
    assert note in matrix.stderr


async def test_later_runs_do_not_change_a_stored_plan(promote: Terminal) -> None:
    items, record = await plan_items(promote)
    await read_later(promote, passcodeMinimumLength=5)
    *stored_items, again = (await promote("show", "branch", record["plan_id"], "--json")).objects()
    assert (stored_items, again) == (items, record)


async def read_later(promote: Terminal, **properties: Any) -> None:
    database = Database(promote.environment["DATABASE_URL"])
    await read(database, TARGET, branch(**properties))
    await database.close()


async def test_only_another_person_approves_a_plan_and_only_once(promote: Terminal, database: Database) -> None:
    _, record = await plan_items(promote)
    own = await promote("approve", "branch", record["plan_id"], "--reason", "mine")
    assert (own.code, "somebody else approves it" in own.stderr) == (4, True)
    result = await promote("approve", "branch", record["plan_id"], "--reason", "CHG-1", "--json", LOGNAME="grace")
    (approved,) = result.objects()
    assert (approved["state"], approved["decided"]["decided_by"]) == ("approved", "grace")
    assert approved["decided"]["plan_hash"] == record["plan_hash"]
    again = await promote("reject", "branch", record["plan_id"], "--reason", "too late", LOGNAME="grace")
    assert (again.code, "grace approved plan" in again.stderr) == (2, True)
    assert await audited(database) == [
        ("ada", "plan_created", None),
        ("ada", "plan_approval_refused", "ada made the plan; somebody else approves it"),
        ("grace", "plan_approved", "CHG-1"),
    ]


async def audited(database: Database) -> list[tuple[str, str, str | None]]:
    async with database.tenant(TARGET) as session:
        rows = await session.execute(text("SELECT person, action, reason FROM audit_record ORDER BY at"))
        return [(row.person, row.action, row.reason) for row in rows]


async def test_a_rejected_plan_is_never_approved(promote: Terminal) -> None:
    _, record = await plan_items(promote)
    rejected = await promote("reject", "branch", record["plan_id"], "--reason", "too wide", "--json", LOGNAME="grace")
    assert rejected.objects()[0]["state"] == "rejected"
    result = await promote("approve", "branch", record["plan_id"], "--reason", "after all", LOGNAME="grace")
    assert result.code == 2


async def approve(promote: Terminal, record: dict[str, Any]) -> CommandResult:
    return await promote("approve", "branch", record["plan_id"], "--reason", "CHG-1", LOGNAME="grace")


async def test_an_approval_is_refused_if_the_target_has_changed(promote: Terminal) -> None:
    _, record = await plan_items(promote)
    await read_later(promote, description="edited meanwhile")
    result = await approve(promote, record)
    assert (result.code, '"Changed" was changed in the target' in result.stderr) == (4, True)


async def test_an_approval_is_refused_if_a_new_item_exists_in_the_target(promote: Terminal) -> None:
    _, record = await plan_items(promote)
    database = Database(promote.environment["DATABASE_URL"])
    documents = branch()
    documents[POLICIES].append(policy("22222222-0000-4000-8000-00000000000f", "New"))
    await read(database, TARGET, documents)
    await database.close()
    result = await approve(promote, record)
    assert (result.code, '"New" was made in the target' in result.stderr) == (4, True)


async def test_an_approval_is_refused_if_a_referenced_group_is_gone(promote: Terminal) -> None:
    _, record = await plan_items(promote)
    database = Database(promote.environment["DATABASE_URL"])
    await read(database, TARGET, {**branch(), "groups": []})
    await database.close()
    result = await approve(promote, record)
    assert (result.code, '"Pilot" was gone from the target' in result.stderr) == (4, True)


async def test_an_approval_is_refused_if_the_plan_has_expired(promote: Terminal, database_url: str) -> None:
    _, record = await plan_items(promote)
    as_owner(database_url, "UPDATE promotion_plan SET expires_at = clock_timestamp()")
    result = await approve(promote, record)
    assert (result.code, "the plan has expired" in result.stderr) == (4, True)


async def test_a_tampered_plan_is_neither_shown_nor_approved(promote: Terminal, database_url: str) -> None:
    _, record = await plan_items(promote)
    as_owner(database_url, "UPDATE promotion_plan SET content_hash = sha256('x')")
    for words in (("show", "branch", record["plan_id"]), ("approve", "branch", record["plan_id"], "--reason", "x")):
        result = await promote(*words, LOGNAME="grace")
        assert (result.code, "does not match its hash" in result.stderr) == (2, True)


def as_owner(database_url: str, statement: str) -> None:
    """Changes a row with the trigger that forbids changes disabled."""
    with psycopg.connect(database_url) as connection:
        connection.execute("ALTER TABLE promotion_plan DISABLE TRIGGER promotion_plan_never_changes")
        connection.execute("SELECT set_config('app.tenant_id', %s, true)", [str(TARGET)])
        assert connection.execute(statement).rowcount == 1
        connection.execute("ALTER TABLE promotion_plan ENABLE TRIGGER promotion_plan_never_changes")


@pytest.mark.parametrize(
    "statement",
    ["UPDATE promotion_plan SET expires_at = now() + interval '1 year'", "UPDATE promotion_decision SET reason = ''"],
)
async def test_plans_and_decisions_never_change(promote: Terminal, database: Database, statement: str) -> None:
    _, record = await plan_items(promote)
    await approve(promote, record)
    with pytest.raises(StorageUnavailableError, match="never change"):
        async with database.tenant(TARGET) as session:
            await session.execute(text(statement))


async def test_only_named_items_are_planned(promote: Terminal) -> None:
    items, _ = await plan_items(promote, "--item", "new", "--type", POLICIES)
    assert [item["title"] for item in items] == ["New"]
    result = await promote("plan", "golden", "branch", "--item", "nobody")
    assert (result.code, "no item 'nobody'" in result.stderr) == (2, True)


async def test_items_that_may_belong_together_are_counted(promote: Terminal, database: Database) -> None:
    new = [
        policy(f"22222222-0000-4000-8000-00000000000{digit}", "New", passcodeMinimumLength=digit) for digit in (8, 9)
    ]
    await read(database, TARGET, {**branch(), POLICIES: [*branch()[POLICIES], *new]})
    (item,), _ = await plan_items(promote, "--item", "New")
    (reason,) = item["reasons"]
    assert reason["text"].startswith("1 item of the source and 2 of the target (")


async def test_an_earlier_version_is_restored(promote: Terminal) -> None:
    await read_later(promote, passcodeMinimumLength=6)
    words = ("branch", "branch", "--item", "Changed", "--type", POLICIES, "--from-version", "1", "--json")
    item, record = (await promote("plan", *words)).objects()
    assert (item["action"], [(field["before"], field["after"]) for field in item["fields"]]) == ("update", [(6, 4)])
    assert item["requests"][0]["path"].endswith("/22222222-0000-4000-8000-000000000002")
    assert (await approve(promote, record)).code == 0


async def test_a_tenant_is_not_promoted_into_itself(promote: Terminal) -> None:
    result = await promote("plan", "branch", "branch")
    assert (result.code, "name two different tenants" in result.stderr) == (2, True)


async def test_a_plan_for_an_unread_tenant_is_refused(promote: Terminal) -> None:
    result = await promote("plan", "golden", str(UUID(int=99)))
    assert (result.code, "was never read" in result.stderr) == (3, True)


async def test_the_list_of_a_tenant_without_plans_is_empty(promote: Terminal) -> None:
    assert "no plan for this tenant" in (await promote("list", "golden")).stdout
    assert (await promote("list", "golden", "--json")).objects() == []


async def test_an_operator_maps_objects_with_different_names(promote: Terminal, database: Database) -> None:
    words = ("golden", "branch", "--type", "groups", "--from", "Staff", "--to", "Pilot", "--reason", "CHG-7", "--json")
    (mapped,) = (await promote("map", *words)).objects()
    assert (mapped["source_id"], mapped["target_id"], mapped["mapped_by"]) == (STAFF, PILOT_THERE, "ada")
    items, _ = await plan_items(promote)
    (planned,) = (item for item in items if item["title"] == "For staff")
    assert planned["action"] == "create"
    assert planned["references"][0]["mapped_by_operator"]
    assert PILOT_THERE in str(planned["requests"])
    listed = await promote("map", "golden", "branch", "--json")
    assert listed.objects() == [mapped]
    result = await promote("map", *words[:6], "--remove", "--reason", "CHG-8", "--json")
    assert result.objects() == [{"type_key": "groups", "source_id": STAFF, "mapped": False}]
    again = await promote("map", *words[:6], "--remove", "--reason", "CHG-8")
    assert (again.code, "groups Staff is not mapped" in again.stderr) == (2, True)
    assert [action for _, action, _ in await audited(database)] == [
        "reference_mapped",
        "plan_created",
        "reference_unmapped",
    ]


async def test_a_mapping_to_a_missing_object_blocks_the_item(promote: Terminal) -> None:
    words = ("--type", "groups", "--from", "Staff", "--to", "Pilot", "--reason", "CHG-7")
    await promote("map", "golden", "branch", *words)
    database = Database(promote.environment["DATABASE_URL"])
    await read(database, TARGET, {**branch(), "groups": []})
    await database.close()
    items, _ = await plan_items(promote)
    (planned,) = (item for item in items if item["title"] == "For staff")
    assert (planned["action"], planned["reasons"][0]["code"]) == ("blocked", "reference_unresolved")


async def test_a_mapping_of_unknown_objects_is_refused(promote: Terminal) -> None:
    result = await promote("map", "golden", "branch", "--type", "groups", "--from", "x", "--to", "y", "--reason", "z")
    assert (result.code, "groups has no item 'x'" in result.stderr) == (2, True)


async def test_simulating_a_plan_stores_nothing(promote: Terminal, database: Database) -> None:
    _, record = await plan_items(promote)
    before = await rows_of(database)
    result = await promote("simulate", "branch", record["plan_id"])
    assert (result.code, "2 of 2 items became as in golden, by 3 requests; 1 blocked" in result.stdout) == (3, True)
    *items, summary = (await promote("simulate", "branch", record["plan_id"], "--json")).objects()
    assert {(item["title"], item["compared"], item["again"]) for item in items} == {
        ("New", "same", "nothing_to_do"),
        ("Changed", "same", "nothing_to_do"),
    }
    assert (summary["proven"], summary["written"], summary["blocked"]) == (2, 2, 1)
    assert await rows_of(database) == before


async def test_a_simulation_names_fields_that_still_differ(promote: Terminal, database_url: str) -> None:
    _, record = await plan_items(promote)
    with_other_body(database_url, b'"passcodeMinimumLength":8', b'"passcodeMinimumLength":7')
    result = await promote("simulate", "branch", record["plan_id"])
    assert "1 of 2 items became" in result.stdout
    assert "passcodeMinimumLength" in result.stdout


def with_other_body(database_url: str, old: bytes, new: bytes) -> None:
    """Replaces a value in the request bodies of the stored plan, with a matching hash."""
    with psycopg.connect(database_url) as connection:
        connection.execute("ALTER TABLE promotion_plan DISABLE TRIGGER promotion_plan_never_changes")
        row = connection.execute("SELECT content FROM promotion_plan").fetchone()
        assert row is not None
        requests_begin = b'"requests":['
        content = requests_begin.join(
            part if number == 0 else part.replace(old, new, 1)
            for number, part in enumerate(decompress(row[0]).split(requests_begin))
        )
        values = (compress(content), sha256(content).digest())
        connection.execute("UPDATE promotion_plan SET content = %s, content_hash = %s", values)
        connection.execute("ALTER TABLE promotion_plan ENABLE TRIGGER promotion_plan_never_changes")


async def rows_of(database: Database) -> list[tuple[Any, ...]]:
    async with database.tenant(TARGET) as session:
        rows = await session.execute(
            text("SELECT type_key, external_id, version_number, absent_from FROM inventory_item ORDER BY 1, 2")
        )
        acts = await session.execute(text("SELECT count(*) FROM audit_record"))
        return [*(tuple(row) for row in rows), tuple(acts.one())]


async def test_retention_deletes_plans_that_expired_undecided(
    promote: Terminal, database: Database, database_url: str
) -> None:
    made_plans = [(await plan_items(promote))[1]["plan_id"] for _ in range(3)]
    await promote("reject", "branch", made_plans[0], "--reason", "x", LOGNAME="grace")
    await promote("approve", "branch", made_plans[1], "--reason", "x", LOGNAME="grace")
    for plan_id in made_plans:
        expired = f"UPDATE promotion_plan SET expires_at = now() - interval '2 days' WHERE plan_id = '{plan_id}'"
        as_owner(database_url, expired)
    for days, remaining in ((10, 3), (1, 2)):
        async with database.tenant(TARGET) as session:
            assert await forget_plans(session, older_than=timedelta(days=days)) == 3 - remaining
        listed = (await promote("list", "branch", "--json")).objects()
        assert len(listed) == remaining
    assert {plan["state"] for plan in listed} == {"approved", "rejected"}
