"""Sessions of PostgreSQL, each bound to one tenant, none, some or all; nothing else opens a session."""

from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager, nullcontext
from typing import Self
from uuid import UUID

import psycopg
from sqlalchemy import TextClause, make_url, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine

from inventory.user_errors import UserError
from storage.access import (
    ALL_TENANTS,
    EXCESS_SQL,
    PORTFOLIO_ROLE,
    PROBE_SQL,
    VISIBLE_TENANTS,
    WORKER_ROLE,
    Access,
    access,
)
from storage.connection_turns import ConnectionTurns
from storage.errors import (
    StorageCollisionError,
    StorageNotReadyError,
    StorageServerError,
    StorageUnavailableError,
    classified,
)
from storage.timeouts import POOL_TIMEOUT_SECONDS, TRANSACTION_TIMEOUTS, connection_parameters

__all__ = [
    "PORTFOLIO_ROLE",
    "PROBE",
    "WORKER_ROLE",
    "Database",
    "DatabaseUrlError",
    "StorageCollisionError",
    "StorageNotReadyError",
    "StorageServerError",
    "StorageUnavailableError",
    "classified",
    "database_url",
]

PROBE = text(PROBE_SQL)

_EXCESS = text(EXCESS_SQL)

_READ = text("SELECT run_id FROM sync_run LIMIT 1")

_BIND = "SELECT set_config('role', :role, true), set_config('app.tenant_id', :tenant_id, true)" + "".join(
    f", set_config('{name}', '{value}', true)" for name, value in TRANSACTION_TIMEOUTS.items()
)
_READ_ONLY = ", set_config('transaction_read_only', 'on', true)"

# Explicit, read-only and limited to the transaction: a forgotten tenant id must not have this effect.
_ACROSS_TENANTS = (
    f", set_config('search_path', concat_ws(', ', nullif(current_setting('search_path'), ''), '{ALL_TENANTS}'), true)"
)

_ACROSS_VISIBLE_TENANTS = (
    _ACROSS_TENANTS.replace(f"'{ALL_TENANTS}'", f"'{ALL_TENANTS}, {VISIBLE_TENANTS}'")
    + ", set_config('app.visible_tenants', :visible_tenants, true)"
)

_BIND_TO_WRITE = text(_BIND)
_BIND_TO_READ = text(_BIND + _READ_ONLY)
_BIND_TO_READ_ALL = text(_BIND + _READ_ONLY + _ACROSS_TENANTS)
_BIND_TO_READ_SOME = text(_BIND + _READ_ONLY + _ACROSS_VISIBLE_TENANTS)


class DatabaseUrlError(UserError):
    """The message omits the URL, since it holds a password."""


def database_url(value: str) -> URL:
    """Selects psycopg 3. Raises `DatabaseUrlError`."""
    try:
        url = make_url(value)
    except (ArgumentError, ValueError):
        raise DatabaseUrlError("DATABASE_URL is not a URL; expected postgresql://user@host/database") from None
    if url.drivername.partition("+")[0] not in ("postgresql", "postgres"):
        raise DatabaseUrlError("DATABASE_URL does not start with postgresql://")
    return url.set(drivername="postgresql+psycopg")


class Database:
    """A pool of connections, which the async context manager closes."""

    def __init__(
        self,
        url: str,
        *,
        pool_size: int = 10,
        pool_timeout: float = POOL_TIMEOUT_SECONDS,
        application_name: str = "tenant-inventory",
    ) -> None:
        """`pool_timeout`: seconds to wait for a connection before `StorageUnavailableError`."""
        self.pool_size = pool_size
        self.turns: ConnectionTurns | None = None
        """Connections that each task may hold; None for any number."""
        self._access: Access | None = None
        self._engine: AsyncEngine = create_async_engine(
            database_url(url),
            pool_size=pool_size,
            max_overflow=0,
            pool_timeout=pool_timeout,
            pool_pre_ping=True,
            hide_parameters=True,
            connect_args=connection_parameters(application_name, {**TRANSACTION_TIMEOUTS, "timezone": "UTC"}),
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *raised: object) -> None:
        await self.close()

    async def close(self) -> None:
        await self._engine.dispose()

    @asynccontextmanager
    async def tenant(
        self, tenant_id: UUID, *, read_only: bool = False, snapshot: bool = False
    ) -> AsyncIterator[AsyncSession]:
        """A transaction that sees and writes only one tenant's rows.

        With `read_only` or `snapshot`, all reads see one moment. A write in a `snapshot` raises `StorageCollisionError`
        if another transaction has changed the row since.
        """
        bind = _BIND_TO_READ if read_only else _BIND_TO_WRITE
        async with self._bound(bind, str(tenant_id), snapshot=snapshot or read_only) as session:
            yield session

    @asynccontextmanager
    async def portfolio(self, visible: Collection[UUID] | None = None) -> AsyncIterator[AsyncSession]:
        """Read-only: all tenants, or the `visible` ones, as of one moment."""
        if visible is None:
            bind, tenants = _BIND_TO_READ_ALL, {}
        else:
            bind, tenants = _BIND_TO_READ_SOME, {"visible_tenants": ",".join(map(str, visible))}
        async with self._bound(bind, "", snapshot=True, **tenants) as session:
            yield session

    @asynccontextmanager
    async def no_tenant(self, *, read_only: bool = False) -> AsyncIterator[AsyncSession]:
        """A transaction that sees and writes only rows of no tenant."""
        async with self._bound(_BIND_TO_READ if read_only else _BIND_TO_WRITE, "") as session:
            yield session

    async def check(self) -> None:
        """Reads across tenants. Raises `StorageUnavailableError`, `StorageNotReadyError`."""
        async with self.portfolio() as session:
            await session.execute(_READ)

    async def excess(self) -> list[str]:
        """The login's privileges beyond the two roles, in words: any SQL could use them after RESET ROLE.

        Empty if the owner is the only role.
        """
        async with self.no_tenant() as session:
            return (await session.execute(_EXCESS)).scalar_one_or_none() or []

    @asynccontextmanager
    async def _bound(
        self, bind: TextClause, tenant_id: str, *, snapshot: bool = False, **parameters: str
    ) -> AsyncIterator[AsyncSession]:
        try:
            turn = nullcontext() if self.turns is None else self.turns.holding()
            async with turn, AsyncSession(self._engine, expire_on_commit=False) as session, session.begin():
                if snapshot:
                    await session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
                roles = await self._roles(session)
                role = roles.portfolio if bind in (_BIND_TO_READ_ALL, _BIND_TO_READ_SOME) else roles.worker
                await session.execute(bind, {"role": role, "tenant_id": tenant_id, **parameters})
                yield session
        except (SQLAlchemyError, psycopg.Error) as error:
            known = classified(error)
            if known is None or (bind is not _BIND_TO_WRITE and _is_our_write(error)):
                raise
            raise known from None

    async def _roles(self, session: AsyncSession) -> Access:
        """Probes once, so workers go on while the schema is upgraded."""
        if self._access is None:
            self._access = access((await session.execute(PROBE)).one_or_none())
        return self._access


def _is_our_write(error: Exception) -> bool:
    """A write in our read-only transaction is no fault of the server."""
    return isinstance(error, DBAPIError) and getattr(error.orig, "sqlstate", None) == "25006"
