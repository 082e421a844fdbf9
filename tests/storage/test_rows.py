"""Rows become models by column name, and a mismatch is an error."""

from collections.abc import AsyncIterator
from typing import NamedTuple
from uuid import UUID

import pytest
from pydantic import BaseModel
from sqlalchemy import literal, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from storage.database import Database
from storage.rows import RowError, Values, fetch, fetch_one, fetch_stream

TENANT = UUID(int=1)
SECRET = "hunter2"


class Place(NamedTuple):
    """An address."""

    street: str | None
    number: int | None


class Person(BaseModel):
    """A person; two fields have defaults."""

    name: str
    home: Place | None = None
    nickname: str = ""


@pytest.fixture
async def session(database: Database) -> AsyncIterator[AsyncSession]:
    async with database.tenant(TENANT, read_only=True) as session:
        yield session


WHOLE = text("""SELECT 'Ada' AS name, '' AS nickname, :street AS "home.street", 12 AS "home.number" """)


async def test_columns_fill_the_fields_of_the_same_names(session: AsyncSession) -> None:
    ada = Person(name="Ada", home=Place("Dorset Street", 12))
    assert await fetch(session, WHOLE, Person, {"street": "Dorset Street"}) == [ada]
    assert await fetch_one(session, WHOLE, Person, {"street": "Dorset Street"}) == ada
    streamed = fetch_stream(session, WHOLE, Person, {"street": "Dorset Street"}, rows_at_a_time=1)
    assert [person async for person in streamed] == [ada]


async def test_inner_model_is_none_only_if_all_its_columns_are_null(session: AsyncSession) -> None:
    partly = text("""SELECT 'Ada' AS name, '' AS nickname, NULL AS "home.street", CAST(:n AS int) AS "home.number" """)
    assert await fetch(session, partly, Person, {"n": None}) == [Person(name="Ada")]
    assert await fetch(session, partly, Person, {"n": 0}) == [Person(name="Ada", home=Place(None, 0))]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ("'Ada' AS name, NULL AS home", "no column for nickname of Person"),
        ("'Ada' AS name, NULL AS home, '' AS nickname, 1 AS age", "superfluous for age of Person"),
        ("""'Ada' AS name, '' AS nickname, 's' AS "home.street" """, "Person {'home.number': 'missing'}"),
        (
            """'Ada' AS name, '' AS nickname, 's' AS "home.street", 1 AS "home.number", 2 AS "home.floor" """,
            "Person {'home.floor': 'extra_forbidden'}",
        ),
        (f"NULL AS home, '' AS nickname, ARRAY['{SECRET}'] AS name", "Person {'name': 'string_type'}"),
    ],
)
async def test_mismatch_error_names_the_statement_but_no_value(
    session: AsyncSession, columns: str, message: str
) -> None:
    with pytest.raises(RowError) as raised:
        await fetch(session, text(f"SELECT {columns}"), Person)
    assert message in str(raised.value)
    assert str(raised.value).startswith("SELECT ")
    assert SECRET not in str(raised.value).split(": ", 1)[1]
    assert raised.value.__cause__ is None


async def test_mismatch_error_names_a_built_statement_without_its_literals(session: AsyncSession) -> None:
    statement = select(literal("Ada").label("name"), literal(SECRET).label("age"))
    with pytest.raises(RowError, match="superfluous for age of Person") as raised:
        await fetch(session, statement, Person)
    assert str(raised.value).startswith("SELECT ")
    assert SECRET not in str(raised.value)


async def test_shape_computes_fields_from_columns(session: AsyncSession) -> None:
    def shape(row: Values) -> Values:
        return {"name": f"{row['first']} {row['last']}", "home": None, "nickname": ""}

    statement = text("SELECT 'Ada' AS first, 'Lovelace' AS last")
    assert await fetch(session, statement, Person, shape=shape) == [Person(name="Ada Lovelace")]


async def test_fetch_one_refuses_several_rows(session: AsyncSession) -> None:
    assert await fetch_one(session, text("SELECT '' AS name, NULL AS home, '' AS nickname WHERE false"), Person) is None
    with pytest.raises(RowError, match="2 rows, and not one"):
        await fetch_one(
            session, text("SELECT name, NULL AS home, '' AS nickname FROM (VALUES ('a'), ('b')) AS p (name)"), Person
        )
