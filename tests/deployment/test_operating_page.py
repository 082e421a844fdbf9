"""docs/operating.md: the blocks that begin with `# run:`, run unchanged, and the systemd units that it installs."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from uuid import UUID

import orjson
import psycopg
import pytest
from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import ListSearchAttributesRequest
from temporalio.client import Client

from connections import check_database, connect_temporal
from graph.permission_ids import permission_ids
from graph.tenants import TenantConfig
from graph.tokens import TokenSource
from graph.trust import ssl_context
from local.postgres import EmbeddedPostgres, _binaries
from local.simulated_graph import SimulatedGraph
from local.temporal import EmbeddedTemporal, temporal_program
from storage.database import Database
from storage.schema import head
from tests.deadlines import DEADLINE_SECONDS
from tests.forks import CHECKOUT
from tests.storage.support import observation, sync
from worker import GRACEFUL_SHUTDOWN
from workflows.search_attributes import ALL, type_name

PAGE = (CHECKOUT / "docs" / "operating.md").read_text()
UNITS = sorted((CHECKOUT / "deploy" / "systemd").glob("*.service"))
EXAMPLE_TENANT = UUID("aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee")

Run = Callable[..., "subprocess.CompletedProcess[str]"]

needs_systemd = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd-analyze here")


def blocks() -> dict[str, str]:
    """The blocks to run, by name."""
    found = re.findall(r"^( *)```sh\n *# run: (\w+)\n(.*?)^ *```", PAGE, re.MULTILINE | re.DOTALL)
    return {name: "".join(line.removeprefix(indent) for line in body.splitlines(True)) for indent, name, body in found}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder in which the page's relative names stand for the checkout's."""
    for name in ("starter.py", "worker.py", "deploy"):
        (tmp_path / name).symlink_to(CHECKOUT / name)
    return tmp_path


@pytest.fixture
def run(folder: Path) -> Run:
    """Runs a block of the page, with its reader's environment. It must succeed."""

    def runs(name: str, **environment: str) -> "subprocess.CompletedProcess[str]":
        path = os.pathsep.join([str(temporal_program().parent), str(_binaries()), os.environ["PATH"]])
        result = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", blocks()[name]],
            cwd=folder,
            env={**os.environ, "PATH": path, "TENANT_INVENTORY_STATE": str(folder / "no-stack"), **environment},
            capture_output=True,
            text=True,
            timeout=DEADLINE_SECONDS,
        )
        assert result.returncode == 0, result.stderr
        return result

    return runs


def test_the_page_has_exactly_these_runnable_blocks() -> None:
    assert set(blocks()) == {"permissions", "certificate", "database", "temporal"}


def test_the_permissions_block_prints_manifests(run: Run) -> None:
    printed = run("permissions").stdout
    decoder = orjson.loads("[" + printed.replace("\n}\n{\n", "\n},{\n") + "]")
    everything, some = (
        {role["id"] for role in manifest["requiredResourceAccess"][0]["resourceAccess"]} for manifest in decoder
    )
    assert everything | some <= {str(entry) for entry in permission_ids().values()}
    assert len(some) < len(everything), "a selection may need a permission that everything does not"


async def test_a_tenant_signs_in_with_the_certificate(run: Run, folder: Path) -> None:
    run("certificate")
    with SimulatedGraph(tenants=1) as graph:
        (tenant,) = graph.tenants
        tenant.register_certificate((folder / "app.crt").read_bytes())
        config = TenantConfig.model_validate(
            {
                "id": tenant.id,
                "name": tenant.name,
                "client_id": tenant.client_id,
                "certificate_file": folder / "app.pem",
            }
        )
        assert await TokenSource(ssl_context(graph.ca_file), authority_url=graph.authority_url).token(config)
    assert not (folder / "app.key").exists(), "the key is in one file only"


