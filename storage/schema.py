"""Migrations: forward, on a database with data in it."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine, text

from storage.database import CONNECT_TIMEOUT_SECONDS, database_url

UPGRADE_LOCK = 0x74656E616E7469
"""Advisory lock that makes migrations of one database wait for each other."""


def _config(connection: Connection | None = None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    return config


def upgrade(url: str) -> tuple[str | None, str]:
    """Applies every migration that the database lacks; the revision before and after.

    Raises `DatabaseUrlError`, and SQLAlchemy's errors for a database that cannot be reached or refuses.
    """
    engine = create_engine(database_url(url), connect_args={"connect_timeout": CONNECT_TIMEOUT_SECONDS})
    try:
        with engine.connect() as connection:
            connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": UPGRADE_LOCK})
            connection.commit()
            before = MigrationContext.configure(connection).get_current_revision()
            connection.commit()
            command.upgrade(_config(connection), "head")
            connection.commit()
            return before, head()
    finally:
        engine.dispose()


def head() -> str:
    """The newest revision that this code knows."""
    return ScriptDirectory.from_config(_config()).get_heads()[0]
