"""Rows of large answers, some at a time."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any

import psycopg
from sqlalchemy import Row, TextClause
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession


async def streamed(
    session: AsyncSession, statement: TextClause, parameters: Mapping[str, object], rows_at_a_time: int
) -> AsyncIterator[Row[Any]]:
    """The rows of a statement, so many held at a time, within the session's transaction.

    Where the connection is lost on the way, or the wait for it is cancelled, the cursor is closed: nothing else would
    do that. Whoever asks for rows reads them to their end.
    """
    rows = await session.stream(statement.execution_options(yield_per=rows_at_a_time), parameters)
    try:
        async for row in rows:
            yield row
    except (SQLAlchemyError, psycopg.Error, asyncio.CancelledError):
        await rows.close()
        raise
