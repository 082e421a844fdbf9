"""Whole runs, as a user makes them: commands, a worker, Temporal, PostgreSQL, Graph over HTTPS."""

import asyncio
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import WorkflowExecutionStatus

from activities.messages.runs import BeginRunResult
from connections import connect_temporal
from graph.catalog import load_catalog
from inventory.error_codes import ErrorCode
from inventory.outcomes import Outcome, RunStatus
from inventory.selection import Selection
from local.simulated_graph import Kind, SimulatedGraph
from local.temporal import EmbeddedTemporal
from storage import queries
from storage.database import Database
from tests.conftest import GRAPH_DATA, needs_graph_data
from tests.deadlines import DEADLINE_SECONDS
from tests.end_to_end.system import SEEDS, System
from tests.forks import Fork
from tests.readable_history import readable
from tests.real_documents import real_documents
from tests.simulated_items import content_hashes
from worker import DETAIL_ITEMS
from workflows.requests import sync_workflow_id

DEVICE_CONFIGURATIONS = "deviceManagement/deviceConfigurations"


FEW = ("--type", "deviceConfigurations", "--type", "groups")
VARIED = (
    "assignmentFilters",
    "configurationPolicies",
    "deviceCompliancePolicies",
    "deviceConfigurations",
    "deviceHealthScripts",
    "groupPolicyConfigurations",
    "groups",
    "mobileApps",
    "roleScopeTags",
)


def expected_items(system: System, type_keys: Iterable[str] | None = None) -> dict[tuple[str, str], str]:
    """Content hashes of the items that the simulated Graph serves now, by type key and id."""
    return content_hashes(system.tenant, load_catalog().everything() if type_keys is None else type_keys)


def stored_items(system: System) -> dict[tuple[str, str], str]:
    return {(item.type_key, item.external_id): item.content_hash for item in system.items()}


@needs_graph_data
@pytest.mark.slow
@pytest.mark.parametrize("page_size", [7, 1000])
def test_every_real_document_is_stored(
    temporal: EmbeddedTemporal, database_url: str, tmp_path: Path, page_size: int | None
) -> None:
    with (
        SimulatedGraph(GRAPH_DATA, tenants=1, page_size=page_size, empty_page_every=3, seed=next(SEEDS)) as graph,
        System(graph, temporal, database_url, tmp_path) as system,
    ):
        system.start_worker()
        record = system.sync()
        assert record.status is RunStatus.SUCCESS
        expected = expected_items(system)
        assert stored_items(system) == expected
        assert len(expected) >= sum(1 for _ in real_documents()) == 953
        assert record.counts.created == record.counts.observed == len(expected)
        assert record.counts.invalid == record.counts.errors == 0

        again = system.sync()
        assert (again.counts.unchanged, again.counts.created, again.counts.changed) == (len(expected), 0, 0)
        assert stored_items(system) == expected


@pytest.mark.slow
def test_syncing_twice_without_change_reports_all_as_unchanged(system: System, database_url: str) -> None:
    system.start_worker()
    selection = [argument for key in VARIED for argument in ("--type", key)]
    first = system.sync(*selection)
    before = system.items()
    second = system.sync(*selection)
    after = system.items()
    assert second.counts.unchanged == second.counts.observed == first.counts.created > 0
    assert (second.counts.created, second.counts.changed, second.counts.missing) == (0, 0, 0)
    assert [item.content_hash for item in after] == [item.content_hash for item in before]
    assert {item.state for item in after} == {"present"}


@pytest.mark.slow
def test_recreated_item_names_its_earlier_id(system: System) -> None:
    system.start_worker()
    named = {"displayName": "Made again", "description": "the same in all else"}
    before = system.tenant.add("deviceManagement/deviceCategories", named)
    system.sync("--type", "deviceCategories")
    system.tenant.remove("deviceManagement/deviceCategories", before)
    after = system.tenant.add("deviceManagement/deviceCategories", named)
    assert system.sync("--type", "deviceCategories").counts.created == 1
    (version,) = system.starter("versions", system.tenant.name, "deviceCategories", after, "--json").objects()
    assert version["recreates_external_id"] == before


