"""A field's difference in words, for commands, JSON and pages.

Values of several lines become a text diff. If only the encoding differs, both encodings are named.
"""

import re
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from enum import StrEnum
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from pydantic import BaseModel, computed_field

from answers.encoded_content import Content, content_of
from answers.value_text import (
    CHOICES,
    HIDDEN,
    HIDDEN_IN_PART,
    NOTHING,
    Place,
    is_assignment,
    is_definition_id,
    is_empty,
    is_setting,
    presentation_lines,
    readable_lines,
    short_id,
    switch_text,
    value_lines,
)
from inventory.canonical import TYPE
from inventory.differences import DifferenceKind
from inventory.exact_json import JsonValue, encode
from inventory.plurals import counted
from inventory.secret_patterns import LEFT_OUT

_OMA_VALUE = re.compile(r"omaSettings\[(\./.+)\]\.value")

CONTEXT = 3
"""Lines shown around differing lines."""

LONGEST_VALUE = 400
"""Characters of a one-line value. Longer values are cut to the part around their first difference."""

_LEAD = 80

MEMBERS_SHOWN = 5

LINES_IN_A_CELL = 6

_MOST_COMPARED = 4_000_000
"""The product of two line counts beyond which matching takes too long."""

_PEOPLE_SEPARATOR = " → "

_ID_OF_AN_ASSIGNMENT = re.compile(r"[aA]ssignments\[[^\]]*\]\.(id|sourceId)$")


class ShownField(BaseModel, frozen=True):
    if TYPE_CHECKING:
        path: str
        label: str
        kind: StrEnum
        before: Any
        after: Any
        before_named: Any
        after_named: Any
        hidden: bool

    @property
    def difference(self) -> DifferenceKind:
        return DifferenceKind(self.kind)

    @computed_field  # type: ignore[prop-decorator]  # mypy does not know decorated properties
    @property
    def text(self) -> str:
        """The values, or the lines that differ, for people; empty for a whole item."""
        return field_text(self).text() if self.path else ""


FieldT = TypeVar("FieldT", bound=ShownField)


class FieldText(NamedTuple):
    """`before` and `after` are one-line values, None if absent or in `lines`, a text diff.

    `note` concerns both sides: encodings, or a setting's whole id.
    """

    label: str
    kind: str
    before: str | None = None
    after: str | None = None
    note: str = ""
    lines: tuple[str, ...] = ()

    def summary(self, between: str = _PEOPLE_SEPARATOR, *, is_signed: bool = True) -> str:
        """One line without `lines`: `"a" → "b"`, or `+ "b"` (without `is_signed`, `"b"`)."""
        if self.before is not None and self.after is not None:
            text = f"{self.before}{between}{self.after}"
        elif self.after is not None:
            text = f"{'+ ' if is_signed else ''}{self.after}"
        else:
            text = "" if self.before is None else f"{'- ' if is_signed else ''}{self.before}"
        return f"{text} ({self.note})" if text and self.note else text or self.note

    def of_two_sides(self) -> "FieldText":
        """Writes `nothing` for an absent side."""
        if (self.before is None) == (self.after is None):
            return self
        return self._replace(before=self.before or NOTHING, after=self.after or NOTHING)

    def text(self) -> str:
        """All but the label, as in `--json`."""
        return "\n".join(filter(None, (self.summary(), *self.lines)))

    def text_in_a_cell(self) -> str:
        """One line: the summary and the first differing lines."""
        differing = [f"{line[0]} {line[1:].strip().expandtabs(1)}" for line in self.lines if line[:1] in ("-", "+")]
        shown = [*filter(None, (self.summary(),)), *differing[:LINES_IN_A_CELL]]
        left_out = len(differing) - LINES_IN_A_CELL
        return "; ".join([*shown, *([counted(left_out, "more line")] if left_out > 0 else [])])


def shown_fields(fields: Sequence[FieldT] | None) -> list[FieldT]:
    """Leaves out fields that tell people nothing: empty against absent values, assignments' ids, and the type and JSON
    text beside a changed value.
    """
    paths = {field.path for field in fields or ()}
    return [field for field in fields or () if field.hidden or _tells(field, paths)]


def _tells(field: ShownField, paths: set[str]) -> bool:
    if is_empty(field.before) and is_empty(field.after):
        return False
    if _ID_OF_AN_ASSIGNMENT.search(field.path):
        return False
    above, _, name = field.path.rpartition(".valueJson" if field.path.endswith(".valueJson") else f".{TYPE}")
    return bool(name) or not above or f"{above}.value" not in paths


