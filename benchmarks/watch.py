"""How long after its audit event is listed a change is in `changes`, with `watch` on.

    python -m benchmarks.watch [--tenants 20] [--minutes 30] [--edits 120]

Policies of Intune and Entra are made, renamed and deleted at random moments. Their events come as late as
`local.simulated_graph.audit` says. Looks every five minutes, two cores for everything. The measured time
begins when a listing of the log shows the event, and ends when the database shows the change.
"""

import argparse
import asyncio
import random
import time
from datetime import timedelta
from typing import NamedTuple
from uuid import UUID, uuid4

import psycopg

from benchmarks.machine import TASK_QUEUE, Machine, facts, played, spread
from control.watch import WatchSchedule
from inventory.portfolio import TenantChoice
from inventory.selection import Selection
from local.simulated_graph import ENTRA_LOG, INTUNE_LOG, Kind, SimulatedGraph, SimulatedTenant, audit_delay

PATHS = {
    INTUNE_LOG: ("deviceManagement/deviceCompliancePolicies", "Create", "Patch", "Delete"),
    ENTRA_LOG: ("identity/conditionalAccess/policies", "Add", "Update", "Delete"),
}
SELECTION = Selection(
    type_keys=("conditionalAccessPolicies", "deviceCompliancePolicies", "deviceConfigurations", "groups")
)
EVERY = timedelta(minutes=5)
GOAL = timedelta(minutes=6)

_NOTICED = """
SELECT lower(external_id) FROM item_version JOIN sync_run ON run_id = first_observed_run_id WHERE kind = 'watch'
UNION SELECT lower(external_id) FROM item_absence JOIN sync_run USING (tenant_id, run_id) WHERE kind = 'watch'
"""


class Edit(NamedTuple):
    """One change in a tenant, and the delay of its event's listing."""

    external_id: str
    listed_at: float
    delay: timedelta


def edit(tenant: SimulatedTenant, chance: random.Random, untouched: dict[tuple[str, str], list[str]]) -> Edit:
    """Makes, renames or deletes a policy that nothing has touched yet."""
    log = chance.choice(list(PATHS))
    path, made, changed, deleted = PATHS[log]
    left = untouched.setdefault((tenant.id, log), [document["id"] for document in tenant.documents(path)])
    operation = chance.choice([made, changed, deleted]) if len(left) > 1 else made
    if operation == made:
        external_id = tenant.add(path, {**tenant.documents(path)[0], "id": str(uuid4())})
    else:
        external_id = left.pop()
        if operation == changed:
            tenant.rename(path, external_id, f"Renamed {external_id}")
        else:
            tenant.remove(path, external_id)
    delay = audit_delay(log, chance)
    tenant.log_event(log, external_id, operation, listed_after=delay)
    return Edit(external_id.lower(), time.monotonic() + delay.total_seconds(), delay)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.watch", description=__doc__.splitlines()[0])
    parser.add_argument("--tenants", type=int, default=20)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--edits", type=int, default=120)
    arguments = parser.parse_args()
    chance = random.Random(arguments.edits)  # noqa: S311 - the same edits each time
    graph = SimulatedGraph(tenants=arguments.tenants, items_per_collection=20)
    print(f"{arguments.tenants} tenants, {arguments.edits} edits in {arguments.minutes:g} minutes; {facts()}")
    with Machine(graph) as machine:

        async def play() -> None:
            for tenant in graph.tenants:
                await machine.sync(tenant, SELECTION)
            schedule = WatchSchedule(await machine.client(), TASK_QUEUE)
            everybody = TenantChoice(tenant_ids=tuple(UUID(tenant.id) for tenant in graph.tenants))
            await schedule.keep(everybody, EVERY)
            before = {tenant.id: len(graph.requests(Kind.INNER, tenant.id)) for tenant in graph.tenants}
            ends = time.monotonic() + arguments.minutes * 60
            moments = sorted(chance.uniform(time.monotonic(), ends) for _ in range(arguments.edits))
            edits: list[Edit] = []
            noticed: dict[str, float] = {}
            untouched: dict[tuple[str, str], list[str]] = {}
            with psycopg.connect(machine.database_url, autocommit=True) as connection:
                # Events that come later than the last look are not waited for.
                while time.monotonic() < ends + GOAL.total_seconds():
                    await asyncio.sleep(0.5)
                    while moments and moments[0] <= time.monotonic():
                        moments.pop(0)
                        edits.append(edit(chance.choice(graph.tenants), chance, untouched))
                    for (external_id,) in connection.execute(_NOTICED).fetchall():
                        noticed.setdefault(external_id, time.monotonic())
            looks = await schedule.stored()
            due = [change for change in edits if change.listed_at <= ends]
            lags = [noticed[change.external_id] - change.listed_at for change in due if change.external_id in noticed]
            requests = [len(graph.requests(Kind.INNER, tenant_id)) - count for tenant_id, count in before.items()]
            print(f"events come late by {spread([change.delay.total_seconds() for change in edits], 0)} s")
            print(f"noticed {len(lags)} of {len(due)} changes, after {spread(lags, 0)} s")
            print(f"more than {GOAL.total_seconds():.0f} s: {sum(lag > GOAL.total_seconds() for lag in lags)}")
            print(f"{0 if looks is None else looks.record.looks} looks; requests of a tenant: {spread(requests, 0)}")

        played(play)


if __name__ == "__main__":
    main()
