"""Lines that commands print with `--json` match the schemas in `docs/schemas/`."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import orjson
import pytest
import typer
from jsonschema import Draft202012Validator

from cli.app import app
from docs.json_schemas import PAGES, PRINTED, RECORDS
from inventory.error_codes import ErrorCode
from inventory.outcomes import Outcome, RunStatus
from storage.database import Database
from tests.answers.dependencies.test_answer import (
    ACCESS,
    CONFIGURATIONS,
    FILTERS,
    GROUPS,
    configuration,
    group,
    policy,
    target,
)
from tests.cli.command_line import CommandLine
from tests.end_to_end.system import System
from tests.forks import CHECKOUT
from tests.storage.support import sync

DOCS = CHECKOUT / "docs"

COMPLIANCE = "deviceCompliancePolicies"
TYPES = (CONFIGURATIONS, GROUPS, FILTERS, ACCESS, COMPLIANCE)
TENANT, OTHER = UUID(int=41), UUID(int=42)
GROUP_ID = "7f6d1a3e-5b0c-4b9e-8a57-2f0c5f5f4c11"

PRINT_SOMETHING_ELSE = {
    "catalog",
    "check",
    "permissions",
    "cancel",
    "portfolio cancel",
    "baseline drop",
    "schedule set",
    "schedule list",
    "schedule pause",
    "schedule resume",
    "schedule trigger",
    "schedule delete",
    "watch on",
    "watch off",
    "database upgrade",
    "database roles",
    "database rotate-key",
    "access end-sessions",
}
"""Commands whose lines are no records of the inventory."""

CALLS: list[tuple[str, tuple[str, ...], set[str]]] = [
    ("runs", (), {"run"}),
    ("items", (), {"item", "unread-collections"}),
    ("missing", (), {"missing-item", "unread-collections"}),
    ("versions", (CONFIGURATIONS, "c"), {"version"}),
    ("show", (CONFIGURATIONS, "c"), {"document"}),
    ("diff", (CONFIGURATIONS, "c"), {"difference"}),
    ("export", ("exported",), {"export"}),
    ("changes", (), {"change", "changes-summary"}),
    ("changes", ("--limit", "1"), {"change", "changes-summary"}),
    ("assignments", (), {"assignment", "cannot-say", "oldest-listing"}),
    ("dependencies", (GROUPS, GROUP_ID), {"dependency", "cannot-say"}),
    ("dependencies", ("--all",), {"dependency", "cannot-say"}),
    ("dependencies", ("--reaches", GROUP_ID), {"reach", "cannot-say"}),
    ("dangling", (), {"dangling", "cannot-say", "oldest-listing"}),
    ("unassigned", (), {"unassigned", "cannot-say", "oldest-listing"}),
    ("compare", (str(OTHER),), {"compared-item", "comparison"}),
    ("compare", ("--by-setting", str(OTHER)), {"compared-setting", "settings-comparison"}),
    ("compare", ("--golden", str(OTHER)), {"matrix-row", "matrix"}),
    ("compare", ("--golden", str(OTHER), "--by-setting"), {"setting-row", "settings-matrix"}),
    ("baseline set", ("second", "--reason", "a test"), {"baseline"}),
    ("baseline list", (), {"baseline"}),
    ("drift", (), {"drift-report", "drift-finding"}),
    ("drift show", ("--all",), {"drift-report", "drift-finding"}),
    ("promote plan", (str(OTHER),), {"planned-item", "plan"}),
    ("promote plan", (str(OTHER), str(UUID(int=43))), {"blocked-row", "plans"}),
    ("retention", ("--count", "1"), {"forgotten"}),
]
"""Commands on the database alone, and the records that they print."""

DECIDED = {"drift decide", "drift decisions"}
"""Commands about decisions, which `test_decision_records_match_their_schemas` covers."""

OF_PLANS = {"promote show", "promote simulate", "promote list", "promote approve", "promote reject", "promote map"}
"""Commands about plans, which `test_plan_records_match_their_schemas` covers."""

OF_A_RUNNING_SYSTEM = {
    "sync",
    "run",
    "portfolio sync",
    "portfolio runs",
    "portfolio run",
    "limits",
    "doctor",
    "watch list",
    "tenant add",
    "tenant import",
    "tenant test",
    "tenant list",
    "tenant disable",
    "tenant enable",
    "tenant remove",
}

NEW_ID = "00000000-0000-0000-0000-00000000abcd"

OF_ACCESS = {"access list", "access people", "access grant", "access exclude", "access revoke"}
"""`tests/cli/test_access.py` covers them."""

OF_NOTIFICATIONS = {"notify test", "notify list", "notify snooze", "notify snoozes", "notify unsnooze"}
"""`tests/cli/test_notify.py` covers them."""

OF_ALL_TENANTS = {"status", "search", "settings"}
"""Their own tests check their lines against the schemas."""


@pytest.fixture
async def starter(
    database: Database, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> CommandLine:
    """A tenant with two runs that could not read two collections; the second found changes and a missing item. A third
    run read another collection.
    """
    monkeypatch.chdir(tmp_path)
    unchanging = [group(GROUP_ID), policy("p", includeGroups=["gone"])]
    profile = configuration("c", target("group", GROUP_ID, filtered_by="f"), left=1, count=1)
    first = [*unchanging, profile, configuration("gone"), configuration("renamed")]
    changed = configuration("c", target("group", GROUP_ID, filtered_by="f"), count=12345678901234567890123, new=1.5)
    second = [*unchanging, changed, configuration("renamed", displayName="Other"), configuration("appeared")]
    throttled = dict.fromkeys((FILTERS, COMPLIANCE), (Outcome.FAILED, ErrorCode.GRAPH_THROTTLED))
    outcomes = {**dict.fromkeys(TYPES, (Outcome.COMPLETE, None)), **throttled}
    await sync(database, OTHER, first, *TYPES)
    await sync(database, TENANT, first, *TYPES, status=RunStatus.PARTIAL, outcomes=outcomes)
    starter = CommandLine(database_url, tmp_path, TENANT)
    await starter("baseline set", "golden")
    await sync(database, TENANT, second, *TYPES, status=RunStatus.PARTIAL, outcomes=outcomes)
    await sync(database, TENANT, [], "namedLocations")
    return starter


def schema_of(record: str) -> Any:
    return orjson.loads((DOCS / "schemas" / f"{record}.schema.json").read_bytes())


def record_of(line: Any, command: str) -> str:
    """The name of the command's record that the line matches, or `none`."""
    valid = [
        printed.record for printed in PRINTED[command] if Draft202012Validator(schema_of(printed.record)).is_valid(line)
    ]
    assert len(valid) <= 1, "each record's fields identify it"
    return valid[0] if valid else "none"


