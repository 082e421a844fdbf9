"""Records as CSV (RFC 4180): a nested object has a column `object.field` for each field; lists and free objects are
JSON.

An apostrophe precedes text that a spreadsheet would run as a formula.
"""

import csv
import io
import types
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Union, get_args, get_origin

import orjson
from pydantic import BaseModel

from inventory.visible_text import visible

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
"""First characters of formulas: https://owasp.org/www-community/attacks/CSV_Injection"""


def fields_of(record: type[BaseModel], above: str = "") -> list[str]:
    names = []
    for name, field in record.model_fields.items():
        nested = _model_in(field.annotation)
        names += [f"{above}{name}"] if nested is None else fields_of(nested, f"{above}{name}.")
    return names + [f"{above}{name}" for name in record.model_computed_fields]


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if get_origin(annotation) in (Union, types.UnionType):
        value = [model for argument in get_args(annotation) if (model := _model_in(argument)) is not None]
        return value[0] if len(value) == 1 else None
    return annotation if isinstance(annotation, type) and issubclass(annotation, BaseModel) else None


def flat(record: BaseModel | Mapping[str, Any], mode: str = "json") -> dict[str, Any]:
    if isinstance(record, BaseModel):
        values = record.model_dump(mode=mode)
        return dict(_flat(values, fields_of(type(record))))
    return dict(record)


def _flat(values: Mapping[str, Any], names: Sequence[str]) -> Iterator[tuple[str, Any]]:
    for name in names:
        value: Any = values
        for part in name.split("."):
            value = value.get(part) if isinstance(value, dict) else None
        yield name, value


def csv_line(values: Sequence[Any]) -> str:
    line = io.StringIO()
    csv.writer(line).writerow([_cell(value) for value in values])
    return line.getvalue()


def _cell(value: Any) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case int() | float():
            return str(value)
        case str():
            text = visible(value)
            return f"'{text}" if text.startswith(FORMULA_STARTS) else text
        case _:
            return visible(orjson.dumps(value, default=str).decode())
