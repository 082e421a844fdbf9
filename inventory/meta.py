"""An item's meta: whitelisted facts about its document, for lists and filters. No value of it fails a sync."""

from collections.abc import Callable, Mapping
from typing import NamedTuple, TypeAlias

from inventory.canonical import JsonObject, JsonValue, edit_of

MAX_TEXT_LENGTH = 1024
MAX_LIST_LENGTH = 100


class Meta(NamedTuple):
    """`dropped` counts keys that are not whitelisted."""

    values: dict[str, JsonValue]
    dropped: int


class _WrongTypeError(ValueError):
    """The message names the expected type."""


def _text(value: JsonValue) -> JsonValue:
    if not isinstance(value, str) or len(value) > MAX_TEXT_LENGTH or "\0" in value:
        raise _WrongTypeError("text")
    value.encode()
    return value


def _text_or_number(value: JsonValue) -> JsonValue:
    return value if _is_integer(value) else _text(value)


def _is_integer(value: JsonValue) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and -(2**63) <= value < 2**63


def _text_set(value: JsonValue) -> JsonValue:
    if not isinstance(value, list) or len(value) > MAX_LIST_LENGTH:
        raise _WrongTypeError("a list of texts")
    texts: list[JsonValue] = []
    texts.extend(sorted({str(_text(member)) for member in value}))
    return texts


def _count(value: JsonValue) -> JsonValue:
    if not isinstance(value, int) or not _is_integer(value) or value < 0:
        raise _WrongTypeError("a count")
    return value


def _text_or_set(value: JsonValue) -> JsonValue:
    return _text_set(value) if isinstance(value, list) else _text(value)


def _scalar_or_set(value: JsonValue) -> JsonValue:
    if isinstance(value, bool | float) or _is_integer(value):
        return value
    return _text_or_set(value)


def edit_in(meta: Mapping[str, JsonValue]) -> str | None:
    return edit_of({"version": meta.get("version"), "lastModifiedDateTime": meta.get("last_modified_at")})


COMMON_KEYS: dict[str, Callable[[JsonValue], JsonValue]] = {
    "odata_type": _text,
    "etag": _text,
    "platforms": _text_or_set,
    "technologies": _text_or_set,
    "scope_tag_ids": _text_set,
    "assignment_target_count": _count,
    "created_at": _text,
    "last_modified_at": _text,
    "version": _text_or_number,
}
"""Keys of every collection, with checks. Times stay texts: a datetime does not hold Graph's seven fractional digits."""

PARENT_ID = "parent_id"
"""The meta key of a parent item's id."""

_COMMON_PROPERTIES = {
    "odata_type": ("@odata.type",),
    "etag": ("@odata.etag",),
    "platforms": ("platforms",),
    "technologies": ("technologies",),
    "scope_tag_ids": ("roleScopeTagIds",),
    "created_at": ("createdDateTime",),
    "last_modified_at": ("lastModifiedDateTime", "modifiedDateTime"),
    "version": ("version",),
}


MetaPaths: TypeAlias = Mapping[str, tuple[str, ...]]
"""Meta key to Graph properties, of which the first present counts. A dotted one is nested
(`templateReference.templateFamily`), also in list members (`resources.resourceId`).
"""


def proposed_meta(document: JsonObject, extra: MetaPaths) -> dict[str, JsonValue]:
    """Values of common keys and of `extra`, unchecked and without nulls."""
    proposed: dict[str, JsonValue] = {}
    for key, properties in _COMMON_PROPERTIES.items():
        for name in properties:
            if document.get(name) is not None:
                proposed[key] = document[name]
                break
    assignments = document.get("assignments")
    if isinstance(assignments, list):
        proposed["assignment_target_count"] = len(assignments)
    for key, paths in extra.items():
        value = next((found for path in paths if (found := _at(document, path.split("."))) is not None), None)
        if value is not None:
            proposed[key] = value
    return proposed


def meta_properties(extra: MetaPaths) -> frozenset[str]:
    """Top-level properties from which meta is read."""
    common = frozenset(name for names in _COMMON_PROPERTIES.values() for name in names)
    return common.union({"assignments"}, (path.partition(".")[0] for paths in extra.values() for path in paths))


def _at(value: JsonValue, path: list[str]) -> JsonValue:
    """The value at a path; of a list, its members' values. None if absent."""
    if not path:
        return value
    if isinstance(value, list):
        return [found for member in value if (found := _at(member, path)) is not None]
    return _at(value.get(path[0]), path[1:]) if isinstance(value, dict) else None


def whitelisted_meta(proposed: Mapping[str, JsonValue], extra_keys: frozenset[str] = frozenset()) -> Meta:
    """Keeps common keys and the catalog's `extra_keys`; `warnings` names keys with values of a wrong type."""
    values: dict[str, JsonValue] = {}
    warnings: list[JsonValue] = []
    dropped = 0
    for key, value in proposed.items():
        check = COMMON_KEYS.get(key) or (_scalar_or_set if key in extra_keys else None)
        if check is None:
            dropped += 1
            continue
        try:
            values[key] = check(value)
        except _WrongTypeError as expected:
            warnings.append(f"{key}: not {expected}")
        except UnicodeEncodeError:
            warnings.append(f"{key}: not valid Unicode")
    if warnings:
        values["warnings"] = sorted(warnings, key=str)
    return Meta(values, dropped)