def row_of(command: str) -> str:
    return "drift show" if command == "drift" else command


@pytest.mark.parametrize("record", RECORDS)
def test_a_schema_is_valid_and_strict_and_has_a_description(record: str) -> None:
    schema = schema_of(record)
    Draft202012Validator.check_schema(schema)
    assert schema["description"]
    assert schema["additionalProperties"] is False
    assert set(schema["required"]) == set(schema["properties"])


def test_schema_files_match_the_printed_records() -> None:
    assert {str(file.relative_to(DOCS)) for file in (DOCS / "schemas").iterdir()} == set(PAGES)
    assert {line.record for printed in PRINTED.values() for line in printed} == set(RECORDS)


def test_every_command_has_json_with_known_records_or_an_exemption() -> None:
    commands = dict(_commands(typer.main.get_command(app)))
    with_json = {
        name for name, command in commands.items() if any("--json" in parameter.opts for parameter in command.params)
    }
    assert with_json == PRINTED.keys() | PRINT_SOMETHING_ELSE
    assert not PRINTED.keys() & PRINT_SOMETHING_ELSE
    groups = {name for name, command in commands.items() if hasattr(command, "list_commands")}
    assert commands.keys() - groups <= with_json


def _commands(command: Any, *path: str) -> Iterator[tuple[str, Any]]:
    """A command and its subcommands, by their words."""
    for name in command.list_commands(None) if hasattr(command, "list_commands") else ():
        yield from _commands(command.get_command(None, name), *path, name)
    yield " ".join(path), command


def test_every_kind_of_line_is_covered() -> None:
    tried = {(row_of(command), record) for command, _, records in CALLS for record in records}
    rows = {(command, line.record) for command, printed in PRINTED.items() for line in printed}
    assert tried <= rows
    untried = {*OF_A_RUNNING_SYSTEM, *OF_ALL_TENANTS, *DECIDED, *OF_PLANS, *OF_ACCESS, *OF_NOTIFICATIONS, "demo", "web"}
    assert {command for command, _ in rows - tried} == untried


async def test_every_line_matches_its_schema(starter: CommandLine) -> None:
    wrong: dict[tuple[str, ...], object] = {}
    for command, arguments, records in CALLS:
        result = await starter(command, *arguments, "--json")
        lines = result.objects()
        kinds = [record_of(line, row_of(command)) for line in lines]
        if set(kinds) != records:
            invalid = [line for line, kind in zip(lines, kinds, strict=True) if kind == "none"]
            wrong[command, *arguments] = (set(kinds), result.stderr, invalid)
    assert not wrong


