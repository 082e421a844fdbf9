"""How reports show what documents say: values cut to what tells them apart, without characters that mislead."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from answers.compare.records import FieldRecord
from answers.drift.records import EDITED, DriftFindingRecord
from answers.field_labels import FieldChange
from inventory import visible_text
from inventory.differences import DifferenceKind
from inventory.exact_json import encode

MAX_VALUE = 600
"""Characters of a value that a page shows."""

MAX_NAME = 200
"""Characters of a name, an id or a path."""

MAX_FIELDS = 200
"""Fields of one item."""

_LEAD = 80
"""Characters before the first difference of two long values."""


class Value(NamedTuple):
    """A value as a page shows it; the note says what of it is left out."""

    text: str
    note: str = ""
    is_json: bool = False


class FieldRow(NamedTuple):
    """One field that is not the same on both sides. A side that has no value is None, and so is a hidden one.

    `path` is what `--json` calls the field; it is empty where the label says it.
    """

    label: str
    path: str
    kind: str
    hidden: bool
    before: Value | None
    after: Value | None


Field = FieldChange | FieldRecord | DriftFindingRecord


def rows(fields: Sequence[Field] | None) -> list[FieldRow]:
    """The fields as a page shows them; of very many the first."""
    return [_row(field) for field in (fields or ())[:MAX_FIELDS]]


def left_out(fields: Sequence[Field] | None) -> int:
    """How many fields more there are than a page shows."""
    return max(0, len(fields or ()) - MAX_FIELDS)


def visible(text: str) -> str:
    """The text with a mark in the place of each character that is not seen; line ends stay."""
    return visible_text.visible(text, keep="\n\t")


def name(text: str | None) -> str:
    """A name, an id or a path, on one line."""
    if not text:
        return ""
    shown = visible(" ".join(text[: 2 * MAX_NAME].split()))
    return shown if len(shown) <= MAX_NAME else f"{shown[:MAX_NAME]}…"


def _row(field: Field) -> FieldRow:
    label, before, after = field.path, field.before, field.after
    if not isinstance(field, FieldRecord):
        label = field.label
        before = before if field.before_named is None else field.before_named
        after = after if field.after_named is None else field.after_named
    sides = (None, None) if field.hidden else _sides(field.kind, before, after)
    kind: str = field.kind
    if isinstance(field, DriftFindingRecord) and field.evidence == EDITED:
        kind = DifferenceKind.MAY_HAVE_CHANGED
    return FieldRow(name(label), "" if label == field.path else name(field.path), kind, field.hidden, *sides)


def _sides(kind: str, before: Any, after: Any) -> tuple[Value | None, Value | None]:
    if kind == DifferenceKind.ADDED:
        return None, _shown(after, _text(after))
    if kind == DifferenceKind.REMOVED:
        return _shown(before, _text(before)), None
    old, new = _text(before), _text(after)
    if old == new:
        # A number and a text may read the same.
        old, new = _json(before), _json(after)
    start = 0
    if max(len(old), len(new)) > MAX_VALUE:
        start = max(0, _first_difference(old, new) - _LEAD)
    return _shown(before, old, start), _shown(after, new, start)


def _first_difference(one: str, other: str) -> int:
    pairs = enumerate(zip(one, other, strict=False))
    return next((place for place, (mine, theirs) in pairs if mine != theirs), min(len(one), len(other)))


def _text(value: Any) -> str:
    """A value as people read it: texts without quotes, the members of a plain list on lines of their own."""
    if isinstance(value, str):
        return value
    if isinstance(value, list) and value and not any(isinstance(member, list | dict) for member in value):
        return "\n".join(_text(member) for member in value)
    return _json(value)


def _json(value: Any) -> str:
    return encode(value, indented=True).decode()


def _shown(value: Any, text: str, start: int = 0) -> Value:
    """The text that a value has been made to, from `start` on, cut where it is long."""
    is_json = isinstance(value, list | dict)
    if not text:
        return Value("", "an empty text")
    end = start + MAX_VALUE
    if not start and len(text) <= end:
        return Value(visible(text), is_json=is_json)
    shown = f"{'…' if start else ''}{visible(text[start:end])}{'…' if len(text) > end else ''}"
    return Value(shown, f"cut; {len(text):,} characters in all", is_json)
