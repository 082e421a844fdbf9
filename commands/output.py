"""How commands print: tables for people, JSON for machines, nothing else on stdout."""

import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
from pydantic import BaseModel
from rich.console import Console
from rich.table import Table
from rich.text import Text

from inventory.exact_json import JsonValue, encode
from inventory.outcomes import RunStatus

stdout = Console(highlight=False, soft_wrap=True)
stderr = Console(stderr=True, highlight=False, soft_wrap=True)

MAX_SHOWN = 200
"""Characters of a value that a line for people shows."""

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
    """One JSON object on one line of stdout."""
    plain = value.model_dump(mode="json") if isinstance(value, BaseModel) else value
    sys.stdout.write(orjson.dumps(plain, default=str).decode() + "\n")


def styled(word: object) -> Text:
    """A word of the vocabulary in its colour."""
    return Text(str(word or ""), style=STYLES.get(str(word), ""))


def printable(words: str) -> str:
    """What a terminal shows as it stands: a document may hold characters that steer it."""
    return "".join(one if one.isprintable() else "\ufffd" for one in words)


def short_value(value: JsonValue, most: int = MAX_SHOWN) -> str:
    """A value of a document on one line, cut where it is long."""
    shown = printable(encode(value).decode())
    return shown if len(shown) <= most else f"{shown[:most]}… ({len(shown)} characters; --json has all)"


def when(moment: datetime | None) -> str:
    """A moment in UTC, to the second."""
    return "" if moment is None else moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%SZ")


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
    table = Table(title=title, title_justify="left", header_style="bold", box=None, pad_edge=False)
    for column in columns:
        table.add_column(column.rstrip("#"), justify="right" if column.endswith("#") else "left", overflow="fold")
    for row in rows:
        table.add_row(*(cell if isinstance(cell, Text) else Text("" if cell is None else str(cell)) for cell in row))
    if not stdout.is_terminal:
        Console(width=10_000, highlight=False).print(table)
        return
    stdout.print(table)


def status_word(status: RunStatus) -> Text:
    """A run status in its colour."""
    return styled(status)
