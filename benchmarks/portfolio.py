"""Many small tenants at once: tenants a second, and what each costs Temporal and Graph.

    python -m benchmarks.portfolio [--tenants 200] [--workers 1 2 4]

Each tenant has forty collections of five items, and every request is answered after 100 ms. All tenants are synced by
one portfolio run; then, nothing having changed, by another. Activities and events are those of one tenant's run.
"""

import argparse
import time
from collections import Counter
from datetime import timedelta
from uuid import UUID, uuid4

from temporalio.api.enums.v1 import EventType

from benchmarks.machine import FIRST_RELEASE, TASK_QUEUE, Machine, facts, played
from inventory.portfolio import TenantChoice
from inventory.selection import Selection
from local.simulated_graph import Kind, SimulatedGraph
from process_exit import run_to_exit
from workflows.messages import PortfolioInput, sync_workflow_id
from workflows.portfolio import PortfolioWorkflow

ITEMS = 5
LATENCY = timedelta(milliseconds=100)
ACTIONS = (
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED,
    EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED,
    EventType.EVENT_TYPE_TIMER_STARTED,
    EventType.EVENT_TYPE_UPSERT_WORKFLOW_SEARCH_ATTRIBUTES,
)
"""What Temporal Cloud bills of a run that nothing goes wrong in (docs.temporal.io/cloud/actions); beats come on top."""


async def measure(machine: Machine, title: str, at_once: int) -> None:
    """One portfolio run over all tenants."""
    selection = Selection(type_keys=FIRST_RELEASE)
    tenants = machine.graph.tenants
    client = await machine.client()
    asked = len(machine.graph.requests(Kind.INNER))
    began = time.perf_counter()
    result = await client.execute_workflow(
        PortfolioWorkflow.run,
        PortfolioInput(selection=selection, chosen=TenantChoice(everyone=True), at_once=at_once),
        id=f"portfolio/{uuid4()}",
        task_queue=TASK_QUEUE,
    )
    seconds = time.perf_counter() - began
    if result.status != "success":
        raise SystemExit(f"the portfolio ended as {result.status}: {result.error_codes}")
    requests = (len(machine.graph.requests(Kind.INNER)) - asked) / len(tenants)
    handle = client.get_workflow_handle(sync_workflow_id(UUID(tenants[-1].id), selection))
    events = (await handle.fetch_history()).events
    kinds = Counter(event.event_type for event in events)
    activities = kinds[EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED]
    actions = sum(kinds[kind] for kind in ACTIONS)
    print(
        f"  {title}: {len(tenants) / seconds:.2f} tenants a second; a tenant: {activities} activities,"
        f" {actions} actions, {len(events)} events, {requests:.1f} requests",
        flush=True,
    )


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.portfolio", description=__doc__.splitlines()[0])
    parser.add_argument("--tenants", type=int, default=200)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4])
    arguments = parser.parse_args()
    print(f"{arguments.tenants} tenants, {len(FIRST_RELEASE)} collections of {ITEMS} items each, 100 ms; {facts()}")
    for workers in arguments.workers:
        at_once = 10 * workers
        graph = SimulatedGraph(tenants=arguments.tenants, items_per_collection=ITEMS, latency=LATENCY)
        print(f"{workers} workers, {at_once} tenants at once", flush=True)
        with Machine(graph, workers=workers, RUNS_OVERALL=str(at_once)) as machine:

            async def play(machine: Machine = machine, at_once: int = at_once) -> None:
                await measure(machine, "first sync", at_once)
                await measure(machine, "unchanged ", at_once)

            played(play)


if __name__ == "__main__":
    run_to_exit(main)
