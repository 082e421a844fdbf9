"""What is wrong with a value that a person wrote, in words for this person, from pydantic's errors."""

import re
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any, NamedTuple

from pydantic import BaseModel, ValidationError

_WORD = re.compile(r"[A-Za-z0-9 ._-]{1,40}")
"""The form of names and codes; URLs and most secrets have another."""

LABEL_SPELLING = "write lower-case letters, digits, '.', '_' and '-', 64 at most, first a letter or a digit"
"""Of tags and of the names of targets."""

_WHOLE_NUMBER, _NUMBER, _TEXT, _LIST = "a whole number", "a number", "text in quotes", "a list in brackets"

_SHAPES = {
    "int_type": _WHOLE_NUMBER,
    "int_parsing": _WHOLE_NUMBER,
    "int_parsing_size": _WHOLE_NUMBER,
    "int_from_float": _WHOLE_NUMBER,
    "float_type": _NUMBER,
    "float_parsing": _NUMBER,
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "string_type": _TEXT,
    "path_type": _TEXT,
    "list_type": _LIST,
    "tuple_type": _LIST,
    "frozen_set_type": _LIST,
    "uuid_type": "an id (GUID)",
    "uuid_parsing": "an id (GUID)",
    "greater_than": "more than {gt}",
    "greater_than_equal": "{ge} or more",
    "less_than": "less than {lt}",
    "less_than_equal": "{le} or less",
}
"""What a value must be, by pydantic's type of error: https://docs.pydantic.dev/latest/errors/validation_errors/"""


class ValidationProblem(NamedTuple):
    """`field` is empty if the problem is about several fields."""

    field: str
    text: str

    def __str__(self) -> str:
        return f"{self.field}: {self.text}" if self.field else self.text


def first_problem(
    error: ValidationError,
    model: type[BaseModel],
    *,
    noun: str = "",
    spelling: Mapping[str, str] | None = None,
    repeats_values: bool = False,
) -> ValidationProblem:
    """The error's first problem. `repeats_values` names a wrong word by itself, not by its position: for tables without
    secrets.

    `noun` names the table whose keys are the fields of `model`; `spelling` says what to write in a field with a
    pattern.
    """
    problem = error.errors(include_url=False)[0]
    kind, value = problem["type"], problem["input"]
    field = ".".join(part for part in problem["loc"] if isinstance(part, str))
    word = value if repeats_values and isinstance(value, str) and _WORD.fullmatch(value) else None
    if kind == "extra_forbidden":
        text = f"is not a key of a {noun}{_near(field, model.model_fields)}; known: {', '.join(model.model_fields)}"
        return ValidationProblem(field, text)
    if kind == "enum" and word is not None:
        expected = _expected(problem)
        return ValidationProblem(field, f"unknown {word!r}{_near(word, expected)}; there are: {', '.join(expected)}")
    text = problem_text(problem)
    if kind == "string_pattern_mismatch":
        text = (spelling or {}).get(field, text)
    positions = [part for part in problem["loc"] if isinstance(part, int)]
    if positions:
        text = f"{f'entry {positions[0] + 1}' if word is None else repr(word)}: {text}"
    return ValidationProblem(field, text)


def problem_text(problem: Mapping[str, Any]) -> str:
    """What is wrong, from one of pydantic's `errors()`; without the value, and in no case in pydantic's words."""
    kind, context = problem["type"], problem.get("ctx", {})
    if kind in _SHAPES:
        return f"must be {_SHAPES[kind].format(**context)}"
    match kind:
        case "value_error":
            return str(problem["msg"]).removeprefix("Value error, ")
        case "missing":
            return "is missing"
        case "enum" | "literal_error":
            return f"must be one of: {', '.join(_expected(problem))}"
        case "string_too_short" | "too_short":
            return "is empty" if context["min_length"] == 1 else f"needs {context['min_length']} or more"
        case "string_too_long":
            return f"has more than {context['max_length']} characters"
        case "too_long":
            return f"has more than {context['max_length']} entries"
    return "is not valid"


def _expected(problem: Mapping[str, Any]) -> list[str]:
    return re.findall(r"'([^']*)'", problem["ctx"]["expected"])


def _near(word: str, words: Iterable[str]) -> str:
    matches = get_close_matches(word, words, n=1)
    return f" (did you mean {matches[0]!r}?)" if matches else ""
