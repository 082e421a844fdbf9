"""How commands print: tables for people, JSON for machines, nothing else on stdout."""

import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

import orjson
from pydantic import BaseModel
from rich.console import Console, ConsoleOptions
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from inventory.outcomes import RunStatus
from inventory.visible_text import escaped_json, visible


class SafeConsole(Console):
    """Prints words as they are: what a name holds is neither markup nor an emoji's name, and steers no terminal."""

    def __init__(self, *, to_stderr: bool = False, width: int | None = None) -> None:
        super().__init__(stderr=to_stderr, width=width, highlight=False, markup=False, emoji=False, soft_wrap=True)

    def print(self, *objects: Any, **options: Any) -> None:
        """As `Console` does, but a text is one line: a line end in a name begins no other line."""
        super().print(*map(_one_line, objects), **options)

    def print_lines(self, text: str, **options: Any) -> None:
        """Prints a text of several lines. Whoever puts names into it cleans them first."""
        for line in text.split("\n"):
            self.print(line, **options)

    def render(self, renderable: Any, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Called for all that is printed, cells of tables and lines of progress too: the last place to clean it."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(visible(segment.text, keep="\n"), segment.style)


def _one_line(one: Any) -> Any:
    if isinstance(one, str):
        return visible(one)
    if isinstance(one, Text):
        clean = one.copy()
        # As long as before, so that its styles fit.
        clean.plain = visible(one.plain)
        return clean
    return one


stdout = SafeConsole()
stderr = SafeConsole(to_stderr=True)

MAX_LINES = 60
"""Lines of one field that a list of changes shows; `diff` shows all."""

_SIGN_STYLES = {"-": "red", "+": "green", "@": "cyan"}

STYLES = {
    "success": "green",
    "complete": "green",
    "present": "green",
    "high": "bold",
    "partial": "yellow",
    "incomplete": "yellow",
    "missing": "yellow",
    "low": "dim",
    "failed": "red",
    "cancelled": "magenta",
    "skipped": "dim",
    "queued": "cyan",
    "running": "cyan",
}


def print_json(value: BaseModel | dict[str, Any]) -> None:
    """One JSON object on one line of stdout. What is not seen is escaped, in a pipe too: it is the same JSON."""
    plain = value.model_dump(mode="json") if isinstance(value, BaseModel) else value
    sys.stdout.write(escaped_json(orjson.dumps(plain, default=str).decode()) + "\n")


def styled(word: object) -> Text:
    """A word of the vocabulary in its colour."""
    return Text(str(word or ""), style=STYLES.get(str(word), ""))


class SaidField(Protocol):
    """A field that differs, as `answers.field_text` says it."""

    @property
    def label(self) -> str: ...
    @property
    def lines(self) -> Sequence[str]: ...
    def summary(self, between: str = ..., *, is_signed: bool = ...) -> str: ...


def print_field(
    field: SaidField, *, indent: str, between: str = " → ", sign: tuple[str, str] = ("", ""), most: int = MAX_LINES
) -> None:
    """A field that differs: its label and values on one line, and below it the lines of a text that differ."""
    mark, style = sign
    said = field.summary(between, is_signed=not mark)
    label = (f"{visible(field.label)}: ", "bold")
    stdout.print(Text.assemble(indent, (mark, style), label, (visible(said), style)))
    for line in field.lines[:most]:
        stdout.print(Text.assemble(indent, "  ", (visible(line), _SIGN_STYLES.get(line[:1], ""))))
    if len(field.lines) > most:
        stdout.print(f"{indent}  … {len(field.lines) - most:,} more lines; diff and --json have all", style="dim")


def when(moment: datetime | None) -> str:
    """A moment in UTC, to the second."""
    # A year before 1000 has fewer digits.
    return "" if moment is None else f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S}Z".zfill(20)


def lasting(duration: timedelta | None) -> str:
    """A duration as a person would say it."""
    if duration is None:
        return ""
    seconds = duration.total_seconds()
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min {rest} s"


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, title: str | None = None) -> None:
    """A table on stdout; columns whose names end in `#` are numbers. Piped, it is as wide as it needs to be."""
    table = Table(
        title=None if title is None else Text(visible(title), style="table.title"),
        title_justify="left",
        header_style="bold",
        box=None,
        pad_edge=False,
    )
    for column in map(visible, columns):
        table.add_column(column.rstrip("#"), justify="right" if column.endswith("#") else "left", overflow="fold")
    for row in rows:
        table.add_row(*(cell if isinstance(cell, Text) else Text(visible(_in_words(cell))) for cell in row))
    if not stdout.is_terminal:
        SafeConsole(width=10_000).print(table)
        return
    stdout.print(table)


def _in_words(cell: object) -> str:
    return "" if cell is None else str(cell)


def status_word(status: RunStatus) -> Text:
    """A run status in its colour."""
    return styled(status)
