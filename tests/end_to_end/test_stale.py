"""Items with details that Graph no longer serves: other changes are reported, and every answer names the stale part."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from local.simulated_graph import Fault, FaultKind, SimulatedGraph
from local.temporal import EmbeddedTemporal
from tests.end_to_end.system import SEEDS, CommandResult, System

POLICIES, TEMPLATES = "configurationPolicies", "groupPolicyConfigurations"
OF_POLICIES, OF_TEMPLATES = f"deviceManagement/{POLICIES}", f"deviceManagement/{TEMPLATES}"
PARTNERS, SYNCHRONIZATION = "crossTenantAccessPolicy.partners", "identitySynchronization"
TYPES = ("--type", POLICIES, "--type", TEMPLATES)
ATTEMPTS = 2


@pytest.fixture
def graph() -> Iterator[SimulatedGraph]:
    with SimulatedGraph(tenants=2, seed=next(SEEDS)) as simulated:
        yield simulated


@pytest.fixture
def system(graph: SimulatedGraph, temporal: EmbeddedTemporal, database_url: str, tmp_path: Path) -> Iterator[System]:
    with System(graph, temporal, database_url, tmp_path) as running:
        running.environment["GRAPH_ATTEMPTS"] = str(ATTEMPTS)
        running.start_worker()
        yield running


def ask(system: System, command: str, *arguments: str, code: int = 0) -> CommandResult:
    result = system.starter(command, system.tenant.name, *arguments, COLUMNS="80")
    assert result.code == code, (result.stdout, result.stderr)
    return result


def terminal_text(result: CommandResult) -> str:
    """The whole terminal output, without line breaks."""
    return " ".join(f"{result.stdout} {result.stderr}".split())


def own_documents(system: System, path: str, *under: str) -> list[dict[str, Any]]:
    return system.tenant.documents("/".join((path, *under)))


def two_values(system: System) -> tuple[dict[str, Any], str, dict[str, Any], dict[str, Any]]:
    """A template, the path of its values, and two of them."""
    template = next(
        document
        for document in own_documents(system, OF_TEMPLATES)
        if own_documents(system, OF_TEMPLATES, document["id"], "definitionValues")
    )
    below = f"{OF_TEMPLATES}/{template['id']}/definitionValues"
    [first, *_] = own_documents(system, below)
    definition = {"@odata.type": "#microsoft.graph.groupPolicyDefinition", "id": "other", "displayName": "Another one"}
    added = {name: value for name, value in first.items() if name not in ("id", "definition")}
    second = system.tenant.add(below, {**added, "definition": definition})
    return (
        template,
        below,
        first,
        next(document for document in own_documents(system, below) if document["id"] == second),
    )


@pytest.mark.slow
def test_settings_with_lasting_500_are_stale_and_other_changes_reported(graph: SimulatedGraph, system: System) -> None:
    assert system.sync(*TYPES).status == "success"
    result = system.starter("baseline", "set", system.tenant.name, "golden")
    assert result.code == 0, result.stderr
    policy = next(document for document in own_documents(system, OF_POLICIES) if document["settingCount"])
    broken = f"{OF_POLICIES}/{policy['id']}/settings"
    [setting, *_] = own_documents(system, broken)
    system.tenant.change(broken, setting["id"], {"settingInstance": {**setting["settingInstance"], "edited": "yes"}})
    system.tenant.rename(OF_POLICIES, policy["id"], "Renamed meanwhile")
    graph.faults.add(Fault(FaultKind.SERVER_ERROR, path=broken))
    run = system.sync(*TYPES)
    assert (run.status, run.error_codes) == ("partial", ["detail_incomplete"])
    assert (run.counts.stale, run.counts.changed) == (1, 1)
    assert run.collections[POLICIES].context["detail_error_code"] == "graph_unavailable"

    why = "settings could not be read (graph_unavailable, HTTP 500)"
    item = POLICIES, policy["id"]
    for command, arguments, code in (
        ("changes", (), 0),
        ("show", item, 0),
        ("versions", item, 0),
        ("diff", item, 0),
        ("items", ("--type", POLICIES), 0),
        ("export", (str(system.folder / "files"),), 0),
        ("drift", (), 0),
    ):
        text = terminal_text(ask(system, command, *arguments, code=code))
        assert "stale since" in text, (command, text)
        assert why in text, (command, text)
    assert "1 stale" in terminal_text(system.starter("run", str(run.run_id), COLUMNS="80"))

    (change,) = [
        line for line in ask(system, "changes", "--run", str(run.run_id), "--json").objects() if "fields" in line
    ]
    assert [field["path"] for field in change["fields"]] == ["name"], "the settings have not been read"
    (part,) = change["stale"]["parts"]
    assert (part["detail"], part["error_code"], part["http_status"]) == ("settings", "graph_unavailable", 500)
    record = ask(system, "show", *item, "--json").objects()[0]
    assert record["document"]["name"] == "Renamed meanwhile"
    assert len(record["document"]["settings"]) == policy["settingCount"]
    assert record["stale"]["since"] == part["read_at"] == change["stale"]["since"]

    again = system.sync(*TYPES)
    assert (again.status, again.counts.changed, again.counts.stale) == ("partial", 0, 1)
    assert system.sync(*TYPES).status == "partial"
    waiting = system.sync(*TYPES)
    assert (waiting.status, waiting.error_codes, waiting.counts.stale) == ("success", [], 1)
    assert waiting.counts.requests == again.counts.requests - ATTEMPTS, "the settings are retried with backoff"
    assert "stale since" in terminal_text(ask(system, "items", "--type", POLICIES))
    graph.faults.clear()
    mended = system.sync(*TYPES, "--deep")
    assert (mended.status, mended.counts.changed, mended.counts.stale) == ("success", 1, 0)
    (change,) = [
        line for line in ask(system, "changes", "--run", str(mended.run_id), "--json").objects() if "fields" in line
    ]
    assert len(change["fields"]) == 1
    assert change["stale"] is None
    assert ask(system, "items", *TYPES, "--json").stdout.count('"stale":{') == 0


@pytest.mark.slow
def test_suddenly_unlicensed_settings_are_kept_and_requested_again(graph: SimulatedGraph, system: System) -> None:
    assert system.sync("--type", POLICIES).status == "success"
    known = next(document for document in own_documents(system, OF_POLICIES) if document["settingCount"])
    new = system.tenant.add(OF_POLICIES, {**{name: known[name] for name in known if name != "id"}, "name": "New"})
    system.tenant.change(OF_POLICIES, known["id"], {"description": "edited meanwhile"})
    graph.faults.add(Fault(FaultKind.NOT_SET_UP, path=f"({known['id']}|{new})/settings", count=2))
    run = system.sync("--type", POLICIES)
    assert (run.status, run.error_codes, run.counts.stale, run.counts.created) == ("success", [], 2, 1)
    kept, lacking = (ask(system, "show", POLICIES, key, "--json").objects()[0] for key in (known["id"], new))
    assert kept["document"]["description"] == "edited meanwhile"
    assert len(kept["document"]["settings"]) == known["settingCount"]
    assert "settings" not in lacking["document"]
    assert (kept["details_complete"], lacking["details_complete"]) == (True, False)
    for record in (kept, lacking):
        (part,) = record["stale"]["parts"]
        assert (part["detail"], part["error_code"], part["http_status"]) == ("settings", "graph_not_licensed", 403)

    mended = system.sync("--type", POLICIES)
    assert (mended.status, mended.counts.changed, mended.counts.stale) == ("success", 0, 0)
    record = ask(system, "show", POLICIES, new, "--json").objects()[0]
    assert len(record["document"].get("settings", [])) == len(own_documents(system, OF_POLICIES, new, "settings"))


def test_detail_is_removed_only_after_404_in_two_runs(graph: SimulatedGraph, system: System) -> None:
    path = "policies/crossTenantAccessPolicy/partners"
    assert system.sync("--type", PARTNERS).status == "success"
    partner = next(
        document["tenantId"]
        for document in own_documents(system, path)
        if ask(system, "show", PARTNERS, document["tenantId"], "--json").objects()[0]["document"][SYNCHRONIZATION]
    )
    below = f"{partner}/{SYNCHRONIZATION}"
    graph.faults.add(Fault(FaultKind.NOT_FOUND, path=below, count=1))
    run = system.sync("--type", PARTNERS, "--deep")
    assert (run.status, run.error_codes, run.counts.stale, run.counts.changed) == ("success", [], 1, 0)
    record = ask(system, "show", PARTNERS, partner, "--json").objects()[0]
    assert record["document"][SYNCHRONIZATION]
    (part,) = record["stale"]["parts"]
    assert (part["detail"], part["error_code"]) == (SYNCHRONIZATION, "graph_not_found")
    again = system.sync("--type", PARTNERS)
    assert (again.status, again.counts.stale, again.counts.changed) == ("success", 0, 0), "the detail was kept"

    graph.faults.add(Fault(FaultKind.NOT_FOUND, path=below))
    assert system.sync("--type", PARTNERS, "--deep").counts.stale == 1
    removed = system.sync("--type", PARTNERS)
    assert (removed.status, removed.counts.stale, removed.counts.changed) == ("success", 0, 1)
    assert ask(system, "show", PARTNERS, partner, "--json").objects()[0]["document"][SYNCHRONIZATION] is None


@pytest.mark.slow
def test_admx_value_with_lasting_404_is_stale_and_other_values_reported(graph: SimulatedGraph, system: System) -> None:
    template, below, lost, other = two_values(system)
    assert system.sync(*TYPES).status == "success"
    graph.faults.add(Fault(FaultKind.NOT_FOUND, path=f"{below}/{lost['id']}/presentationValues"))
    system.tenant.change(below, other["id"], {"enabled": not other["enabled"]})
    run = system.sync(*TYPES)
    assert (run.status, run.counts.stale, run.counts.changed) == ("partial", 1, 1)
    assert run.collections[TEMPLATES].context["detail_error_code"] == "graph_not_found"

    (change,) = [
        line for line in ask(system, "changes", "--run", str(run.run_id), "--json").objects() if "fields" in line
    ]
    assert len(change["fields"]) == 1
    assert change["fields"][0]["path"].endswith(".enabled")
    (part,) = change["stale"]["parts"]
    assert (part["detail"], part["member_detail"], part["member_id"]) == (
        "definitionValues",
        "presentationValues",
        lost["id"],
    )
    text = terminal_text(ask(system, "show", TEMPLATES, template["id"]))
    assert f'presentationValues of "{part["member_name"]}" could not be read (graph_not_found, HTTP 404)' in text

    # Another value is edited while one stays unreadable; then all are readable, and no change is reported twice.
    system.tenant.change(below, other["id"], {"enabled": other["enabled"]})
    assert system.sync(*TYPES).counts.changed == 1
    graph.faults.clear()
    mended = system.sync(*TYPES)
    assert (mended.status, mended.counts.changed, mended.counts.stale) == ("success", 0, 0)


@pytest.mark.slow
def test_completing_unread_details_of_a_new_item_is_no_change(graph: SimulatedGraph, system: System) -> None:
    template, below, lost, other = two_values(system)
    graph.faults.add(Fault(FaultKind.NOT_FOUND, path=f"{below}/{lost['id']}/presentationValues"))
    first = system.sync(*TYPES)
    assert (first.status, first.counts.stale) == ("partial", 1)
    record = ask(system, "show", TEMPLATES, template["id"], "--json").objects()[0]
    assert (record["details_complete"], record["stale"]["parts"][0]["read_at"]) == (False, None)
    assert len(record["document"]["definitionValues"]) == len(own_documents(system, below))

    graph.faults.clear()
    system.tenant.change(below, other["id"], {"enabled": not other["enabled"]})
    mended = system.sync(*TYPES)
    assert (mended.status, mended.counts.stale) == ("success", 0)
    (change,) = [
        line for line in ask(system, "changes", "--run", str(mended.run_id), "--json").objects() if "fields" in line
    ]
    assert [field["path"].rpartition(".")[2] for field in change["fields"]] == ["enabled"]


@pytest.mark.slow
def test_stale_policy_is_compared_by_its_readable_fields(graph: SimulatedGraph, system: System) -> None:
    here, there = graph.tenants
    policy = next(policy for policy in here.documents(OF_POLICIES) if policy["settingCount"])
    system.tenant.rename(OF_POLICIES, policy["id"], "On both sides")
    there.add(OF_POLICIES, {**{name: policy[name] for name in policy if name != "id"}, "name": "On both sides"})
    for tenant in (here, there):
        assert system.starter("sync", tenant.name, "--type", POLICIES).code == 0
    graph.faults.add(Fault(FaultKind.SERVER_ERROR, tenant_id=str(here.id), path=f"{policy['id']}/settings"))
    system.tenant.change(OF_POLICIES, policy["id"], {"description": "edited meanwhile"})
    assert system.sync("--type", POLICIES).counts.stale == 1
    result = system.starter("compare", here.name, there.name, "--type", POLICIES, "--json")
    (stale,) = [record for record in result.objects() if record.get("stale_here")]
    assert "stale" in stale["uncertain"]
    assert {"description"} <= {field["path"] for field in stale["fields"] if field["is_certain"]}
    assert not any(field["is_certain"] for field in stale["fields"] if field["path"].startswith("settings"))
    text = terminal_text(system.starter("compare", here.name, there.name, "--type", POLICIES, "--fields", COLUMNS="80"))
    assert "here stale since" in text
