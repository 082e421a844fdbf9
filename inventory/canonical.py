"""The canonical form of a Graph document, which a version stores.

Annotations of the answer (`@odata.context`, `#microsoft.graph.assign` …) and volatile properties are gone, keys are
sorted by code point, sensitive values are hidden; all else stays.
"""

import hashlib
import hmac
import re
from collections.abc import Callable, Iterable, Mapping
from copy import copy
from decimal import Decimal
from math import isfinite
from typing import NamedTuple, TypeAlias, cast

from inventory.data_keys import DataKey
from inventory.exact_json import JsonObject as JsonObject
from inventory.exact_json import JsonValue as JsonValue
from inventory.exact_json import encode as encode
from inventory.secret_patterns import (
    MIN_TEXT_LENGTH,
    has_secret,
    is_placeholder,
    is_secret_name,
    readable,
    secret_members,
)

MAX_DEPTH = 200
"""The deepest of 953 real documents has 22 levels."""

SENSITIVE_MARK = "sensitive"
EDIT_STAMP = "edited"
"""In a constant mark: the object's edit after which the value was read."""
IN_TEXT = "in_text"
"""In a text's mark: a secret was found in it."""
READABLE = "readable"
"""In a payload's mark: the payload's lines without secrets; the normal form omits them."""

TYPE = "@odata.type"

MIN_TELLING_ID_LENGTH = 16
"""Shorter ids, such as a scope tag's `5`, may be in a text by coincidence."""

_MAX_KNOWN_NAMES = 10_000
"""Property names whose treatment is remembered. 953 real documents have 1,550."""

_SCALARS = frozenset({bool, int, Decimal, type(None)})
"""Types of values that need no check."""

_EDIT_TIMES = ("lastModifiedDateTime", "modifiedDateTime")
_MARK_PROPERTIES = frozenset({SENSITIVE_MARK, EDIT_STAMP, IN_TEXT, READABLE})
HIDDEN_WITHOUT_KEY = b'"sensitive":true'
"""A constant mark as JSON."""

_NO_NAMES: frozenset[str] = frozenset()
_SETTING: Mapping[str, bool] = {"value": False}
"""Values of settings with a secret's definition are hidden."""
_MASKED = re.compile(r"[*\u2022]{3,}")
"""Graph's mask, such as `****` of an encrypted OMA-URI setting."""
_MARK_DIGITS = re.compile(r"(?:([0-9a-f]{8}):)?[0-9a-f]{64}", re.ASCII)
_MARK_IN_JSON = re.compile(rb'"sensitive":"(?:([0-9a-f]{8}):)?[0-9a-f]{64}"\}')


class TooDeepError(ValueError):
    """A document is nested deeper than `MAX_DEPTH`."""


class NotANumberError(ValueError):
    """A number is infinite or NaN."""


_Special: TypeAlias = Mapping[str, bool]
"""Names whose values are dropped (true) or hidden (false)."""


class _Treatment(NamedTuple):
    dropped: bool
    hidden: bool
    ordered: bool
    within: _Special
    secret: bool = False
    """Whether texts are secrets by the property's name."""
    payload: bool = False
    """Whether texts with secrets are hidden in part only."""


_NOTHING: _Special = {}
_PLAIN = _Treatment(dropped=False, hidden=False, ordered=False, within=_NOTHING)
_DROPPED = _Treatment(dropped=True, hidden=False, ordered=False, within=_NOTHING)


class _Treatments(dict[str, _Treatment]):
    def __init__(
        self,
        volatile: frozenset[str],
        sensitive: frozenset[str],
        ordered: frozenset[str],
        payloads: frozenset[str],
        within: dict[str, _Special],
        named: Callable[[str], bool] | None,
    ) -> None:
        super().__init__()
        self._payloads = payloads
        self._is_secret_name = named
        self._volatile = volatile
        self._sensitive = sensitive
        self._ordered = ordered
        self._within = within

    def __missing__(self, name: str) -> _Treatment:
        if name in self._volatile or is_annotation(name):
            treatment = _DROPPED
        else:
            decided = _Treatment(
                dropped=False,
                hidden=name in self._sensitive,
                ordered=name in self._ordered,
                within=self._within.get(name, _NOTHING),
                secret=self._is_secret_name is not None and self._is_secret_name(name),
                payload=name in self._payloads,
            )
            treatment = _PLAIN if decided == _PLAIN else decided
        if len(self) < _MAX_KNOWN_NAMES:
            self[name] = treatment
        return treatment


