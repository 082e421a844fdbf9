"""All commands at 80, 100 and 160 columns: no line is wider, and no word that fits is cut."""

import asyncio
import csv
import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any, NamedTuple
from uuid import uuid4

import orjson
import pytest
import typer
from rich.cells import cell_len
from typer.testing import CliRunner

from answers.csv_rows import FORMULA_STARTS
from cli.app import app
from inventory.people import Person, Role
from local.simulated_graph import SimulatedGraph
from storage import web_sessions
from tests.end_to_end.system import System

TYPE = "deviceConfigurations"
GROUPS = "groups"
PATH = "deviceManagement/deviceConfigurations"
KIND = "#microsoft.graph.windows10EndpointProtectionConfiguration"

NAMES = (
    "Short",
    "Windows 11 baseline for shared devices in all schools of the northern and the southern districts, edition 2026",
    "DE-WIN-Sec-Baseline-Defender-Antivirus-Exclusions-v3.12-Production",
    "x" * 200,
    "日本語の設定プロファイル" * 6,
    "Ärzte ohne Grenzen · Gerätekonfiguration",
    '=HYPERLINK("https://example.com")',
)

SETTING = "bitLockerEncryptDevice"

LONG_ID = "T_" + "0123456789abcdef" * 12
"""Graph has ids that are no GUIDs, of up to some hundred characters."""

PILOT = "7f6d1a3e-5b0c-4b9e-8a57-2f0c5f5f4c11"

NOT_WALKED = {
    "demo": "it starts servers of its own, and has no options of tables",
    "database upgrade": "no table", "database roles": "no table", "database rotate-key": "no table",
    "sync": "no table: the record of the run is that of `run`",
    "cancel": "no table",
    "portfolio sync": "its table is that of `portfolio run`", "portfolio cancel": "no table",
    "schedule set": "no table", "schedule pause": "no table", "schedule resume": "no table",
    "schedule trigger": "no table", "schedule delete": "no table",
    "notify test": "tests/cli/test_notify.py looks at its table", "notify list": "as `notify test`",
    "notify snoozes": "as `notify test`", "notify snooze": "no table", "notify unsnooze": "no table",
    "watch on": "no table", "watch off": "no table",
    "baseline set": "no table", "baseline drop": "no table", "drift decide": "no table",
    "export": "it writes files",
    "access grant": "no table", "access exclude": "no table", "access revoke": "no table",
    "access end-sessions": "no table",
    "tenant add": "no table", "tenant import": "no table", "tenant remove": "no table", "tenant disable": "no table",
    "tenant enable": "no table",
    "promote plan": "its table is that of `promote show`", "promote approve": "no table", "promote reject": "no table",
    "web": "it serves pages, and prints none",
}  # fmt: skip
"""Commands that are not walked, with the reason."""


OTHER_FIELDS = {"limits", "run", "portfolio run", "missing", "portfolio runs", "watch list"}
"""Commands whose table shows only a part of their JSON."""

PASSING = re.compile(r"(\d+|\d+-\d+-\d+|\d+:\d+:.*|just|now|ago|seconds?|minutes?|min|each|row|=)?")
"""Words of times, which change from moment to moment, also of a time that all rows share."""

ROOM = 6
"""Columns that indentation takes from a word."""