def test_run_shows_edits_of_the_tenant(system: System) -> None:
    system.start_worker()
    system.sync(*FEW)
    documents = system.tenant.documents(DEVICE_CONFIGURATIONS)
    removed, renamed, reassigned, *_ = [document["id"] for document in documents]
    # The sample assigns no policy to more than two groups.
    groups = [document["id"] for document in system.tenant.documents("groups", "v1.0")[:3]]
    system.tenant.remove(DEVICE_CONFIGURATIONS, removed)
    system.tenant.rename(DEVICE_CONFIGURATIONS, renamed, "Another name")
    system.tenant.reassign(DEVICE_CONFIGURATIONS, reassigned, groups)
    new = {name: value for name, value in documents[3].items() if name != "id"}
    added = system.tenant.add(DEVICE_CONFIGURATIONS, {**new, "displayName": "New here"})

    record = system.sync(*FEW)
    assert (record.counts.created, record.counts.missing, record.counts.changed) == (1, 1, 2)
    *changes, _ = system.starter("changes", system.tenant.name, "--json").objects()
    kinds = {removed: "missing", renamed: "renamed", reassigned: "changed", added: "appeared"}
    assert {change["external_id"]: change["kind"] for change in changes} == kinds
    by_id = {item.external_id: item for item in system.items("--type", "deviceConfigurations")}
    assert by_id[renamed].display_name == "Another name"
    assert (by_id[removed].state, by_id[removed].confidence) == ("missing", "high")
    assert by_id[added].state == "present"
    missing = system.starter("missing", system.tenant.name, "--json").objects()
    assert [item["external_id"] for item in missing] == [removed]


@pytest.mark.slow
def test_invalid_objects_are_counted_and_named_and_others_stored(system: System) -> None:
    def nested(levels: int) -> dict[str, Any]:
        value: dict[str, Any] = {}
        for _ in range(levels):
            value = {"inner": value}
        return value

    path = DEVICE_CONFIGURATIONS
    good = {external_id for _, external_id in expected_items(system, ["deviceConfigurations"])}
    twice = next(iter(sorted(good)))
    system.tenant.add(path, {"displayName": "no id"}, raw=True)
    system.tenant.add(path, {"id": "nul", "displayName": "a\0b"}, raw=True)
    system.tenant.add(path, {"id": "deep", "displayName": "deep", "body": nested(300)}, raw=True)
    system.tenant.add(path, {"id": "large", "displayName": "large", "body": "x" * 20_000_000}, raw=True)
    system.tenant.add(path, {"id": twice, "displayName": "the same id"}, raw=True)
    system.tenant.add(path, {"id": "last", "displayName": "all is well"}, raw=True)
    system.start_worker()

    record = system.sync("--type", "deviceConfigurations", "--type", "groups")
    assert record.status is RunStatus.SUCCESS
    assert record.counts.invalid == 5
    named = record.collections["deviceConfigurations"].context["invalid"]
    assert isinstance(named, list)
    reasons = {(row["reason"], row.get("external_id")) for row in named}
    assert reasons == {
        ("missing_id", None),
        ("nul_character", "nul"),
        ("too_deep", "deep"),
        ("too_large", "large"),
        ("duplicate_id", twice),
    }
    stored = {item.external_id for item in system.items("--type", "deviceConfigurations")}
    assert stored == good | {"last"}


def test_id_repeated_on_another_page_is_counted_and_named(
    temporal: EmbeddedTemporal, database_url: str, tmp_path: Path
) -> None:
    with (
        SimulatedGraph(tenants=1, page_size=5, seed=next(SEEDS)) as graph,
        System(graph, temporal, database_url, tmp_path) as system,
    ):
        listed = system.tenant.documents(load_catalog().collections["deviceCompliancePolicies"].first_url())
        system.tenant.add("deviceManagement/deviceCompliancePolicies", listed[0], raw=True)
        system.start_worker()
        record = system.sync("--type", "deviceCompliancePolicies")
        assert record.status is RunStatus.SUCCESS
        assert (record.counts.observed, record.counts.created, record.counts.invalid) == (len(listed), len(listed), 1)
        context = record.collections["deviceCompliancePolicies"].context
        assert context["invalid"] == [{"reason": "duplicate_id", "external_id": listed[0]["id"]}]