class Canonicalizer:
    """Turns one collection's documents into canonical form.

    `volatile` and `sensitive` hold `name` (at any depth), `/name` (of the document), `parent/name` (of the object, or
    list members, in `parent`) and `#microsoft.graph.someType/name`. Volatile values are dropped, even if sensitive. A
    sensitive value becomes a mark: its HMAC-SHA-256 under `data_key`, else a constant. Null and marks stay.

    `by_nature` hides secrets by name or shape (`secret_patterns`), in `payloads` their lines only. `masked` secrets
    (`#microsoft.graph.someType/name`), which Graph shows as another text each time, have a constant mark in each object
    of the type, even without a value, because an earlier release stored none.
    """

    def __init__(
        self,
        *,
        volatile: frozenset[str] = frozenset(),
        sensitive: frozenset[str] = frozenset(),
        masked: frozenset[str] = frozenset(),
        ordered: frozenset[str] = frozenset(),
        payloads: frozenset[str] = frozenset(),
        data_key: DataKey | None = None,
        by_nature: bool = False,
    ) -> None:
        self._by_nature = by_nature
        # Dropped names come last, so that a name that is both is dropped.
        places = _by_place([(name, False) for name in sensitive] + [(name, True) for name in (*masked, *volatile)])
        self._treatments = _Treatments(
            frozenset(name for name in volatile if "/" not in name),
            frozenset(name for name in sensitive if "/" not in name),
            ordered,
            frozenset(name.rpartition("/")[2] for name in payloads),
            {place: special for place, special in places.items() if place and not place.startswith("#")},
            is_secret_name if by_nature else None,
        )
        self._within_document = places.get("", _NOTHING)
        self._by_type = {place: special for place, special in places.items() if place.startswith("#")}
        self._hidden_names = frozenset(name.removeprefix("/") for name in sensitive if "/" not in name[1:])
        self._hidden_of_type = {
            kind: frozenset(name for name in special if f"{kind}/{name}" in sensitive | masked)
            for kind, special in self._by_type.items()
        }
        self._masked_of_type = {
            kind: names
            for kind, special in self._by_type.items()
            if (names := [name for name in special if f"{kind}/{name}" in masked])
        }
        self._data_key = data_key

    def under(self, data_key: DataKey | None) -> "Canonicalizer":
        other = copy(self)
        other._data_key = data_key  # noqa: SLF001 - its own class's
        return other

    def canonical(self, document: JsonObject) -> bytes:
        """UTF-8 JSON. Raises `TooDeepError`, `NotANumberError`, and `UnicodeEncodeError` for a lone surrogate."""
        return encode(self.canonical_value(document))

    def canonical_value(self, document: JsonObject) -> JsonObject:
        """As `canonical`, with unsorted keys and before encoding."""
        return self._object(document, 1, self._within_document)

    def sorted_canonical(self, document: JsonObject) -> bytes:
        """As `canonical`, with unordered arrays sorted."""
        return self.written_sorted(self.canonical_value(document))

    def written_sorted(self, canonical: JsonObject) -> bytes:
        return encode(self._sorted(canonical))

    def hidden_names(
        self, document: JsonObject, among: Iterable[str] | None = None, canonical: JsonObject | None = None
    ) -> frozenset[str]:
        """Top-level properties with sensitive values.

        With `among`, complete for these only; texts that `canonical` kept are not searched again: searches cost most.
        """
        kind = document.get(TYPE)
        of_type = self._hidden_of_type.get(kind) if isinstance(kind, str) else None
        hidden = self._hidden_names | of_type if of_type else self._hidden_names
        listed = frozenset(document.keys() & hidden) if hidden else _NO_NAMES
        if not self._by_nature:
            return listed
        named = secret_members(document)
        canonical_values = {} if canonical is None else canonical
        return listed.union(
            [
                name
                for name in (document if among is None else among)
                if type(value := document.get(name)) is str
                and (
                    name in named
                    or self._treatments[name].secret
                    or (canonical_values.get(name) is not value and has_secret(value))
                )
            ]
        )

    def _object(self, value: JsonObject, depth: int, within: _Special) -> JsonObject:
        if depth > MAX_DEPTH:
            raise TooDeepError
        if self._by_type:
            within = self._within_type(value, within)
        treatments = self._treatments
        by_nature = self._by_nature
        named = secret_members(value) if by_nature else _NO_NAMES
        result: JsonObject = {}
        for name, child in value.items():
            treatment = treatments[name]
            if treatment is not _PLAIN or name in within:
                if treatment.dropped or within.get(name):
                    continue
                if treatment.hidden or name in within:
                    result[name] = self._hidden(child, depth, treatment)
                    continue
            kind = type(child)
            if kind is str:
                is_named = name in named or (treatment is not _PLAIN and treatment.secret)
                result[name] = (
                    self._text(child, depth, treatment, named=is_named)  # type: ignore[arg-type]
                    if by_nature and (is_named or (len(child) >= MIN_TEXT_LENGTH and has_secret(child)))  # type: ignore[arg-type]
                    else child
                )
            elif kind in _SCALARS:
                result[name] = child
            elif isinstance(child, dict):
                inner = treatment.within
                if name in named and isinstance(text := child.get("value"), str) and not is_placeholder(text):
                    inner = _joined(inner, _SETTING)
                result[name] = self._object(child, depth + 1, inner)
            elif isinstance(child, list):
                result[name] = self._list(child, depth, treatment)
            else:
                result[name] = _checked(child) if isinstance(child, float) else child
        return self._with_masked(result, value) if self._masked_of_type else result

    def _with_masked(self, result: JsonObject, value: JsonObject) -> JsonObject:
        kind = value.get(TYPE)
        for name in self._masked_of_type.get(kind, ()) if isinstance(kind, str) else ():
            held = value.get(name)
            result[name] = held if is_mark(held) else {SENSITIVE_MARK: True}
        return result

    def _list(self, value: list[JsonValue], depth: int, treatment: _Treatment) -> JsonValue:
        if depth >= MAX_DEPTH:
            raise TooDeepError
        members: list[JsonValue] = []
        for member in value:
            if isinstance(member, dict):
                members.append(self._object(member, depth + 2, treatment.within))
            elif isinstance(member, list):
                members.append(self._list(member, depth + 1, treatment))
            elif self._by_nature and isinstance(member, str) and (treatment.secret or has_secret(member)):
                members.append(self._text(member, depth, treatment, named=treatment.secret))
            else:
                members.append(_checked(member) if isinstance(member, float) else member)
        return members

    def _within_type(self, value: JsonObject, within: _Special) -> _Special:
        kind = value.get(TYPE)
        special = self._by_type.get(kind) if isinstance(kind, str) else None
        if not special:
            return within
        return _joined(within, special) if within else special

    def _text(self, text: str, depth: int, treatment: _Treatment, *, named: bool) -> JsonValue:
        """Marks a text that holds a secret or, if `named`, is one; a placeholder stays."""
        if named:
            return text if is_placeholder(text) else self._hidden(text, depth, treatment)
        mark = self._hidden(text, depth, treatment)
        if not isinstance(mark, dict):
            return mark
        left = readable(text) if treatment.payload else None
        return {**mark, IN_TEXT: True, **({} if left is None else {READABLE: left})}

    def _hidden(self, value: JsonValue, depth: int, treatment: _Treatment) -> JsonValue:
        if value is None or is_mark(value):
            return value
        plain: JsonValue
        if isinstance(value, list):
            if depth >= MAX_DEPTH:
                raise TooDeepError
            marks = [self._hidden(member, depth + 1, treatment) for member in value]
            plain = marks if treatment.ordered else sorted(marks, key=_sort_key)
        elif isinstance(value, dict):
            plain = self._sorted(self._object(value, depth + 1, treatment.within))
        else:
            plain = _checked(value) if isinstance(value, float) else value
        written = encode(plain)
        if self._data_key is None or (isinstance(value, str) and _MASKED.fullmatch(value)):
            return {SENSITIVE_MARK: True}
        secret, key_id = self._data_key
        digits = hmac.new(secret, written, hashlib.sha256).hexdigest()
        return {SENSITIVE_MARK: f"{key_id}:{digits}" if key_id else digits}

    def _sorted(self, value: JsonObject) -> JsonObject:
        result: JsonObject = {}
        for name, child in value.items():
            if isinstance(child, dict):
                result[name] = self._sorted(child)
            else:
                result[name] = self._sorted_array(child, name) if isinstance(child, list) else child
        return result

    def _sorted_array(self, members: list[JsonValue], name: str) -> list[JsonValue]:
        result: list[JsonValue] = []
        for member in members:
            if isinstance(member, dict):
                result.append(self._sorted(member))
            else:
                result.append(self._sorted_array(member, name) if isinstance(member, list) else member)
        return result if len(result) <= 1 or self._treatments[name].ordered else sorted(result, key=_sort_key)


