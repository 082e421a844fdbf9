"""Commands and workers on a database of another revision, and an upgrade during a sync."""

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest

from local.postgres import EmbeddedPostgres
from local.simulated_graph import SimulatedGraph
from local.temporal import EmbeddedTemporal
from storage.schema import head, upgrade
from tests.conftest import copy_of
from tests.end_to_end.system import System
from tests.forks import Fork
from tests.storage.test_live_migrations import LAST_RELEASE, stamp


@pytest.fixture
def stale(
    graph: SimulatedGraph,
    temporal: EmbeddedTemporal,
    postgres: EmbeddedPostgres,
    migrated_template: str,
    tmp_path: Path,
) -> Iterator[System]:
    """A product whose database, the test's own, is stamped with the last release's revision."""
    for url in copy_of(postgres, migrated_template):
        stamp(url, LAST_RELEASE)
        with System(graph, temporal, url, tmp_path) as system:
            yield system


def worker(system: System, *arguments: str) -> tuple[int, str]:
    """Runs a worker that ends by itself; returns its exit code and output."""
    log = system.folder / f"stale-{uuid4()}.log"
    fork = Fork("worker.py", arguments, environment=system.environment, folder=system.folder, stdout=log, stderr=log)
    return fork.wait(60.0), log.read_text()


def test_commands_and_workers_refuse_older_and_newer_databases_in_one_line(stale: System) -> None:
    for revision, words in ((LAST_RELEASE, "python starter.py database upgrade"), ("9999", "update the program")):
        stamp(stale.environment["DATABASE_URL"], revision)
        for command in (("runs",), ("sync", stale.tenant.name, "--all")):
            result = stale.starter(*command)
            (line,) = [line for line in result.stderr.splitlines() if line.startswith("error:")]
            assert (result.code, result.stdout) == (1, "")
            assert line.startswith(f"error: the database is at revision {revision} ")
            assert "Traceback" not in result.stderr
            assert line.endswith(words)
        for arguments in (("--check",), ()):
            code, stderr = worker(stale, *arguments)
            assert code == 1
            (line,) = [line for line in stderr.splitlines() if line.startswith("worker:")]
            assert line.endswith(words)
            assert "Traceback" not in stderr


@pytest.mark.slow
@pytest.mark.parametrize("selection", [("--type", "groups"), ("--all",)], ids=["groups", "everything"])
def test_upgrade_during_a_sync_does_not_block_it(stale: System, selection: tuple[str, ...]) -> None:
    """The test repeats the upgrade until the run has ended, so that it meets every part of the run."""
    url = stale.environment["DATABASE_URL"]
    stamp(url, head())
    stale.start_worker()
    assert stale.starter("sync", stale.tenant.name, *selection, "--no-wait").code == 0
    query = "SELECT status, observed, errors FROM sync_run WHERE finished_at IS NOT NULL"
    with psycopg.connect(url, autocommit=True) as connection:
        while (run := connection.execute(query).fetchone()) is None:
            stamp(url, LAST_RELEASE)
            assert upgrade(url).before == LAST_RELEASE
        items = connection.execute("SELECT count(*) FROM inventory_item").fetchone()
    assert items is not None
    assert items[0] > 0
    assert run == ("success", items[0], 0)
