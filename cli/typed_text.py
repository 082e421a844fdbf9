"""Checks texts given to commands before they begin."""

from collections.abc import Iterable
from typing import Any

from cli.errors import ExitCode, fail
from inventory.typed_text import problem_with


def look_through(command: Any) -> None:
    """Checks each text given to a command or one below it."""
    for parameter in command.params:
        parameter.callback = _looked_through
    for subcommand in getattr(command, "commands", {}).values():
        look_through(subcommand)


def _looked_through(ctx: Any, parameter: Any, value: Any) -> Any:
    """The value; ends the command at a forbidden character."""
    if not ctx.resilient_parsing:
        name = parameter.opts[0]
        shown = name if name.startswith("-") else parameter.metavar or name.upper()
        for text in _texts(value):
            if problem := problem_with(text):
                fail(f"{shown}: {problem}", ExitCode.USAGE)
    return value


def _texts(value: Any) -> Iterable[str]:
    if isinstance(value, str):
        return [value]
    return [character for character in value if isinstance(character, str)] if isinstance(value, list | tuple) else []
