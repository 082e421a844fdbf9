"""Connections to PostgreSQL, each transaction bound to one tenant from its first statement.

`Database.tenant` works under a role that row-level security binds, `Database.portfolio` reads across tenants and
cannot write, `Database.no_tenant` writes what belongs to none and sees no tenant's rows. There is no other way in, so a
query that forgets its tenant returns nothing.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

import psycopg
from sqlalchemy import make_url, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine

from inventory.user_errors import UnavailableError, UserError

WORKER_ROLE = "tenant_inventory_worker"
PORTFOLIO_ROLE = "tenant_inventory_portfolio"

CONNECT_TIMEOUT_SECONDS = 10
STATEMENT_TIMEOUT_SECONDS = 300
"""Longer than any merge (a second or two); it ends a statement whose client is gone."""

_BIND = text(
    "SELECT set_config('role', :role, true), set_config('app.tenant_id', :tenant_id, true),"
    " set_config('transaction_read_only', :read_only, true)"
)

_UNAVAILABLE_CLASSES = ("08", "53", "57", "58")
"""SQLSTATE classes: connection exception, insufficient resources, operator intervention, system error."""


class DatabaseUrlError(UserError):
    """DATABASE_URL is not a PostgreSQL URL; the message does not repeat it, since it holds a password."""


class StorageUnavailableError(UnavailableError):
    """PostgreSQL cannot be reached or is going away; the same call may succeed later."""


class StorageNotReadyError(UnavailableError):
    """The database answers, but its migrations have not been applied."""


def database_url(value: str) -> URL:
    """The SQLAlchemy URL of a `postgresql://` one, for psycopg 3. Raises `DatabaseUrlError`."""
    try:
        url = make_url(value)
    except (ArgumentError, ValueError):
        raise DatabaseUrlError("DATABASE_URL is not a URL; expected postgresql://user@host/database") from None
    if url.drivername.partition("+")[0] not in ("postgresql", "postgres"):
        raise DatabaseUrlError("DATABASE_URL does not start with postgresql://")
    return url.set(drivername="postgresql+psycopg")


class Database:
    """A pool of connections to one database. `pool_size` bounds how many are open at once."""

    def __init__(self, url: str, *, pool_size: int = 10, application_name: str = "tenant-inventory") -> None:
        self._engine: AsyncEngine = create_async_engine(
            database_url(url),
            pool_size=pool_size,
            max_overflow=0,
            pool_timeout=30,
            pool_pre_ping=True,
            hide_parameters=True,
            connect_args={
                "connect_timeout": CONNECT_TIMEOUT_SECONDS,
                "application_name": application_name,
                "options": f"-c statement_timeout={STATEMENT_TIMEOUT_SECONDS}s -c timezone=UTC",
            },
        )

    async def close(self) -> None:
        """Closes every connection."""
        await self._engine.dispose()

    @asynccontextmanager
    async def tenant(
        self, tenant_id: UUID, *, read_only: bool = False, snapshot: bool = False
    ) -> AsyncIterator[AsyncSession]:
        """A transaction that sees and writes one tenant's rows only; committed at the end, rolled back on an error.

        With `snapshot` all that it reads is of one moment, whatever is written meanwhile.
        """
        async with self._bound(WORKER_ROLE, str(tenant_id), read_only=read_only, snapshot=snapshot) as session:
            yield session

    @asynccontextmanager
    async def portfolio(self) -> AsyncIterator[AsyncSession]:
        """A read-only transaction over all tenants."""
        async with self._bound(PORTFOLIO_ROLE, "", read_only=True) as session:
            yield session

    @asynccontextmanager
    async def no_tenant(self) -> AsyncIterator[AsyncSession]:
        """A transaction for what belongs to no tenant: it sees and writes that, and no row of any tenant."""
        async with self._bound(WORKER_ROLE, "", read_only=False) as session:
            yield session

    @asynccontextmanager
    async def _bound(
        self, role: str, tenant_id: str, *, read_only: bool, snapshot: bool = False
    ) -> AsyncIterator[AsyncSession]:
        bound = {"role": role, "tenant_id": tenant_id, "read_only": "on" if read_only else "off"}
        try:
            async with AsyncSession(self._engine, expire_on_commit=False) as session, session.begin():
                if snapshot:
                    await session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
                await session.execute(_BIND, bound)
                yield session
        except (SQLAlchemyError, psycopg.Error) as error:
            known = classified(error)
            if known is None:
                raise
            raise known from None


def classified(error: Exception) -> Exception | None:
    """The storage error that a driver's error stands for; None for one that is nobody's fault but ours."""
    cause = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
    sqlstate = getattr(cause, "sqlstate", None)
    if sqlstate in ("42P01", "42704", "22023") and ("role" in str(cause) or sqlstate == "42P01"):
        return StorageNotReadyError(
            "the database has no tables of this product yet; run: python starter.py database upgrade"
        )
    if sqlstate is not None:
        unavailable = sqlstate[:2] in _UNAVAILABLE_CLASSES
    else:
        unavailable = isinstance(cause, psycopg.OperationalError | psycopg.InterfaceError | TimeoutError) or (
            isinstance(error, SQLAlchemyError) and type(error).__name__ == "TimeoutError"
        )
    return StorageUnavailableError(_reason(cause)) if unavailable else None


def _reason(cause: BaseException) -> str:
    """Why PostgreSQL is out of reach, in a few words that hold no address and no password."""
    sqlstate = getattr(cause, "sqlstate", None)
    message = str(cause)
    if "password authentication failed" in message or sqlstate == "28P01":
        return "PostgreSQL refused the user or password of DATABASE_URL"
    if "does not exist" in message and "database" in message:
        return "the database named in DATABASE_URL does not exist"
    return "PostgreSQL cannot be reached at the host and port of DATABASE_URL"
