"""Watch, as a user gets it: from an edit in the tenant and its audit event to the line of `changes`."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from temporalio.client import Client, WorkflowHandle
from temporalio.contrib.pydantic import pydantic_data_converter

from activities.new_items import MOST_NEW
from inventory.portfolio import TenantChoice
from local.simulated_graph import ENTRA_LOG, INTUNE_LOG, SimulatedTenant
from local.simulated_graph.audit import audit_event
from local.simulated_graph.faults import Fault, FaultKind
from local.simulated_graph.messages import Kind
from tests.deadlines import until
from tests.end_to_end.system import System
from workflows.messages import WatchInput, WatchResult
from workflows.watch import WatchWorkflow

PATH = "deviceManagement/deviceCompliancePolicies"
POLICIES = "identity/conditionalAccess/policies"
COVERAGE = "SELECT * FROM collection_coverage ORDER BY type_key"


def test_look_reports_a_change_with_its_actor_before_the_next_run(system: System) -> None:
    system.start_worker()
    full = system.sync("--type", "deviceCompliancePolicies")
    edited = system.tenant.documents(PATH)[0]["id"]
    system.tenant.rename(PATH, edited, "Renamed")
    system.tenant.log_event(INTUNE_LOG, edited, "Patch")

    counts = look(system)
    assert (counts.looked, counts.requests, counts.read, counts.changed) == (1, 2, 1, 1)
    *lines, _ = system.starter("changes", system.tenant.name, "--json").objects()
    (change,) = lines
    assert (change["external_id"], change["kind"]) == (edited, "renamed")
    assert change["audit"]["events"][0]["actor"] == "ada@contoso.example"

    again = look(system)
    assert (again.requests, again.read, again.changed) == (1, 0, 0), "the event is handled"
    assert states(system) == {"present"}
    runs, watched = (
        system.starter("runs", system.tenant.name, *options, "--json").objects() for options in ((), ("--watch",))
    )
    assert [run["run_id"] for run in runs] == [str(full.run_id)]
    assert [(run["kind"], run["counts"]["changed"]) for run in watched] == [("watch", 1)]
    assert watched[0]["collections"] == {}, "the look covers no collection"
    assert system.sync("--type", "deviceCompliancePolicies").counts.changed == 0


def test_look_reports_a_deleted_item_and_the_next_run_confirms_it(system: System) -> None:
    system.start_worker()
    system.sync("--type", "deviceCompliancePolicies")
    deleted, *others = (document["id"] for document in system.tenant.documents(PATH))
    system.tenant.remove(PATH, deleted)
    system.tenant.log_event(INTUNE_LOG, deleted, "Delete")

    assert look(system).gone == 1
    *lines, _ = system.starter("changes", system.tenant.name, "--json").objects()
    assert [(line["external_id"], line["kind"], line["evidence"]) for line in lines] == [
        (deleted, "missing", "confirmed")
    ]
    assert lines[0]["audit"]["status"] == "found"
    by_run = {item.external_id: item.state for item in system.items("--type", "deviceCompliancePolicies")}
    assert by_run == dict.fromkeys([deleted, *others], "present"), "only full runs report missing items"

    full = system.sync("--type", "deviceCompliancePolicies")
    assert full.counts.missing == 1
    after = {item.external_id: (item.state, item.evidence) for item in system.items()}
    assert after[deleted] == ("missing", "confirmed")
    *lines, _ = system.starter("changes", system.tenant.name, "--json").objects()
    assert [line["kind"] for line in lines] == ["missing"], "the change is reported once"


@pytest.mark.slow
def test_look_reports_a_new_item_as_its_listing_shows_it(system: System) -> None:
    system.start_worker()
    system.sync("--type", "deviceCompliancePolicies", "--type", "deviceConfigurations", "--type", "groups")
    item_id = system.tenant.add(PATH, {**system.tenant.documents(PATH)[0], "id": str(uuid4()), "displayName": "New"})
    system.tenant.log_event(INTUNE_LOG, item_id, "Create")

    counts = look(system)
    assert (counts.created, counts.changed, counts.unknown_events) == (1, 0, 0)
    *lines, _ = system.starter("changes", system.tenant.name, "--json").objects()
    assert [(line["external_id"], line["kind"]) for line in lines] == [(item_id, "appeared")]
    assert lines[0]["audit"]["events"][0]["actor"] == "ada@contoso.example"
    again = look(system)
    assert (again.requests, again.created) == (2, 0), "the event is handled"
    full = system.sync("--type", "deviceCompliancePolicies")
    assert (full.counts.created, full.counts.changed) == (0, 0)


@pytest.mark.slow
def test_new_items_over_the_limit_are_found_by_the_next_look(system: System) -> None:
    system.start_worker()
    system.sync("--type", "deviceCompliancePolicies")
    policy = system.tenant.documents(PATH)[0]
    for number in range(MOST_NEW + 1):
        item_id = system.tenant.add(PATH, {**policy, "id": str(uuid4()), "displayName": str(number)})
        system.tenant.log_event(INTUNE_LOG, item_id, "Create")
    assert [look(system).created for _ in range(3)] == [MOST_NEW, 1, 0]


def test_look_changes_neither_coverage_nor_unread_items(system: System) -> None:
    """An item that was removed without an event stays present."""
    system.start_worker()
    full = system.sync("--type", "deviceCompliancePolicies", "--type", "groups")
    edited, removed, *_ = (document["id"] for document in system.tenant.documents(PATH))
    system.tenant.rename(PATH, edited, "Renamed")
    system.tenant.remove(PATH, removed)
    system.tenant.log_event(INTUNE_LOG, edited, "Patch")
    before = system.starter("status", "--json").objects()
    coverage = rows(system, COVERAGE)

    assert look(system).changed == 1
    assert states(system) == {"present"}
    assert rows(system, COVERAGE) == coverage
    assert system.starter("missing", system.tenant.name, "--json").objects() == []
    of_selection = system.starter("items", system.tenant.name, "--selection", full.selection_hash[:12], "--json")
    assert {item["state"] for item in of_selection.objects() if item["type_key"] != "auditEvents"} == {"present"}
    after = system.starter("status", "--json").objects()
    assert [tenant["run_id"] for tenant in after if "run_id" in tenant] == [
        tenant["run_id"] for tenant in before if "run_id" in tenant
    ]


@pytest.mark.slow
def test_look_leaves_items_with_unlicensed_settings_to_the_next_run(system: System) -> None:
    system.start_worker()
    system.sync("--type", "configurationPolicies")
    path = "deviceManagement/configurationPolicies"
    edited = next(document["id"] for document in system.tenant.documents(path) if document["settingCount"])
    system.tenant.rename(path, edited, "Renamed")
    system.tenant.log_event(INTUNE_LOG, edited, "Patch")
    fault = system.graph.faults.add(Fault(FaultKind.NOT_SET_UP, path=f"{edited}/settings"))
    counts = look(system)
    assert (counts.read, counts.changed) == (0, 0)
    record = system.starter("show", system.tenant.name, "configurationPolicies", edited, "--json").objects()[0]
    assert record["document"]["settings"]
    system.graph.faults.remove(fault)
    full = system.sync("--type", "configurationPolicies")
    assert (full.counts.changed, full.counts.stale) == (1, 0)


@pytest.mark.slow
def test_look_reports_an_edit_without_never_licensed_details(system: System) -> None:
    system.start_worker()
    system.tenant.license([])
    assert system.sync("--type", "administrativeUnits").status == "success"
    edited = system.tenant.documents("directory/administrativeUnits")[0]["id"]
    system.tenant.rename("directory/administrativeUnits", edited, "Renamed")
    system.tenant.log_event(ENTRA_LOG, edited, "Update")
    counts = look(system)
    assert (counts.read, counts.changed) == (1, 1)
    record = system.starter("show", system.tenant.name, "administrativeUnits", edited, "--json").objects()[0]
    assert (record["details_complete"], record["stale"]) == (True, None)
    assert "scopedRoleMembers" not in record["document"]


def test_look_reads_once_for_repeated_late_events_and_counts_foreign_events(system: System) -> None:
    system.start_worker()
    system.sync("--type", "deviceCompliancePolicies")
    edited, other, *_ = (document["id"] for document in system.tenant.documents(PATH))
    assert look(system).read == 0
    system.tenant.rename(PATH, edited, "Renamed")
    system.tenant.log_event(INTUNE_LOG, edited, "Patch", ago=timedelta(minutes=70))
    system.tenant.log_event(INTUNE_LOG, edited, "Patch", ago=timedelta(minutes=71))
    system.tenant.log_event(INTUNE_LOG, str(uuid4()), "Create")
    system.tenant.log_event(INTUNE_LOG, other, "Get")
    counts = look(system)
    assert (counts.read, counts.changed, counts.unknown_events) == (1, 1, 1)
    assert look(system).read == 0
    (log,) = [line for line in system.starter("watch", "list", "--json").objects() if "log" in line]
    assert (log["log"], log["unknown_events"], log["error_code"]) == ("auditEvents", 1, None)


@pytest.mark.slow
def test_look_ignores_events_of_failed_attempts(system: System) -> None:
    system.start_worker()
    system.sync("--type", "deviceCompliancePolicies")
    edited = system.tenant.documents(PATH)[0]["id"]
    system.tenant.rename(PATH, edited, "Renamed")
    for result in ("Failure", "ClientError"):
        attempt = audit_event(INTUNE_LOG, edited, "Patch", datetime.now(UTC))
        system.tenant.add(INTUNE_LOG, {**attempt, "activityResult": result})
    counts = look(system)
    assert (counts.requests, counts.read, counts.changed, counts.unknown_events) == (1, 0, 0, 0)
    system.tenant.log_event(INTUNE_LOG, edited, "Patch")
    assert look(system).changed == 1


@pytest.mark.slow
def test_failed_collection_stays_failed_after_a_look(system: System) -> None:
    system.start_worker()
    system.sync("--type", "deviceCompliancePolicies")
    edited = system.tenant.documents(PATH)[0]["id"]
    refusal = system.graph.faults.add(Fault(FaultKind.FORBIDDEN, path=f"{PATH}\\?"))
    failed = system.sync("--type", "deviceCompliancePolicies")
    assert (failed.status, failed.error_codes) == ("failed", ["graph_permission_missing"])
    system.graph.faults.remove(refusal)
    system.tenant.rename(PATH, edited, "Renamed")
    system.tenant.log_event(INTUNE_LOG, edited, "Patch")
    before, coverage = system.starter("status", "--json").objects(), rows(system, COVERAGE)
    (status,) = (line for line in before if line["tenant_id"] == system.tenant.id)
    assert status["not_read"] == [{"reason": "failed:graph_permission_missing", "collections": 1}]
    assert look(system).changed == 1
    assert system.starter("status", "--json").objects() == before
    assert rows(system, COVERAGE) == coverage


@pytest.mark.slow
def test_look_handles_an_event_once_its_log_lists_it(system: System) -> None:
    system.start_worker()
    system.sync("--type", "deviceCompliancePolicies")
    edited = system.tenant.documents(PATH)[0]["id"]
    system.tenant.rename(PATH, edited, "Renamed")
    system.tenant.log_event(INTUNE_LOG, edited, "Patch", listed_after=timedelta(days=1))
    listed = len(system.tenant.documents(INTUNE_LOG))
    assert look(system).read == 0
    system.tenant.log_event(INTUNE_LOG, edited, "Patch", listed_after=timedelta(milliseconds=1))
    until(lambda: len(system.tenant.documents(INTUNE_LOG)) == listed + 1)
    assert look(system).changed == 1


@pytest.mark.slow
def test_look_reports_an_entra_change_with_its_actor(system: System) -> None:
    system.start_worker()
    system.sync("--type", "conditionalAccessPolicies")
    policy = system.tenant.documents(POLICIES)[0]["id"]
    system.tenant.rename(POLICIES, policy, "Require a second factor")
    system.tenant.log_event(ENTRA_LOG, policy, "Update")
    assert look(system).changed == 1
    *lines, _ = system.starter("changes", system.tenant.name, "--json").objects()
    assert [line["audit"]["events"][0]["actor"] for line in lines] == ["grace@contoso.example"]


@pytest.mark.slow
def test_refused_audit_log_does_not_affect_other_tenants(system: System) -> None:
    system.start_worker()
    healthy, refused = system.graph.tenants
    for tenant in (healthy, refused):
        result = system.starter("sync", tenant.name, "--type", "deviceCompliancePolicies")
        assert result.code == 0, result.stderr
    edited = healthy.documents(PATH)[0]["id"]
    healthy.rename(PATH, edited, "Renamed")
    system.tenant.log_event(INTUNE_LOG, edited, "Patch")
    system.graph.faults.add(Fault(FaultKind.FORBIDDEN, tenant_id=refused.id, path=INTUNE_LOG))
    counts = look(system, refused, healthy)
    assert (counts.looked, counts.failed, counts.changed) == (2, 0, 1)
    logs = {line["tenant"]: line for line in system.starter("watch", "list", "--json").objects() if "log" in line}
    assert logs[refused.name]["error_code"] == "graph_permission_missing"
    assert logs[healthy.name]["error_code"] is None
    assert look(system, refused).requests == 0, "the log is retried with backoff"


@pytest.mark.slow
def test_another_worker_completes_a_killed_workers_look(system: System) -> None:
    first = system.start_worker()
    system.sync("--type", "deviceCompliancePolicies")
    edited = system.tenant.documents(PATH)[0]["id"]
    system.tenant.rename(PATH, edited, "Renamed")
    system.tenant.log_event(INTUNE_LOG, edited, "Patch")
    # Graph answers the request for the log and not the request for the item.
    system.graph.faults.add(Fault(FaultKind.SLOW_FIRST_BYTE, path=r"\$batch", seconds=60, skip=1))
    before = len(system.graph.requests(Kind.BATCH))

    async def looked() -> WatchResult:
        handle = await begin(system, system.tenant)
        await asyncio.to_thread(first.wait_until, lambda: len(system.graph.requests(Kind.BATCH)) >= before + 2)
        system.kill(first)
        system.graph.faults.clear()
        await asyncio.to_thread(system.start_worker)
        return await handle.result()

    assert asyncio.run(looked()).changed == 1
    *lines, _ = system.starter("changes", system.tenant.name, "--json").objects()
    assert [line["external_id"] for line in lines] == [edited]
    assert look(system).read == 0


def test_watching_is_set_listed_and_ended(system: System) -> None:
    system.start_worker()
    system.sync("--type", "deviceCompliancePolicies")
    off = system.starter("watch", "list")
    assert "watching is off" in off.stdout
    started = system.starter("watch", "on", "--all-tenants", "--json")
    assert started.objects() == [{"on": True, "started": True}], started.stderr
    changed = system.starter("watch", "on", "--tenant", system.tenant.name, "--every", "10m")
    assert changed.stdout == f"watching {system.tenant.name} every 10m\n", changed.stderr
    state, *_ = system.starter("watch", "list", "--json").objects()
    assert (state["on"], state["tenants"], state["every"]) == (True, system.tenant.name, "10m")
    assert system.starter("watch", "off").stdout == "watching is off\n"
    assert system.starter("watch", "off").stdout == "watching was off already\n"


def states(system: System) -> set[str | None]:
    """The states of the items that full runs have read."""
    return {item.state for item in system.items() if item.type_key != "auditEvents"}


def rows(system: System, query: str) -> list[Any]:
    """Rows of the database, past row-level security."""
    with psycopg.connect(system.environment["DATABASE_URL"]) as connection:
        return connection.execute(query).fetchall()


def look(system: System, *tenants: SimulatedTenant) -> WatchResult:
    """One look at the tenants: the first one, unless some are named."""

    async def looked() -> WatchResult:
        return await (await begin(system, *(tenants or (system.tenant,)))).result()

    return asyncio.run(looked())


async def begin(system: System, *tenants: SimulatedTenant) -> WorkflowHandle[WatchWorkflow, WatchResult]:
    client = await Client.connect(system.environment["TEMPORAL_ADDRESS"], data_converter=pydantic_data_converter)
    return await client.start_workflow(
        WatchWorkflow.run,
        WatchInput(chosen=TenantChoice(tenant_ids=tuple(UUID(str(tenant.id)) for tenant in tenants))),
        id=f"watch-{uuid4()}",
        task_queue=system.environment["TEMPORAL_TASK_QUEUE"],
    )
