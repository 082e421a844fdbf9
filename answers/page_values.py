"""`answers.field_text` for pages, with invisible characters marked."""

from collections.abc import Sequence
from typing import NamedTuple

from answers.field_text import ShownField, field_text, path_beside, shown_fields
from inventory import visible_text

MAX_NAME = 200

MAX_FIELDS = 200

MAX_LINES = 200


class FieldRow(NamedTuple):
    """`before` and `after` are None if absent, hidden or in `lines`; `path` is empty if the label tells it.

    `left_out` counts further lines.
    """

    label: str
    path: str
    kind: str
    before: str | None
    after: str | None
    note: str
    lines: tuple[str, ...]
    left_out: int


def rows(fields: Sequence[ShownField] | None, most: int = MAX_FIELDS, most_lines: int = MAX_LINES) -> list[FieldRow]:
    return [_row(field, most_lines) for field in shown_fields(fields)[:most]]


def left_out(fields: Sequence[ShownField] | None, most: int = MAX_FIELDS) -> int:
    return max(0, len(shown_fields(fields)) - most)


def visible(text: str) -> str:
    """Marks invisible characters except line ends and tabs."""
    return visible_text.visible(text, keep="\n\t")


def name(text: str | None) -> str:
    """One line, cut after `MAX_NAME` characters."""
    if not text:
        return ""
    shown = visible(" ".join(text[: 2 * MAX_NAME].split()))
    return shown if len(shown) <= MAX_NAME else f"{shown[:MAX_NAME]}…"


def _row(field: ShownField, most_lines: int) -> FieldRow:
    text = field_text(field)
    return FieldRow(
        label=name(text.label),
        path=name(path_beside(field, text.label)),
        kind=text.kind,
        before=None if text.before is None else visible(text.before),
        after=None if text.after is None else visible(text.after),
        note=visible(text.note),
        lines=tuple(visible(line) for line in text.lines[:most_lines]),
        left_out=max(0, len(text.lines) - most_lines),
    )
