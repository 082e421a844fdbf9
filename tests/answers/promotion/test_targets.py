"""Plans from one source for many tenants, and plans from a baseline."""

import json
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest

from answers.drift.baselines import set_moment, set_tenant
from storage.database import Database
from tests.answers.promotion.plan_application import SOURCE, read
from tests.answers.promotion.test_command import (
    FILTERS,
    PILOT_HERE,
    POLICIES,
    STAFF,
    TENANTS,
    branch,
    golden,
    policy,
)
from tests.cli.command_line import Terminal
from tests.storage.support import without_locks

BRANCHES = [UUID(int=100 + number) for number in range(10)]
UNREAD = UUID(int=200)


def tenant_lines() -> str:
    named = [*((tenant_id, f"branch-{number}") for number, tenant_id in enumerate(BRANCHES)), (UNREAD, "unread")]
    return TENANTS + "".join(
        f'[[tenant]]\nid = "{tenant_id}"\nname = "{name}"\ntags = ["branch"]\nclient_id = "{SOURCE}"\n'
        'client_secret_env = "S"\n'
        for tenant_id, name in named
    )


def of_branch(number: int) -> dict[str, list[dict[str, Any]]]:
    """Branches differ: some have the second group, one has a duplicate group, one has unread policies."""
    documents = branch()
    if number % 2:
        documents["groups"].append({"id": STAFF, "displayName": "Staff"})
    if number == 3:
        documents["groups"].append({"id": f"{number + 5}0000000-0000-4000-8000-000000000000", "displayName": "Pilot"})
    if number == 4:
        del documents[POLICIES]
    return documents


async def many_tenants(database: Database) -> None:
    await read(database, SOURCE, golden())
    for number, tenant_id in enumerate(BRANCHES):
        await read(database, tenant_id, of_branch(number))


@pytest.fixture
def promote(filled: None, database_url: str, tmp_path: Path) -> Terminal:
    return Terminal(database_url, tmp_path, "promote", tenants=tenant_lines(), COLUMNS="80")


@pytest.mark.filled.with_args(many_tenants)
async def test_one_command_plans_a_golden_tenant_into_ten_others(promote: Terminal) -> None:
    result = await promote("plan", "golden", "--tag", "branch", "--json")
    assert result.code == 3
    *rows, plans = result.objects()
    plan_items = {outcome["target"]["name"]: outcome["plan"] for outcome in plans["targets"]}
    assert len(plan_items) == 11
    assert plan_items.pop("unread") is None
    for number in range(10):
        (listed,) = (await promote("list", f"branch-{number}", "--json")).objects()
        assert listed == plan_items[f"branch-{number}"], "each printed plan is stored"
    cells = {
        (row["code"], row["about"]): {cell["tenant"]["name"]: len(cell["items"]) for cell in row["cells"]}
        for row in rows
    }
    staff = cells["reference_unresolved", '"Staff" of groups']
    assert [staff[f"branch-{number}"] for number in range(10)] == [1, 0] * 5
    pilot = cells["reference_ambiguous", '"Pilot" of groups']
    assert {name for name, items in pilot.items() if items} == {"branch-3"}
    unread = cells["target_not_complete", "Compliance policies"]
    assert unread == {f"branch-{number}": 4 if number == 4 else 0 for number in range(10)}
    assert [row["items"] for row in rows] == sorted((row["items"] for row in rows), reverse=True)


@pytest.mark.filled.with_args(many_tenants)
async def test_the_matrix_of_ten_tenants_fits_80_columns(promote: Terminal) -> None:
    result = await promote("plan", "golden", "--tag", "branch")
    assert max(map(len, result.stdout.splitlines())) <= 80
    assert "10 plans from golden" in result.stdout
    assert "unread was never read" in result.stderr
    (row,) = [line for line in result.stdout.splitlines() if '"Staff" of groups' in line]
    assert row.split()[-7:] == ["5", "5", "1", "1", "1", "1", "1"]
    table = await promote("plan", "golden", "branch-0", "branch-1", "--csv")
    assert table.stdout.startswith("record,code,about,unblocked_by,items,tenants,cells")
    assert json.loads((await promote("list", "branch-5", "--json")).stdout.splitlines()[0])["state"] == "open"


@pytest.mark.filled.with_args(many_tenants)
async def test_missing_identical_or_conflicting_targets_are_refused(promote: Terminal) -> None:
    for words in (("golden",), ("golden", "golden"), ("golden", "--tag", "branch", "--all-tenants")):
        assert (await promote("plan", *words)).code == 2, words


