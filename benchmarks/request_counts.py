"""How many requests a first and an unchanged sync make, and what they take of a processor and of time.

    python -m benchmarks.request_counts

It counts the whole catalog in a tenant of the demo, and forty collections of fifty and of five items.
"""

import argparse
from time import perf_counter

from benchmarks.machine import FIRST_RELEASE, Machine, played
from graph.catalog import load_catalog
from inventory.selection import Selection
from local.simulated_graph import Kind, SimulatedGraph
from process_exit import run_to_exit


def main() -> None:
    """The command line."""
    argparse.ArgumentParser(
        prog="python -m benchmarks.request_counts", description=__doc__.splitlines()[0]
    ).parse_args()
    everything, forty = Selection(type_keys=tuple(load_catalog().everything())), Selection(type_keys=FIRST_RELEASE)
    _count("the whole catalog, the demo's items", everything, SimulatedGraph(tenants=1))
    for items in (50, 5):
        title = f"{len(FIRST_RELEASE)} collections of {items} items"
        _count(title, forty, SimulatedGraph(tenants=1, items_per_collection=items))


def _count(title: str, selection: Selection, graph: SimulatedGraph) -> None:
    with Machine(graph) as machine:
        (tenant,) = graph.tenants

        async def play() -> None:
            for sync in ("first", "unchanged"):
                before, began = len(graph.requests(Kind.INNER, tenant.id)), perf_counter()
                taken_before = machine.processor_seconds()
                record = await machine.sync(tenant, selection)
                requests = len(graph.requests(Kind.INNER, tenant.id)) - before
                took = perf_counter() - began
                taken = machine.processor_seconds()
                parts = ", ".join(
                    f"{part} {taken[part] - taken_before[part]:.1f}" for part in ("workers", "PostgreSQL")
                )
                print(
                    f"{title}, {sync}: {requests} requests, {took:.1f} seconds,"
                    f" processor seconds: {parts} ({record.status}, {record.counts.observed} items)",
                    flush=True,
                )

        played(play)


if __name__ == "__main__":
    run_to_exit(main)
