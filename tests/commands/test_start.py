"""A command loads what it needs and nothing else, so that it and its completion are there at once."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer

from commands.app import MODULES, app

CHECKOUT = Path(__file__).parents[2]
HEAVY = {"networkx", "sqlalchemy", "temporalio", "httpx", "msal", "jinja2"}


def loaded(*words: str) -> set[str]:
    """The heavy packages that `--help` of a command loads."""
    code = (
        "import sys; from typer.testing import CliRunner; from commands.app import app;"
        f"assert CliRunner().invoke(app, {[*words, '--help']}).exit_code == 0; print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=CHECKOUT, capture_output=True, text=True, check=True)
    return HEAVY & set(done.stdout.split())


@pytest.mark.parametrize(
    ("command", "needed"),
    [
        ("catalog", set()),
        ("items", {"sqlalchemy"}),
        ("dependencies", {"sqlalchemy"}),
        ("check", {"httpx", "msal"}),
        ("sync", {"sqlalchemy", "temporalio"}),
    ],
)
def test_a_command_loads_what_it_needs(command: str, needed: set[str]) -> None:
    assert loaded(command) <= needed


def test_each_command_is_where_it_is_said_to_be() -> None:
    commands: Any = typer.main.get_command(app)
    for name in MODULES:
        command = commands.get_command(None, name)
        assert command.name == name
    assert commands.get_command(None, "nothing") is None
