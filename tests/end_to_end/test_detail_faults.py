"""After passing faults of requests for details, the next run stores the tenant's documents."""

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import text

from graph.catalog import load_catalog
from inventory.outcomes import RunStatus
from local.simulated_graph import Fault, FaultKind, SimulatedGraph
from local.temporal import EmbeddedTemporal
from tests.end_to_end.system import SEEDS, System
from tests.end_to_end.test_faults import AIMED
from tests.simulated_items import Item, content_hashes

DETAILED = sorted(key for key, entry in load_catalog().collections.items() if entry.details)
SELECTION = [option for key in DETAILED for option in ("--type", key)]

BETRAYED = frozenset({FaultKind.SLIP, FaultKind.NOISE, FaultKind.UNKNOWN_PROPERTIES})
"""Faults that come with an edit of the item, which its list shows: members slip, times and properties move."""

KINDS = sorted(AIMED - BETRAYED - {FaultKind.APP_REVOKED})
"""Each fault hits a part of the requests, so that some of an item's details are read and others are not."""


@pytest.fixture
def system(temporal: EmbeddedTemporal, database_url: str, tmp_path: Path) -> Iterator[System]:
    with (
        SimulatedGraph(tenants=len(KINDS), items_per_collection=2, page_size=2, seed=next(SEEDS)) as graph,
        System(graph, temporal, database_url, tmp_path) as running,
    ):
        running.environment["GRAPH_ATTEMPTS"] = "3"
        running.start_worker()
        yield running


def path_of_details() -> str:
    """A pattern that matches the addresses of all details."""
    calls = [call for key in DETAILED for call in load_catalog().collections[key].details]
    paths = {path for call in calls for path in (call.path, *(child.path for child in call.children))}
    patterns = {re.sub(r"\\{\w+\\}", "[^/?]+", re.escape(path.partition("?")[0])) for path in paths}
    return rf"^/[^/]+({'|'.join(sorted(patterns))})(\?|$)"


async def stored_hashes(system: System) -> dict[Item, str]:
    async with (
        system.database() as database,
        database.tenant(UUID(system.tenant.id), read_only=True) as session,
    ):
        rows = await session.execute(text("SELECT type_key, external_id, content_hash FROM inventory_item"))
        return {(row.type_key, row.external_id): row.content_hash.hex() for row in rows}


@pytest.mark.slow
def test_run_after_a_detail_fault_stores_complete_details(system: System) -> None:
    wrong: dict[FaultKind, set[Item]] = {}
    for tenant, kind in zip(system.graph.tenants, KINDS, strict=True):
        system.tenant = tenant
        assert system.sync(*SELECTION).status is RunStatus.SUCCESS
        fault = Fault(kind, tenant_id=tenant.id, path=path_of_details(), probability=0.3, seed=1, retry_after="0.1")
        system.graph.faults.add(fault)
        system.sync(*SELECTION, "--deep")
        system.graph.faults.clear()
        assert system.sync(*SELECTION).status is RunStatus.SUCCESS, kind
        held, kept = content_hashes(tenant, DETAILED), asyncio.run(stored_hashes(system))
        wrong[kind] = {item for item in held if kept[item] != held[item]}
    assert {kind: items for kind, items in wrong.items() if items} == {}