@pytest.mark.slow
def test_unknown_properties_never_fail_a_sync(system: System) -> None:
    path = DEVICE_CONFIGURATIONS
    odd = {"id": "odd", "displayName": "odd", "version": {"no": "number"}, "brandNew": {"of": ["anything", None, 1.5]}}
    system.tenant.add(path, odd, raw=True)
    system.start_worker()
    assert system.sync("--type", "deviceConfigurations").status is RunStatus.SUCCESS
    (item,) = [item for item in system.items() if item.external_id == "odd"]
    assert item.meta == {"warnings": ["version: not text"]}


def test_simultaneous_starts_make_one_run(system: System) -> None:
    starts = [
        Fork(
            "starter.py",
            ("sync", system.tenant.name, *FEW, "--json"),
            environment=system.environment,
            folder=system.folder,
            stdout=system.folder / f"{number}.stdout",
            stderr=system.folder / f"{number}.stderr",
        )
        for number in range(2)
    ]

    def joined() -> int:
        return sum("joined run" in (system.folder / f"{number}.stderr").read_text() for number in range(2))

    starts[0].wait_until(lambda: joined() > 0)
    system.start_worker()
    assert [start.wait() for start in starts] == [0, 0]
    assert joined() == 1
    first, second = ((system.folder / f"{number}.stdout").read_text() for number in range(2))
    assert first == second, "both followed the same run"
    assert first
    assert len(system.starter("runs", "--json").objects()) == 1


async def test_a_cancelled_run_can_be_started_again_at_once(
    system: System, temporal: EmbeddedTemporal, database_url: str
) -> None:
    started = await asyncio.to_thread(system.starter, "sync", system.tenant.name, *FEW, "--no-wait", "--json")
    queued = started.run()
    assert queued.status is RunStatus.QUEUED
    cancelled = await asyncio.to_thread(
        system.starter, "cancel", system.tenant.name, *FEW, "--reason", "wrong tenant", "--json"
    )
    assert cancelled.objects() == [{"workflow_id": queued.workflow_id, "run_id": None, "cancel_requested": True}]
    await asyncio.to_thread(system.start_worker)
    again = await asyncio.to_thread(system.starter, "sync", system.tenant.name, *FEW, "--json")
    record = again.run()
    if record.run_id == queued.run_id:
        record = (await asyncio.to_thread(system.starter, "sync", system.tenant.name, *FEW, "--json")).run()
    assert record.status is RunStatus.SUCCESS
    first = await asyncio.to_thread(system.starter, "run", str(queued.run_id), "--json")
    assert first.code == 5
    assert first.run().status is RunStatus.CANCELLED
    assert first.run().error_codes == [ErrorCode.CANCELLED]
    async with Database(database_url) as database, database.tenant(queued.tenant_id, read_only=True) as session:
        question = await queries.question(session)
        assert question is not None
        assert question.latest.run_id == record.run_id, "a cancelled run decides about no item"


