"""The normal form of a stored document: equal normal forms are equal content. It is hashed, never stored or shown.

- A property that is null, an empty list, an empty object or an object of only such is absent, unless the catalog says
  that null means *not shown*: there an empty list is a value. A read detail is present, even if empty.
- Moments are in UTC, without final zeros in fractions; ids made of GUIDs and members of enumerations are in lower case,
  several members of one value in one order.
- Arrays of scalars, and of objects that all have an identity (an id, a definition's id, a target), are sets unless the
  catalog calls them ordered: sorted, each member once. Other arrays are sequences unless it calls them unordered.
"""

import hashlib
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from decimal import Decimal
from operator import itemgetter
from typing import NamedTuple

from inventory.canonical import (
    EDIT_STAMP,
    MIN_TELLING_ID_LENGTH,
    READABLE,
    SENSITIVE_MARK,
    TYPE,
    JsonObject,
    JsonValue,
    is_mark,
    without_edits,
)
from inventory.exact_json import decode_object, encode
from inventory.item_ids import item_key

FORM = 1
"""Documents of form 0 were sorted, and hashed as stored."""

NO_CONTENT_IN_FORM_0 = frozenset({
    "version", "isAssigned", "supportsScopeTags", "deployedAppCount", "usedLicenseCount", "lastSyncDateTime",
    "lastAppSyncDateTime", "lastHeartbeatDateTime", "highestAvailableVersion", "token", "dependentAppCount",
    "supersededAppCount", "supersedingAppCount", "uploadState", "publishingState", "size", "committedContentVersion",
    "secretReferenceValueId",
})  # fmt: skip
"""Names that form 0 dropped at any depth, though some hold content."""

IDENTITIES = (
    ("id",),
    ("settingInstance", "settingDefinitionId"),
    ("settingDefinitionId",),
    ("definition", "id"),
    ("presentation", "id"),
    ("definitionId",),
    ("target", TYPE),
)
"""Paths that identify an object in an array."""

_MOMENT = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d+))?(Z|[+-]\d\d:\d\d)?")
_TIME_OF_DAY = re.compile(r"(\d\d:\d\d:\d\d)\.(\d+)")
_GUID_LENGTH = 36
_MOMENT_LENGTH = 19
_TIME_LENGTH = 10
"""The shortest text with several spellings: a time of day with a fraction."""
_WHOLE_FLOATS = 2.0**53


class ArrayRules(NamedTuple):
    """The catalog's rules, by property name at any depth.

    `null_not_shown`: null means that Graph did not show the value. `enumerations` ignore case; a value may name several
    members, in any order. `details`: an empty one differs from an unread one.
    """

    ordered: frozenset[str] = frozenset()
    unordered: frozenset[str] = frozenset()
    null_not_shown: frozenset[str] = frozenset()
    enumerations: frozenset[str] = frozenset()
    details: frozenset[str] = frozenset()


class NormalForm:
    def __init__(
        self,
        rules: ArrayRules = ArrayRules(),  # noqa: B008 - frozen
        *,
        of_sorted: bool = False,
        counts: bool = False,
    ) -> None:
        self._rules = rules
        self._of_sorted = of_sorted
        self._counts = counts

    def of_sorted(self) -> "NormalForm":
        """For documents of form 0, in which only `ordered` arrays kept their order."""
        return NormalForm(self._rules, of_sorted=True, counts=self._counts)

    def counting(self) -> "NormalForm":
        """Keeps equal members of a set: without masks they may differ."""
        return NormalForm(self._rules, of_sorted=self._of_sorted, counts=True)

    def hash(self, document: JsonObject) -> bytes:
        """SHA-256 (32 bytes) of the normal form."""
        return hashlib.sha256(encode(self.of(document))).digest()

    def of(self, document: JsonObject) -> JsonObject:
        return self._object(document)

    def value(self, name: str, value: JsonValue) -> JsonValue:
        """The normal form of a property's value; None if it counts as absent."""
        if isinstance(value, str):
            return _members(value) if name in self._rules.enumerations else _text(value)
        if isinstance(value, dict):
            return _mark(value) if SENSITIVE_MARK in value and is_mark(value) else self._object(value) or None
        if isinstance(value, list):
            return self._array(name, value)
        return _number(value) if isinstance(value, float | Decimal) else value

    def is_sequence(self, name: str, members: Iterable[JsonValue]) -> bool:
        if name in self._rules.ordered:
            return True
        if self._of_sorted or name in self._rules.unordered:
            return False
        return not all(_has_identity(member) for member in members)

    def _object(self, value: JsonObject) -> JsonObject:
        normalized = value.copy()
        rules = self._rules
        enumerations = rules.enumerations
        for name, child in value.items():
            # Most values need no change, which a cheap check finds.
            kind = type(child)
            if kind is str:
                if name in enumerations:
                    normalized[name] = _members(child)  # type: ignore[arg-type]
                elif len(child) >= _TIME_LENGTH and _may_be_spelt_otherwise(child):  # type: ignore[arg-type]
                    normalized[name] = _text(child)  # type: ignore[arg-type]
            elif kind is not bool and kind is not int:
                normal = None if child is None else self.value(name, child)
                if normal is not None or name in rules.details:
                    normalized[name] = normal
                else:
                    del normalized[name]
        return normalized

    def _array(self, name: str, value: list[JsonValue]) -> JsonValue:
        members: list[JsonValue] = [normal for member in value if (normal := self.value(name, member)) is not None]
        if not members:
            return [] if name in self._rules.null_not_shown else None
        if len(members) == 1 or self.is_sequence(name, members):
            return members
        return self.distinct((member, member) for member in members)

    def distinct(self, members: Iterable[tuple[JsonValue, JsonValue]]) -> list[JsonValue]:
        """Takes members with their normal forms, by which it sorts them and drops repetitions."""
        written = sorted(((encode(normal), member) for normal, member in members), key=itemgetter(0))
        return [
            member
            for place, (key, member) in enumerate(written)
            if self._counts or not place or key != written[place - 1][0]
        ]


