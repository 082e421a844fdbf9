"""The lock that a migration waits for, and its holder, seen from a second connection."""

from threading import Event, Thread

import psycopg
from psycopg.conninfo import make_conninfo
from sqlalchemy import Connection, text

from storage.timeouts import TRANSACTION_TIMEOUTS, connection_parameters

LOOKS_PER_SECOND = 10

_WAITED_FOR = """
SELECT coalesce('the lock of ' || relation::regclass::text, 'a lock'),
    (
        SELECT string_agg(format('%%s (pid %%s)', coalesce(nullif(application_name, ''), 'a client'), holder.pid), ', ')
        FROM pg_stat_activity AS holder WHERE holder.pid = ANY (pg_blocking_pids(waiting.pid))
    )
FROM pg_locks AS waiting WHERE pid = %s AND NOT granted LIMIT 1
"""


class LockWatch:
    def __init__(self, url: str, watched: Connection) -> None:
        self._url = make_conninfo(url, **connection_parameters("tenant-inventory upgrade", TRANSACTION_TIMEOUTS))
        self._pid = watched.execute(text("SELECT pg_backend_pid()")).scalar_one()
        watched.commit()
        self._ended = Event()
        self._thread = Thread(target=self._look, daemon=True)
        self._last_seen = "a lock"

    def __enter__(self) -> "LockWatch":
        self._thread.start()
        return self

    def __exit__(self, *raised: object) -> None:
        self._ended.set()
        self._thread.join()

    def last_seen(self) -> str:
        return self._last_seen

    def _look(self) -> None:
        try:
            with psycopg.connect(self._url, autocommit=True) as connection:
                while not self._ended.wait(1 / LOOKS_PER_SECOND):
                    if found := connection.execute(_WAITED_FOR, (self._pid,)).fetchone():
                        lock, holders = found
                        self._last_seen = f"{lock}, held by {holders}" if holders else lock
        except psycopg.OperationalError:
            # Only the text of a message depends on this connection.
            return