@pytest.mark.filled.with_args(many_tenants)
async def test_a_tenant_that_fails_stops_no_other_plan(promote: Terminal, database_url: str) -> None:
    async with await psycopg.AsyncConnection.connect(database_url) as connection:
        await connection.execute("SELECT FROM tenant WHERE tenant_id = %s FOR UPDATE", [BRANCHES[0]])
        plans = await without_locks(database_url, promote("plan", "golden", "branch-0", "branch-1"))
        await connection.execute("SELECT FROM tenant WHERE tenant_id = %s FOR UPDATE", [BRANCHES[1]])
        none = await without_locks(database_url, promote("plan", "golden", "branch-0", "branch-1"))
    assert (none.code, none.stdout.splitlines()[0]) == (4, "0 plans from golden; nothing is written to Graph")
    assert plans.code == 3
    assert "1 plan from golden" in plans.stdout
    assert "not planned: branch-0: an administrator ended a statement; run the command again" in " ".join(
        plans.stderr.split()
    )
    assert len((await promote("list", "branch-1", "--json")).objects()) == 1


@pytest.mark.filled.with_args(many_tenants)
async def test_a_tag_chooses_tenants_of_the_table(filled: None, database_url: str, tmp_path: Path) -> None:
    file = tmp_path / "imported.toml"
    file.write_text(tenant_lines().replace('"S"', '"TENANT_SECRET_S"'))
    terminal = Terminal(database_url, tmp_path, TENANTS_FROM="table")
    assert (await terminal("tenant", "import", file)).code == 0
    *_, plans = (await terminal("promote", "plan", SOURCE, "--tag", "branch", "--json")).objects()
    assert len(plans["targets"]) == 11


async def a_baseline(database: Database) -> None:
    await many_tenants(database)
    async with database.tenant(SOURCE) as session:
        await set_moment(session, "march", None, "ada", None)
    changed = golden(passcodeMinimumLength=99)
    changed[POLICIES][1] = policy("11111111-0000-4000-8000-000000000002", "Changed", passcodeMinimumLength=12)
    changed[POLICIES][2] = policy("11111111-0000-4000-8000-000000000003", "Renamed since", passcodeMinimumLength=77)
    changed[POLICIES].append(policy("11111111-0000-4000-8000-000000000009", "Made since"))
    await read(database, SOURCE, changed)
    async with database.tenant(BRANCHES[1]) as session:
        await set_tenant(session, "model", BRANCHES[1], SOURCE, "ada", None)


@pytest.mark.filled.with_args(a_baseline)
async def test_a_plan_uses_the_item_versions_of_a_baseline(promote: Terminal) -> None:
    *items, record = (await promote("plan", "golden", "branch-1", "--baseline", "march", "--json")).objects()
    policies = {item["title"]: item for item in items if item["type_key"] == POLICIES}
    assert {title: item["action"] for title, item in policies.items()} == {
        "New": "create",
        "Changed": "update",
        "Same": "blocked",
        "For staff": "create",
    }, "a renamed item may be the target's item of the old name"
    assert "the target has another item" in policies["Same"]["reasons"][0]["text"]
    assert policies["Changed"]["requests"][0]["body"]["passcodeMinimumLength"] == 8
    assert "passcodeMinimumLength" not in policies["New"]["requests"][0]["body"]
    printed = await promote("show", "branch-1", record["plan_id"])
    assert "baseline march of golden → branch-1" in " ".join(printed.stdout.split())


@pytest.mark.filled.with_args(a_baseline)
async def test_a_tenant_is_restored_to_its_own_baseline(promote: Terminal) -> None:
    *items, record = (await promote("plan", "golden", "golden", "--baseline", "march", "--json")).objects()
    actions = {item["title"]: item["action"] for item in items if item["type_key"] == POLICIES}
    assert actions == {"New": "update", "Changed": "update", "Same": "update", "For staff": "nothing_to_do"}
    (exclusion,) = [item for item in items if item["title"] == "For staff"]
    assert exclusion["target_id"] == exclusion["source_id"]
    *_, simulated = (await promote("simulate", "golden", record["plan_id"], "--json")).objects()
    assert (simulated["written"], simulated["proven"]) == (3, 3)


@pytest.mark.filled.with_args(a_baseline)
async def test_a_baseline_on_another_tenant_makes_that_tenant_the_source(promote: Terminal) -> None:
    *_, record = (await promote("plan", "branch-1", "branch-2", "--baseline", "model", "--json")).objects()
    assert record["source"]["name"] == "golden"
    unknown = await promote("plan", "golden", "branch-1", "--baseline", "april")
    assert (unknown.code, "no baseline 'april'" in unknown.stderr) == (2, True)


async def half_a_baseline(database: Database) -> None:
    """A baseline set before one collection was read."""
    whole = golden()
    await read(database, SOURCE, {key: found for key, found in whole.items() if key != FILTERS})
    async with database.tenant(SOURCE) as session:
        await set_moment(session, "march", None, "ada", None)
    whole[FILTERS] = [{"id": PILOT_HERE, "displayName": "Made since", "platform": "iOS", "rule": "x"}]
    await read(database, SOURCE, whole)
    await read(database, BRANCHES[1], of_branch(1))


@pytest.mark.filled.with_args(half_a_baseline)
async def test_collections_outside_a_baselines_coverage_are_not_planned(promote: Terminal) -> None:
    result = await promote("plan", "golden", "branch-1", "--baseline", "march", "--type", FILTERS)
    assert result.code == 3
    assert f"not planned: {FILTERS}" in " ".join(result.stderr.split())