async def test_the_namespace_has_the_search_attributes(run: Run, temporal: EmbeddedTemporal) -> None:
    run("temporal", TEMPORAL_ADDRESS=temporal.address)
    client = await connect_temporal({"target_host": temporal.address, "namespace": "tenant-inventory"})
    assert await _attributes(client) >= {(key.name, type_name(key)) for key in ALL}


async def _attributes(client: Client) -> set[tuple[str, str]]:
    listed = await client.operator_service.list_search_attributes(
        ListSearchAttributesRequest(namespace=client.namespace)
    )
    return {
        (name, IndexedValueType.Name(kind).removeprefix("INDEXED_VALUE_TYPE_").title().replace("_", ""))
        for name, kind in listed.custom_attributes.items()
    }


@pytest.mark.slow
async def test_an_ordinary_owner_makes_the_database_and_workers_own_nothing(run: Run, folder: Path) -> None:
    with EmbeddedPostgres(folder / "postgres", durable=False) as server:
        admin = psycopg.conninfo.conninfo_to_dict(server.url)
        place = f"{admin['host']}:{admin['port']}/tenant_inventory"
        owner_url = f"postgresql://inventory:change-me@{place}"
        connection = {f"PG{name}": str(admin[key]) for name, key in LIBPQ.items()}
        output = run("database", DATABASE_URL=owner_url, **connection).stdout
        assert f"revision {head()}" in output
        with psycopg.connect(owner_url) as owner:
            assert owner.execute("SELECT count(*) FROM sync_run").fetchone() == (0,)
            assert owner.execute(
                "SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'public'"
            ).fetchall() == [("inventory",)]
        async with Database(f"postgresql://inventory_worker:change-me-too@{place}") as database:
            await check_database(database)
            await sync(database, EXAMPLE_TENANT, [observation("a", "1")], "a")
            assert await database.excess() == [], "workers have the least privileges"


LIBPQ = {"HOST": "host", "PORT": "port", "USER": "user", "PASSWORD": "password"}


def test_exactly_these_units_exist_and_are_documented() -> None:
    assert [unit.name for unit in UNITS] == [
        "tenant-inventory-database.service",
        "tenant-inventory-web.service",
        "tenant-inventory-worker@.service",
    ]
    for unit in UNITS:
        assert unit.name.partition("@")[0].removesuffix(".service") in PAGE


@needs_systemd
@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_systemd_accepts_each_unit(unit: Path, tmp_path: Path) -> None:
    for path in UNITS:
        # `verify` cannot know where the program will be installed.
        (tmp_path / path.name).write_text(
            path.read_text().replace("/opt/tenant-inventory/.venv/bin/python", sys.executable)
        )
    result = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", tmp_path / unit.name],
        capture_output=True,
        text=True,
        timeout=DEADLINE_SECONDS,
    )
    assert (result.returncode, result.stderr) == (0, "")


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_the_page_names_the_environment_file_of_a_unit(unit: Path) -> None:
    (file,) = re.findall(r"^EnvironmentFile=-(.*)$", unit.read_text(), re.MULTILINE)
    assert f"| `{file}` |" in PAGE


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_a_unit_starts_a_program_of_the_checkout(unit: Path) -> None:
    (command,) = re.findall(r"^ExecStart=(.*)$", unit.read_text(), re.MULTILINE)
    python, program, *arguments = command.split()
    assert python == "/opt/tenant-inventory/.venv/bin/python"
    assert (CHECKOUT / program.removeprefix("/opt/tenant-inventory/")).is_file()
    assert arguments in ([], ["database", "upgrade"], ["web", "$WEB_OPTIONS"])


def test_the_stop_timeout_exceeds_the_workers_graceful_shutdown() -> None:
    (seconds,) = re.findall(r"^TimeoutStopSec=(\d+)$", UNITS[-1].read_text(), re.MULTILINE)
    assert int(seconds) > GRACEFUL_SHUTDOWN.total_seconds()
