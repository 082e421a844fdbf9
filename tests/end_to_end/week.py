"""The commands of docs/week.md, and how their output is compared."""

import re
import shlex
from collections.abc import Callable
from typing import NamedTuple

from tests.forks import CHECKOUT

PAGE = CHECKOUT / "docs" / "week.md"

LINES = 7
"""Lines of an answer that the page shows."""

_BLOCK = re.compile(r"```console\n\$ python starter\.py (?P<command>[^\n]*)\n(?P<output>.*?)```", re.DOTALL)

_DIFFERS = (
    (re.compile(r"\s+"), " "),
    (re.compile(r"\d{4}-\d\d-\d\d(?: \d\d:\d\d:\d\d(?:Z|[+-]\d\d:\d\d))?"), "TIME"),
    (re.compile(r"(?:just now|in a moment|(?:in )?\d+ (?:min(?! \d+ s)|h(?! \d+ min)|days?)(?: ago)?)"), "AGE"),
    (re.compile(r"\d+(?:\.\d+)? s\b|\d+ min \d+ s\b"), "LASTED"),
    (re.compile(r"\b[0-9a-f]{8}[0-9a-f-]*\b"), "ID"),
    (re.compile(r"\b\d{3,}\b"), "NUMBER"),
)
"""Parts that differ from time to time: room, times, ages, durations, ids, and counts that grow with the catalog."""


class Step(NamedTuple):
    """A command of the page, and the output that the page shows."""

    words: tuple[str, ...]
    output: str

    @property
    def comparable(self) -> str:
        """The output without the parts that differ each time."""
        return masked(self.output)


def steps() -> list[Step]:
    """The commands of the page, in order."""
    return [Step(tuple(shlex.split(found["command"])), found["output"]) for found in _BLOCK.finditer(PAGE.read_text())]


def first_lines(output: str) -> str:
    """The first lines of an output, as the page shows them."""
    lines = output.splitlines()
    return "".join(f"{line}\n" for line in [*lines[:LINES], *(["…"] if len(lines) > LINES else [])])


def masked(output: str) -> str:
    """An output without the parts that differ each time."""
    for pattern, word in _DIFFERS:
        output = pattern.sub(word, output)
    return output.strip()


def write(outputs: Callable[[tuple[str, ...]], str]) -> None:
    """Rewrites the page with current outputs."""

    def written(match: re.Match[str]) -> str:
        output = outputs(tuple(shlex.split(match["command"])))
        return f"```console\n$ python starter.py {match['command']}\n{output}```"

    PAGE.write_text(_BLOCK.sub(written, PAGE.read_text()))
