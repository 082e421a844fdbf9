"""The command line, put together. A command's module is loaded when the command is asked for."""

from collections.abc import Mapping
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperGroup
from typer.main import get_group

from commands.typed_text import look_through

MODULES: Mapping[str, str] = {
    "demo": "demo",
    "catalog": "catalog",
    "permissions": "permissions",
    "check": "check",
    "sync": "sync",
    "cancel": "sync",
    "runs": "runs",
    "run": "runs",
    "items": "inventory",
    "missing": "inventory",
    "limits": "limits",
    "retention": "retention",
    "versions": "versions:show_versions",
    "show": "versions",
    "diff": "versions",
    "export": "export",
    "changes": "changes",
    "compare": "compare",
    "dependencies": "dependencies",
    "dangling": "dependencies",
    "unassigned": "dependencies",
    "baseline": "baseline",
    "drift": "drift",
    "database": "database",
    "portfolio": "portfolio",
    "schedule": "schedule",
}
"""Each command, in the order of the help: its module, and what it is called there if otherwise."""


class _Commands(TyperGroup):
    """The commands, of which only the one that is asked for is loaded."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002 - Typer's signature
        """The names, in the order of the help."""
        return list(MODULES)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002 - Typer's signature
        """The command of this name; None where there is none."""
        return _command(cmd_name) if cmd_name in MODULES else None


def _command(name: str) -> Any:
    module, _, attribute = MODULES[name].partition(":")
    found = getattr(import_module(f"commands.{module}"), attribute or name)
    alone = typer.Typer(rich_markup_mode=None)
    if isinstance(found, typer.Typer):
        alone.add_typer(found, name=name)
    else:
        alone.command(name)(found)
    command = get_group(alone).commands[name]
    look_through(command)
    return command


app = typer.Typer(
    name="tenant-inventory",
    cls=_Commands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


@app.callback()
def main() -> None:
    """Tenant Inventory: what configuration Microsoft 365 tenants hold, when it was last seen, what is missing."""
