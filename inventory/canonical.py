"""The canonical form of a Graph document: what its content hash is taken of and what a version stores.

Annotations that describe the answer and not the object are gone (`@odata.context`, `x@odata.type`,
`#microsoft.graph.assign` …), so are the volatile properties. Arrays are sorted unless their order is content,
keys are sorted by code point, numbers and strings stay as Graph sent them (GRAPH_FACTS §5).
"""

import hashlib
import hmac
from typing import TypeAlias

import orjson

JsonValue: TypeAlias = "dict[str, JsonValue] | list[JsonValue] | str | int | float | bool | None"

MAX_DEPTH = 200
"""Levels of nesting that a document may have. The deepest of 953 real documents has 22."""

SENSITIVE_MARK = "sensitive"


class TooDeepError(ValueError):
    """A document is nested deeper than `MAX_DEPTH`."""


class Canonicalizer:
    """Turns documents of one collection into their canonical form.

    `volatile`, `sensitive` and `ordered` are property names, at any depth. A sensitive value is replaced by its
    HMAC-SHA-256 under `sensitive_key`, so that change shows and the value does not; without a key it is replaced
    by a constant.
    """

    def __init__(
        self,
        *,
        volatile: frozenset[str] = frozenset(),
        sensitive: frozenset[str] = frozenset(),
        ordered: frozenset[str] = frozenset(),
        sensitive_key: bytes | None = None,
    ) -> None:
        self._volatile = volatile
        self._sensitive = sensitive
        self._ordered = ordered
        self._sensitive_key = sensitive_key

    def canonical(self, document: dict[str, JsonValue]) -> bytes:
        """The canonical UTF-8 JSON of `document`.

        Raises `TooDeepError`, and `UnicodeEncodeError` for a string that UTF-8 cannot hold (a lone surrogate).
        """
        return encode(self._object(document, 1))

    def _object(self, value: dict[str, JsonValue], depth: int) -> dict[str, JsonValue]:
        if depth > MAX_DEPTH:
            raise TooDeepError
        result: dict[str, JsonValue] = {}
        for name, child in value.items():
            if name in self._volatile or _is_annotation(name):
                continue
            if name in self._sensitive and child is not None:
                result[name] = self._hidden(child)
            else:
                result[name] = self._value(child, depth, ordered=name in self._ordered)
        return result

    def _value(self, value: JsonValue, depth: int, *, ordered: bool) -> JsonValue:
        if isinstance(value, dict):
            return self._object(value, depth + 1)
        if isinstance(value, list):
            if depth >= MAX_DEPTH:
                raise TooDeepError
            members = [self._value(member, depth + 1, ordered=ordered) for member in value]
            return members if ordered or len(members) < 2 else sorted(members, key=_sort_key)
        return value

    def _hidden(self, value: JsonValue) -> JsonValue:
        if self._sensitive_key is None:
            return {SENSITIVE_MARK: True}
        plain = encode(self._value(value, 1, ordered=True))
        return {SENSITIVE_MARK: hmac.new(self._sensitive_key, plain, hashlib.sha256).hexdigest()}


def encode(value: JsonValue) -> bytes:
    """`value` as compact UTF-8 JSON with keys in code-point order.

    Raises `UnicodeEncodeError` for a string that UTF-8 cannot hold.
    """
    try:
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    except orjson.JSONEncodeError as error:
        raise UnicodeEncodeError("utf-8", "", 0, 1, "not encodable as JSON") from error


def content_hash(canonical: bytes) -> bytes:
    """The content hash of a canonical document: SHA-256, 32 bytes."""
    return hashlib.sha256(canonical).digest()


def _is_annotation(name: str) -> bool:
    """Whether a property describes the answer: every OData annotation but the object's own `@odata.type`."""
    return name.startswith("#") or ("@" in name and name != "@odata.type")


def _sort_key(value: JsonValue) -> bytes:
    return value.encode() if isinstance(value, str) else encode(value)