@pytest.mark.slow
def test_killed_worker_loses_and_duplicates_no_item(
    temporal: EmbeddedTemporal, database_url: str, tmp_path: Path
) -> None:
    with (
        SimulatedGraph(
            tenants=1,
            items_per_collection=40,
            page_size=5,
            latency=timedelta(milliseconds=250),
            seed=next(SEEDS),
        ) as graph,
        System(graph, temporal, database_url, tmp_path) as system,
    ):
        selection = [argument for key in VARIED for argument in ("--type", key)]
        first = system.start_worker()
        follower = system.popen("sync", system.tenant.name, *selection, "--json")
        first.wait_until(lambda: len(graph.requests(Kind.INNER)) > 60)
        system.kill(first)
        assert follower.poll() is None, "killed in mid-run"
        system.start_worker()
        _, stderr = follower.communicate(timeout=DEADLINE_SECONDS)
        assert follower.returncode == 0, stderr
        (record,) = system.starter("runs", "--json").objects()
        assert record["status"] == "success"
        expected = expected_items(system, VARIED)
        assert stored_items(system) == expected
        counts = record["counts"]
        assert counts["observed"] == counts["created"] == len(expected)
        assert (counts["changed"], counts["invalid"], counts["errors"]) == (0, 0, 0)
        assert system.sync(*selection).counts.unchanged == len(expected)


async def test_serial_throttle_family_gets_one_request_per_collection(
    system: System, temporal: EmbeddedTemporal
) -> None:
    await asyncio.to_thread(system.start_worker)
    turns = ("--type", "conditionalAccessPolicies", "--type", "namedLocations")
    record = await asyncio.to_thread(system.sync, *turns)
    assert record.status is RunStatus.SUCCESS
    client = await connect_temporal({"target_host": temporal.address})
    events = (await client.get_workflow_handle(record.workflow_id, run_id=str(record.run_id)).fetch_history()).events
    names = [
        event.activity_task_scheduled_event_attributes.activity_type.name
        for event in events
        if event.HasField("activity_task_scheduled_event_attributes")
    ]
    assert names.count("read_wave") == 1, "one wave waits for both turns"
    assert len(system.graph.requests(Kind.INNER, system.tenant.id)) == 2
    completion = next(event for event in events if event.HasField("activity_task_completed_event_attributes"))
    (payload,) = completion.activity_task_completed_event_attributes.result.payloads
    assert BeginRunResult.model_validate_json(payload.data).policy.detail_items == DETAIL_ITEMS


async def test_temporal_shows_search_attributes_and_holds_no_document(
    system: System, temporal: EmbeddedTemporal
) -> None:
    system.tenant.rename(DEVICE_CONFIGURATIONS, system.tenant.documents(DEVICE_CONFIGURATIONS)[0]["id"], "Top secret")
    await asyncio.to_thread(system.start_worker)
    record = await asyncio.to_thread(system.sync)
    client = await connect_temporal({"target_host": temporal.address})
    handle = client.get_workflow_handle(record.workflow_id)
    description = await handle.describe()
    assert description.status is WorkflowExecutionStatus.COMPLETED
    attributes = {pair.key.name: pair.value for pair in description.typed_search_attributes}
    assert attributes["TenantId"] == str(record.tenant_id)
    assert (attributes["TenantName"], attributes["Selection"]) == (system.tenant.name, "everything")
    assert await description.static_summary() == f"{system.tenant.name}: everything"
    assert attributes["SelectionHash"] == record.selection_hash
    assert attributes["RunStatus"] == "success"
    assert record.workflow_id == sync_workflow_id(record.tenant_id, record.selection)
    history = await handle.fetch_history()
    text = readable(history)
    assert system.tenant.id in text, "payloads are readable, or nothing would be found"
    assert "Top secret" not in text
    assert system.tenant.client_secret not in text + system.logs()
    assert len(history.events) < 120, "all collections and their details in a few waves"


@pytest.mark.slow
def test_selection_combines_types_and_categories(system: System) -> None:
    system.start_worker()
    record = system.sync("--category", "conditional-access", "--type", "groups", "--type", "groups")
    assert set(record.collections) == {
        "authenticationContextClassReferences",
        "authenticationStrengthPolicies",
        "conditionalAccessPolicies",
        "conditionalAccessSettingsEntra",
        "groups",
        "namedLocations",
        "termsOfUseAgreements",
    }
    assert record.selection_hash == Selection(type_keys=tuple(record.collections)).hash()
    assert {result.outcome for result in record.collections.values()} == {Outcome.COMPLETE}