def calls(tenant: str, other_tenant: str, run: str, portfolio: str, plan: str) -> dict[str, list[list[str]]]:
    """The command lines to try, by command."""
    return {
        "catalog": [[], ["--opt-in"], ["conditionalAccessPolicies"]],
        "permissions": [[]],
        "check": [[tenant, "--type", TYPE, "--type", GROUPS]],
        "runs": [[], [tenant]],
        "run": [[run], [run, "--verbose"]],
        "items": [[tenant], [tenant, "--ids"], [tenant, "--columns", "name,id,content_hash,last_seen_at"]],
        "missing": [[tenant]],
        "search": [["Long"], ["--setting", SETTING], [NAMES[1], "--ids"]],
        "settings": [[SETTING], [SETTING, "--tenant", tenant]],
        "status": [[]],
        "limits": [[]],
        "doctor": [[]],
        "retention": [[tenant, "--count", "1"]],
        "versions": [[tenant, TYPE, NAMES[1]]],
        "show": [[tenant, TYPE, NAMES[1]]],
        "diff": [[tenant, TYPE, NAMES[1]]],
        "changes": [[tenant, "--since", "2020-01-01"]],
        "compare": [
            [tenant, other_tenant],
            [tenant, other_tenant, "--fields"],
            ["--golden", tenant, other_tenant],
            ["--golden", tenant, other_tenant, "--by-setting"],
        ],
        "dependencies": [[tenant, GROUPS, "Pilot"], [tenant, "--all"], [tenant, "--reaches", "Pilot", "--everyone"]],
        "assignments": [[tenant], [tenant, NAMES[1]]],
        "dangling": [[tenant]],
        "unassigned": [[tenant]],
        "baseline list": [[tenant]],
        "drift show": [[tenant, "--all"], [tenant, "--all", "--ids"], ["--all-tenants"]],
        "drift decisions": [[tenant]],
        "promote show": [[other_tenant, plan], [other_tenant, plan, "--fields", "--requests"]],
        "promote simulate": [[other_tenant, plan]],
        "promote list": [[other_tenant]],
        "promote map": [[tenant, other_tenant]],
        "portfolio runs": [[]],
        "portfolio run": [[portfolio]],
        "schedule list": [[]],
        "tenant list": [[]],
        "tenant test": [[tenant]],
        "watch list": [[]],
        "access list": [[]],
        "access people": [[]],
    }


def commands(command: Any, *path: str) -> Iterator[str]:
    """The names of all commands."""
    names = command.list_commands(None) if hasattr(command, "list_commands") else ()
    if not names:
        yield " ".join(path)
    for name in names:
        yield from commands(command.get_command(None, name), *path, name)


class Answer(NamedTuple):
    """The exit code and output of a command."""

    code: int
    stdout: str
    stderr: str


def ask(system: System, words: list[str], width: int | None = None) -> Answer:
    """Runs a command in this process, since there are many, in a window of this width or in a pipe."""
    environment = {**system.environment, "COLUMNS": str(width or "")}
    result = CliRunner().invoke(app, words, env=environment)
    assert result.exit_code in (0, 3), (words, result.stderr, result.exception)
    return Answer(result.exit_code, result.stdout, result.stderr)


async def sign_in_a_person(system: System) -> None:
    person = Person(person_id=f"{uuid4()}/{uuid4()}", name="ada@contoso.example", role=Role.OPERATOR)
    async with system.database() as database, database.no_tenant() as session:
        await web_sessions.sign_in(session, person, bytes(32), timedelta(hours=1), replaced_hash=None)


def prepared(system: System, graph: SimulatedGraph) -> dict[str, list[list[str]]]:
    """Prepares two tenants with names and ids of all lengths and some removed items; the command lines to try."""
    contoso, fabrikam = graph.tenants
    contoso.add(PATH, {"@odata.type": KIND, "displayName": "To promote", SETTING: True})
    for tenant in graph.tenants:
        tenant.add("groups", {"id": PILOT, "displayName": "Pilot"})
        for name in NAMES:
            key = tenant.add(PATH, {"@odata.type": KIND, "displayName": name, "description": "first", SETTING: True})
            tenant.reassign(PATH, key, [PILOT])
        tenant.add(PATH, {"@odata.type": KIND, "displayName": "Long id", "id": LONG_ID})
    ids = {item["displayName"]: item["id"] for item in contoso.documents(PATH)}
    system.start_worker()
    selection = ["--type", TYPE, "--type", GROUPS, "--type", "assignmentFilters"]
    assert system.starter("portfolio", "sync", "--all-tenants", *selection).code == 0
    assert system.starter("baseline", "set", contoso.name, "agreed").code in (0, 3)
    decision = ["drift", "decide", contoso.name, "--field", "description", "--as", "accepted", "--reason", "as agreed"]
    assert system.starter(*decision).code == 0
    schedule = ["schedule", "set", "hourly", "--all-tenants", "--every", "1h", *selection]
    assert system.starter(*schedule).code == 0
    assert system.starter("schedule", "pause", "hourly").code == 0, "no run of it comes between two answers"
    rule = ["access", "exclude", "--role", "operator", "--tenant", contoso.name, "--reason", "their own team keeps it"]
    assert system.starter(*rule).code == 0
    asyncio.run(sign_in_a_person(system))
    for name in NAMES[:3]:
        contoso.change(PATH, ids[name], {"description": f"{name} " * 20})
    contoso.remove(PATH, ids[NAMES[3]])
    contoso.remove("groups", PILOT)
    assert system.starter("sync", contoso.name, *selection).code == 0
    (run,) = system.starter("runs", contoso.name, "--limit", "1", "--json").objects()
    (portfolio,) = system.starter("portfolio", "runs", "--json").objects()
    mapping = ["promote", "map", contoso.name, fabrikam.name, "--type", "users", "--from", PILOT, "--to", PILOT]
    assert system.starter(*mapping, "--reason", "the same person").code == 0
    *_, plan = system.starter("promote", "plan", contoso.name, fabrikam.name, "--json").objects()
    return calls(contoso.name, fabrikam.name, run["run_id"], portfolio["portfolio_run_id"], plan["plan_id"])


