"""Shared parts of the tables."""

from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, cast
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    DateTime,
    ForeignKey,
    LargeBinary,
    Table,
    Text,
    Uuid,
    and_,
    any_,
    bindparam,
    literal,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, mapped_column

CURRENT_TENANT = text("current_tenant()")
CLOCK = text("clock_timestamp()")

TenantKey = Annotated[UUID, mapped_column(primary_key=True, server_default=CURRENT_TENANT)]

RecordedTenantKey = Annotated[
    UUID, mapped_column(ForeignKey("tenant.tenant_id"), primary_key=True, server_default=CURRENT_TENANT)
]
"""A tenant key for tables without another foreign key that contains the tenant."""

TextKey = Annotated[str, mapped_column(primary_key=True)]
UuidKey = Annotated[UUID, mapped_column(primary_key=True)]
Count = Annotated[int, mapped_column(server_default=text("0"))]
WrittenAt = Annotated[datetime, mapped_column(server_default=CLOCK)]
"""By default, the moment at which the row is written."""


def one_of(column: str, values: type[StrEnum]) -> str:
    """The SQL condition that `column` holds a value of the enumeration."""
    return f"{column} IN ({', '.join(repr(str(value)) for value in values)})"


class Base(DeclarativeBase):
    type_annotation_map = {
        datetime: DateTime(timezone=True),
        dict[str, Any]: JSONB,
        list[str]: ARRAY(Text),
        UUID: Uuid(),
        bytes: LargeBinary,
        str: Text,
        int: BigInteger,
    }


def table(model: type[Base]) -> Table:
    """Core statements need the table; the ORM is not used."""
    return cast("Table", model.__table__)


def among(column: ColumnElement[Any], values: Iterable[object] | str) -> ColumnElement[bool]:
    """`column = ANY (…)` of the values, or of the parameter with that name: one plan for any number of values."""
    array = ARRAY(column.type)
    return column == any_(bindparam(values, type_=array) if isinstance(values, str) else literal(list(values), array))


def using(left: Table, right: Table, *names: str) -> ColumnElement[bool]:
    return and_(*(left.c[name] == right.c[name] for name in names))
