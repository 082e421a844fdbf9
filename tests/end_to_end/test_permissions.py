"""Runs of everything by an app with exactly the permissions that `permissions` prints, and without one of them."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

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
LICENCES = frozenset({P1, P2, GOVERNANCE, WINDOWS_365})
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
    result = system.starter("permissions", "--all", "--json")
    return {row["permission"] for row in result.objects()}


def codes(record: RunRecord) -> dict[str, str]:
    return {
        key: str(collection.error_code)
        for key, collection in record.collections.items()
        if collection.error_code is not None
    }


def template_of(entry: Collection) -> str:
    return entry.path.replace("{parent_id}", "{id}").replace("{tenant_id}", "{id}")


def licence_for(entry: Collection) -> str | None:
    return licence_of(template_of(entry))


@pytest.mark.slow
def test_printed_permissions_suffice_for_every_collection_open_to_apps(system: System) -> None:
    system.tenant.grant(printed(system))
    record = system.sync("--all")
    assert (record.status, record.error_codes) == (RunStatus.SUCCESS, [])
    assert codes(record) == dict.fromkeys(DELEGATED_ONLY, "graph_delegated_only")
    skipped = {key for key, collection in record.collections.items() if collection.outcome is Outcome.SKIPPED}
    assert skipped == DELEGATED_ONLY
    assert system.starter("check", system.tenant.name, "--all").code == 0


@pytest.mark.slow
def test_unlicensed_tenant_skips_only_collections_that_need_a_licence(system: System) -> None:
    system.tenant.grant(printed(system))
    system.tenant.license([])
    record = system.sync("--all")
    assert (record.status, record.error_codes) == (RunStatus.SUCCESS, [])
    unlicensed = {key for key, entry in COLLECTIONS.items() if licence_for(entry)} - DELEGATED_ONLY
    assert {licence_for(COLLECTIONS[key]) for key in unlicensed} == LICENCES
    expected = dict.fromkeys(unlicensed, "graph_not_licensed") | dict.fromkeys(DELEGATED_ONLY, "graph_delegated_only")
    assert codes(record) == expected
    assert {
        key for key, collection in record.collections.items() if collection.outcome is Outcome.SKIPPED
    } == expected.keys()
    assert system.starter("check", system.tenant.name, "--all").code == 0

    system.tenant.license([P1, P2])
    licensed = {key for key in unlicensed if licence_for(COLLECTIONS[key]) in (P1, P2)}
    record = system.sync("--all")
    assert record.status is RunStatus.SUCCESS
    assert codes(record) == {key: code for key, code in expected.items() if key not in licensed}


@pytest.mark.slow
def test_without_one_licence_only_its_collections_are_skipped(system: System) -> None:
    system.tenant.grant(printed(system))
    for missing in sorted(LICENCES):
        system.tenant.license(LICENCES - {missing})
        record = system.sync("--all")
        unlicensed = {key for key, entry in COLLECTIONS.items() if licence_for(entry) == missing} - DELEGATED_ONLY
        expected = dict.fromkeys(unlicensed, "graph_not_licensed")
        assert (record.status, record.error_codes) == (RunStatus.SUCCESS, [])
        assert codes(record) == expected | dict.fromkeys(DELEGATED_ONLY, "graph_delegated_only"), missing


def test_catalog_hints_at_the_licence_of_each_collection() -> None:
    hinted = {key: entry.licence_hint for key, entry in COLLECTIONS.items() if entry.licence_hint in LICENCES}
    needed = {key: licence_for(entry) for key, entry in COLLECTIONS.items()}
    assert hinted == {key: licence for key, licence in needed.items() if licence is not None}


def test_catalog_hints_at_licences_that_only_a_detail_needs() -> None:
    """If the list needs the same licence, a refusal of the detail is an error: the tenant has the collection."""
    calls = {(key, call.path): call.licence_hint for key, entry in COLLECTIONS.items() for call in entry.details}
    needed = {key: licence_of(key[1].partition("?")[0]) for key in calls}
    of_its_own = {key: licence for key, licence in needed.items() if licence != licence_for(COLLECTIONS[key[0]])}
    assert {key: licence for key, licence in calls.items() if licence} == of_its_own


def listing_of(entry: Collection) -> frozenset[str]:
    return readers(template_of(entry))


def line_of(key: str) -> list[Collection]:
    """A collection, and its parent if it has one."""
    entry = COLLECTIONS[key]
    return [entry] if entry.parent is None else [entry, COLLECTIONS[entry.parent]]


class CollectionNeeds(NamedTuple):
    """Collections that need more than some permissions: for their lists, or only for their items' details."""

    lists: set[str]
    details: set[str]

    @property
    def all(self) -> set[str]:
        return self.lists | self.details

    def codes(self) -> dict[str, str]:
        return dict.fromkeys(self.lists, "graph_permission_missing") | dict.fromkeys(self.details, "detail_incomplete")


