"""Timeouts between PostgreSQL and this program, for workers, commands and migrations.

Without these a frozen process keeps its locks and its view of old rows.
https://www.postgresql.org/docs/current/runtime-config-client.html,
https://www.postgresql.org/docs/current/libpq-connect.html
"""

from collections.abc import Mapping

CONNECT_TIMEOUT_SECONDS = 10

STATEMENT_TIMEOUT_SECONDS = 300
"""Longer than any merge (a second or two); it ends a statement whose client is gone."""

POOL_TIMEOUT_SECONDS = STATEMENT_TIMEOUT_SECONDS
"""Where fewer connections are configured than activities, these wait their turn: until a statement must have ended."""

IDLE_TIMEOUT_SECONDS = 120
"""How long a transaction may wait for its client's next statement. Between two statements a worker compares or hashes a
few hundred documents, which takes seconds. A process that is frozen in a transaction holds others up for no longer."""

SLOTS_IDLE_TIMEOUT_SECONDS = 10
"""The same while the lock of all tenants' slots is held: nothing is computed between its three statements."""

LOCK_TIMEOUT_SECONDS = 180
"""Longer than `IDLE_TIMEOUT_SECONDS`, so that a session that waits behind a frozen process gets its lock."""

PEER_TIMEOUT_SECONDS = 60
"""Time without an acknowledgement until the other machine counts as gone; also a reader that takes no more rows."""

_KEEPALIVE = {"keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 3}
"""Seconds of silence before the first probe, between two, and how many: a minute in all."""

TRANSACTION_TIMEOUTS: Mapping[str, str] = {
    "statement_timeout": f"{STATEMENT_TIMEOUT_SECONDS}s",
    "lock_timeout": f"{LOCK_TIMEOUT_SECONDS}s",
    "idle_in_transaction_session_timeout": f"{IDLE_TIMEOUT_SECONDS}s",
}
"""The server's settings for each transaction of workers and commands. Poolers keep no settings of a connection, so the
first statement of a transaction repeats them. Migrations have none for statements, and for locks `LockRetries`."""

_SERVER_SIDE = {
    "idle_in_transaction_session_timeout": f"{IDLE_TIMEOUT_SECONDS}s",
    "tcp_user_timeout": f"{PEER_TIMEOUT_SECONDS}s",
    **{f"tcp_{name}": str(value) for name, value in _KEEPALIVE.items()},
}
"""Settings sent to the server at the start of a connection, because the server holds the locks."""


def connection_parameters(application_name: str, settings: Mapping[str, str]) -> dict[str, str | int]:
    """Parameters of every connection, by libpq's names, with further `settings` of the server."""
    options = {**_SERVER_SIDE, **settings}
    return {
        "connect_timeout": CONNECT_TIMEOUT_SECONDS,
        "application_name": application_name,
        "tcp_user_timeout": PEER_TIMEOUT_SECONDS * 1000,
        "keepalives": 1,
        **_KEEPALIVE,
        "options": " ".join(f"-c {name}={value}" for name, value in options.items()),
    }
