"""Text that a person may type: no control characters, and no more than a name, an id or a reason needs."""

import re
from collections.abc import Iterable
from typing import Any
from unicodedata import category

from cli.errors import ExitCode, fail

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
"""Names of baselines and schedules."""

MOST_CHARACTERS = 2_000
"""Of a name, an id, a reason or a note: PostgreSQL indexes no longer value, and nobody reads one."""


def look_through(command: Any) -> None:
    """Has each text that is given to a command, or to one below it, looked through before the command begins."""
    for parameter in command.params:
        parameter.callback = _looked_through
    for subcommand in getattr(command, "commands", {}).values():
        look_through(subcommand)


def _looked_through(ctx: Any, parameter: Any, value: Any) -> Any:
    """The value as it is; ends the command if it holds a forbidden character."""
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


def problem_with(text: str) -> str | None:
    """The fault of a text; None if there is none."""
    if len(text) > MOST_CHARACTERS:
        return f"{len(text)} characters are too many; write {MOST_CHARACTERS} at most"
    if any(category(character) in ("Cc", "Cs") for character in text):
        return "holds a control character, a line break or an invalid byte; remove it"
    return None
