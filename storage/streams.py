"""Rows of large answers, some at a time."""

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import psycopg
from sqlalchemy import Executable
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncResult, AsyncSession


class LostCursors(logging.Filter):
    """Drops SQLAlchemy's log of a cursor that cannot be closed, a traceback each.

    The server closes it with its transaction, and the reader gets the error of the connection.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record is about something else."""
        return record.msg != "Error closing cursor"


logging.getLogger("sqlalchemy.pool.impl.AsyncAdaptedQueuePool").addFilter(LostCursors())


@asynccontextmanager
async def opened_stream(
    session: AsyncSession, statement: Executable, parameters: Mapping[str, object], rows_at_a_time: int
) -> AsyncIterator[AsyncResult[Any]]:
    """The rows of a statement, so many held at a time, within the session's transaction.

    If the connection is lost on the way, the wait for it is cancelled, or the reader has enough, the cursor is
    closed: nothing else would do that.
    """
    rows = await session.stream(statement.execution_options(yield_per=rows_at_a_time), parameters)
    try:
        yield rows
    except (SQLAlchemyError, psycopg.Error, asyncio.CancelledError, GeneratorExit):
        await rows.close()
        raise
