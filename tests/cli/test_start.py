"""A command loads only its own modules, so that it and its completion start at once."""

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import typer
from pydantic import SecretStr
from typer.testing import CliRunner

from cli import sync
from cli.app import COMMANDS, app
from cli.stored_help import FILE, stored_help
from configuration import Settings
from control import runs
from inventory.selection import Selection
from workflows.requests import SyncRequest

CHECKOUT = Path(__file__).parents[2]
HEAVY = {"sqlalchemy", "temporalio", "httpx", "msal", "jinja2", "storage.models.web"}


NEEDED: dict[str, set[str]] = {
    "catalog": set(),
    "items": {"sqlalchemy"},
    "dependencies": {"sqlalchemy"},
    "check": {"httpx", "msal", "sqlalchemy"},
    "sync": {"temporalio"},
}
LOADED = """
import os, sys
from typer.testing import CliRunner
from cli.app import app

for command in sys.argv[1:]:
    if os.fork() == 0:
        assert CliRunner().invoke(app, [command, "--help"]).exit_code == 0
        print(command, *sys.modules, flush=True)
        os._exit(0)
    os.wait()
"""
"""Prints the modules that `--help` of each command loads, in a fork for each."""


def test_a_command_loads_only_the_heavy_modules_it_needs() -> None:
    result = subprocess.run(
        [sys.executable, "-c", LOADED, *NEEDED], cwd=CHECKOUT, capture_output=True, text=True, check=True
    )
    loaded = {command: HEAVY & set(modules) for command, *modules in map(str.split, result.stdout.splitlines())}
    assert loaded.keys() == NEEDED.keys(), result.stderr
    assert {command: modules for command, modules in loaded.items() if not modules <= NEEDED[command]} == {}


def test_no_garbage_collection_runs_until_the_command_is_loaded() -> None:
    code = """
import gc, sys
import starter
sys.argv = ["starter.py", "run"]
before = gc.get_stats()[1]["collections"]
try:
    starter._run()
except SystemExit:
    print(len(sys.modules), gc.get_stats()[1]["collections"] - before, gc.isenabled(), gc.get_freeze_count())
"""
    result = subprocess.run([sys.executable, "-c", code], cwd=CHECKOUT, capture_output=True, text=True, check=True)
    modules, looks, is_enabled, frozen = result.stdout.split()
    assert int(modules) > 1000
    assert int(looks) == 0
    assert is_enabled == "True"
    assert int(frozen) > 100_000


