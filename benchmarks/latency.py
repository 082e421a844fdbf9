"""A tenant whose Graph is slow to answer, against the longest chain of requests that cannot be avoided.

    python -m benchmarks.latency [--rounds 5] [--latency-ms 150] [--everything] [--limits]

Forty collections of fifty items, every request answered after 150 ms, two cores for everything. With `--everything` a
run reads all collections of `--all`, and then all except the serial throttle family's (Conditional Access);
`--latency-ms 0` shows the product's own time; with `--limits`, Graph throttles as Microsoft has published
(https://learn.microsoft.com/graph/throttling-limits). The longest chain is counted from the requests. Each page of a
collection needs the page before, details need the last page, and details of details need these. A serial throttle
family sends the next request a second after each answer. The detail calls of a collection do not need each other.
"""

import argparse
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import timedelta

from benchmarks.machine import FIRST_RELEASE, Machine, facts, played, spread
from graph.catalog import load_catalog
from inventory.selection import Selection
from local.simulated_graph import REAL_BUDGETS, Kind, RecordedRequest, SimulatedGraph
from process_exit import run_to_exit

ITEMS = 50
GOAL = 1.5


def longest_chain(recorded: Sequence[RecordedRequest], type_keys: Iterable[str], latency: timedelta) -> float:
    """The seconds of the longest chain of requests of which each waits only for the one before."""
    chains: Counter[str] = Counter()
    intervals: dict[str, timedelta] = {}
    for collection in (load_catalog().collections[key] for key in type_keys):
        family = collection.throttle_family
        chain = collection.type_key if family.interval is None else family
        chains[chain] += sum(request.path.endswith(collection.path) for request in recorded)
        if collection.details and any(f"{collection.path}/" in request.path for request in recorded):
            chains[chain] += 1 + any(call.children for call in collection.details)
        intervals[chain] = family.interval or timedelta(0)
    return max(
        (requests * latency + (requests - 1) * intervals[chain]).total_seconds() for chain, requests in chains.items()
    )


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.latency", description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--latency-ms", type=int, default=150)
    parser.add_argument("--everything", action="store_true", help="all collections")
    parser.add_argument("--limits", action="store_true", help="Graph throttles as Microsoft has published")
    arguments = parser.parse_args()
    latency = timedelta(milliseconds=arguments.latency_ms)
    catalog = load_catalog()
    type_keys = tuple(catalog.everything()) if arguments.everything else FIRST_RELEASE
    selection = Selection(type_keys=type_keys)
    if arguments.everything:
        rest = tuple(key for key in type_keys if catalog.collections[key].throttle_family.interval is None)
        without = "at any pace"
    else:
        rest = tuple(key for key in type_keys if not catalog.collections[key].details)
        without = "without details"
    others = Selection(type_keys=rest)
    budgets = REAL_BUDGETS if arguments.limits else None
    graph = SimulatedGraph(tenants=arguments.rounds, items_per_collection=ITEMS, latency=latency, budgets=budgets)
    print(f"{len(type_keys)} collections of {ITEMS} items, {arguments.latency_ms} ms a request; {facts()}")
    with Machine(graph, DETAIL_REFRESH_HOURS="168") as machine:

        async def play() -> None:
            for title, part in (
                ("first sync, details of every item", selection),
                ("second sync, nothing changed", selection),
                (f"the {len(rest)} collections {without}, nothing changed", others),
            ):
                seconds, requests, throttled, chains = [], [], [], []
                for tenant in graph.tenants:
                    before = len(graph.requests(Kind.INNER, tenant.id))
                    began = time.perf_counter()
                    record = await machine.sync(tenant, part)
                    seconds.append(time.perf_counter() - began)
                    tenant_requests = graph.requests(Kind.INNER, tenant.id)[before:]
                    requests.append(len(tenant_requests))
                    throttled.append(record.counts.throttled)
                    chains.append(longest_chain(tenant_requests, part.type_keys, latency))
                    if record.status != "success":
                        raise SystemExit(f"the run ended as {record.status}: {record.error_codes}")
                line = f"{title}: {spread(seconds)} s, {spread(requests, 0)} requests, longest chain {spread(chains)} s"
                if arguments.limits:
                    line += f", {spread(throttled, 0)} throttled"
                if min(chains) > 0:
                    times = [took / chain for took, chain in zip(seconds, chains, strict=True)]
                    line += f", {spread(times)} times that, goal {GOAL}"
                print(line, flush=True)

        played(play)


if __name__ == "__main__":
    run_to_exit(main)
