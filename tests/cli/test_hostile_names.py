"""Names with terminal control characters: no command prints the characters, and JSON has the names exactly."""

import re
from collections.abc import Callable
from pathlib import Path
from unicodedata import category
from uuid import UUID

import orjson
import pytest
from rich.cells import cell_len
from rich.console import Console
from rich.text import Text
from typer.testing import CliRunner

from cli.app import app
from cli.follow import goes_on
from cli.output import SafeConsole, one_line
from cli.table import Column, print_table
from local.simulated_graph import SimulatedGraph
from tests.end_to_end.system import CommandResult, System

STEERING = "\x1b[2J\x1b]0;owned\x07\x9b31m\u202egnp.exe\u2028error: forged\u200d\r\n\x7f[red]:smile:[/]"
NAME = f"Policy {STEERING}"
OTHER = f"Renamed {STEERING}"
UNSEEN = {"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp"}
PATH = "deviceManagement/deviceConfigurations"
TYPE = "deviceConfigurations"


OWN = re.compile(r"\x1b\[(?:[0-9;]*m|\?25[hl]|2K|[0-9]+A)")
"""Sequences of our own colours and progress bars; no hostile name here holds one."""


def assert_clean(text: str) -> None:
    found = {character for character in text if category(character) in UNSEEN and character != "\n"}
    assert not found, sorted(map(ascii, found))
    assert "\nerror: forged" not in text


@pytest.mark.parametrize("make", [str, Text, lambda text: Text.assemble("by ", (text, "bold"))])
def test_a_printed_text_is_a_single_line(capsys: pytest.CaptureFixture[str], make: Callable[[str], str | Text]) -> None:
    SafeConsole(width=1000).print(make("name\nerror: forged"), make(NAME))
    printed = capsys.readouterr().out
    assert printed.count("\n") == 1
    assert_clean(printed)


@pytest.mark.parametrize("text", [NAME, "", " a  b ", "[bold]markup[/] :smile: 1", "\t\u65e5\u672c \U0001f600"])
def test_a_line_without_styles_is_as_rich_writes_it(capsys: pytest.CaptureFixture[str], text: str) -> None:
    console = SafeConsole()
    console.print(text, Text(text, "bold"), style="dim", end=" ")
    console.print(text)
    short_way = capsys.readouterr().out
    Console.print(console, one_line(text), one_line(Text(text, "bold")), style="dim", end=" ")
    Console.print(console, one_line(text))
    assert short_way == capsys.readouterr().out


