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
    """Drops SQLAlchemy's traceback for a cursor that cannot be closed: the server closes it with its transaction."""

    def filter(self, record: logging.LogRecord) -> bool:
        return record.msg != "Error closing cursor"


logging.getLogger("sqlalchemy.pool.impl.AsyncAdaptedQueuePool").addFilter(LostCursors())


@asynccontextmanager
async def opened_stream(
    session: AsyncSession, statement: Executable, parameters: Mapping[str, object], rows_at_a_time: int
) -> AsyncIterator[AsyncResult[Any]]:
    """Keeps `rows_at_a_time` in memory.

    Closes the cursor if the connection is lost, the wait is cancelled or the reader stops.
    """
    rows = await session.stream(statement.execution_options(yield_per=rows_at_a_time), parameters)
    try:
        yield rows
    except (SQLAlchemyError, psycopg.Error, asyncio.CancelledError, GeneratorExit):
        await rows.close()
        raise
