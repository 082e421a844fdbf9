"""Backup and restore by the steps of docs/operating.md: an empty server, another owner, an earlier moment."""

import subprocess
from collections.abc import Iterator
from pathlib import Path
from secrets import token_hex
from tempfile import TemporaryDirectory
from typing import NamedTuple
from uuid import UUID

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import make_url

from inventory.records import RunRecord
from local.postgres import EmbeddedPostgres, _binaries
from local.simulated_graph import Fault, FaultKind
from local.temporal import EmbeddedTemporal
from storage.roles import script
from tests.deadlines import DEADLINE_SECONDS, until
from tests.end_to_end.system import System

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
        """Restores a dump as a login that is not the old owner; returns the database's URL."""
        with psycopg.connect(self.postgres.url, autocommit=True) as connection:
            connection.execute(
                sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(sql.Identifier(LOGIN), sql.Literal(LOGIN))
            )
            connection.execute(sql.SQL("CREATE DATABASE inventory OWNER {}").format(sql.Identifier(LOGIN)))
            connection.execute(script(LOGIN).encode())
        url = self.postgres.database_url("inventory")
        _run("pg_restore", "--no-owner", "--role", LOGIN, "--exit-on-error", "--dbname", url, dump)
        end_leases(url)
        return make_url(url).set(username=LOGIN, password=LOGIN).render_as_string(hide_password=False)


def end_leases(url: str) -> None:
    """Expires all leases, as if ten minutes had passed: a restore, or a new Temporal, takes longer."""
    with psycopg.connect(url) as connection:
        connection.execute("UPDATE sync_run SET lease_expires_at = now() WHERE lease_expires_at IS NOT NULL")


@pytest.fixture
def server() -> Iterator[Server]:
    # Not under pytest's own folder, as for `postgres`.
    with TemporaryDirectory() as folder, EmbeddedPostgres(Path(folder) / "postgres", durable=False) as postgres:
        yield Server(postgres)


def _run(program: str, *arguments: str | Path) -> None:
    result = subprocess.run(
        [_binaries() / program, *arguments], capture_output=True, text=True, timeout=DEADLINE_SECONDS
    )
    assert (result.returncode, result.stderr) == (0, "")


def dump(system: System) -> Path:
    path = system.folder / "inventory.dump"
    _run("pg_dump", "--format", "custom", "--file", path, system.environment["DATABASE_URL"])
    return path


def test_doctor_reports_a_restore_and_the_next_run_catches_up(system: System, server: Server) -> None:
    system.environment["SENSITIVE_FIELDS_KEY"] = token_hex(32)
    worker = system.start_worker()
    system.graph.set_generation(0)
    assert system.sync(*LIVELY).status == "success"
    path = dump(system)
    # The restore loses these changes: items appear, change and go.
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
    names = ("created", "changed", "missing", "unchanged")
    assert [getattr(again.counts, name) for name in names] == [getattr(lost.counts, name) for name in names]
    assert {(item.type_key, item.external_id, item.state): item.content_hash for item in system.items()} == known
    checked = {line["check"]: line for line in system.starter("doctor", "--json").objects()}
    assert checked["restores"]["verdict"] == "ok"


HELD = "deviceManagement/deviceCompliancePolicies"


def begin(system: System) -> "subprocess.Popen[str]":
    """A sync that has written some changes and waits for the rest: Graph throttles one collection."""
    system.graph.set_generation(5)
    system.graph.faults.add(Fault(FaultKind.THROTTLED, path=HELD, retry_after="2"))
    following = system.popen("sync", system.tenant.name, *LIVELY, "--json", log=system.folder / "sync.log")
    until(lambda: items_read_by_open_run(system), "the run writes nothing")
    return following


def items_read_by_open_run(system: System) -> int:
    """The number of items that the open run has observed."""
    with psycopg.connect(system.environment["DATABASE_URL"]) as connection:
        found = connection.execute(
            "SELECT count(*) FROM inventory_item WHERE last_seen_run_id IN"
            " (SELECT run_id FROM sync_run WHERE finished_at IS NULL)"
        ).fetchone()
    assert found is not None
    return int(found[0])