def test_every_command_is_walked_or_has_no_table() -> None:
    walked = set(calls("", "", "", "", ""))
    known = set(commands(typer.main.get_command(app)))
    assert known == walked | set(NOT_WALKED), "give it words in `calls`, or a reason in `NOT_WALKED`"
    assert not walked & set(NOT_WALKED)


def words_of(text: str) -> set[str]:
    """The words of an answer, without punctuation at their ends and without times, which change."""
    words = {word.strip(",:;.()") for word in text.split()}
    return {word for word in words if not PASSING.fullmatch(word)}


def assert_fits(answer: Answer, wide: Answer, width: int, words: list[str]) -> None:
    for line in (*answer.stdout.splitlines(), *answer.stderr.splitlines()):
        assert cell_len(line) <= width, (words, line)
    known = words_of(wide.stdout)
    too_long = [word for word in known if cell_len(word) > width - ROOM]
    for word in words_of(answer.stdout) - known:
        is_end = word.startswith("…") and any(line.endswith(word[1:]) for line in too_long)
        assert is_end or any(word in line for line in too_long), f"{words} at {width}: {word!r} is a piece of a word"


@pytest.mark.slow
def test_every_answer_fits_and_its_csv_has_the_fields_of_json(system: System, graph: SimulatedGraph) -> None:
    tried = prepared(system, graph)
    assert_lines_fit_and_no_word_is_cut(system, tried, (80, 100, 160))
    assert_csv_has_the_fields_of_json_and_no_formula(system, tried)


def assert_lines_fit_and_no_word_is_cut(
    system: System, tried: dict[str, list[list[str]]], widths: tuple[int, ...]
) -> None:
    for command, arguments in tried.items():
        for options in arguments:
            words = [*command.split(), *options]
            wide = ask(system, words)
            assert wide.stdout, words
            for width in widths:
                assert_fits(ask(system, words, width), wide, width, words)


def assert_csv_has_the_fields_of_json_and_no_formula(system: System, tried: dict[str, list[list[str]]]) -> None:
    group = typer.main.get_command(app)
    for command, (options, *_) in tried.items():
        words = command.split()
        if not has_csv(group, words):
            continue
        header, *rows = csv.reader(ask(system, [*words, *options, "--csv"]).stdout.splitlines(keepends=True))
        assert all(len(row) == len(header) for row in rows)
        assert not [cell for row in rows for cell in row if cell.startswith(FORMULA_STARTS) and not is_number(cell)]
        if command in OTHER_FIELDS:
            continue
        records = [orjson.loads(line) for line in ask(system, [*words, *options, "--json"]).stdout.splitlines()]
        fitting = [record for record in records if {name.partition(".")[0] for name in header} == record.keys()]
        assert len(fitting) == len(rows) > 0, (command, header)


def has_csv(command: Any, words: list[str]) -> bool:
    for word in words:
        command = command.get_command(None, word)
    return any("--csv" in parameter.opts for parameter in command.params)


def is_number(text: str) -> bool:
    return re.fullmatch(r"-?\d+(\.\d+)?", text) is not None