async def test_decision_records_match_their_schemas(starter: CommandLine) -> None:
    _, finding, *_ = (await starter("drift", "--json")).objects()
    words = ("--as", "accepted", "--why", "a test", "--until", "2999-01-01")
    (decided,) = (await starter("drift decide", finding["fingerprint"], *words, "--json")).objects()
    assert decided["decided"]["decided_by"]
    assert record_of(decided, "drift decide") == "drift-finding"
    (about_a_field,) = (await starter("drift decide", "--field", "settings.*", *words, "--json")).objects()
    assert record_of(about_a_field, "drift decide") == "drift-decision"
    listed = (await starter("drift decisions", "--json")).objects()
    assert [record_of(line, "drift decisions") for line in listed] == ["drift-decision", "drift-decision"]


async def test_plan_records_match_their_schemas(starter: CommandLine) -> None:
    *_, plan = (await starter("promote plan", str(OTHER), "--json")).objects()
    plan_id = plan["plan_id"]
    records = (await CommandLine.of(starter, OTHER)("promote show", plan_id, "--json")).objects()
    printed = {"promote show": records[-1:]}
    for command, words in {
        "promote simulate": (plan_id,),
        "promote list": (),
        "promote approve": (plan_id, "--reason", "a test"),
        "promote reject": (plan_id, "--reason", "a test"),
    }.items():
        printed[command] = (await CommandLine.of(starter, OTHER)(command, *words, "--json")).objects()
    mapped = ("--type", "users", "--from", GROUP_ID, "--to", GROUP_ID, "--reason", "a test")
    printed["promote map"] = (await starter("promote map", str(OTHER), *mapped, "--json")).objects()
    assert printed.keys() == OF_PLANS
    for command, lines in printed.items():
        assert [record_of(line, command) for line in lines] == [PRINTED[command][-1].record], command


@pytest.mark.slow
def test_records_of_a_running_system_match_their_schemas(system: System) -> None:
    system.start_worker()
    selection = ("--type", "groups", "--json")
    synced = system.starter("sync", system.tenant.name, *selection).objects()
    printed = {
        "sync": synced,
        "run": system.starter("run", synced[0]["run_id"], "--json").objects(),
        "portfolio sync": system.starter("portfolio", "sync", "--all-tenants", *selection).objects(),
        "portfolio runs": system.starter("portfolio", "runs", "--json").objects(),
        "limits": system.starter("limits", "--json").objects(),
    }
    portfolio_run_id = printed["portfolio runs"][0]["portfolio_run_id"]
    printed["portfolio run"] = system.starter("portfolio", "run", portfolio_run_id, "--json").objects()
    diagnosis = system.starter("doctor", "--json").objects()
    assert {record_of(line, "doctor") for line in diagnosis} == {"check-result"}
    printed["doctor"] = diagnosis[:1]
    state, *logs = system.starter("watch", "list", "--json").objects()
    assert {record_of(line, "watch list") for line in logs} <= {"watched-log"}
    printed["watch list"] = [state]
    (added, checked) = _tenant(system, "add", "new", "--id", NEW_ID, "--managed-identity", "--wait", "1s")
    assert record_of(checked, "tenant add") == "check-result"
    printed["tenant add"] = [added]
    printed["tenant test"] = _tenant(system, "test", system.tenant.name)
    printed["tenant list"] = _tenant(system, "list")[:1]
    printed["tenant disable"] = _tenant(system, "disable", "new")
    printed["tenant enable"] = _tenant(system, "enable", "new")
    (system.folder / "more.toml").write_text(f'[[tenant]]\nid = "{NEW_ID}"\nname = "x"\nmanaged_identity = true\n')
    in_table = system.starter("tenant", "import", "more.toml", "--json", TENANTS_FROM="table")
    printed["tenant import"] = in_table.objects()
    printed["tenant remove"] = _tenant(system, "remove", system.tenant.name, "--purge", "--yes")
    assert printed.keys() == OF_A_RUNNING_SYSTEM
    for command, lines in printed.items():
        assert [record_of(line, command) for line in lines] == [PRINTED[command][0].record]


def _tenant(system: System, *arguments: str) -> list[Any]:
    return system.starter("tenant", *arguments, "--json").objects()


async def test_an_extra_or_missing_field_matches_no_schema(starter: CommandLine) -> None:
    line, *_ = (await starter("items", "--json")).objects()
    assert record_of(line, "items") == "item"
    assert record_of({**line, "more": 1}, "items") == "none"
    del line["meta"]
    assert record_of(line, "items") == "none"
