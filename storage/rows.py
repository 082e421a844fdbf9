"""Rows of a statement as models, by the names of the columns."""

from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any, TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError
from sqlalchemy import Executable, Row
from sqlalchemy.ext.asyncio import AsyncSession

from storage.streams import opened_stream

ModelT = TypeVar("ModelT")

ROWS_AT_A_TIME = 500
"""Small rows of a streamed answer held at once."""

Values = dict[str, Any]
"""A row's values by field name."""

Shape = Callable[[Values], Values]
"""Makes a model's field values from column values."""


class RowError(RuntimeError):
    """The message names columns, never a value."""


async def fetch(
    session: AsyncSession,
    statement: Executable,
    model: type[ModelT],
    parameters: Mapping[str, object] | None = None,
    *,
    shape: Shape | None = None,
) -> list[ModelT]:
    """Columns `item.type_key` and `item.name` fill the model in field `item`, None if all are null.

    `shape` makes the fields from the columns. Raises `RowError` if a column is missing or superfluous, or a value does
    not fit.
    """
    return list(await fetch_each(session, statement, model, parameters, shape=shape))


async def fetch_each(
    session: AsyncSession,
    statement: Executable,
    model: type[ModelT],
    parameters: Mapping[str, object] | None = None,
    *,
    shape: Shape | None = None,
) -> Iterator[ModelT]:
    """As `fetch`, but makes each model when it is its turn: `shape` may make values much larger than the row's."""
    result = await session.execute(statement, parameters)
    return map(_reader(statement, model, tuple(result.keys()), shape), result)


async def fetch_one(
    session: AsyncSession,
    statement: Executable,
    model: type[ModelT],
    parameters: Mapping[str, object] | None = None,
    *,
    shape: Shape | None = None,
) -> ModelT | None:
    """None without rows. Raises `RowError` as `fetch`, and for several rows."""
    rows = await fetch(session, statement, model, parameters, shape=shape)
    if len(rows) > 1:
        raise RowError(f"{_name(statement)}: {len(rows)} rows, and not one")
    return rows[0] if rows else None


async def fetch_stream(
    session: AsyncSession,
    statement: Executable,
    model: type[ModelT],
    parameters: Mapping[str, object],
    *,
    rows_at_a_time: int = ROWS_AT_A_TIME,
    shape: Shape | None = None,
) -> AsyncGenerator[ModelT, None]:
    """Keeps `rows_at_a_time` in memory. Read it to the end, or close it."""
    async with opened_stream(session, statement, parameters, rows_at_a_time) as result:
        read = _reader(statement, model, tuple(result.keys()), shape)
        async for rows in result.partitions(rows_at_a_time):  # row by row, each would switch tasks
            for row in rows:
                yield read(row)


def _reader(
    statement: Executable, model: type[ModelT], columns: Sequence[str], shape: Shape | None
) -> Callable[[Row[Any]], ModelT]:
    adapter, fields = _adapter(model)  # type: ignore[arg-type]  # mypy does not see that classes are hashable
    values_of = _values(columns)

    def read(row: Row[Any]) -> ModelT:
        values = values_of(row)
        if shape is not None:
            values = shape(values)
        if values.keys() != fields:
            raise RowError(f"{_name(statement)}: {_misfit(values.keys(), fields)} of {model.__name__}")
        try:
            record: ModelT = adapter.validate_python(values, extra="forbid")
        except ValidationError as error:
            problems = {".".join(map(str, entry["loc"])): entry["type"] for entry in error.errors(include_input=False)}
            raise RowError(f"{_name(statement)}: {model.__name__} {problems}") from None
        return record

    return read


@cache
def _adapter(model: Any) -> tuple[TypeAdapter[Any], frozenset[str]]:
    fields = model.model_fields if issubclass(model, BaseModel) else model._fields
    return TypeAdapter(model), frozenset(fields)


def _values(columns: Sequence[str]) -> Callable[[Row[Any]], Values]:
    parts = [column.partition(".") for column in columns]
    plain = [(position, name) for position, (name, _, field) in enumerate(parts) if not field]
    nested: dict[str, list[tuple[int, str]]] = {}
    for position, (name, _, field) in enumerate(parts):
        if field:
            nested.setdefault(name, []).append((position, field))

    def flat(row: Row[Any]) -> Values:
        return dict(zip(columns, row, strict=True))

    def deep(row: Row[Any]) -> Values:
        values = {name: row[position] for position, name in plain}
        for name, places in nested.items():
            inner = {field: row[position] for position, field in places}
            values[name] = inner if any(value is not None for value in inner.values()) else None
        return values

    return deep if nested else flat


def _misfit(row_columns: Iterable[str], fields: frozenset[str]) -> str:
    names = set(row_columns)
    problems = {"no column for": fields - names, "superfluous for": names - fields}
    return ", ".join(f"{problem} {', '.join(sorted(columns))}" for problem, columns in problems.items() if columns)


def _name(statement: Executable) -> str:
    return " ".join(str(statement).split())[:60]
