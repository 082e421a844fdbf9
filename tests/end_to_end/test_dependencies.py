"""Dependencies, as a user gets them right after the run that found the versions."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from graph.catalog import load_catalog
from inventory.outcomes import RunStatus
from local.simulated_graph import Fault, FaultKind, SimulatedGraph
from local.temporal import EmbeddedTemporal
from storage import references
from tests.end_to_end.system import SEEDS, System

SELECTED = (
    "deviceConfigurations",
    "deviceCompliancePolicies",
    "conditionalAccessPolicies",
    "groups",
    "assignmentFilters",
    "roleScopeTags",
)
SELECTION = [argument for key in SELECTED for argument in ("--type", key)]


@pytest.fixture
def graph() -> Iterator[SimulatedGraph]:
    with SimulatedGraph(tenants=1, seed=next(SEEDS)) as simulated:
        yield simulated


@pytest.fixture
def referring(graph: SimulatedGraph, temporal: EmbeddedTemporal, database_url: str, tmp_path: Path) -> Iterator[System]:
    with System(graph, temporal, database_url, tmp_path) as system:
        system.start_worker()
        yield system


async def unread(system: System) -> int:
    async with system.database() as database, database.tenant(UUID(system.tenant.id), read_only=True) as session:
        return await references.count_unread(session, load_catalog().reading_rules())


def uses_of_groups(system: System) -> Counter[str]:
    """The number of references to each group."""
    lines = system.starter("dependencies", system.tenant.name, "--all", "--json").objects()
    targets = [line["target"] for line in lines if line["answer"] == "dependency"]
    return Counter(target["external_id"] for target in targets if target["type_keys"] == ["groups"])


async def written_with_their_version(system: System) -> dict[tuple[str, str], bool]:
    """For each item with references: whether the transaction of its version wrote them."""
    statement = text("""
        SELECT r.type_key, r.external_id, bool_and(r.xmin = v.xmin) AS together
        FROM item_reference AS r JOIN item_version AS v USING (tenant_id, type_key, external_id, version_number)
        GROUP BY r.type_key, r.external_id
    """)
    async with system.database() as database, database.tenant(UUID(system.tenant.id), read_only=True) as session:
        return {(row.type_key, row.external_id): row.together for row in await session.execute(statement)}


@pytest.mark.slow
def test_only_first_listing_writes_references_in_the_version_transaction(referring: System) -> None:
    selection = ["--type", "deviceCompliancePolicies", "--type", "configurationPolicies"]
    assert referring.sync(*selection).status is RunStatus.SUCCESS
    first = asyncio.run(written_with_their_version(referring))
    assert {type_key for type_key, _ in first} == {"deviceCompliancePolicies", "configurationPolicies"}
    assert all(first.values())

    document = {**referring.tenant.documents("deviceManagement/deviceCompliancePolicies")[0], "displayName": "Added"}
    added = referring.tenant.add("deviceManagement/deviceCompliancePolicies", {**document, "id": str(uuid4())})
    assert referring.sync(*selection).counts.created == 1
    second = asyncio.run(written_with_their_version(referring))
    assert second == {**first, ("deviceCompliancePolicies", added): False}


def test_run_reads_references_and_deleted_group_is_dangling(graph: SimulatedGraph, referring: System) -> None:
    first = referring.sync(*SELECTION)
    assert first.status is RunStatus.SUCCESS
    assert asyncio.run(unread(referring)) == 0, "the run has read the references of its items"
    group_ids = {document["id"] for document in referring.tenant.documents("groups")}
    uses = Counter({key: times for key, times in uses_of_groups(referring).items() if key in group_ids})
    group, times = uses.most_common(1)[0]

    needed = referring.starter("dependencies", referring.tenant.name, "groups", group, "--json").objects()
    assert sum(line["answer"] == "dependency" for line in needed) == times
    reached = referring.starter("dependencies", referring.tenant.name, "--reaches", group, "--json").objects()
    assert 0 < sum(line["answer"] == "reach" for line in reached) <= times

    picture = referring.folder / "group.dot"
    words = ("dependencies", referring.tenant.name, "groups", group, "--format", "dot", "--output", str(picture))
    result = referring.starter(*words)
    assert result.code == 0, result.stderr
    assert picture.read_text().startswith("digraph dependencies {")

    referring.tenant.remove("groups", group)
    assert referring.sync(*SELECTION).counts.missing == 1
    lines = referring.starter("dangling", referring.tenant.name, "--json").objects()
    dangling = [
        line["target"] for line in lines if line["answer"] == "dangling" and line["target"]["external_id"] == group
    ]
    assert len(dangling) == times
    assert {(target["presence"], target["confidence"], target["evidence"]) for target in dangling} == {
        ("absent", "high", "confirmed")
    }


@pytest.mark.slow
def test_unread_groups_are_not_reported_as_dangling(graph: SimulatedGraph, referring: System) -> None:
    graph.faults.add(Fault(FaultKind.FORBIDDEN, path=r"/groups\?"))
    assert referring.sync(*SELECTION).status is RunStatus.PARTIAL
    lines = referring.starter("dangling", referring.tenant.name, "--json").objects()
    assert [line for line in lines if line["answer"] == "dangling" and line["target"]["type_keys"] == ["groups"]] == []
    groups = [line for line in lines if line["answer"] == "cannot_say" and line["type_key"] == "groups"]
    assert {line["reason"] for line in groups} == {"failed:graph_permission_missing"}
    # References to groups, and those of the groups themselves, which nobody counts.
    to_groups, of_groups = (line["references"] for line in groups)
    assert to_groups > 0
    assert of_groups is None


def test_query_reads_references_that_a_run_left_unread(referring: System) -> None:
    referring.sync("--type", "deviceCompliancePolicies", "--type", "groups")
    before = uses_of_groups(referring)
    assert before

    async def forget() -> None:
        async with referring.database() as database, database.tenant(UUID(referring.tenant.id)) as session:
            for table in ("reference_rules", "item_reference"):
                await session.execute(text(f"DELETE FROM {table}"))

    asyncio.run(forget())
    assert uses_of_groups(referring) == before
    assert asyncio.run(unread(referring)) == 0
