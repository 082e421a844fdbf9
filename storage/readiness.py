"""Checks PostgreSQL before a run, without SQLAlchemy, which is slow to load."""

import psycopg
from psycopg.conninfo import make_conninfo
from psycopg.rows import namedtuple_row

from storage.access import PROBE_SQL, access
from storage.errors import classified
from storage.timeouts import TRANSACTION_TIMEOUTS, connection_parameters

_READ = "SELECT run_id FROM sync_run LIMIT 1"


async def check_readiness(url: str) -> bool:
    """Returns False if libpq cannot read the URL. Raises `StorageUnavailableError`, `StorageNotReadyError`."""
    scheme, _, rest = url.partition("://")
    ours = connection_parameters("tenant-inventory", TRANSACTION_TIMEOUTS)
    try:
        where = make_conninfo(f"{scheme.partition('+')[0]}://{rest}", **ours)
    except psycopg.ProgrammingError:
        return False
    try:
        async with await psycopg.AsyncConnection.connect(where, row_factory=namedtuple_row) as connection:
            found = await connection.execute(PROBE_SQL)
            role = access(await found.fetchone()).portfolio
            await connection.execute("SELECT set_config('role', %s, true)", [role])
            await connection.execute(_READ)
    except psycopg.Error as error:
        known = classified(error)
        if known is None:
            raise
        raise known from None
    return True