def closed_as(system: System, run_id: UUID) -> tuple[str, list[str]]:
    record = system.starter("run", str(run_id), "--json").run()
    return record.status, [str(code) for code in record.error_codes]


def open_run(system: System) -> UUID:
    with psycopg.connect(system.environment["DATABASE_URL"]) as connection:
        ((run_id,),) = connection.execute("SELECT run_id FROM sync_run WHERE finished_at IS NULL").fetchall()
    assert isinstance(run_id, UUID)
    return run_id


def states(system: System) -> dict[tuple[str, str, str | None], str]:
    return {(item.type_key, item.external_id, item.state): item.content_hash for item in system.items()}


def test_run_after_restore_of_a_mid_run_dump_catches_up(system: System, server: Server) -> None:
    system.environment["SENSITIVE_FIELDS_KEY"] = token_hex(32)
    worker = system.start_worker()
    system.graph.set_generation(0)
    assert system.sync(*LIVELY).status == "success"
    following = begin(system)
    under_load = open_run(system)
    path = dump(system)
    system.graph.faults.clear()
    stdout, _ = following.communicate(timeout=DEADLINE_SECONDS)
    finished = RunRecord.model_validate_json(stdout)
    assert (finished.status, finished.run_id) == ("success", under_load)
    known = states(system)
    system.kill(worker)

    system.environment["DATABASE_URL"] = server.restore(path)
    system.start_worker()
    again = system.sync(*LIVELY)
    assert again.status == "success"
    assert states(system) == known
    assert closed_as(system, under_load) == ("failed", ["run_abandoned"])
    # Changes that the run wrote before the dump are not reported again, and no change is reported twice.
    names = ("created", "changed", "missing")
    assert all(getattr(again.counts, name) <= getattr(finished.counts, name) for name in names)
    last = system.sync(*LIVELY)
    assert [getattr(last.counts, name) for name in names[:2]] == [0, 0]
    assert last.status == "success"


def test_lost_temporal_leaves_abandoned_runs_and_next_runs_succeed(system: System, tmp_path: Path) -> None:
    worker = system.start_worker()
    system.graph.set_generation(0)
    assert system.sync(*LIVELY).status == "success"
    following = begin(system)
    lost = open_run(system)
    system.kill(worker)
    following.kill()
    system.graph.faults.clear()
    end_leases(system.environment["DATABASE_URL"])
    with EmbeddedTemporal(tmp_path / "another-temporal") as empty:
        system.environment["TEMPORAL_ADDRESS"] = empty.address
        successor = system.start_worker()
        assert system.sync(*LIVELY).status == "success"
        assert closed_as(system, lost) == ("failed", ["run_abandoned"])
        again = system.sync(*LIVELY)
        assert (again.status, again.counts.created, again.counts.changed) == ("success", 0, 0)
        system.kill(successor)


def test_restore_without_the_sensitive_fields_key_is_reported_and_changes_nothing(
    system: System, server: Server
) -> None:
    system.environment["SENSITIVE_FIELDS_KEY"] = token_hex(32)
    worker = system.start_worker()
    assert system.sync("--type", "deviceConfigurations").status == "success"
    known = states(system)
    system.environment["DATABASE_URL"] = server.restore(dump(system))
    system.kill(worker)
    system.environment |= {"SENSITIVE_FIELDS_KEY": token_hex(32), "GRAPH_ATTEMPTS": "2"}
    system.start_worker()
    following = system.popen("sync", system.tenant.name, "--type", "deviceConfigurations", "--json")
    assert following.stderr is not None
    words = "SENSITIVE_FIELDS_KEY is not the key under which this tenant was read; set that one as"
    line = next((line for line in following.stderr if words in line), None)
    assert line is not None
    assert states(system) == known
