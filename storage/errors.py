"""PostgreSQL's errors in words for people, without address, password or row.

Codes: https://www.postgresql.org/docs/current/errcodes-appendix.html
"""

import sys
from collections.abc import Mapping

import psycopg

from inventory.user_errors import UnavailableError
from storage.timeouts import CONNECT_TIMEOUT_SECONDS, POOL_TIMEOUT_SECONDS, STATEMENT_TIMEOUT_SECONDS


class StorageUnavailableError(UnavailableError):
    """PostgreSQL did not carry out a transaction; a retry may succeed."""


class StorageServerError(StorageUnavailableError):
    """PostgreSQL refuses every tenant's transactions of this kind, though it may still answer `Database.check`."""


class StorageCollisionError(StorageUnavailableError):
    """Another transaction made PostgreSQL roll this one back; a retry sees the other's changes."""


class DatabaseClockError(StorageUnavailableError):
    """PostgreSQL's clock is before the end of the tenant's latest run, so merges would omit new observations."""


class StorageNotReadyError(UnavailableError):
    """The schema or privileges do not fit this program; the message says what to do."""


NO_TABLES = "the database has no tables of this product yet; run: python starter.py database upgrade"

OTHER_LOGIN = (
    "the login of DATABASE_URL may not see the database's revision, which is older than this program;"
    " run as the owner of its tables: python starter.py database upgrade"
)

_BY_SQLSTATE: Mapping[str, str] = {
    "25006": "PostgreSQL is read-only; DATABASE_URL has to name a primary server that accepts writes",
    "25P03": "PostgreSQL ended a transaction in which this process was idle (idle_in_transaction_session_timeout)",
    "25P04": "PostgreSQL ended a transaction that took longer than its transaction_timeout",
    "28000": "PostgreSQL refused the user of DATABASE_URL",
    "28P01": "PostgreSQL refused the user or password of DATABASE_URL",
    "3D000": "the database named in DATABASE_URL does not exist",
    "40001": "a transaction collided with another one and was rolled back",
    "40P01": "a transaction deadlocked with another one and was rolled back",
    "53100": "PostgreSQL's disk is full; free space on its server",
    "53200": "PostgreSQL is out of memory",
    "53300": "PostgreSQL has too many connections; raise its max_connections, or lower WORKER_DATABASE_CONNECTIONS",
    "55P03": "a lock was not free in time",
    "57P01": "PostgreSQL is shutting down, or an administrator ended the connection",
    "57P02": "PostgreSQL is recovering from a crash",
    "57P03": "PostgreSQL is starting up or shutting down",
    "57P04": "the database named in DATABASE_URL was dropped",
    "58030": "PostgreSQL cannot read or write its files",
}

_OF_THE_SERVER = frozenset({"25006", "53100"})
"""Codes of a server that answers, but cannot write."""

_BY_CLASS: Mapping[str, str] = {
    "08": "the connection to PostgreSQL broke",
    "28": "PostgreSQL refused the user of DATABASE_URL",
    "40": "a transaction was rolled back",
    "53": "PostgreSQL lacks resources",
    "57": "PostgreSQL ended the transaction",
    "58": "PostgreSQL met a system error",
}

_BY_TEXT: tuple[tuple[str, str], ...] = (
    ("password authentication failed", _BY_SQLSTATE["28P01"]),
    ("no password supplied", "PostgreSQL asks for a password and DATABASE_URL has none"),
    ("no encryption", "PostgreSQL requires TLS; add ?sslmode=verify-full to DATABASE_URL"),
    ("pg_hba.conf", "PostgreSQL's pg_hba.conf does not admit this user, database and address"),
    ("does not support SSL", "PostgreSQL does not offer the TLS that DATABASE_URL requires (sslmode)"),
    ("certificate", "PostgreSQL's certificate is not trusted; check sslmode and sslrootcert in DATABASE_URL"),
    ("SSL", "PostgreSQL and this program do not agree on TLS; check sslmode in DATABASE_URL"),
    ("failed to resolve host", "the host of DATABASE_URL is unknown: its name does not resolve"),
    ("could not translate host name", "the host of DATABASE_URL is unknown: its name does not resolve"),
    (
        "Connection refused",
        "nothing listens at the host and port of DATABASE_URL; start PostgreSQL, or correct DATABASE_URL",
    ),
    (
        "timeout expired",
        f"PostgreSQL did not answer within {CONNECT_TIMEOUT_SECONDS} s at the host and port of DATABASE_URL",
    ),
    ("too many connections", _BY_SQLSTATE["53300"]),
    ("connection slots", _BY_SQLSTATE["53300"]),
    ("is starting up", _BY_SQLSTATE["57P03"]),
    ("is shutting down", _BY_SQLSTATE["57P03"]),
    ("recovery", _BY_SQLSTATE["57P02"]),
)
"""Parts of libpq's messages that come without a connection, and so without SQLSTATE."""

