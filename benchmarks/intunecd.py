"""A first and an unchanged run beside IntuneCD, of the collections that IntuneCD asks for.

    python -m venv /tmp/intunecd && /tmp/intunecd/bin/pip install IntuneCD==2.6.0
    python -m benchmarks.intunecd --python /tmp/intunecd/bin/python [--rounds 3] [--latency-ms 100]

IntuneCD reads Intune into JSON files and keeps nothing else. The requests of its first backup name the collections,
as far as the catalog has them. Both read the same tenants, in turns; `--log` shows IntuneCD's output.
"""

import argparse
import json
import os
import subprocess
import time
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple

from benchmarks.machine import CHECKOUT, Machine, facts, played, spread
from graph.catalog import load_catalog
from inventory.selection import Selection
from local.simulated_graph import Kind, SimulatedGraph, SimulatedTenant


class Backup(NamedTuple):
    """The result of one backup."""

    objects: int
    seconds: float
    paths: frozenset[str]
    requests: int


def backup(graph: SimulatedGraph, tenant: SimulatedTenant, python: Path, log: int | None) -> Backup:
    """IntuneCD's backup of a tenant, in a process of its own."""
    before = max((request.number for request in graph.requests()), default=0)
    done = subprocess.run(  # noqa: S603 - the Python that the caller names
        [python, CHECKOUT / "benchmarks" / "intunecd_backup.py"],
        env={
            "PATH": os.environ["PATH"],
            "GRAPH_BASE_URL": graph.base_url,
            "GRAPH_CA_FILE": str(graph.ca_file),
            "GRAPH_TOKEN": tenant.token(),
        },
        stdout=subprocess.PIPE,
        stderr=log,
        check=True,
    )
    result = json.loads(done.stdout.splitlines()[-1])
    requests = [request for request in graph.requests() if request.number > before and request.kind is not Kind.BATCH]
    paths = frozenset(request.path.split("/", 2)[2] for request in requests if request.path.count("/") >= 2)
    return Backup(result["objects"], result["seconds"], paths, len(requests))


def collections_at(paths: Iterable[str]) -> tuple[str, ...]:
    """The type keys of the collections that were listed."""
    listed = {f"/{path}" for path in paths}
    found = {key for key, collection in load_catalog().collections.items() if collection.path in listed}
    return tuple(sorted(found))


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.intunecd", description=__doc__.splitlines()[0])
    parser.add_argument("--python", type=Path, required=True, help="the Python of an environment with IntuneCD")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--items", type=int, default=50)
    parser.add_argument("--latency-ms", type=int, default=100)
    parser.add_argument("--log", action="store_true", help="show what IntuneCD says")
    arguments = parser.parse_args()
    latency = timedelta(milliseconds=arguments.latency_ms)
    graph = SimulatedGraph(tenants=arguments.rounds, items_per_collection=arguments.items, latency=latency)
    print(f"{arguments.items} items a collection, {arguments.latency_ms} ms a request; {facts()}")
    with Machine(graph) as machine:

        async def play() -> None:
            backups: list[Backup] = []
            first: list[float] = []
            unchanged: list[float] = []
            for tenant in graph.tenants:
                backups.append(backup(graph, tenant, arguments.python, None if arguments.log else subprocess.DEVNULL))
                selection = Selection(type_keys=collections_at(backups[0].paths))
                for seconds in (first, unchanged):
                    began = time.perf_counter()
                    record = await machine.sync(tenant, selection)
                    seconds.append(time.perf_counter() - began)
                print(
                    f"{tenant.name}: IntuneCD {backups[-1].objects} objects, {backups[-1].requests} requests;"
                    f" {len(selection.type_keys)} collections, {record.counts.observed} items,"
                    f" {record.counts.requests} requests unchanged"
                )
            print(f"IntuneCD:  {spread([done.seconds for done in backups])} s")
            print(f"first:     {spread(first)} s")
            print(f"unchanged: {spread(unchanged)} s")

        played(play)


if __name__ == "__main__":
    main()