def field_text(field: ShownField) -> FieldText:
    kind = str(field.difference)
    label = _label(field)
    if field.hidden:
        return _hidden(label, kind, field.before, field.after)
    place = _place(field.path)
    before = field.before if field.before_named is None else field.before_named
    after = field.after if field.after_named is None else field.after_named
    if field.path.endswith("[]") and (_are_members(before) or _are_members(after)):
        return _members(label, kind, before or [], after or [], place)
    whole_id = _whole_id(field.label or field.path)
    if kind == DifferenceKind.ADDED:
        return _one_sided(label, kind, after, place, whole_id)
    if kind == DifferenceKind.REMOVED:
        return _one_sided(label, kind, before, place, whole_id)
    return _changed(label, kind, before, after, place, whole_id)


def _hidden(label: str, kind: str, before: JsonValue, after: JsonValue) -> FieldText:
    become = kind.replace("_", " ")
    old, new = readable_lines(before), readable_lines(after)
    if old is not None and new is not None:
        if old == new:
            has = "has changed" if kind == DifferenceKind.CHANGED else become
            return FieldText(label, kind, note=f"only the hidden part {has}", lines=tuple(_around_hidden(new)))
        lines = list(text_diff(old, new))
        if not any(LEFT_OUT in line for line in lines):
            lines += _around_hidden(new)
        return FieldText(label, kind, note=f"{HIDDEN_IN_PART}, {become}", lines=tuple(lines))
    side = new if kind == DifferenceKind.ADDED else old if kind == DifferenceKind.REMOVED else None
    if side is None:
        return FieldText(label, kind, note=f"{HIDDEN}, {become}")
    sign = "+" if kind == DifferenceKind.ADDED else "-"
    return FieldText(label, kind, note=f"{HIDDEN_IN_PART}, {become}", lines=tuple(f"{sign} {line}" for line in side))


def _around_hidden(lines: Sequence[str]) -> Iterator[str]:
    places = [number for number, line in enumerate(lines) if LEFT_OUT in line]
    near = sorted({at for place in places for at in range(place - CONTEXT, place + CONTEXT + 1)} & {*range(len(lines))})
    for at in near:
        if at and at - 1 not in near:
            yield f"@@ line {at + 1} @@"
        yield f"  {lines[at]}"


def _are_members(value: JsonValue) -> bool:
    return isinstance(value, list) and bool(value) and not any(isinstance(member, dict | list) for member in value)


def _members(
    label: str, kind: str, removed: Sequence[JsonValue], added: Sequence[JsonValue], place: Place
) -> FieldText:
    note = ", ".join(f"{len(side):,} {word}" for side, word in ((added, "added"), (removed, "removed")) if side)
    before, after = (_first_members(side, place) if side else None for side in (removed, added))
    if before is not None and after is not None:
        return FieldText(label, kind, note=note, lines=(f"- {before}", f"+ {after}"))
    return FieldText(label, kind, before, after, note if max(len(removed), len(added)) > 1 else "")


def _first_members(members: Sequence[JsonValue], place: Place) -> str:
    text = ", ".join(" ".join(_lines(member, place)) for member in members[:MEMBERS_SHOWN])
    more = len(members) - MEMBERS_SHOWN
    return f"{_excerpts(text, text)[0]} and {more:,} more" if more > 0 else _excerpts(text, text)[0]


def _one_sided(label: str, kind: str, value: JsonValue, place: Place, whole_id: str) -> FieldText:
    lines = _lines(value, place)
    is_added = kind == DifferenceKind.ADDED
    if len(lines) == 1:
        text = _excerpts(lines[0], lines[0])[0]
        if is_setting(value):
            last = label.rpartition(_PEOPLE_SEPARATOR)[2]
            text, whole_id = text.removeprefix(f"{last}: ").removeprefix(f"{last}{_PEOPLE_SEPARATOR}"), ""
        return FieldText(label, kind, None if is_added else text, text if is_added else None, whole_id)
    content = content_of(value, place.name)
    if content is not None:
        note, lines = content.encoding, (content.text or "").splitlines()
    else:
        note = ""
    sign = "+" if is_added else "-"
    return FieldText(
        label, kind, note=note or f"{counted(len(lines), 'line')} {kind}", lines=tuple(f"{sign} {x}" for x in lines)
    )


def _changed(label: str, kind: str, before: JsonValue, after: JsonValue, place: Place, whole_id: str) -> FieldText:
    old, new = content_of(before, place.name), content_of(after, place.name)
    if old is not None and new is not None and old.text is not None and new.text is not None:
        return _changed_text(label, kind, old, new)
    old_lines, new_lines = _lines(before, place), _lines(after, place)
    if len(old_lines) == len(new_lines) == 1:
        texts = (old_lines[0], new_lines[0])
        if texts[0] == texts[1]:
            texts = (encode(before).decode(), encode(after).decode())
        return FieldText(label, kind, *_excerpts(*texts), whole_id)
    return FieldText(label, kind, note=whole_id or "changed", lines=tuple(text_diff(old_lines, new_lines)))


