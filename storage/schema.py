"""Migrations: forward, on a database with data in it, beside running workers."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from time import sleep
from typing import NamedTuple

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from psycopg.errors import DeadlockDetected, LockNotAvailable
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.exc import OperationalError

from storage.database import database_url
from storage.errors import StorageUnavailableError
from storage.lock_watch import LockWatch
from storage.roles import settle
from storage.timeouts import connection_parameters

UPGRADE_LOCK = 0x74656E616E7469
"""Advisory lock that makes migrations of one database wait for each other."""


@dataclass(frozen=True)
class LockRetries:
    """How long a migration waits for a table's lock, and how often it tries.

    While it waits, workers that want the same table wait behind it: so briefly, and with a pause in which they go on.
    """

    timeout_ms: int = 2000
    attempts: int = 60
    pause_seconds: float = 2


class UpgradeResult(NamedTuple):
    """A migrated database: its revision before and after, and the roles that it works under."""

    before: str | None
    after: str
    roles: Sequence[str]


def _config(connection: Connection | None = None, *, has_two_roles: bool = True) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    config.attributes["has_two_roles"] = has_two_roles
    return config


def upgrade(
    url: str, *, patience: LockRetries | None = None, tell: Callable[[str], None] = lambda _line: None
) -> UpgradeResult:
    """Applies every migration that the database lacks. `tell` gets a line for each lock that is waited for.

    Raises `DatabaseUrlError`, `StorageNotReadyError` where the login may not migrate it, `StorageUnavailableError`
    where a lock is never free, and SQLAlchemy's errors for a database that cannot be reached.
    """
    engine = create_engine(database_url(url), connect_args=connection_parameters("tenant-inventory upgrade", {}))
    with ExitStack() as ending:
        ending.callback(engine.dispose)
        connection = ending.enter_context(engine.connect())
        _wait_for_other_upgrades(connection, tell)
        set_up = settle(connection)
        before = MigrationContext.configure(connection).get_current_revision()
        connection.commit()
        config = _config(connection, has_two_roles=set_up.has_two_roles)
        if before != head():
            _apply(
                connection, config, ending.enter_context(LockWatch(url, connection)), patience or LockRetries(), tell
            )
        return UpgradeResult(before, head(), set_up.roles())


def _wait_for_other_upgrades(connection: Connection, tell: Callable[[str], None]) -> None:
    """Asks again and again: one that waited in a transaction would hold up an index that is being built."""
    lock = text("SELECT pg_try_advisory_lock(:key)")
    is_told = False
    while not connection.execute(lock, {"key": UPGRADE_LOCK}).scalar_one():
        connection.commit()
        if not is_told:
            tell("waiting for another upgrade of this database")
        is_told = True
        sleep(1)
    connection.commit()


def _apply(
    connection: Connection, config: Config, watch: LockWatch, patience: LockRetries, tell: Callable[[str], None]
) -> None:
    """Each migration commits by itself, so the next attempt goes on with the one that had to wait."""
    connection.execute(
        text("SELECT set_config('lock_timeout', :timeout, false)"), {"timeout": str(patience.timeout_ms)}
    )
    connection.commit()
    for attempt in range(1, patience.attempts + 1):
        try:
            command.upgrade(config, "head")
        except OperationalError as error:
            if not isinstance(error.orig, LockNotAvailable | DeadlockDetected):
                raise
            connection.rollback()
            waited_for = watch.last_seen()
            if attempt == patience.attempts:
                raise StorageUnavailableError(
                    f"the migration did not get {waited_for} in {attempt} attempts;"
                    " end what holds it, and run this again"
                ) from None
            tell(f"waiting for {waited_for} (attempt {attempt} of {patience.attempts})")
            sleep(patience.pause_seconds)
        else:
            connection.commit()
            return


def head() -> str:
    """The newest revision that this code knows."""
    return ScriptDirectory.from_config(_config()).get_heads()[0]
