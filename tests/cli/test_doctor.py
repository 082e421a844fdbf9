"""`doctor`: a worker's own view of its environment, with a remedy for each problem."""

import tomllib
from pathlib import Path
from typing import Any

import psycopg
import pytest

from local.postgres import EmbeddedPostgres
from local.simulated_graph import SimulatedGraph
from local.temporal import EmbeddedTemporal
from storage.access import PORTFOLIO_ROLE, REVISION, WORKER_ROLE
from tests.conftest import OWNER, copy_of, make_login, url_of
from tests.end_to_end.system import CommandResult, System


def checks(result: CommandResult) -> dict[tuple[str, str], dict[str, Any]]:
    """The results by place and check, or place and tenant."""
    return {(line["place"], line["tenant"] or line["check"]): line for line in result.objects()}


def failed(result: CommandResult) -> set[tuple[str, str]]:
    """The checks that failed."""
    return {name for name, line in checks(result).items() if line["verdict"] == "failed"}


def test_without_a_worker_doctor_prints_the_start_command(system: System) -> None:
    result = system.starter("doctor", "--json")
    assert result.code == 3
    workers = checks(result)["command", "workers"]
    assert workers["verdict"] == "failed"
    assert workers["message"].endswith("start one: python worker.py")
    assert checks(result)["command", "database"]["verdict"] == "ok"


def test_without_temporal_the_database_is_still_checked(system: System) -> None:
    result = system.starter("doctor", "--json", TEMPORAL_ADDRESS="127.0.0.1:1")
    assert result.code == 3
    assert failed(result) == {("command", "Temporal")}
    assert checks(result)["command", "database"]["verdict"] == "ok"


def test_a_broken_tenants_file_is_a_failed_check_even_if_a_tenant_is_named(system: System, tmp_path: Path) -> None:
    broken = tmp_path / "broken.toml"
    broken.write_text("x = [")
    for words in (("doctor", "--json"), ("doctor", "contoso", "--json")):
        result = system.starter(*words, TENANTS_FILE=str(broken))
        assert result.code == 3
        assert ("command", "tenants file") in failed(result)
        assert checks(result)["command", "database"]["verdict"] == "ok"


def test_a_worker_checks_its_environment_and_each_tenant(system: System) -> None:
    system.start_worker()
    result = system.starter("doctor", "--json")
    assert result.code == 0, result.stdout + result.stderr
    found = checks(result)
    assert {name for name, line in found.items() if line["verdict"] == "warning"} <= {
        ("worker", "settings"),
        ("worker", "database roles"),
    }
    assert "SENSITIVE_FIELDS_KEY" in found["worker", "settings"]["message"]
    assert found["worker", "database roles"]["message"].endswith("roles --owner OWNER --worker-login NAME")
    for check in ("database", "row-level security", "database's clock", "Graph's clock", "tenants file"):
        assert found["worker", check]["verdict"] == "ok", check
    for tenant in system.graph.tenants:
        assert found["worker", tenant.name]["message"] == "signs in and reads"
        assert found["worker", tenant.name]["tenant_id"] == str(tenant.id)
    table = system.starter("doctor")
    assert table.code == 0
    assert "0 failed" in table.stdout


def test_a_wrong_secret_fails_only_its_tenant_despite_a_token(system: System) -> None:
    system.start_worker()
    assert system.sync("--type", "groups").status == "success"
    first, second = tomllib.loads((system.folder / "tenants.toml").read_text())["tenant"]
    (system.folder / first["client_secret_file"]).write_text("wrong")
    result = system.starter("doctor", "--json")
    assert result.code == 3
    assert failed(result) == {("worker", first["name"])}
    assert "the client secret is wrong" in checks(result)["worker", first["name"]]["message"]
    only = system.starter("doctor", second["name"], "--json")
    assert only.code == 0
    assert ("worker", first["name"]) not in checks(only)


BROKEN_DATABASES = [
    (
        "ALTER TABLE inventory_item DISABLE ROW LEVEL SECURITY",
        "ALTER TABLE inventory_item ENABLE ROW LEVEL SECURITY",
        "row-level security",
        "in inventory_item;",
    ),
    (
        "ALTER POLICY one_tenant ON tenant USING (true)",
        "ALTER POLICY one_tenant ON tenant USING (tenant_id = current_tenant())",
        "row-level security",
        "sees rows of table tenant",
    ),
    (
        "UPDATE alembic_version SET version_num = '0001'",
        f"UPDATE alembic_version SET version_num = '{REVISION}'",
        "database",
        "database upgrade",
    ),
]
"""The fault, its repair, the check that fails, and words of its message."""


def test_a_worker_detects_broken_tenant_isolation_and_a_wrong_revision(system: System) -> None:
    system.start_worker()
    assert system.sync("--type", "groups").status == "success"
    for fault, repair, check, words in BROKEN_DATABASES:
        with psycopg.connect(system.environment["DATABASE_URL"], autocommit=True) as connection:
            connection.execute(fault)
            try:
                result = system.starter("doctor", "--json")
            finally:
                connection.execute(repair)
        assert result.code == 3, fault
        assert ("worker", check) in failed(result), fault
        assert words in checks(result)["worker", check]["message"]
        assert system.starter("doctor", "--json").code == 0, fault


@pytest.mark.parametrize("set_up", ["one role", "two roles"])
def test_a_least_privilege_login_passes_all_checks_but_settings(
    set_up: str,
    postgres: EmbeddedPostgres,
    graph: SimulatedGraph,
    temporal: EmbeddedTemporal,
    migrated_template: str,
    one_role_template: str,
    tmp_path: Path,
) -> None:
    login = OWNER if set_up == "one role" else "doctor_worker"
    if login != OWNER:
        with psycopg.connect(postgres.url, autocommit=True) as connection:
            make_login(connection, login)
            connection.execute(f"GRANT {WORKER_ROLE}, {PORTFOLIO_ROLE} TO {login} WITH INHERIT FALSE")
    template = one_role_template if set_up == "one role" else migrated_template
    for url in copy_of(postgres, template):
        bounded = url_of(postgres, url.rpartition("/")[2], login)
        with System(graph, temporal, bounded, tmp_path) as system:
            system.start_worker()
            found = checks(system.starter("doctor", "--json"))
    assert {name for name, line in found.items() if line["verdict"] != "ok"} == {("worker", "settings")}