def is_mark(value: JsonValue) -> bool:
    if not isinstance(value, dict) or SENSITIVE_MARK not in value or not value.keys() <= _MARK_PROPERTIES:
        return False
    digits = value[SENSITIVE_MARK]
    return digits is True or (isinstance(digits, str) and _MARK_DIGITS.fullmatch(digits) is not None)


def shows_no_change(mark: JsonValue) -> bool:
    """Whether a mark is constant: hidden without a key, or masked by Graph."""
    return isinstance(mark, dict) and mark.get(SENSITIVE_MARK) is True


def edit_of(document: JsonObject) -> str | None:
    """The version, else the time of the last edit, which may move without an edit; None without either.

    A version counts only if numeric: a text is an author's or an entity tag.
    """
    version = document.get("version")
    if isinstance(version, int) and not isinstance(version, bool):
        return str(version)
    times = (document.get(name) for name in _EDIT_TIMES)
    return next((time for time in times if isinstance(time, str) and time), None)


def stamped(canonical: JsonObject, edit: str | None) -> JsonObject:
    """Adds the edit to constant marks without one, so that an edited object does not look unchanged."""
    return canonical if edit is None else stamped_and_written(canonical, edit)[0]


def stamped_and_written(canonical: JsonObject, edit: str | None) -> tuple[JsonObject, bytes]:
    """As `stamped`, with the JSON. Raises as `encode`."""
    written = encode(canonical)
    if edit is None or HIDDEN_WITHOUT_KEY not in written:
        return canonical, written
    found = {name: _stamped(value, edit) for name, value in canonical.items()}
    return found, encode(found)


