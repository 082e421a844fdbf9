"""`tenant remove` removes a tenant from the file, from Temporal, from schedules, and from every table."""

import asyncio
import subprocess
import sys
from uuid import UUID

import orjson
import psycopg
import pytest

from connections import connect_temporal
from graph.tenants import load_tenants
from local.simulated_graph import Fault, FaultKind
from tests.deadlines import DEADLINE_SECONDS, until
from tests.end_to_end.system import System
from tests.forks import CHECKOUT
from tests.storage.test_tenant_purge import naming, rows_of_database

SELECTION = ("--type", "groups")


async def histories(system: System, tenant_id: UUID) -> list[str]:
    client = await connect_temporal({"target_host": system.environment["TEMPORAL_ADDRESS"]})
    query = f"WorkflowId STARTS_WITH 'sync/{tenant_id}/'"
    return [found.id async for found in client.list_workflows(query)]


def remove_tenant(system: System, typed: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Runs `tenant remove` and types the answer to its question."""
    return subprocess.run(
        [sys.executable, CHECKOUT / "starter.py", "tenant", "remove", *arguments],
        env={"PATH": "", **system.environment},
        cwd=system.folder,
        input=typed,
        capture_output=True,
        text=True,
        timeout=DEADLINE_SECONDS,
    )


@pytest.mark.slow
def test_purge_removes_a_tenant_everywhere_and_keeps_the_others(system: System) -> None:
    first, second = system.graph.tenants
    name, other = first.name, second.name
    tenant_id = UUID(str(first.id))
    system.start_worker()
    result = system.starter("portfolio", "sync", "--tenant", name, "--tenant", other, *SELECTION, "--json")
    assert result.code == 0, result.stderr
    for schedule, tenants in {"alone": [name], "both": [name, other]}.items():
        chosen = [word for tenant in tenants for word in ("--tenant", tenant)]
        assert system.starter("schedule", "set", schedule, *chosen, *SELECTION, "--every", "1d").code == 0
    assert system.starter("watch", "on", "--tenant", other, "--tenant", name, "--every", "1h").code == 0
    system.graph.faults.add(Fault(FaultKind.THROTTLED, tenant_id=first.id, retry_after="1800"))
    under_way = system.popen("sync", name, "--category", "scripts", "--json", log=system.folder / "sync.log")
    until(lambda: len(system.starter("runs", name, "--json").objects()) == 2)
    items = len(system.items())
    kept = system.starter("items", other, *SELECTION, "--json").stdout
    assert kept

    wrong = remove_tenant(system, "Fabrikam and others\n", name, "--purge")
    assert wrong.returncode == 2
    assert f"that is not its name; {name} is kept" in wrong.stderr
    unanswered = system.starter("tenant", "remove", name, "--purge")
    assert unanswered.code == 2
    assert "--yes" in unanswered.stderr
    assert len(load_tenants(system.folder / "tenants.toml")) == 2
    assert asyncio.run(histories(system, tenant_id))

    removed = remove_tenant(system, f"{name}\n", name, "--purge", "--json")
    assert removed.returncode == 0, removed.stderr
    under_way.communicate(timeout=DEADLINE_SECONDS)
    record = orjson.loads(removed.stdout)
    receipt = record["receipt"]
    assert (record["tenant_id"], record["name"]) == (str(tenant_id), name)
    assert receipt["cancelled_runs"] == 1
    assert receipt["histories"] == 2
    assert receipt["histories_kept"] is None
    assert sorted(receipt["schedules"]) == ["alone", "both", "watch"]
    assert receipt["portfolio_runs"] == 1
    assert receipt["rows"]["sync_run"] == 2
    assert receipt["rows"]["inventory_item"] == items

    assert [tenant.name for tenant in load_tenants(system.folder / "tenants.toml")] == [other]
    assert asyncio.run(histories(system, tenant_id)) == []
    schedules = {row["name"]: row for row in system.starter("schedule", "list", "--json").objects()}
    assert list(schedules) == ["both"]
    assert schedules["both"]["tenants"] == other
    remaining = naming(rows_of_database(system.environment["DATABASE_URL"]), tenant_id)
    assert remaining.keys() == {"audit_record"}
    with psycopg.connect(system.environment["DATABASE_URL"]) as connection:
        audited = connection.execute("SELECT receipt FROM audit_record WHERE tenant_id = %s", [tenant_id]).fetchall()
    assert audited == [(receipt,)]

    assert system.starter("items", other, *SELECTION, "--json").stdout == kept
    assert system.starter("sync", other, *SELECTION, "--json").run().status == "success"
    unknown = system.starter("sync", name, *SELECTION)
    assert unknown.code == 2
    # The tenant's histories and rows are gone, so a second purge has nothing to do.
    again = system.starter("tenant", "remove", str(tenant_id), "--purge", "--yes", "--json")
    assert again.code == 0, again.stderr
    assert orjson.loads(again.stdout)["receipt"]["rows"] == {}


def test_removal_without_purge_keeps_the_inventory(system: System) -> None:
    system.start_worker()
    assert system.sync(*SELECTION).status == "success"
    known = system.items(*SELECTION)
    result = system.starter("tenant", "remove", system.tenant.name, "--yes")
    assert result.code == 0, result.stderr
    assert f"python starter.py tenant remove {system.tenant.id} --purge" in result.stdout
    items = system.starter("items", str(system.tenant.id), *SELECTION, "--json")
    assert len(items.objects()) == len(known) > 0
