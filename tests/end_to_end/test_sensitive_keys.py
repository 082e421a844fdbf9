"""Rotation of the operator's key, and comparison of secrets under the tenants' own data keys."""

import json
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from answers.compare.records import ItemComparison
from inventory.records import RunRecord
from local.simulated_graph import SimulatedGraph
from local.temporal import EmbeddedTemporal
from tests.deadlines import DEADLINE_SECONDS
from tests.end_to_end.system import SEEDS, System
from tests.forks import Fork
from tests.inventory.test_data_keys import NEW, OLD

CONFIGURATIONS = "deviceManagement/deviceConfigurations"
TYPES = ("--type", "deviceConfigurations")


@pytest.fixture
def system(temporal: EmbeddedTemporal, database_url: str, tmp_path: Path) -> Iterator[System]:
    """Two tenants with the same Wi-Fi key."""
    with (
        SimulatedGraph(None, tenants=2, seed=next(SEEDS)) as graph,
        System(graph, temporal, database_url, tmp_path) as system,
    ):
        for tenant in graph.tenants:
            tenant.add(CONFIGURATIONS, wifi("hunter2"))
        system.environment["SENSITIVE_FIELDS_KEY"] = OLD
        yield system


def wifi(key: str) -> dict[str, object]:
    return {
        "@odata.type": "#microsoft.graph.iosWiFiConfiguration",
        "displayName": "Wi-Fi of the test",
        "ssid": "a",
        "preSharedKey": key,
    }


def compare_wifi(system: System) -> ItemComparison:
    """The comparison of the two tenants' Wi-Fi profile."""
    here, there = (tenant.name for tenant in system.graph.tenants)
    result = system.starter("compare", here, there, *TYPES, "--json")
    assert (result.code, result.stderr) == (0, "")
    (found,) = (
        item
        for item in map(ItemComparison.model_validate, result.objects()[:-1])
        if (item.here or item.there)[0].display_name == "Wi-Fi of the test"
    )
    return found


def read_all(system: System) -> None:
    result = system.starter("portfolio", "sync", "--all-tenants", *TYPES, "--json")
    assert result.code == 0, result.stderr


def restarted(system: System, worker: Fork, **settings: str) -> Fork:
    """Replaces the worker by a new worker with these settings."""
    worker.stop()
    system.environment |= settings
    return system.start_worker()


@pytest.mark.slow
def test_key_rotation_reports_no_change_and_still_detects_edited_secrets(system: System) -> None:
    name = system.tenant.name
    worker = system.start_worker()
    assert system.starter("sync", name, *TYPES, "--json").run().counts.changed == 0
    worker = restarted(system, worker, SENSITIVE_FIELDS_KEY=NEW)
    waiting = system.popen("sync", name, *TYPES, "--json")
    assert waiting.stderr is not None
    for line in waiting.stderr:
        if "is retried: SENSITIVE_FIELDS_KEY is not the key under which this tenant was read" in line:
            break
    else:
        pytest.fail("nobody is told why the run waits")
    worker = restarted(system, worker, SENSITIVE_FIELDS_KEY_PREVIOUS=OLD)
    stdout, stderr = waiting.communicate(timeout=DEADLINE_SECONDS)
    assert waiting.returncode == 0, stderr
    assert RunRecord.model_validate_json(stdout).counts.changed == 0
    rotated = system.starter("database", "rotate-key", "--json")
    assert rotated.code == 0, rotated.stderr
    assert rotated.objects() == [{"wrapped_anew": 1, "kept": 0, "failed": {}}]
    again = system.starter("database", "rotate-key")
    assert again.stdout.splitlines()[0] == "0 data keys wrapped anew, 1 already wrapped by SENSITIVE_FIELDS_KEY"

    restarted(system, worker, SENSITIVE_FIELDS_KEY_PREVIOUS="")
    run = system.starter("sync", name, *TYPES, "--json").run()
    assert (run.status, run.counts.changed) == ("success", 0)
    (key,) = (
        document["id"]
        for document in system.tenant.documents(CONFIGURATIONS)
        if document["displayName"] == "Wi-Fi of the test"
    )
    system.tenant.change(CONFIGURATIONS, key, wifi("hunter3"))
    assert system.starter("sync", name, *TYPES, "--json").run().counts.changed == 1


def test_rotation_with_a_wrong_key_names_each_tenant(system: System) -> None:
    system.start_worker()
    read_all(system)
    result = system.starter("database", "rotate-key", SENSITIVE_FIELDS_KEY=NEW)
    assert result.code == 1
    assert [line.split(":")[0] for line in result.stderr.splitlines()] == sorted(
        str(tenant.id) for tenant in system.graph.tenants
    )


@pytest.mark.slow
def test_rotation_keeps_and_names_a_key_written_concurrently(system: System, database_url: str) -> None:
    system.start_worker()
    read_all(system)
    second = max(tenant.id for tenant in system.graph.tenants)
    system.environment |= {"SENSITIVE_FIELDS_KEY": NEW, "SENSITIVE_FIELDS_KEY_PREVIOUS": OLD}
    with psycopg.connect(database_url) as connection:
        connection.execute("UPDATE tenant SET data_key = data_key || '\\x00' WHERE tenant_id = %s", [second])
        rotating = system.popen("database", "rotate-key", "--json")
        with psycopg.connect(database_url, autocommit=True) as looking:
            while not looking.execute("SELECT 1 FROM pg_locks WHERE NOT granted").fetchone():
                assert rotating.poll() is None, rotating.communicate()
        connection.commit()
        mine = connection.execute("SELECT data_key FROM tenant WHERE tenant_id = %s", [second]).fetchone()
    stdout, stderr = rotating.communicate(timeout=DEADLINE_SECONDS)
    assert rotating.returncode == 1, stderr
    assert json.loads(stdout) == {
        "wrapped_anew": 1,
        "kept": 0,
        "failed": {second: "another program has written this key meanwhile; run the command again"},
    }
    with psycopg.connect(database_url) as connection:
        assert connection.execute("SELECT data_key FROM tenant WHERE tenant_id = %s", [second]).fetchone() == mine


@pytest.mark.slow
def test_equal_secrets_of_two_tenants_are_not_comparable(system: System) -> None:
    system.start_worker()
    read_all(system)
    found = compare_wifi(system)
    assert (found.status, found.uncertain) == ("undecided", ["hidden_under_two_keys"])
    assert [(field.path, field.hidden, field.is_certain) for field in found.fields] == [("preSharedKey", True, False)]


@pytest.mark.slow
def test_equal_secrets_compare_equal_under_a_shared_key(system: System, database_url: str) -> None:
    system.environment["SENSITIVE_FIELDS_COMPARABLE"] = "true"
    system.start_worker()
    read_all(system)
    assert compare_wifi(system).status == "same"
    with psycopg.connect(database_url) as connection:
        kinds = connection.execute("SELECT data_key_kind FROM tenant").fetchall()
    assert kinds == [("shared",), ("shared",)]
