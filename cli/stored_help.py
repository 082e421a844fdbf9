"""Shows a command's help without loading the command. `python -m docs.generate` writes `help.json`."""

import json
import os
import shutil
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

FILE = Path(__file__).with_name("help.json")

COLUMNS = 80
"""The width of stored help, also on wider terminals."""

PROGRAM = "starter.py"
"""The program's name in the stored help."""


class StoredHelp(NamedTuple):
    """`is_usage_error`: the command line lacks a command."""

    text: str
    is_usage_error: bool


def stored_help(arguments: Sequence[str], program: str) -> StoredHelp | None:
    """The help that a command line asks for; None if it asks for none, or on a narrow terminal."""
    *words, last = arguments or ("",)
    if last and last != "--help":
        words, is_help = list(arguments), False
    else:
        is_help = bool(last)
    if any(word.startswith("-") for word in words) or shutil.get_terminal_size().columns < COLUMNS:
        return None
    known = _help_texts()
    text = _longest(known, words) if is_help else known.get(" ".join(words)) if _is_group(known, words) else None
    return None if text is None else StoredHelp(text.replace(f"Usage: {PROGRAM}", f"Usage: {program}", 1), not is_help)


def summaries() -> dict[str, str]:
    """The first paragraph of each command's help."""
    return {name: " ".join(text.split("\n\n")[1].split()) for name, text in _help_texts().items()}


def _help_texts() -> dict[str, str]:
    known: dict[str, str] = json.loads(FILE.read_text(encoding="utf-8"))
    return known


def _is_group(help_texts: dict[str, str], words: Sequence[str]) -> bool:
    beginning = " ".join([*words, ""]) if words else ""
    return any(name.startswith(beginning) and name != "" for name in help_texts) and " ".join(words) in help_texts


def _longest(help_texts: dict[str, str], words: Sequence[str]) -> str | None:
    for length in range(len(words), 0, -1):
        name = " ".join(words[:length])
        if name in help_texts:
            return None if length < len(words) and _is_group(help_texts, words[:length]) else help_texts[name]
    return None if words else help_texts[""]


def show_stored_help() -> bool:
    """False if there is no help to show. Exits with 2 if the command line lacks a command."""
    completes = any(name.startswith("_") and name.endswith("_COMPLETE") for name in os.environ)
    help_text = None if completes else stored_help(sys.argv[1:], Path(sys.argv[0]).name)
    if help_text is None:
        return False
    with suppress(BrokenPipeError):  # the reader has left, as `| true` does
        (sys.stderr if help_text.is_usage_error else sys.stdout).write(help_text.text)
    if help_text.is_usage_error:
        sys.exit(2)
    return True
