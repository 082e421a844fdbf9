"""Complete documents, as a user gets them: runs read details, and no more often than necessary."""

import asyncio
import csv
import re
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
from sqlalchemy import text

from graph.catalog import load_catalog
from inventory.exact_json import decode
from inventory.outcomes import Outcome, RunStatus
from local.simulated_graph import Fault, FaultKind, Kind, SimulatedGraph
from local.temporal import EmbeddedTemporal
from storage.compression import decompress
from tests.conftest import GRAPH_DATA, needs_graph_data
from tests.end_to_end.system import SEEDS, System
from tests.simulated_items import content_hashes

CATALOG = load_catalog()
TABLE = GRAPH_DATA.parent / "reference" / "graph-collections.csv"
POLICIES = "deviceManagement/configurationPolicies"
SETTINGS = f"/{POLICIES}/{{id}}/settings"
WITH_DETAILS = ("configurationPolicies", "groupPolicyConfigurations", "deviceShellScripts", "depOnboardingSettings")
SELECTION = [argument for key in WITH_DETAILS for argument in ("--type", key)]


@pytest.fixture
def graph() -> Iterator[SimulatedGraph]:
    with SimulatedGraph(tenants=1, seed=next(SEEDS)) as simulated:
        yield simulated


@pytest.fixture
def detailed(graph: SimulatedGraph, temporal: EmbeddedTemporal, database_url: str, tmp_path: Path) -> Iterator[System]:
    with System(graph, temporal, database_url, tmp_path) as system:
        system.start_worker()
        yield system


def hashes(system: System, *selection: str) -> dict[tuple[str, str], str]:
    return {(item.type_key, item.external_id): item.content_hash for item in system.items(*selection)}


def detail_requests(graph: SimulatedGraph) -> dict[str, int]:
    """Requests for anything below a listing."""
    return {path: times for path, times in graph.request_paths(Kind.INNER).items() if "{id}" in path}


ELSEWHERE = {"/identity/conditionalAccess/authenticationStrengths/policies"}
"""The reference lacks its v1.0 path: a run reads /policies/authenticationStrengthPolicies."""


@pytest.mark.slow
@needs_graph_data
def test_a_run_of_everything_reads_every_endpoint_of_the_reference(graph: SimulatedGraph, detailed: System) -> None:
    opt_in = sorted({CATALOG.collections[key].category for key in CATALOG.collections.keys() - CATALOG.everything()})
    selection = ["--all", *(argument for name in opt_in for argument in ("--category", name))]
    record = detailed.sync(*selection)
    assert (record.status, record.error_codes) == (RunStatus.SUCCESS, [])
    assert set(record.collections) == set(CATALOG.collections)
    assert {collection.outcome for collection in record.collections.values()} == {Outcome.COMPLETE}
    assert hashes(detailed) == content_hashes(detailed.tenant, CATALOG.collections)
    with TABLE.open(newline="") as lines:
        endpoints = {row["endpoint"].partition("?")[0].replace("{orgId}", "{id}") for row in csv.DictReader(lines)}
    paths = {re.sub(r"/organization/[^/]+/", "/organization/{id}/", path) for path in graph.request_paths(Kind.INNER)}
    assert endpoints - paths == ELSEWHERE


def test_run_requests_details_only_of_changed_policies(graph: SimulatedGraph, detailed: System) -> None:
    first = detailed.sync(*SELECTION)
    assert first.status is RunStatus.SUCCESS
    assert hashes(detailed) == content_hashes(detailed.tenant, WITH_DETAILS)
    assert detail_requests(graph)[SETTINGS] >= len(detailed.tenant.documents(POLICIES))

    graph.clear_requests()
    second = detailed.sync(*SELECTION)
    assert (second.status, second.counts.changed) == (RunStatus.SUCCESS, 0)
    assert detail_requests(graph) == {}

    policy = next(document for document in detailed.tenant.documents(POLICIES) if document["settingCount"])
    [setting, *_] = detailed.tenant.documents(f"/{POLICIES}/{policy['id']}/settings")
    path = f"{POLICIES}/{policy['id']}/settings"
    detailed.tenant.change(path, setting["id"], {"settingInstance": {**setting["settingInstance"], "edited": "yes"}})
    graph.clear_requests()
    third = detailed.sync(*SELECTION)
    assert (third.counts.changed, third.counts.created) == (1, 0)
    assert set(detail_requests(graph)) == {SETTINGS}
    requests = [request for request in graph.requests(Kind.INNER) if "/settings" in request.path]
    assert all(policy["id"] in request.path for request in requests)
    assert hashes(detailed) == content_hashes(detailed.tenant, WITH_DETAILS)


@pytest.mark.slow
def test_deep_run_finds_detail_changes_that_lists_do_not_show(graph: SimulatedGraph, detailed: System) -> None:
    detailed.sync(*SELECTION)
    policy = next(document for document in detailed.tenant.documents(POLICIES) if document["settingCount"])
    path = f"{POLICIES}/{policy['id']}/settings"
    [setting, *_] = detailed.tenant.documents(f"/{path}")
    edited = {"settingInstance": {**setting["settingInstance"], "edited": "silently"}}
    detailed.tenant.change(path, setting["id"], edited, silently=True)
    assert detailed.sync(*SELECTION).counts.changed == 0
    graph.clear_requests()
    assert detailed.sync(*SELECTION, "--deep").counts.changed == 1
    assert detail_requests(graph)[SETTINGS] >= len(detailed.tenant.documents(POLICIES))
    assert hashes(detailed) == content_hashes(detailed.tenant, WITH_DETAILS)