def test_a_command_loads_no_plugin_of_pydantic(tmp_path: Path) -> None:
    (tmp_path / "plugged.py").write_text("raise SystemExit('a plugin was loaded')")
    published = tmp_path / "plugged-1.dist-info"
    published.mkdir()
    (published / "METADATA").write_text("Name: plugged\nVersion: 1\n")
    (published / "entry_points.txt").write_text("[pydantic]\nplugged = plugged:plugin\n")
    done = subprocess.run(
        [sys.executable, "starter.py", "run"],
        cwd=CHECKOUT,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert "Missing argument" in done.stderr
    assert done.returncode == 2


UNTIL_THE_START = """
import asyncio, sys
from uuid import uuid4
import cli.sync
from configuration import Settings
from inventory.selection import Selection
from workflows.requests import SyncRequest

async def answered(*_):
    return True

async def started(*_, **__):
    print(*sys.modules)
    raise SystemExit

cli.sync.connect_to_start = cli.sync.check_readiness = answered
cli.sync.runs.start_sync = started
settings = Settings(database_url="postgresql://nobody@127.0.0.1/nothing", _env_file=None)
request = SyncRequest(tenant_id=uuid4(), selection=Selection(type_keys=("groups",)))
asyncio.run(cli.sync.sync_tenant(settings, request, "Contoso", wait=True, quiet=False))
"""
"""Prints the modules that are loaded when a run is started."""


def test_a_run_starts_before_modules_for_following_are_loaded() -> None:
    result = subprocess.run(
        [sys.executable, "-c", UNTIL_THE_START], cwd=CHECKOUT, capture_output=True, text=True, check=True
    )
    modules = set(result.stdout.split())
    assert {"temporalio.client", "psycopg"} <= modules
    later = {"answers", "cli.output", "cli.started_run", "inventory.records", "rich", "sqlalchemy", "storage.models"}
    assert not modules & {*later, "cryptography", "workflows.messages", "workflows.sync"}


async def test_sync_connects_to_temporal_and_postgresql_side_by_side(monkeypatch: pytest.MonkeyPatch) -> None:
    begun, answered_at = list[str](), list[int]()

    async def answered(where: object) -> bool:
        begun.append(str(where))
        await asyncio.sleep(0)
        answered_at.append(len(begun))
        return True

    async def started(*_: object) -> None:
        raise InterruptedError

    monkeypatch.setattr(sync, "connect_to_start", answered)
    monkeypatch.setattr(sync, "check_readiness", answered)
    monkeypatch.setattr(runs, "start_sync", started)
    settings = Settings(database_url=SecretStr("postgresql://nobody@127.0.0.1/nothing"))
    request = SyncRequest(tenant_id=uuid4(), selection=Selection(type_keys=("groups",)))
    with pytest.raises(InterruptedError):
        await sync.sync_tenant(settings, request, "Contoso", wait=True, quiet=False)
    assert answered_at == [2, 2]


@pytest.mark.parametrize("words", ["", "sync", "demo", "portfolio sync", "compare", "schedule"])
def test_help_loads_no_command(words: str) -> None:
    code = "import starter, sys; sys.argv = sys.argv[1:]; starter._run(); print(*sys.modules, file=sys.stderr)"
    result = subprocess.run(
        [sys.executable, "-c", code, "starter.py", *words.split(), "--help"],
        cwd=CHECKOUT,
        env={**os.environ, "COLUMNS": "80"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stdout.startswith(" ".join(["Usage: starter.py", *words.split()]))
    modules = set(result.stderr.split())
    assert not modules & {*HEAVY, "typer", "pydantic", "rich", "asyncio"}
    assert {name for name in modules if name.startswith("cli.") or name.endswith("command")} == {"cli.stored_help"}


@pytest.mark.parametrize(
    ("arguments", "stored"),
    [
        ("--help", ""),
        ("sync contoso --help", "sync"),
        ("drift decide --help", "drift decide"),
        ("drift contoso --help", None),
        ("portfolio nonsense --help", None),
        ("sync contoso --type --help", None),
        ("sync --no-wait --help", None),
        ("nonsense --help", None),
        ("runs", None),
    ],
)
def test_stored_help_answers_only_help_of_known_commands(arguments: str, stored: str | None) -> None:
    found = stored_help(arguments.split(), "starter.py")
    known = json.loads(FILE.read_text())
    assert (None if found is None else found.text) == (None if stored is None else known[stored])
    assert found is None or not found.is_usage_error


@pytest.mark.parametrize("words", ["", "portfolio"])
def test_a_command_line_without_a_command_is_a_usage_error(words: str) -> None:
    found = stored_help(words.split(), "tenant-inventory")
    assert found is not None
    assert found.is_usage_error
    assert found.text.startswith(f"Usage: tenant-inventory {words}".rstrip())
    result = CliRunner().invoke(app, words.split(), prog_name="tenant-inventory")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.splitlines()[0] == found.text.splitlines()[0]


def test_a_mistyped_command_gets_a_suggestion() -> None:
    result = CliRunner().invoke(app, ["itms"])
    assert result.exit_code == 2
    assert "No such command 'itms'. Did you mean 'items'" in result.stderr


COMPLETED = """
import starter, sys
try:
    starter._run()
except SystemExit:
    print(*sys.modules, file=sys.stderr)
"""
"""Completes a command line, then prints the loaded modules on stderr."""


def test_completion_of_a_commands_name_loads_no_command() -> None:
    environment = {"_STARTER.PY_COMPLETE": "complete_bash", "COMP_WORDS": "starter.py ", "COMP_CWORD": "1"}
    result = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.argv = ['starter.py']{COMPLETED}"],
        cwd=CHECKOUT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stdout.split() == list(COMMANDS)
    modules = set(result.stderr.split())
    assert not modules & {*HEAVY, "asyncio", "rich"}
    assert not modules & {target.partition(":")[0] for target in COMMANDS.values()}


def test_completion_describes_commands_as_their_help_does() -> None:
    commands: Any = typer.main.get_command(app)
    completed = commands.shell_complete(typer.Context(commands), "")
    described = {item.value: item.help for item in completed}
    assert described == {name: commands.get_command(None, name).get_short_help_str() for name in COMMANDS}


def test_a_wrong_choice_is_told_without_the_librarys_words() -> None:
    result = CliRunner().invoke(app, ["items", "contoso", "--state", "gone"])
    assert "Invalid value for '--state': 'gone' is not one of 'present', 'missing', 'not_read'." in result.stderr


@pytest.mark.parametrize("columns", ["0", "99999999999"])
def test_an_impossible_width_is_ignored(columns: str) -> None:
    result = subprocess.run(
        [sys.executable, "starter.py", "catalog", "--category", "scripts", "--columns", "title"],
        cwd=CHECKOUT,
        env={**os.environ, "COLUMNS": columns},
        capture_output=True,
        text=True,
    )
    assert "PowerShell scripts" in result.stdout


def test_each_command_has_its_registered_name() -> None:
    commands: Any = typer.main.get_command(app)
    for name in COMMANDS:
        command = commands.get_command(None, name)
        assert command.name == name
    assert commands.get_command(None, "nothing") is None