def without_edits(document: JsonObject) -> JsonObject:
    return {name: _without_edits(value) for name, value in document.items()}


def _without_edits(value: JsonValue) -> JsonValue:
    if is_mark(value):
        return {name: child for name, child in cast("JsonObject", value).items() if name != EDIT_STAMP}
    if isinstance(value, dict):
        return without_edits(value)
    if isinstance(value, list):
        return [_without_edits(member) for member in value]
    return value


def _stamped(value: JsonValue, edit: str) -> JsonValue:
    if is_mark(value):
        return {EDIT_STAMP: edit, **cast("JsonObject", value)} if shows_no_change(value) else value
    if isinstance(value, dict):
        return {name: _stamped(child, edit) for name, child in value.items()}
    if isinstance(value, list):
        return [_stamped(member, edit) for member in value]
    return value


def are_under_two_keys(before: JsonValue, after: JsonValue) -> bool:
    return is_mark(before) and is_mark(after) and mark_keys(encode(before)) != mark_keys(encode(after))


def mark_keys(canonical: bytes) -> frozenset[bytes]:
    """Ids of the keys of a document's marks; the id of a key before 0.4 is empty."""
    return frozenset(_MARK_IN_JSON.findall(canonical))


def _by_place(names: Iterable[tuple[str, bool]]) -> dict[str, _Special]:
    places: dict[str, dict[str, bool]] = {}
    for qualified, dropped in names:
        place, slash, name = qualified.rpartition("/")
        if slash:
            places.setdefault(place, {})[name] = dropped
    return dict(places)


def _joined(first: _Special, second: _Special) -> _Special:
    return {name: first.get(name, False) or second.get(name, False) for name in {*first, *second}}


def is_annotation(name: str) -> bool:
    """Whether it is an OData annotation, but not the object's type."""
    return name.startswith("#") or ("@" in name and name != TYPE)


def _checked(value: float) -> float:
    if not isfinite(value):
        raise NotANumberError
    return value


def _sort_key(value: JsonValue) -> bytes:
    return value.encode() if isinstance(value, str) else encode(value)
