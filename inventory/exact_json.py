"""JSON without loss of digits.

The fast reader silently rounds numbers beyond 64-bit integers and doubles. So the standard library reads a text with
long runs of digits; a number that no double holds becomes a `Decimal`.
"""

import json
import math
import re
import sys
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from typing import Any, NoReturn, TypeAlias, TypeVar, cast

import orjson

JsonValue: TypeAlias = "dict[str, JsonValue] | list[JsonValue] | str | int | float | Decimal | bool | None"
JsonObject: TypeAlias = dict[str, JsonValue]
NumberT = TypeVar("NumberT")

_INTEGER_DIGITS = 18
"""This many digits always fit into 64 bits."""

_SHAPES = bytes.maketrans(b"123456789.E[:\n\r\t ]}", b"0000000000e,,,,,,,,")
"""Reduces a text to the places and lengths of its numbers."""

_DIGITS = b"0" * 16
_LONG = (b"," + _DIGITS, b",-" + _DIGITS)
"""A double always holds 15 digits; the point counts as one."""

_PART = 64 * 1024
_OVERLAP = 64

_TINY = re.compile(rb"0e-0{3,}(?:,|\Z)")
"""Below 1e-99: perhaps too small for a double."""


class TooManyNumbersError(Exception):
    """A text has too many numbers to read digit by digit."""


def decode(text: bytes | bytearray, most_numbers: int | None = None) -> JsonValue:
    """Accepts a lone surrogate, which `encode` refuses.

    Raises `ValueError`, `RecursionError` for deep nesting, `TooManyNumbersError` if the standard library would read
    more than `most_numbers`.
    """
    if not _may_be_rounded(text):
        try:
            return orjson.loads(text)  # type: ignore[no-any-return]
        except ValueError:
            pass
    budget = _Budget(sys.maxsize if most_numbers is None else most_numbers)
    return json.loads(  # type: ignore[no-any-return]
        text,
        parse_float=budget.spent_on(_fraction),
        parse_int=budget.spent_on(_integer),
        parse_constant=_refused,
    )


def decode_object(text: bytes) -> JsonObject:
    return cast("JsonObject", decode(text))


def objects_in(value: JsonValue) -> list[JsonObject]:
    return [member for member in value if isinstance(member, dict)] if isinstance(value, list) else []


def encode(value: JsonValue, *, indented: bool = False) -> bytes:
    """UTF-8, keys by code point; compact or indented by two. Raises `UnicodeEncodeError` for a lone surrogate."""
    option = orjson.OPT_SORT_KEYS | (orjson.OPT_INDENT_2 if indented else 0)
    try:
        return orjson.dumps(value, default=_written, option=option)
    except orjson.JSONEncodeError:
        pass
    try:
        return orjson.dumps(_with_long_integers(value), default=_written, option=option)
    except orjson.JSONEncodeError as error:
        raise UnicodeEncodeError("utf-8", "", 0, 1, "not encodable as JSON") from error


class _Budget:
    def __init__(self, left: int) -> None:
        self._left = left

    def spent_on(self, read: Callable[[str], NumberT]) -> Callable[[str], NumberT]:
        def within(digits: str) -> NumberT:
            self._left -= 1
            if self._left < 0:
                raise TooManyNumbersError
            return read(digits)

        return within


def _may_be_rounded(text: bytes | bytearray) -> bool:
    # By parts, which stay in the processor's cache.
    for start in range(0, len(text), _PART):
        shapes = text[start : start + _PART + _OVERLAP].translate(_SHAPES)
        if start + _PART >= len(text):
            shapes += b","
        # A search for a constant costs a third of one for a pattern, and finds nothing in most texts.
        if _DIGITS in shapes and any(long in shapes or (not start and shapes.startswith(long[1:])) for long in _LONG):
            return True
        if _has_tiny(shapes):
            return True
    return False


def _has_tiny(shapes: bytes | bytearray) -> bool:
    """Most matches of the search are in GUIDs."""
    at = shapes.find(b"0e-000")
    while 0 <= at < _PART:
        if _TINY.match(shapes, at):
            return True
        at = shapes.find(b"0e-000", at + 1)
    return False


def _integer(digits: str) -> int | Decimal:
    return int(digits) if len(digits) <= _INTEGER_DIGITS else _whole(Decimal(digits))


def _whole(number: Decimal) -> int | Decimal:
    return int(number) if -(2**63) <= number < 2**64 else number


def _fraction(digits: str) -> float | Decimal:
    try:
        exact = Decimal(digits)
    except InvalidOperation as error:
        raise ValueError("a number has too large an exponent") from error
    rounded = float(digits)
    return rounded if math.isfinite(rounded) and Decimal(repr(rounded)) == exact else exact


def _refused(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not valid JSON")


def _written(value: Any) -> orjson.Fragment:
    if not isinstance(value, Decimal):
        raise TypeError(type(value).__name__)
    return orjson.Fragment(str(value))


def _with_long_integers(value: JsonValue) -> JsonValue:
    """Makes integers beyond 64 bits decimals, since the fast writer refuses them."""
    if isinstance(value, dict):
        return {name: _with_long_integers(child) for name, child in value.items()}
    if isinstance(value, list):
        return [_with_long_integers(member) for member in value]
    if isinstance(value, int) and not isinstance(value, bool):
        return _whole(Decimal(value))
    return value