def test_a_command_at_the_end_of_a_wide_line_can_be_pasted(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    hint = goes_on(UUID(int=1), "Contoso Deutschland")
    monkeypatch.setenv("COLUMNS", "60")
    SafeConsole().print_lines(hint)
    lines = capsys.readouterr().out.splitlines()
    printed = [line.strip() for line in lines if "python starter.py" in line]
    assert printed == [line.split(": ")[1] for line in hint.splitlines()[1:]]
    assert all(cell_len(line) <= 60 for line in lines if line.strip() not in printed)


def test_each_row_of_a_table_is_a_single_line(capsys: pytest.CaptureFixture[str]) -> None:
    cell = Text("Policy \x1b[2J\u202e")
    rows = [{"name": NAME, "other": Text("another")}, {"name": NAME, "other": cell}]
    print_table([Column(NAME, "name"), Column("other", "other", lambda row: row["other"])], rows, title=NAME)
    printed = capsys.readouterr().out
    assert printed.count("\n") == 4, "with its title and its heading"
    assert_clean(printed)


def printed(system: System, *arguments: str, **environment: str) -> CommandResult:
    """Runs a command in this process, since there are many."""
    result = CliRunner().invoke(app, arguments, env={**system.environment, **environment})
    assert isinstance(result.exception, SystemExit | None), (arguments, result.exception)
    return CommandResult(result.exit_code, result.stdout, result.stderr)


@pytest.fixture
def item(system: System, graph: SimulatedGraph) -> str:
    """An item without assignments in both tenants; the first tenant renamed it to another hostile name."""
    ids = [
        tenant.add(PATH, {"@odata.type": "#microsoft.graph.windows10GeneralConfiguration", "displayName": NAME})
        for tenant in graph.tenants
    ]
    system.start_worker()
    for tenant in graph.tenants:
        assert system.starter("sync", tenant.name, "--type", TYPE, "--type", "groups").code == 0
    hostile, _ = graph.tenants
    assert system.starter("baseline", "set", hostile.name, "agreed").code in (0, 3)
    graph.tenants[0].rename(PATH, ids[0], OTHER)
    assert system.starter("sync", hostile.name, "--type", TYPE, "--type", "groups").code == 0
    return ids[0]


@pytest.mark.slow
def test_no_command_prints_terminal_control_characters(system: System, graph: SimulatedGraph, item: str) -> None:
    tenant_name, other_name = (tenant.name for tenant in graph.tenants)
    commands = [
        ["items", tenant_name, "--type", TYPE],
        ["versions", tenant_name, TYPE, item],
        ["show", tenant_name, TYPE, item],
        ["diff", tenant_name, TYPE, item],
        ["changes", tenant_name, "--since", "2020-01-01"],
        ["compare", tenant_name, other_name, "--type", TYPE, "--fields"],
        ["compare", "--golden", tenant_name, "--all", "--type", TYPE],
        ["drift", tenant_name],
        ["unassigned", tenant_name],
        ["dependencies", tenant_name, TYPE, item],
        ["dependencies", tenant_name, TYPE, item, "--format", "mermaid"],
        ["dependencies", tenant_name, TYPE, item, "--format", "dot"],
        ["export", tenant_name, str(system.folder / "exported"), "--type", TYPE],
        ["show", tenant_name, TYPE, f"nobody {STEERING}"],
    ]
    output = ""
    for arguments in commands:
        result = printed(system, *arguments, FORCE_COLOR="", TTY_COMPATIBLE="0")
        assert "Traceback" not in result.stderr
        assert_clean(result.stdout)
        assert_clean(result.stderr)
        styled = printed(system, *arguments, FORCE_COLOR="1", TERM="xterm-256color")
        assert_clean(OWN.sub("", styled.stdout))
        assert_clean(OWN.sub("", styled.stderr))
        output += result.stdout
    for arguments in commands:
        if arguments[0] in ("export", "unassigned") or "--format" in arguments:
            continue
        as_json = printed(system, *arguments, "--json")
        assert_clean(as_json.stdout)
        assert_clean(as_json.stderr)
        assert as_json.objects() or as_json.code == 2
    document = orjson.loads(system.starter("show", tenant_name, TYPE, item, "--raw").stdout)
    assert document["displayName"] == OTHER
    listed = system.starter("items", tenant_name, "--type", TYPE, "--json")
    assert OTHER in [orjson.loads(line)["display_name"] for line in listed.stdout.rstrip("\n").split("\n")]
    system.graph.tenants[0].remove(PATH, item)
    assert system.starter("sync", tenant_name, "--type", TYPE, "--type", "groups").code == 0
    missing = system.starter("missing", tenant_name)
    assert_clean(missing.stdout)
    for text in (output, missing.stdout):
        assert "[red]:smile:[/]" in text, "no markup, and no emoji's name"
    assert re.search("Renamed \ufffd\\[2J", output), "a mark shows that something was there"


@pytest.mark.slow
def test_a_tenant_name_is_printed_without_control_characters(system: System, graph: SimulatedGraph) -> None:
    """The tenants file accepts all characters but C0 controls."""
    path = Path(system.environment["TENANTS_FILE"])
    tenants = path.read_text()
    hostile = "\x9b31m\u202egnp.exe\u2028error: forged\u200d\x85"
    path.write_text(tenants.replace(graph.tenants[0].name, hostile))
    system.start_worker()
    tenant_id = str(graph.tenants[0].id)
    assert system.starter("sync", tenant_id, "--type", "groups").code == 0
    (run,) = system.starter("runs", tenant_id, "--json").objects()
    for arguments in (
        ["sync", tenant_id, "--type", "groups"],
        ["sync", tenant_id, "--type", "groups", "--json"],
        ["runs"],
        ["runs", "--json"],
        ["run", run["run_id"]],
        ["items", "nobody", "--type", "groups"],
        ["check", tenant_id, "--type", "groups"],
        ["compare", tenant_id, graph.tenants[1].name, "--type", "groups"],
        ["portfolio", "sync", "--all-tenants", "--type", "groups"],
        ["retention", tenant_id, "--days", "365"],
    ):
        for environment in ({"FORCE_COLOR": "", "TTY_COMPATIBLE": "0"}, {"FORCE_COLOR": "1", "TERM": "xterm-256color"}):
            result = printed(system, *arguments, **environment)
            assert "Traceback" not in result.stderr
            if environment["FORCE_COLOR"] and arguments[0] in ("sync", "portfolio"):
                continue  # a progress bar moves the cursor
            assert_clean(OWN.sub("", result.stdout))
            assert_clean(OWN.sub("", result.stderr))


def test_a_worker_logs_no_terminal_control_characters(system: System) -> None:
    system.environment["TEMPORAL_TASK_QUEUE"] += "\x9b31m\u202egnp.exe\u2028forged"
    system.start_worker()
    assert "gnp.exe" in system.logs()
    assert_clean(system.logs())
