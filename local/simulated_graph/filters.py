"""The supported part of `$filter`."""

import operator
import re
from collections.abc import Callable
from datetime import datetime
from typing import Any

Predicate = Callable[[dict[str, Any]], bool]

_TOKEN = re.compile(r"\s*(?:(?P<text>'(?:[^']|'')*')|(?P<mark>[(),])|(?P<word>[^\s(),']+))")
_ORDERS: dict[str, Callable[[datetime, datetime], bool]] = {
    "ge": operator.ge,
    "gt": operator.gt,
    "le": operator.le,
    "lt": operator.lt,
}
_FUNCTIONS = ("isof", "startswith", "contains", "endswith")


class FilterError(ValueError):
    """The filter is malformed, or not supported here."""


def parse(text: str, declared_type: str) -> Predicate:
    """Documents are of `declared_type` unless `@odata.type` says otherwise. Raises `FilterError`."""
    tokens: list[str] = []
    at = 0
    stripped = text.rstrip()
    while at < len(stripped):
        match = _TOKEN.match(stripped, at)
        if match is None:
            raise FilterError(f"Syntax error at position {at} in '{text}'.")
        tokens.append(match.group().strip())
        at = match.end()
    return _Parser(tokens, declared_type).whole()


class _Parser:
    def __init__(self, tokens: list[str], declared_type: str) -> None:
        self._tokens = tokens
        self._declared_type = declared_type

    def whole(self) -> Predicate:
        predicate = self._either()
        if self._tokens:
            raise FilterError(f"Syntax error at '{self._tokens[0]}'.")
        return predicate

    def _either(self) -> Predicate:
        left = self._both()
        while self._accept("or"):
            left = _or(left, self._both())
        return left

    def _both(self) -> Predicate:
        left = self._term()
        while self._accept("and"):
            left = _and(left, self._term())
        return left

    def _term(self) -> Predicate:
        if self._accept("not"):
            inner = self._term()
            return lambda document: not inner(document)
        if self._accept("("):
            inner = self._either()
            self._expect(")")
            return inner
        word = self._next()
        if word in _FUNCTIONS and self._accept("("):
            return self._function(word)
        return self._comparison(word)

    def _function(self, name: str) -> Predicate:
        first = self._next()
        if name == "isof":
            self._expect(")")
            operand = f"#{first.strip(chr(39))}"
            return lambda document: document.get("@odata.type", self._declared_type) == operand
        self._expect(",")
        text = str(_literal(self._next())).lower()
        self._expect(")")
        test: Callable[[str], bool] = {
            "startswith": lambda value: value.startswith(text),
            "endswith": lambda value: value.endswith(text),
            "contains": lambda value: text in value,
        }[name]
        return lambda document: isinstance(value := _property(document, first), str) and test(value.lower())

    def _comparison(self, path: str) -> Predicate:
        sign = self._next()
        if sign in _ORDERS:
            return self._order(path, sign)
        if sign not in {"eq", "ne"}:
            raise FilterError(f"Unsupported operator '{sign}'.")
        operand = _literal(self._next())
        return lambda document: (_property(document, path) == operand) is (sign == "eq")

    def _order(self, path: str, sign: str) -> Predicate:
        try:
            limit = datetime.fromisoformat(self._next())
        except ValueError:
            raise FilterError(f"Unsupported operator '{sign}' of what is no date and time.") from None
        order = _ORDERS[sign]

        def holds(document: dict[str, Any]) -> bool:
            value = _property(document, path)
            return isinstance(value, str) and order(datetime.fromisoformat(value), limit)

        return holds

    def _next(self) -> str:
        if not self._tokens:
            raise FilterError("Expression expected at the end.")
        return self._tokens.pop(0)

    def _accept(self, token: str) -> bool:
        if self._tokens and self._tokens[0] == token:
            self._tokens.pop(0)
            return True
        return False

    def _expect(self, token: str) -> None:
        if not self._accept(token):
            raise FilterError(f"'{token}' expected.")


def _or(left: Predicate, right: Predicate) -> Predicate:
    return lambda document: left(document) or right(document)


def _and(left: Predicate, right: Predicate) -> Predicate:
    return lambda document: left(document) and right(document)


def _property(document: dict[str, Any], path: str) -> Any:
    """The value at a path such as `templateReference/templateFamily`, without casts (`microsoft.graph.managedApp/`)."""
    value: Any = document
    for name in path.split("/"):
        if name.startswith("microsoft.graph."):
            continue
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _literal(token: str) -> Any:
    if token.startswith("'"):
        return token[1:-1].replace("''", "'")
    named = {"null": None, "true": True, "false": False}
    if token in named:
        return named[token]
    try:
        return int(token)
    except ValueError:
        return token
