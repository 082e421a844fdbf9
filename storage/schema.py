"""Migrates a database while workers run."""

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
"""The advisory lock that serializes migrations of a database."""


@dataclass(frozen=True)
class LockRetries:
    """A migration waits for a table's lock briefly, since workers queue behind it."""

    timeout_ms: int = 2000
    attempts: int = 60
    pause_seconds: float = 2


class UpgradeResult(NamedTuple):
    """`before` and `after` are revisions; `before` is None for an empty database."""

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
    url: str, *, retries: LockRetries | None = None, tell: Callable[[str], None] = lambda _line: None
) -> UpgradeResult:
    """Applies all missing migrations. `tell` gets a line for each lock waited for.

    Raises `DatabaseUrlError`, `StorageNotReadyError` if the login may not migrate, `StorageUnavailableError` if a lock
    is never free, and SQLAlchemy's errors if the database cannot be reached.
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
            _apply(connection, config, ending.enter_context(LockWatch(url, connection)), retries or LockRetries(), tell)
        return UpgradeResult(before, head(), set_up.roles())


def _wait_for_other_upgrades(connection: Connection, tell: Callable[[str], None]) -> None:
    """Polls: waiting in a transaction would hold up an index that is being built."""
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
    connection: Connection, config: Config, watch: LockWatch, retries: LockRetries, tell: Callable[[str], None]
) -> None:
    """Each migration commits by itself, so the next attempt resumes with the migration that waited."""
    connection.execute(text("SELECT set_config('lock_timeout', :timeout, false)"), {"timeout": str(retries.timeout_ms)})
    connection.commit()
    for attempt in range(1, retries.attempts + 1):
        try:
            command.upgrade(config, "head")
        except OperationalError as error:
            if not isinstance(error.orig, LockNotAvailable | DeadlockDetected):
                raise
            connection.rollback()
            waited_for = watch.last_seen()
            if attempt == retries.attempts:
                raise StorageUnavailableError(
                    f"the migration did not get {waited_for} in {attempt} attempts;"
                    " end what holds it, and run this again"
                ) from None
            tell(f"waiting for {waited_for} (attempt {attempt} of {retries.attempts})")
            sleep(retries.pause_seconds)
        else:
            connection.commit()
            return


def head() -> str:
    return ScriptDirectory.from_config(_config()).get_heads()[0]
