"""Timeouts, without which a frozen process would keep its locks and its snapshot.

https://www.postgresql.org/docs/current/runtime-config-client.html,
https://www.postgresql.org/docs/current/libpq-connect.html
"""

from collections.abc import Mapping

CONNECT_TIMEOUT_SECONDS = 10

STATEMENT_TIMEOUT_SECONDS = 300
"""Longer than any merge (a second or two); ends statements of dead clients."""

POOL_TIMEOUT_SECONDS = STATEMENT_TIMEOUT_SECONDS
"""With fewer connections than activities, an activity waits until a statement must have ended."""

IDLE_TIMEOUT_SECONDS = 120
"""How long a transaction may wait for its client's next statement: a worker compares or hashes for seconds."""

SLOTS_IDLE_TIMEOUT_SECONDS = 10
"""The same while all tenants' slots are locked: nothing is computed between the three statements."""

LOCK_TIMEOUT_SECONDS = 180
"""Longer than `IDLE_TIMEOUT_SECONDS`, so a session behind a frozen process gets its lock."""

PEER_TIMEOUT_SECONDS = 60
"""Seconds without an acknowledgement until the other machine, or a stuck reader, counts as gone."""

_KEEPALIVE = {"keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 3}
"""Seconds of silence before the first probe and between two, and their number: a minute in all."""

TRANSACTION_TIMEOUTS: Mapping[str, str] = {
    "statement_timeout": f"{STATEMENT_TIMEOUT_SECONDS}s",
    "lock_timeout": f"{LOCK_TIMEOUT_SECONDS}s",
    "idle_in_transaction_session_timeout": f"{IDLE_TIMEOUT_SECONDS}s",
}
"""Settings of workers' and commands' connections. Each transaction repeats them, since poolers keep none. Migrations
have no statement timeout, and `LockRetries` for locks.
"""

_SERVER_SIDE = {
    "idle_in_transaction_session_timeout": f"{IDLE_TIMEOUT_SECONDS}s",
    "tcp_user_timeout": f"{PEER_TIMEOUT_SECONDS}s",
    **{f"tcp_{name}": str(value) for name, value in _KEEPALIVE.items()},
}
"""Settings sent at connection start, because the server holds the locks."""


def connection_parameters(application_name: str, settings: Mapping[str, str]) -> dict[str, str | int]:
    """Parameters of every connection, by libpq's names. `settings` are further settings of the server."""
    options = {**_SERVER_SIDE, **settings}
    return {
        "connect_timeout": CONNECT_TIMEOUT_SECONDS,
        "application_name": application_name,
        "tcp_user_timeout": PEER_TIMEOUT_SECONDS * 1000,
        "keepalives": 1,
        **_KEEPALIVE,
        "options": " ".join(f"-c {name}={value}" for name, value in options.items()),
    }
