"""Backup and restore by the steps of docs/operating.md: an empty server, another owner, an earlier moment."""

import subprocess
from collections.abc import Iterator
from pathlib import Path
from secrets import token_hex
from tempfile import TemporaryDirectory
from typing import NamedTuple

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import make_url

from local.postgres import EmbeddedPostgres, _binaries
from storage.roles import script
from tests.end_to_end.system import System
from tests.patience import PATIENCE_SECONDS

pytestmark = pytest.mark.slow

LIVELY = (
    "--type",
    "conditionalAccessPolicies",
    "--type",
    "configurationPolicies",
    "--type",
    "deviceCompliancePolicies",
    "--type",
    "deviceConfigurations",
    "--type",
    "iosUpdatePolicies",
    "--type",
    "macOSSoftwareUpdatePolicies",
    "--type",
    "mobileApps",
    "--type",
    "windowsUpdateRings",
)
"""Collections in which the simulated tenant gains, changes and loses items."""

LOGIN = "restored"


class Server(NamedTuple):
    """An empty server, onto which a dump is restored."""

    postgres: EmbeddedPostgres

    def restore(self, dump: Path) -> str:
        """Restores a dump as a login that is not the old owner; the URL of the database."""
        with psycopg.connect(self.postgres.url, autocommit=True) as connection:
            connection.execute(
                sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(sql.Identifier(LOGIN), sql.Literal(LOGIN))
            )
            connection.execute(sql.SQL("CREATE DATABASE inventory OWNER {}").format(sql.Identifier(LOGIN)))
            connection.execute(script([LOGIN]).encode())
        url = self.postgres.database_url("inventory")
        _run("pg_restore", "--no-owner", "--role", LOGIN, "--exit-on-error", "--dbname", url, dump)
        with psycopg.connect(url) as connection:
            # Nobody restores a dump within the ten minutes of a lease.
            connection.execute("UPDATE sync_run SET lease_expires_at = now() WHERE lease_expires_at IS NOT NULL")
        return make_url(url).set(username=LOGIN, password=LOGIN).render_as_string(hide_password=False)


@pytest.fixture
def server() -> Iterator[Server]:
    # Not under pytest's own folder, as for `postgres`.
    with TemporaryDirectory() as folder, EmbeddedPostgres(Path(folder) / "postgres", durable=False) as postgres:
        yield Server(postgres)


def _run(program: str, *arguments: str | Path) -> None:
    done = subprocess.run([_binaries() / program, *arguments], capture_output=True, text=True, timeout=PATIENCE_SECONDS)
    assert (done.returncode, done.stderr) == (0, "")


def dump(system: System) -> Path:
    path = system.folder / "inventory.dump"
    _run("pg_dump", "--format", "custom", "--file", path, system.environment["DATABASE_URL"])
    return path


def test_a_restore_of_an_earlier_moment_is_told_and_deletes_nothing(system: System, server: Server) -> None:
    system.environment["SENSITIVE_FIELDS_KEY"] = token_hex(32)
    worker = system.start_worker()
    system.graph.set_generation(0)
    assert system.sync(*LIVELY).status == "success"
    path = dump(system)
    # The hour that is lost: items appear, change and go.
    system.graph.set_generation(5)
    lost = system.sync(*LIVELY)
    assert lost.status == "success"
    assert lost.counts.created
    assert lost.counts.changed
    assert lost.counts.missing
    known = {(item.type_key, item.external_id, item.state): item.content_hash for item in system.items()}
    system.kill(worker)

    restored = system.environment["DATABASE_URL"] = server.restore(path)
    assert restored
    system.start_worker()
    checked = {line["check"]: line for line in system.starter("doctor", "--json").objects()}
    assert checked["restores"]["verdict"] == "warning"
    assert checked["restores"]["message"].startswith("Temporal has 1 run after the newest one of the database")
    again = system.sync(*LIVELY)
    assert again.status == "success"
    told = ("created", "changed", "missing", "unchanged")
    assert [getattr(again.counts, name) for name in told] == [getattr(lost.counts, name) for name in told]
    assert {(item.type_key, item.external_id, item.state): item.content_hash for item in system.items()} == known
    checked = {line["check"]: line for line in system.starter("doctor", "--json").objects()}
    assert checked["restores"]["verdict"] == "ok"
