"""Entries that leave a log cost no request, and do not count as missing."""

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from graph.catalog import load_catalog
from local.simulated_graph import SimulatedGraph
from local.simulated_graph.endpoints import endpoint_at
from tests.activities.direct_runs import direct_runs

LOGS = ("auditEvents", "configurationDrifts")
"""Without `directoryAudits`, whose requests wait for their turn."""


@pytest.fixture(scope="module")
def graph() -> Iterator[SimulatedGraph]:
    with SimulatedGraph(tenants=1, items_per_collection=3, seed=11) as server:
        yield server


async def test_expired_log_entries_are_not_requested_by_id(
    graph: SimulatedGraph, tmp_path: Path, database_url: str
) -> None:
    tenant = graph.tenants[0]
    async with direct_runs(graph, database_url, tmp_path, key=None) as runs:
        await runs.run(LOGS, short=True)
        for type_key in LOGS:
            path = load_catalog().collections[type_key].path
            tenant.remove(path, tenant._content.items(endpoint_at(path))[0].key)
        counts = await runs.run(LOGS, short=True)
    assert counts["requests"] == counts["pages"]
    with psycopg.connect(database_url) as connection:
        runs_found = connection.execute("SELECT status, missing, not_read FROM sync_run ORDER BY started_at").fetchall()
        absences = connection.execute("SELECT type_key, evidence FROM item_absence ORDER BY type_key").fetchall()
    assert runs_found == [("success", 0, 0)] * 2
    assert absences == [(type_key, "not_listed") for type_key in LOGS]


def test_no_log_is_requested_by_id() -> None:
    catalog = load_catalog()
    assert catalog.logs == {*LOGS, "directoryAudits"}
    assert not catalog.logs & catalog.confirmable
