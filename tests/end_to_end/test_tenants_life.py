"""A tenant's life on the command line: added, tested, listed, disabled, enabled."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest

from graph.tenants import load_tenants
from inventory.portfolio import PortfolioRecord
from local.simulated_graph import SimulatedGraph
from local.temporal import EmbeddedTemporal
from tests.deadlines import DEADLINE_SECONDS, until
from tests.end_to_end.system import SEEDS, System

SELECTION = ("--type", "groups")


def tenants_file(system: System) -> Path:
    return system.folder / "tenants.toml"


def test_tenant_add_waits_until_a_worker_signs_in(system: System) -> None:
    path = tenants_file(system)
    first, second = system.graph.tenants
    content = path.read_text()
    entry = next(tenant for tenant in load_tenants(path) if str(tenant.id) == str(second.id))
    before = content[: content.rindex("[[tenant]]")] + "# more to come\n"
    path.write_text(before)
    system.start_worker()
    secret = system.folder / "new-secret"
    secret.write_text("not yet the one")
    command = system.begin(
        *("tenant", "add", "fabrikam", "--id", str(second.id), "--client-id", str(entry.client_id)),
        *("--client-secret-file", str(secret), "--tag", "emea", *SELECTION, "--json"),
    )
    command.wait_for_line("the client secret is wrong")
    assert path.read_text().startswith(before + "\n[[tenant]]\n"), "the existing content stays"
    secret.write_text(second.client_secret)
    result = command.finished()
    assert result.code == 0, result.stderr
    added, checked = result.objects()
    assert (added["name"], added["tags"], added["credential"]) == ("fabrikam", ["emea"], "client_secret_file")
    assert added["consent_url"] == (
        f"{system.graph.authority_url}/{second.id}/adminconsent?client_id={entry.client_id}"
    )
    assert added["manifest"] == orjson.loads(system.starter("permissions", *SELECTION, "--manifest").stdout)
    assert (checked["tenant"], checked["verdict"], checked["message"]) == ("fabrikam", "ok", "signs in and reads")
    assert first.name in {tenant.name for tenant in load_tenants(path)}
    for text in (result.stdout, result.stderr, path.read_text()):
        assert second.client_secret not in text
        assert "not yet the one" not in text
    assert system.starter("sync", "fabrikam", *SELECTION, "--json").run().status == "success"


def test_tenant_add_without_a_worker_adds_the_tenant_and_names_next_steps(system: System) -> None:
    result = system.starter(
        *("tenant", "add", "tailspin", "--id", "00000000-0000-0000-0000-00000000abcd", "--managed-identity"),
        *(*SELECTION, "--wait", "1s"),
    )
    assert result.code == 3, result.stderr
    queue = system.environment["TEMPORAL_TASK_QUEUE"]
    message = f"tailspin: no worker is polling task queue {queue!r}; start one: python worker.py"
    assert result.stdout.splitlines()[-1] == message
    assert "\n\ngrant them to the managed identity\n\n" in result.stdout
    assert [entry["name"] for entry in tenant_entries(system)][-1] == "tailspin"
    again = system.starter("tenant", "add", "tailspin", "--id", "00000000-0000-0000-0000-00000000abce", "--no-wait")
    assert again.code == 2, "it has no credential, and its name is taken"


def tenant_entries(system: System) -> list[dict[str, Any]]:
    result = system.starter("tenant", "list", "--json")
    assert result.code == 0, result.stderr
    return result.objects()


@pytest.mark.slow
def test_a_disabled_tenant_is_not_read_until_it_is_enabled(system: System) -> None:
    system.start_worker()
    name, other = (tenant.name for tenant in system.graph.tenants)
    assert system.sync(*SELECTION).status == "success"
    known = system.items(*SELECTION)

    result = system.starter("tenant", "disable", name)
    assert (result.code, result.stderr) == (0, "")
    assert f"{name} is disabled" in result.stdout
    assert [entry["disabled"] for entry in tenant_entries(system)] == [True, False]
    assert "disabled" in system.starter("tenant", "list").stdout
    system.graph.clear_requests()

    refused = system.starter("sync", name, *SELECTION)
    assert refused.code == 2
    assert f"python starter.py tenant enable {name}" in refused.stderr
    alone = system.starter("portfolio", "sync", "--tenant", name, *SELECTION)
    assert alone.code == 2

    portfolio = system.starter("portfolio", "sync", "--all-tenants", *SELECTION, "--json")
    assert portfolio.code == 0, portfolio.stderr
    assert f"left out while disabled: {name}" in portfolio.stderr
    record = PortfolioRecord.model_validate_json(portfolio.stdout)
    assert (record.counts.tenants, record.counts.success) == (1, 1)
    assert record.error_codes == ["tenant_disabled"]
    assert [str(outcome.tenant_id) for outcome in record.tenants] == [str(system.graph.tenants[1].id)]
    assert [entry["status"] for entry in system.starter("runs", name, "--json").objects()] == ["success"]
    assert not system.graph.requests(tenant_id=str(system.tenant.id))

    checked = {line["tenant"]: line for line in system.starter("doctor", "--json").objects() if line["tenant"]}
    assert checked[name]["message"] == "is disabled, so it is not read"
    assert checked[other]["message"] == "signs in and reads"
    tested = system.starter("tenant", "test", name, "--json")
    assert [line["message"] for line in tested.objects()] == ["signs in and reads"], "before it is enabled"

    assert system.items(*SELECTION) == known, "its inventory stays"
    assert system.starter("tenant", "enable", name).code == 0
    assert system.sync(*SELECTION).status == "success"


@pytest.mark.slow
def test_disabling_a_tenant_ends_its_run_and_keeps_items_already_read(
    temporal: EmbeddedTemporal, database_url: str, tmp_path: Path
) -> None:
    with (
        SimulatedGraph(
            tenants=1, items_per_collection=40, page_size=5, latency=timedelta(seconds=1), seed=next(SEEDS)
        ) as graph,
        System(graph, temporal, database_url, tmp_path) as system,
    ):
        system.start_worker()
        command = system.popen("sync", system.tenant.name, *SELECTION, "--json", log=system.folder / "sync.log")
        until(lambda: len(graph.requests(tenant_id=str(system.tenant.id))) > 1)
        assert system.starter("tenant", "disable", system.tenant.name).code == 0
        stdout, _ = command.communicate(timeout=DEADLINE_SECONDS)
        run = orjson.loads(stdout)
        assert (run["status"], run["error_codes"]) == ("failed", ["tenant_disabled"])
        assert run["collections"]["groups"]["error_code"] == "tenant_disabled"
        assert run["counts"]["missing"] == 0
        assert 0 < run["counts"]["observed"] < 40
        assert len(system.items(*SELECTION)) == run["counts"]["observed"]
        # Once enabled, the tenant is read to its end.
        assert system.starter("tenant", "enable", system.tenant.name).code == 0
        assert system.sync(*SELECTION).status == "success"
