"""Prints lines for people, or JSON for programs."""

import os
import re
import sys
from collections.abc import Iterable
from datetime import UTC, datetime, tzinfo
from typing import TYPE_CHECKING, Any

import orjson
from pydantic import BaseModel
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

from cli.long_words import fitting
from cli.output_options import output_options
from inventory.elapsed_time import elapsed
from inventory.elapsed_time import lasting as lasting
from inventory.plurals import counted
from inventory.visible_text import escaped_json, visible, with_spaces

if TYPE_CHECKING:
    from answers.field_text import FieldText


_COMMAND_AT_END = re.compile(r": (python (?:starter|worker)\.py [^;]*)$")


class SafeConsole(Console):
    """Prints text literally: no markup, no emoji names, no control of the terminal."""

    def __init__(self, *, to_stderr: bool = False, width: int | None = None) -> None:
        super().__init__(stderr=to_stderr, width=width, highlight=False, markup=False, emoji=False, soft_wrap=True)

    def print(self, *objects: Any, **options: Any) -> None:
        """Prints a text as one line, even if names hold line ends. Wraps a line that is too wide, but not a
        command at its end.

        With `--csv`, all but CSV goes to stderr. On a terminal, notes go to the pager with the answer.
        """
        if not self.stderr and output_options().as_csv:
            stderr.print(*objects, **options)
            return
        if self.stderr and output_options().is_paged and sys.stderr.isatty():
            stdout.print(*objects, **options)
            return
        if self.stderr and (about := output_options().about):
            objects = (f"{about}:", *objects)
        width = known_width(self)
        if width is None and self.color_system is None and options.keys() <= {"end", "style"} and _are_texts(objects):
            # Rich takes a tenth of a millisecond to write a line without styles.
            self.file.write(" ".join(visible(str(value)) for value in objects) + options.get("end", "\n"))
            self.file.flush()
            return
        lines = [one_line(value) for value in objects]
        if width is not None and _are_texts(lines):
            style = options.pop("style", None) or ""
            whole = Text(" ").join(line if isinstance(line, Text) else Text(line) for line in lines)
            whole.stylize_before(style)
            for line in self._wrapped(whole, width):
                super().print(line, **options)
            return
        super().print(*lines, **options)

    def on_broken_pipe(self) -> None:
        """Leaves the error to `errors_for_people`; Rich would exit with 1."""
        raise  # noqa: PLE0704 - Rich calls this while it handles the error

    def _wrapped(self, text: Text, width: int) -> Iterable[Text]:
        if text.cell_len <= width:
            return [text]
        indent = min(len(text.plain) - len(text.plain.lstrip(" ")), width // 2)
        if command := _COMMAND_AT_END.search(text.plain):
            # A shell would run the parts of a broken command one by one.
            words = text[: command.start(1)]
            words.rstrip()
            return [*self._wrapped(words, width), Text(" " * (indent + 2)) + text[command.start(1) :]]
        first, *others = text[indent:].wrap(self, max(1, width - indent - 2), overflow="fold")
        wrapped = [Text(" " * indent) + first, *(Text(" " * (indent + 2)) + line for line in others)]
        for line in wrapped:
            line.rstrip()
        return wrapped

    def print_grid(self, grid: RenderableType, width: int) -> None:
        if not self.stderr and output_options().as_csv:
            stderr.print_grid(grid, width)
            return
        for segments in self.render_lines(grid, self.options.update(width=width), pad=False):
            line = Text.assemble(*((segment.text, segment.style or "") for segment in segments))
            line.rstrip()
            super().print(line, soft_wrap=True)

    def print_lines(self, text: str, **options: Any) -> None:
        """The caller has cleaned names in the text."""
        for line in text.split("\n"):
            self.print(line, **options)

    def render(self, renderable: Any, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Marks invisible characters in all text, even in table cells and progress."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(visible(segment.text, keep="\n"), segment.style)


def _are_texts(values: Iterable[Any]) -> bool:
    return all(isinstance(value, (str, Text)) for value in values)


def one_line(value: Any) -> Any:
    """Marks line ends and invisible characters in a text; leaves other values unchanged."""
    if isinstance(value, str):
        return visible(value)
    if isinstance(value, Text):
        clean = value.copy()
        # The length is unchanged, so the styles still fit.
        clean.plain = visible(value.plain)
        return clean
    return value


stdout = SafeConsole()
stderr = SafeConsole(to_stderr=True)

UNBOUNDED = 10_000
"""The width of a table in a pipe or file."""

MAX_LINES = 60
"""The most lines of one field in a list of changes; `diff` shows all."""

_SIGN_STYLES = {"-": "red", "+": "green", "@": "cyan"}

STYLES = {
    "success": "green",
    "complete": "green",
    "present": "green",
    "high": "bold",
    "partial": "yellow",
    "incomplete": "yellow",
    "missing": "yellow",
    "not read": "yellow",
    "low": "dim",
    "failed": "red",
    "cancelled": "magenta",
    "skipped": "dim",
    "queued": "cyan",
    "running": "cyan",
}


def warn(*lines: str) -> None:
    """Writes lines about an answer's gaps to stderr."""
    for line in lines:
        stderr.print(line, style="yellow")


def print_json(*values: BaseModel | dict[str, Any] | bytes) -> None:
    """Prints each JSON object on a line, with invisible characters escaped."""
    for value in values:
        plain = value.model_dump(mode="json") if isinstance(value, BaseModel) else value
        written = plain if isinstance(plain, bytes) else orjson.dumps(plain, default=str)
        sys.stdout.write(escaped_json(written.decode()) + "\n")


def print_result(result: BaseModel | dict[str, Any], words: str) -> None:
    if output_options().as_json:
        print_json(result)
    else:
        stdout.print(words)


def styled(word: object) -> Text:
    return Text(str(word or ""), style=STYLES.get(str(word), ""))


def print_field(
    field: "FieldText", *, indent: str, between: str = " → ", sign: tuple[str, str] = ("", ""), most: int = MAX_LINES
) -> None:
    """Prints label and values on one line, then the differing lines of a text."""
    mark, style = sign
    text = field.summary(between, is_signed=not mark)
    room = table_width() - cell_len(indent + mark + ": ") - 2
    label = (f"{fitting(visible(field.label), room)}: ", "bold")
    stdout.print(Text.assemble(indent, (mark, style), label, (visible(text), style)))
    for line in field.lines[:most]:
        stdout.print(Text.assemble(indent, "  ", (visible(with_spaces(line)), _SIGN_STYLES.get(line[:1], ""))))
    if len(field.lines) > most:
        stdout.print(
            f"{indent}  … {counted(len(field.lines) - most, 'more line')}; diff and --json have all", style="dim"
        )


def known_width(console: Console) -> int | None:
    """COLUMNS, else the terminal's width; None in a pipe or file."""
    if (columns := os.environ.get("COLUMNS", "")).isdecimal() and int(columns):
        return int(columns)
    return console.width if console.is_terminal else None


def table_width() -> int:
    return known_width(stdout) or UNBOUNDED


def time_zone() -> tzinfo | None:
    """UTC with `--utc`; None means local time."""
    return UTC if output_options().utc else None


def when(moment: datetime | None) -> str:
    """A moment to the second, in a form that `--since` accepts."""
    if moment is None:
        return ""
    return moment.astimezone(time_zone()).isoformat(" ", "seconds").replace("+00:00", "Z")


def ago(moment: datetime | None, now: datetime | None = None) -> str:
    """The elapsed time, or after a month the day."""
    if moment is None:
        return ""
    return elapsed(moment, now or datetime.now(UTC)) or when(moment)[:10]


def took(started_at: datetime | None, finished_at: datetime | None) -> str:
    """The duration; empty without an end."""
    return lasting(finished_at - started_at if finished_at and started_at else None)