_POOL_IS_USED_UP = (
    f"every connection that this process may open to PostgreSQL was in use for {POOL_TIMEOUT_SECONDS} s;"
    " raise WORKER_DATABASE_CONNECTIONS, or lower WORKER_ACTIVITIES"
)

_NO_CONNECTION = ("connection failed", "connection is bad", "connection timeout", "failed to resolve host")


def classified(error: Exception) -> Exception | None:
    """The storage error for a driver's error; None if only this program can have caused it."""
    # An error is not SQLAlchemy's if SQLAlchemy is not loaded.
    alchemy = sys.modules.get("sqlalchemy.exc")
    is_wrapped = alchemy is not None and isinstance(error, alchemy.DBAPIError)
    cause: BaseException = getattr(error, "orig", None) or error if is_wrapped else error
    sqlstate = getattr(cause, "sqlstate", None)
    if sqlstate == "42P01":
        return StorageNotReadyError(NO_TABLES)
    if sqlstate == "42703":
        return StorageNotReadyError(_other_release(cause))
    if sqlstate == "42501":
        return _permission_denied(cause)
    if sqlstate is not None:
        reason = _reason(sqlstate, str(cause))
        if reason is None:
            return None
        if sqlstate in _OF_THE_SERVER:
            return StorageServerError(reason)
        return StorageCollisionError(reason) if sqlstate.startswith("40") else StorageUnavailableError(reason)
    if alchemy is not None and isinstance(cause, alchemy.TimeoutError):
        return StorageUnavailableError(_POOL_IS_USED_UP)
    if isinstance(cause, psycopg.OperationalError | psycopg.InterfaceError | TimeoutError) or (
        is_wrapped and getattr(error, "connection_invalidated", False)
    ):
        return StorageUnavailableError(_no_connection(str(cause)))
    return None


def _other_release(cause: BaseException) -> str:
    words = getattr(getattr(cause, "diag", None), "message_primary", None) or "a column does not exist"
    return (
        f"the database's tables are not of this program's release ({words}); run: python starter.py database upgrade,"
        " and replace workers of earlier releases"
    )


def _permission_denied(cause: BaseException) -> Exception | None:
    """None if a policy refused a row: that is an error of this program."""
    diagnostics = getattr(cause, "diag", None)
    if getattr(diagnostics, "source_function", None) == "ExecWithCheckOptions":
        return None
    words = getattr(diagnostics, "message_primary", None) or "permission denied"
    if "alembic_version" in words:
        return StorageNotReadyError(OTHER_LOGIN)
    return StorageServerError(f"PostgreSQL refused: {words}; docs/configuration.md says which login may do what")


def _reason(sqlstate: str, words: str) -> str | None:
    if sqlstate == "57014":
        return _ended(words)
    if sqlstate in _BY_SQLSTATE:
        return _BY_SQLSTATE[sqlstate]
    of_class = _BY_CLASS.get(sqlstate[:2])
    return None if of_class is None else f"{of_class} (SQLSTATE {sqlstate})"


def _ended(words: str) -> str:
    """Only the message tells a timeout from a cancellation."""
    timeout = f"a statement took longer than {STATEMENT_TIMEOUT_SECONDS} s and was ended"
    if "user request" in words:
        return "an administrator ended a statement"
    return timeout if "timeout" in words else f"{timeout}, or an administrator ended it"


def _no_connection(words: str) -> str:
    if not words.startswith(_NO_CONNECTION):
        return _BY_CLASS["08"]
    for part, reason in _BY_TEXT:
        if part in words:
            return reason
    _, fatal, refusal = words.partition("FATAL:")
    if "database" in refusal and "does not exist" in refusal:
        return _BY_SQLSTATE["3D000"]
    if fatal:
        return f"PostgreSQL refused the connection: {refusal.strip().splitlines()[0]}"
    return "PostgreSQL cannot be reached at the host and port of DATABASE_URL"
