"""Many small tenants at once: tenants a second, and what each costs Temporal and Graph.

    python -m benchmarks.portfolio [--tenants 200] [--workers 1 2 4] [--rounds 5] [--everything]

Each tenant has forty collections of five items, and every request is answered after 100 ms. With `--everything` a run
reads all collections of `--all`, fifty items each, and the delay is log-normal with a median of 100 ms. A round is
one portfolio run over its share of the tenants; after all shares, each is run again without changes. So each round
begins and ends with fewer tenants at once than in its middle, and all tenants in one run are a little faster.
Activities and events are those of one tenant's run in each round.
"""

import argparse
import time
from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from typing import NamedTuple
from uuid import UUID

from temporalio.api.enums.v1 import EventType

from benchmarks.machine import FIRST_RELEASE, TASK_QUEUE, Machine, facts, played, spread
from graph.catalog import load_catalog
from inventory.portfolio import TenantChoice
from inventory.selection import Selection
from local.simulated_graph import Kind, SimulatedGraph, SimulatedTenant
from process_exit import run_to_exit
from workflows.messages import PortfolioInput
from workflows.portfolio import PortfolioWorkflow
from workflows.requests import sync_workflow_id

FORTY = Selection(type_keys=FIRST_RELEASE)
ITEMS = 5
ITEMS_OF_EVERYTHING = 50
LATENCY_SPREAD = 0.5
"""One request in forty takes more than 2.7 times as long as the median."""

LATENCY = timedelta(milliseconds=100)
ACTIONS = (
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED,
    EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED,
    EventType.EVENT_TYPE_TIMER_STARTED,
    EventType.EVENT_TYPE_UPSERT_WORKFLOW_SEARCH_ATTRIBUTES,
)
"""Actions that Temporal Cloud bills for a run without errors (docs.temporal.io/cloud/actions), heartbeats excluded."""


class Round(NamedTuple):
    """The result of one portfolio run: tenants a second, and figures of one tenant."""

    tenants_a_second: float
    activities: int
    actions: int
    events: int
    requests: float
    processor_milliseconds: dict[str, float]


async def measure(
    machine: Machine, tenants: Sequence[SimulatedTenant], at_once: int, selection: Selection = FORTY
) -> Round:
    """One portfolio run over these tenants."""
    chosen = TenantChoice(tenant_ids=tuple(UUID(tenant.id) for tenant in tenants))
    client = await machine.client()
    earlier = len(machine.graph.requests(Kind.INNER))
    taken = machine.processor_seconds()
    began = time.perf_counter()
    portfolio = PortfolioInput(selection=selection, chosen=chosen, at_once=at_once)
    result = await client.execute_workflow(
        PortfolioWorkflow.run, portfolio, id=portfolio.workflow_id, task_queue=TASK_QUEUE
    )
    seconds = time.perf_counter() - began
    milliseconds = {
        part: (until - taken[part]) / len(tenants) * 1e3 for part, until in machine.processor_seconds().items()
    }
    if result.status != "success":
        raise SystemExit(f"the portfolio ended as {result.status}: {result.error_codes}")
    requests = (len(machine.graph.requests(Kind.INNER)) - earlier) / len(tenants)
    handle = client.get_workflow_handle(sync_workflow_id(UUID(tenants[-1].id), selection))
    events = (await handle.fetch_history()).events
    kinds = Counter(event.event_type for event in events)
    activities = kinds[EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED]
    actions = sum(kinds[kind] for kind in ACTIONS)
    return Round(len(tenants) / seconds, activities, actions, len(events), requests, milliseconds)


def report(title: str, rounds: Sequence[Round]) -> None:
    """Prints the figures of all rounds."""
    print(f"  {title}: {spread([result.tenants_a_second for result in rounds])} tenants a second")
    print(
        f"    a tenant: activities {spread([result.activities for result in rounds], 0)},"
        f" actions {spread([result.actions for result in rounds], 0)},"
        f" events {spread([result.events for result in rounds], 0)},"
        f" requests {spread([result.requests for result in rounds], 1)}",
        flush=True,
    )
    taken = (
        f"{part} {spread([result.processor_milliseconds[part] for result in rounds], 0)}"
        for part in rounds[0].processor_milliseconds
    )
    print(f"    milliseconds of a processor: {', '.join(taken)}", flush=True)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.portfolio", description=__doc__.splitlines()[0])
    parser.add_argument("--tenants", type=int, default=200)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--everything", action="store_true", help="all collections, fifty items each")
    arguments = parser.parse_args()
    selection, items, spread_of_latency = FORTY, ITEMS, 0.0
    if arguments.everything:
        selection = Selection(type_keys=tuple(load_catalog().everything()))
        items, spread_of_latency = ITEMS_OF_EVERYTHING, LATENCY_SPREAD
    print(
        f"{arguments.tenants} tenants in {arguments.rounds} portfolios, {len(selection.type_keys)} collections of"
        f" {items} items each, 100 ms; {facts()}"
    )
    for workers in arguments.workers:
        at_once = 10 * workers
        graph = SimulatedGraph(
            tenants=arguments.tenants, items_per_collection=items, latency=LATENCY, latency_spread=spread_of_latency
        )
        print(f"{workers} workers, {at_once} tenants at once", flush=True)
        with Machine(graph, workers=workers, RUNS_OVERALL=str(at_once)) as machine:

            async def play(machine: Machine = machine, at_once: int = at_once) -> None:
                tenants = machine.graph.tenants
                shares = [tenants[number :: arguments.rounds] for number in range(arguments.rounds)]
                for title in ("first sync", "unchanged"):
                    report(title, [await measure(machine, share, at_once, selection) for share in shares])

            played(play)


if __name__ == "__main__":
    run_to_exit(main)
