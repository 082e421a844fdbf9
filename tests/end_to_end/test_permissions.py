"""Runs of everything by an app that has exactly what `permissions` prints, and by one that lacks one of these."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from graph.catalog import Collection, load_catalog
from inventory.outcomes import Outcome, RunStatus
from inventory.records import RunRecord
from local.simulated_graph import SimulatedGraph
from local.simulated_graph.licences import GOVERNANCE, P1, P2, WINDOWS_365, licence_of
from local.simulated_graph.permissions import readers
from local.temporal import EmbeddedTemporal
from tests.end_to_end.system import SEEDS, System

COLLECTIONS = {key: load_catalog().collections[key] for key in load_catalog().everything()}
DELEGATED_ONLY = {key for key, collection in COLLECTIONS.items() if collection.delegated_only}


@pytest.fixture
def system(temporal: EmbeddedTemporal, database_url: str, tmp_path: Path) -> Iterator[System]:
    with (
        SimulatedGraph(tenants=1, seed=next(SEEDS)) as graph,
        System(graph, temporal, database_url, tmp_path) as system,
    ):
        system.start_worker()
        yield system


def printed(system: System) -> set[str]:
    done = system.starter("permissions", "--all", "--json")
    return {row["permission"] for row in done.objects()}


def codes(record: RunRecord) -> dict[str, str]:
    return {
        key: str(collection.error_code)
        for key, collection in record.collections.items()
        if collection.error_code is not None
    }


def test_an_app_with_exactly_what_is_printed_reads_everything_that_microsoft_opens_to_apps(system: System) -> None:
    system.tenant.grant(printed(system))
    record = system.sync("--all")
    assert (record.status, record.error_codes) == (RunStatus.SUCCESS, [])
    assert codes(record) == dict.fromkeys(DELEGATED_ONLY, "graph_delegated_only")
    skipped = {key for key, collection in record.collections.items() if collection.outcome is Outcome.SKIPPED}
    assert skipped == DELEGATED_ONLY
    assert system.starter("check", system.tenant.name, "--all").code == 0


def test_a_tenant_without_licences_is_read_as_far_as_it_goes(system: System) -> None:
    system.tenant.grant(printed(system))
    system.tenant.license([])
    record = system.sync("--all")
    assert (record.status, record.error_codes) == (RunStatus.SUCCESS, [])
    unlicensed = {key for key, collection in COLLECTIONS.items() if licence_of(collection.path)} - DELEGATED_ONLY
    assert {licence_of(COLLECTIONS[key].path) for key in unlicensed} == {P1, P2, GOVERNANCE, WINDOWS_365}
    expected = dict.fromkeys(unlicensed, "graph_not_licensed") | dict.fromkeys(DELEGATED_ONLY, "graph_delegated_only")
    assert codes(record) == expected
    assert {
        key for key, collection in record.collections.items() if collection.outcome is Outcome.SKIPPED
    } == expected.keys()
    assert system.starter("check", system.tenant.name, "--all").code == 0

    system.tenant.license([P1, P2])
    licensed = {key for key in unlicensed if licence_of(COLLECTIONS[key].path) in (P1, P2)}
    record = system.sync("--all")
    assert record.status is RunStatus.SUCCESS
    assert codes(record) == {key: code for key, code in expected.items() if key not in licensed}


def listing_of(entry: Collection) -> frozenset[str]:
    return readers(entry.path.replace("{parent_id}", "{id}").replace("{tenant_id}", "{id}"))


@pytest.mark.parametrize(
    "taken",
    [
        "DeviceManagementScripts.Read.All",
        pytest.param("Domain-InternalFederation.Read.All", marks=pytest.mark.slow),
        pytest.param("DeviceManagementApps.Read.All", marks=pytest.mark.slow),
    ],
)
def test_without_one_permission_exactly_what_needs_it_fails_and_names_it(system: System, taken: str) -> None:
    granted = printed(system) - {taken}
    system.tenant.grant(granted)
    record = system.sync("--all")
    lists = {key for key, collection in COLLECTIONS.items() if not granted & listing_of(collection)} - DELEGATED_ONLY
    details = {
        key
        for key, collection in COLLECTIONS.items()
        for call in collection.details
        if key not in lists | DELEGATED_ONLY and not granted & readers(call.path.partition("?")[0])
    }
    assert lists | details, "something needs it"
    assert record.status is RunStatus.PARTIAL
    expected = dict.fromkeys(lists, "graph_permission_missing") | dict.fromkeys(details, "detail_incomplete")
    assert codes(record) == expected | dict.fromkeys(DELEGATED_ONLY, "graph_delegated_only")
    for key in lists | details:
        assert taken in record.collections[key].context.values(), key
    checked = system.starter("check", system.tenant.name, "--all", "--json").objects()
    missing = {probe["type_key"] for probe in checked if probe["readability"] == "permission_missing"}
    assert missing == lists | details


@pytest.mark.slow
def test_check_names_what_needs_each_permission_that_is_taken_away(system: System) -> None:
    everything = printed(system)
    opened_to_apps = {
        name for key, collection in COLLECTIONS.items() if key not in DELEGATED_ONLY for name in collection.permissions
    }
    assert len(everything) > 50
    for taken in sorted(everything & opened_to_apps):
        granted = everything - {taken}
        system.tenant.grant(granted)
        needed = {key for key, entry in COLLECTIONS.items() if not entry.delegated_only and refused(entry, granted)}
        unlisted = {key for key, entry in COLLECTIONS.items() if not granted & listing_of(entry)}
        needed |= {key for key, entry in COLLECTIONS.items() if entry.parent in unlisted}
        checked = system.starter("check", system.tenant.name, "--all", "--json").objects()
        missing = [probe for probe in checked if probe["readability"] == "permission_missing"]
        assert {probe["type_key"] for probe in missing} == needed, taken


def refused(entry: Collection, granted: set[str]) -> bool:
    """Whether the permission map opens the list, or a detail that every item has, to none of these.

    `check` asks for no detail that only some items have: the first item may be none of them.
    """
    details = [call.path.partition("?")[0] for call in entry.details if not call.types and not call.only_where]
    requests = [listing_of(entry), *map(readers, details)]
    return any(not granted & opened for opened in requests)
