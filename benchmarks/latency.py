"""A tenant whose Graph is slow to answer, against the longest chain of requests that cannot be avoided.

    python -m benchmarks.latency [--rounds 5] [--latency-ms 150]

Forty collections of fifty items, every request answered after 150 ms, two cores for everything. The longest chain is
counted from what was asked: of one collection, each page needs the one before, and its details need its last page. The
detail calls of a collection do not need each other, but one wave holds twenty of them.
"""

import argparse
import time
from datetime import timedelta

from benchmarks.machine import FIRST_RELEASE, Machine, facts, played, spread
from graph.catalog import load_catalog
from inventory.selection import Selection
from local.simulated_graph import Kind, SimulatedGraph
from process_exit import run_to_exit

ITEMS = 50


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.latency", description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--latency-ms", type=int, default=150)
    arguments = parser.parse_args()
    latency = timedelta(milliseconds=arguments.latency_ms)
    graph = SimulatedGraph(tenants=arguments.rounds, items_per_collection=ITEMS, latency=latency)
    selection = Selection(type_keys=FIRST_RELEASE)
    plain = Selection(type_keys=tuple(key for key in FIRST_RELEASE if not load_catalog().collections[key].details))
    print(f"{len(FIRST_RELEASE)} collections of {ITEMS} items, {arguments.latency_ms} ms a request; {facts()}")
    with Machine(graph, DETAIL_REFRESH_HOURS="168") as machine:

        async def play() -> None:
            for title, wanted in (
                ("first sync, details of every item", selection),
                ("second sync, nothing changed", selection),
                (f"the {len(plain.type_keys)} collections without details", plain),
            ):
                seconds, requests = [], []
                for tenant in graph.tenants:
                    before = len(graph.requests(Kind.INNER, tenant.id))
                    began = time.perf_counter()
                    record = await machine.sync(tenant, wanted)
                    seconds.append(time.perf_counter() - began)
                    requests.append(len(graph.requests(Kind.INNER, tenant.id)) - before)
                    if record.status != "success":
                        raise SystemExit(f"the run ended as {record.status}: {record.error_codes}")
                print(f"{title}: {spread(seconds)} s, {spread(requests, 0)} requests")

        played(play)


if __name__ == "__main__":
    run_to_exit(main)