NAMES = count(1)


@pytest.mark.slow
def test_unreadable_details_make_the_run_partial_and_keep_earlier_content(
    graph: SimulatedGraph, detailed: System
) -> None:
    detailed.sync(*SELECTION)
    policies = [policy["id"] for policy in detailed.tenant.documents(POLICIES)]
    changed, fine = policies[:2]
    for policy in (changed, fine):
        detailed.tenant.rename(POLICIES, policy, f"renamed {next(NAMES)}")
    graph.faults.add(Fault(FaultKind.FORBIDDEN, path=f"{POLICIES}/{changed}/settings"))
    partial = detailed.sync(*SELECTION)
    assert (partial.status, partial.error_codes) == (RunStatus.PARTIAL, ["detail_incomplete"])
    result = partial.collections["configurationPolicies"]
    assert (result.outcome, result.error_code) == (Outcome.COMPLETE, "detail_incomplete")
    assert result.context["details_incomplete"] == 1
    assert result.context["detail_error_code"] == "graph_permission_missing"
    # Both renames are changes; nobody edited the settings.
    assert (partial.counts.changed, partial.counts.stale) == (2, 1)
    assert hashes(detailed) == content_hashes(detailed.tenant, WITH_DETAILS)
    by_id = {item.external_id: item for item in detailed.items("--type", "configurationPolicies")}
    assert by_id[changed].meta["warnings"] == ["details are incomplete"]
    assert by_id[changed].stale is not None
    assert "warnings" not in by_id[fine].meta
    assert by_id[fine].stale is None
    assert by_id[changed].state == "present"

    graph.faults.clear()
    mended = detailed.sync(*SELECTION)
    assert (mended.status, mended.counts.changed, mended.counts.stale) == (RunStatus.SUCCESS, 0, 0)
    assert hashes(detailed) == content_hashes(detailed.tenant, WITH_DETAILS)
    assert not any("warnings" in item.meta for item in detailed.items())


def test_forbidden_detail_is_not_requested_for_every_item(graph: SimulatedGraph, detailed: System) -> None:
    graph.faults.add(Fault(FaultKind.FORBIDDEN, path=f"{POLICIES}/[^/]*/settings"))
    record = detailed.sync(*SELECTION)
    assert (record.status, record.error_codes) == (RunStatus.PARTIAL, ["detail_incomplete"])
    policies = len(detailed.tenant.documents(POLICIES))
    assert record.collections["configurationPolicies"].context["details_incomplete"] == policies
    assert detail_requests(graph)[SETTINGS] < policies
    stored = detailed.items("--type", "configurationPolicies")
    assert len(stored) == policies
    assert all(item.meta["warnings"] == ["details are incomplete"] for item in stored)


async def test_numbers_and_characters_are_stored_exactly(detailed: System) -> None:
    planes = "".join(chr(plane * 0x10000 + 0x2F00) for plane in range(17)) + "\\u0000\\ud83d\\ude00"
    exact = (
        '"aboveDouble":9007199254740993,"aboveInt64":123456789012345678901234567890,"decimal":1.10,'
        '"long":0.12345678901234567890123,"moment":"2026-11-23T09:00:00.1234567Z"'
    )
    body = f'{{"id":"exact","displayName":"exact","planes":"{planes}",{exact}}}'
    detailed.tenant.add("deviceManagement/deviceConfigurations", body.encode(), raw=True)
    record = await asyncio.to_thread(detailed.sync, "--type", "deviceConfigurations")
    assert record.counts.invalid == 0
    async with detailed.database() as database, database.tenant(record.tenant_id, read_only=True) as session:
        found = await session.execute(
            text(
                "SELECT body FROM document JOIN item_version USING (content_hash) WHERE external_id = 'exact'"
                " AND document.tenant_id = item_version.tenant_id"
            )
        )
        stored = decompress(found.scalar_one()).decode()
    for member in exact.replace("1.10", "1.1").split(","):
        assert member in stored
    assert decode(stored.encode()) == decode(body.replace(',"decimal":1.10', ',"decimal":1.1').encode())


def test_missing_child_item_is_confirmed_under_its_parent(graph: SimulatedGraph, detailed: System) -> None:
    tokens = "deviceManagement/depOnboardingSettings"
    selection = ("--type", "depEnrollmentProfiles")
    detailed.sync(*selection)
    before = hashes(detailed, *selection)
    token = detailed.tenant.documents(tokens)[0]["id"]
    profiles = detailed.tenant.documents(f"/{tokens}/{token}/enrollmentProfiles")
    detailed.tenant.remove(f"{tokens}/{token}/enrollmentProfiles", profiles[0]["id"])
    record = detailed.sync(*selection)
    assert (record.status, record.counts.missing) == (RunStatus.SUCCESS, 1)
    states = {item.external_id: (item.state, item.confidence, item.evidence) for item in detailed.items(*selection)}
    assert states.pop(profiles[0]["id"]) == ("missing", "high", "confirmed")
    assert {state for state, _, _ in states.values()} == {"present"}
    assert len(states) == len(before) - 1
