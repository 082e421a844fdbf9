"""Plans for a tenant that PostgreSQL's statistics do not know: no statement compares each row with each."""

import json
import re
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from benchmarks.machine import Machine, played
from benchmarks.portfolio import FORTY, measure
from local.postgres import EmbeddedPostgres
from local.simulated_graph import SimulatedGraph
from storage.schema import upgrade

ITEMS = 200
MOST = 60 * ITEMS * len(FORTY.type_keys)
"""The most rows that a statement may discard in total. Comparing each row of a tenant with each discards 64 million."""

EXPLAINED = {
    "autovacuum": "off",
    "shared_preload_libraries": "auto_explain",
    "auto_explain.log_min_duration": "0",
    "auto_explain.log_analyze": "on",
    "auto_explain.log_timing": "off",
    "auto_explain.log_format": "json",
}

_PLAN = re.compile(r"^[^\t\n]* duration: [^\n]* plan:\n((?:\t[^\n]*\n)+)", re.MULTILINE)


@pytest.mark.slow
@pytest.mark.parametrize(("tenants", "held"), [(2, ""), (1, "ctid = ")])
def test_no_statement_compares_all_rows_of_a_tenant_unknown_to_statistics(
    tmp_path: Path, tenants: int, held: str
) -> None:
    """With a single known tenant, PostgreSQL takes it for the whole table: then only writes by ctid are checked."""
    tmp_path.chmod(0o755)
    graph = SimulatedGraph(tenants=tenants + 1, items_per_collection=ITEMS, latency=timedelta())
    explained: list[int] = []
    log = tmp_path / "postgres" / "log"
    with EmbeddedPostgres(log.parent, settings=EXPLAINED) as postgres:
        upgrade(postgres.url)
        with Machine(graph, database_url=postgres.url) as machine:

            async def play() -> None:
                *known, new = graph.tenants
                await measure(machine, known, 2, FORTY)
                with psycopg.connect(postgres.url, autocommit=True) as connection:
                    connection.execute("ANALYZE")
                explained.append(log.stat().st_size)
                for generation in (0, 0, 1):
                    new.set_generation(generation)
                    await measure(machine, [new], 1, FORTY)

            played(play)
    plans = [json.loads(found[1]) for found in _PLAN.finditer(log.read_bytes()[explained[0] :].decode())]
    in_vain = Counter[str]()
    for plan in plans:
        in_vain[plan["Query Text"]] += round(sum(map(_removed, _nodes(plan["Plan"]))))
    assert len(in_vain) > 50
    assert [statement for statement, rows in in_vain.items() if rows > MOST and held in statement] == []


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for part in plan.get("Plans", ()):
        yield from _nodes(part)


def _removed(node: dict[str, Any]) -> float:
    """The rows that a node has read and discarded."""
    removed: float = node.get("Rows Removed by Join Filter", 0) + node.get("Rows Removed by Filter", 0)
    return removed * float(node.get("Actual Loops", 1))