def _changed_text(label: str, kind: str, before: Content, after: Content) -> FieldText:
    encodings = before.encoding
    if before.encoding != after.encoding:
        encodings = f"{before.encoding or 'plain text'} → {after.encoding or 'plain text'}"
    old, new = (before.text or "").splitlines(), (after.text or "").splitlines()
    if old == new:
        same = "the text is the same" if before.text == after.text else "only the ends of lines differ"
        if before.encoding == after.encoding and before.text == after.text:
            same = "the text is the same, its layout is not"
        return FieldText(label, kind, note="; ".join(filter(None, (encodings, same))))
    return FieldText(label, kind, note=encodings or "text", lines=tuple(text_diff(old, new)))


def text_diff(before: Sequence[str], after: Sequence[str]) -> Iterator[str]:
    """Differing lines with their signs, and `CONTEXT` lines around; `@@ line N @@` follows a gap."""
    start = 0
    most = min(len(before), len(after))
    while start < most and before[start] == after[start]:
        start += 1
    end = 0
    while end < most - start and before[-1 - end] == after[-1 - end]:
        end += 1
    first = max(0, start - CONTEXT)
    last = max(0, end - CONTEXT)
    old, new = before[first : len(before) - last], after[first : len(after) - last]
    if first:
        yield f"@@ line {first + 1} @@"
    if len(old) * len(new) > _MOST_COMPARED:
        yield from (f"- {line}" for line in before[start : len(before) - end])
        yield from (f"+ {line}" for line in after[start : len(after) - end])
        return
    for number, group in enumerate(SequenceMatcher(None, old, new, autojunk=False).get_grouped_opcodes(CONTEXT)):
        if number:
            yield f"@@ line {first + group[0][3] + 1} @@"
        for tag, low, high, new_low, new_high in group:
            if tag == "equal":
                yield from (f"  {line}" for line in old[low:high])
            else:
                yield from (f"- {line}" for line in old[low:high])
                yield from (f"+ {line}" for line in new[new_low:new_high])


def _lines(value: JsonValue, place: Place) -> list[str]:
    if place.is_switch and isinstance(value, bool):
        return [switch_text(value)]
    if isinstance(value, dict) and isinstance(value.get("presentation"), dict):
        return presentation_lines(value)
    return value_lines(value, place)


def _excerpts(before: str, after: str) -> tuple[str, str]:
    if max(len(before), len(after)) <= LONGEST_VALUE:
        return before, after
    pairs = enumerate(zip(before, after, strict=False))
    differs = next((place for place, (mine, other) in pairs if mine != other), min(len(before), len(after)))
    start = 0 if before == after else max(0, differs - _LEAD)
    return _excerpt(before, start), _excerpt(after, start)


def _excerpt(text: str, start: int) -> str:
    end = start + LONGEST_VALUE
    if not start and len(text) <= end:
        return text
    shown = f"{'…' if start else ''}{text[start:end]}{'…' if len(text) > end else ''}"
    return f"{shown} [{len(text):,} characters in all]"


def _label(field: ShownField) -> str:
    """Cuts a nameless setting's label to the end of its id or to its OMA-URI, and a list's to its name."""
    label = field.label or field.path
    value = field.before if field.after is None else field.after
    if is_assignment(value) and label.endswith("]"):
        return label.partition("[")[0]
    if field.path.startswith("settings["):
        return _PEOPLE_SEPARATOR.join(short_id(word) for word in label.split(_PEOPLE_SEPARATOR))
    oma = _OMA_VALUE.fullmatch(label)
    return oma[1] if oma else label.removesuffix("[]")


def path_beside(field: ShownField, label: str) -> str:
    """Empty if the label tells the whole path."""
    return "" if label == field.path.removesuffix("[]") or f"[{label}]" in field.path else field.path


def _whole_id(label: str) -> str:
    words = [word for word in label.split(_PEOPLE_SEPARATOR) if is_definition_id(word)]
    return words[-1] if words and short_id(words[-1]) != words[-1] else ""


def _place(path: str) -> Place:
    definition_id = ""
    names: list[str] = []
    for segment in segments(path):
        name, bracket, rest = segment.partition("[")
        names.append(name)
        if bracket and name in ("settings", "children"):
            definition_id = rest.removesuffix("]")
    is_choice = any(name in CHOICES for name in names[-2:])
    return Place(names[-1] if names else "", definition_id, is_choice, names == ["definitionValues", "enabled"])


def segments(path: str) -> list[str]:
    """Splits a path at dots outside brackets and names such as `@odata.type`."""
    parts, depth = [""], 0
    for character in path:
        depth += (character == "[") - (character == "]" and depth > 0)
        if character == "." and depth == 0 and not parts[-1].endswith("@odata"):
            parts.append("")
        else:
            parts[-1] += character
    return parts
