"""Connections to PostgreSQL that tests and commands reuse.

A new backend reads the definitions of all tables that it meets, and a new engine reads the server's: most of the cost
of a test or a command with few statements.
"""

import asyncio
from collections import defaultdict
from copy import copy
from typing import Any

import psycopg
from sqlalchemy import event

from storage.database import Database


class KeptConnection:
    """The engine of one database, usable in one event loop after another."""

    def __init__(self, url: str, **options: Any) -> None:
        """`options` as in `Database`."""
        self._origin = Database(url, **options)
        self._kept: psycopg.AsyncConnection | None = None
        engine = self._origin._engine.sync_engine
        self._close = engine.dialect.do_close
        engine.dialect.do_close = self._keep  # type: ignore[method-assign,assignment]
        event.listen(engine, "do_connect", self._connect_by_us)

    def database(self) -> Database:
        """Behaves like a new one; when it is closed, one of its connections is kept."""
        return copy(self._origin)

    @property
    def pid(self) -> int | None:
        """The process id of the kept connection's backend, while no test uses it."""
        return None if self._kept is None else self._kept.info.backend_pid

    def close(self) -> None:
        """To be called outside of any event loop."""
        if self._kept is not None:
            self._kept.pgconn.finish()
            self._kept = None

    def _keep(self, adapted: Any) -> None:
        connection: psycopg.AsyncConnection = adapted.driver_connection
        if self._kept is None and connection.info.transaction_status == psycopg.pq.TransactionStatus.IDLE:
            self._kept = connection
        else:
            self._close(adapted)

    def _connect_by_us(self, _dialect: Any, _record: Any, _arguments: Any, parameters: dict[str, Any]) -> None:
        parameters["async_creator_fn"] = self._connect

    async def _connect(self, *arguments: Any, **parameters: Any) -> psycopg.AsyncConnection:
        """The kept connection, without the previous test's session state; a new one if it is in use or was ended."""
        connection, self._kept = self._kept, None
        if connection is not None:
            connection.lock = asyncio.Lock()  # of this event loop
            connection._notice_handlers.clear()
            connection._prepared.clear()  # psycopg clears it only at the first DISCARD ALL
            try:
                await connection.set_autocommit(True)
                await connection.execute("DISCARD ALL", prepare=False)
                await connection.set_autocommit(False)
            except psycopg.Error:
                await connection.close()
            else:
                return connection
        return await psycopg.AsyncConnection.connect(*arguments, **parameters)


class KeptForCommands:
    """Replaces `Database` for commands in this process: a command reuses the engine of one that has ended.

    Concurrent commands share no engine, and each has as many connections as it asks for.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._free: defaultdict[object, list[KeptConnection]] = defaultdict(list)

    def __call__(self, url: str, **options: Any) -> Database:
        if url != self._url:
            return Database(url, **options)
        free = self._free[tuple(sorted(options.items()))]
        kept = free.pop() if free else KeptConnection(url, **options)
        database = kept.database()

        async def close() -> None:
            await Database.close(database)
            free.append(kept)

        database.close = close  # type: ignore[method-assign]
        return database

    @property
    def pids(self) -> list[int]:
        """The process ids of the kept connections' backends, while no command uses them."""
        return [kept.pid for kept in self._all() if kept.pid is not None]

    def close(self) -> None:
        """To be called outside of any event loop."""
        for kept in self._all():
            kept.close()

    def _all(self) -> list[KeptConnection]:
        return [kept for free in self._free.values() for kept in free]