def read_in_form_0(sorted_document: JsonObject, document: JsonObject, expanded: frozenset[str]) -> JsonObject:
    """The part of a document that a run with form 0 would have read.

    Form 0 kept nulls, so a property that `sorted_document` lacks was not requested, not expanded (`expanded`: names at
    any depth), or did not exist.
    """
    kept: JsonObject = {name: value for name, value in document.items() if name in sorted_document}
    return _without_names(kept, NO_CONTENT_IN_FORM_0 | (expanded - _names(sorted_document)))


def _names(value: JsonValue) -> set[str]:
    if isinstance(value, list):
        return set().union(*map(_names, value))
    return set(value).union(*map(_names, value.values())) if isinstance(value, dict) else set()


def _without_names(value: JsonObject, names: frozenset[str]) -> JsonObject:
    def within(child: JsonValue) -> JsonValue:
        if isinstance(child, dict):
            return _without_names(child, names)
        return [within(member) for member in child] if isinstance(child, list) else child

    return {name: within(child) for name, child in value.items() if name not in names}


def likeness_hash(canonical: bytes, external_id: str, form: NormalForm, *, id_field: str = "id") -> bytes:
    """SHA-256 (32 bytes) of a document without id and creation time; a re-created item has the same.

    All strings lose the id, since an assignment's id is `{policy id}_{group id}`.
    """
    document = decode_object(canonical)
    # As the document spells it.
    own = document.get(id_field)
    external_id = own if isinstance(own, str) and item_key(own) == external_id else external_id
    sought = encode(external_id)[1:-1] if len(external_id) >= MIN_TELLING_ID_LENGTH else None
    content: JsonObject = {name: value for name, value in document.items() if name not in (id_field, "createdDateTime")}
    # A re-created object has other edits.
    content = without_edits(content)
    if sought is not None and sought in encode(content):
        # Only values with the id are walked through: most of a policy has none.
        for name, value in content.items():
            if isinstance(value, str | list | dict) and sought in encode(value):
                content[name] = _without_id(value, external_id)
    return form.of_sorted().hash(content)


def _without_id(value: JsonValue, external_id: str) -> JsonValue:
    if isinstance(value, str):
        return value.replace(external_id, "")
    if isinstance(value, dict):
        return {name: _without_id(child, external_id) for name, child in value.items()}
    if isinstance(value, list):
        return [_without_id(member, external_id) for member in value]
    return value


def _has_identity(member: JsonValue) -> bool:
    if not isinstance(member, dict):
        return not isinstance(member, list)
    return member.get("id") is not None or is_mark(member) or any(_at(member, path) is not None for path in IDENTITIES)


def _at(value: JsonValue, path: tuple[str, ...]) -> JsonValue:
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _mark(value: JsonObject) -> JsonObject:
    edit = value.get(EDIT_STAMP)
    mark = {name: child for name, child in value.items() if name != READABLE} if READABLE in value else value
    return {**mark, EDIT_STAMP: _text(edit)} if isinstance(edit, str) else mark


def _may_be_spelt_otherwise(value: str) -> bool:
    """A cheap check: most texts are no moment, time of day or id."""
    return value[8] in "-." or value[4] == "-" or value[0] == "{" or value[1] == "_"


def _text(value: str) -> str:
    if len(value) >= _GUID_LENGTH and ("-" in value[8:11]) and (key := item_key(value)) != value:
        return key
    if len(value) >= _MOMENT_LENGTH and value[10] == "T" and (moment := _MOMENT.fullmatch(value)):
        return _moment(value, *moment.groups())
    if value[8:9] == "." and (time := _TIME_OF_DAY.fullmatch(value)):
        return _with_fraction(time[1], time[2])
    return value


def _moment(value: str, whole: str, fraction: str | None, zone: str | None) -> str:
    if zone is not None and zone != "Z":
        try:
            whole = datetime.fromisoformat(whole + zone).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S")
        except (ValueError, OverflowError):
            return value
        whole = whole.rjust(_MOMENT_LENGTH, "0")
    return _with_fraction(whole, fraction or "") + ("" if zone is None else "Z")


def _with_fraction(whole: str, digits: str) -> str:
    digits = digits.rstrip("0")
    return f"{whole}.{digits}" if digits else whole


def _members(value: str) -> str:
    if "," not in value:
        return value.lower()
    return ",".join(sorted({flag.strip().lower() for flag in value.split(",")}))


def _number(value: float | Decimal) -> JsonValue:
    if isinstance(value, float):
        return int(value) if value.is_integer() and abs(value) < _WHOLE_FLOATS else value
    return value.normalize() if value else 0