def needs_beyond(granted: set[str]) -> CollectionNeeds:
    unreadable = {key for key, entry in COLLECTIONS.items() if not granted & listing_of(entry)}
    lists = {key for key, entry in COLLECTIONS.items() if {key, entry.parent} & unreadable} - DELEGATED_ONLY
    details = {
        key
        for key, entry in COLLECTIONS.items()
        for call in entry.details
        if not granted & readers(call.path.partition("?")[0])
    }
    return CollectionNeeds(lists, details - lists - DELEGATED_ONLY)


def test_without_one_permission_only_its_collections_fail_and_name_it(system: System) -> None:
    revoked = "DeviceManagementScripts.Read.All"
    granted = printed(system) - {revoked}
    system.tenant.grant(granted)
    record = system.sync("--all")
    needing = needs_beyond(granted)
    assert needing.all, "some collection needs the permission"
    assert record.status is RunStatus.PARTIAL
    assert codes(record) == needing.codes() | dict.fromkeys(DELEGATED_ONLY, "graph_delegated_only")
    for key in needing.all:
        assert revoked in record.collections[key].context.values(), key


@pytest.mark.slow
def test_each_revoked_permission_fails_only_its_collections_in_runs_and_check(system: System) -> None:
    everything = printed(system)
    opened_to_apps = {
        name for key, collection in COLLECTIONS.items() if key not in DELEGATED_ONLY for name in collection.permissions
    }
    assert len(everything) > 50
    for revoked in sorted(everything & opened_to_apps):
        granted = everything - {revoked}
        system.tenant.grant(granted)
        needing = needs_beyond(granted)
        assert needing.all, f"nothing needs {revoked}, and yet it is printed"
        others = [key for key in COLLECTIONS if key not in needing.all | DELEGATED_ONLY][:3]
        record = system.sync(*(f"--type={key}" for key in (*sorted(needing.all), *others)), "--deep")
        assert record.status is RunStatus.PARTIAL, revoked
        assert codes(record) == needing.codes(), revoked
        for key in needing.all:
            # Not always the revoked permission: the least may be another, which was never granted.
            lacked = {permission for entry in line_of(key) for permission in entry.permissions} - granted
            assert lacked & set(record.collections[key].context.values()), (revoked, key)
        checked = system.starter("check", system.tenant.name, "--all", "--json").objects()
        missing = {probe["type_key"] for probe in checked if probe["readability"] == "permission_missing"}
        assert missing == needing.lists | {
            key for key in needing.details if lacks_common_detail(COLLECTIONS[key], granted)
        }


def lacks_common_detail(entry: Collection, granted: set[str]) -> bool:
    """Whether none of these permissions opens a detail that every item has.

    `check` requests no detail that only some items have: the first item may lack it.
    """
    paths = [call.path.partition("?")[0] for call in entry.details if not call.types and not call.only_where]
    return any(not granted & readers(path) for path in paths)
