"""The golden tenant's session of a walk over other tenants."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from time import monotonic
from types import TracebackType
from typing import NamedTuple
from uuid import UUID

import psycopg
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession

from answers.compare.kept_items import KeptItems
from answers.compare.sides import SessionOf
from storage.database import StorageUnavailableError
from storage.documents import database_time
from storage.timeouts import IDLE_TIMEOUT_SECONDS


class LastingSession:
    """A session whose transaction stays open, though a walk that kept its answers may send no statement for long."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session
        self._asked_at = monotonic()

    async def stay_open(self) -> None:
        """To be called for each tenant: PostgreSQL ends transactions that are idle."""
        if monotonic() - self._asked_at >= IDLE_TIMEOUT_SECONDS / 4:
            await database_time(self._session)
            self._asked_at = monotonic()


_LOST = (SQLAlchemyError, psycopg.Error, StorageUnavailableError)


class GoldenSession(NamedTuple):
    session: AsyncSession
    kept: KeptItems


class GoldenSessions:
    """Keeps one golden tenant's session open, with what was read, until another is asked for, or the walk ends."""

    def __init__(self, session_of: SessionOf) -> None:
        self._session_of = session_of
        self._stack = AsyncExitStack()
        self._opened: tuple[UUID, GoldenSession] | None = None

    async def __aenter__(self) -> "GoldenSessions":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._close()

    @asynccontextmanager
    async def of(self, tenant_id: UUID) -> AsyncIterator[GoldenSession]:
        """After a failure inside, the next call opens a session anew, so that it is not the next tenant's, too."""
        golden = await self._still_open(tenant_id)
        if golden is None:
            await self._close()
            session = await self._stack.enter_async_context(self._session_of(tenant_id))
            golden = GoldenSession(session, KeptItems())
            self._opened = tenant_id, golden
        try:
            yield golden
        except BaseException:
            await self._close()
            raise

    async def _still_open(self, tenant_id: UUID) -> GoldenSession | None:
        """The server ends a transaction that has waited for a reader of the output, or lost its connection."""
        if self._opened is None or self._opened[0] != tenant_id:
            return None
        with suppress(*_LOST):
            await database_time(self._opened[1].session)
            return self._opened[1]
        return None

    async def _close(self) -> None:
        self._opened = None
        with suppress(*_LOST):
            await self._stack.aclose()
