"""How long a plan of many items takes to make, to read, to simulate and to approve.

    python -m benchmarks.promotion [--items 2000] [--rounds 3]

One tenant has so many compliance policies, each assigned to two of two thousand groups; the second has the groups
alone, so that all policies are created; the third has all policies with another value, so that all are updated.
"""

import argparse
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any
from uuid import UUID

import psycopg

from answers.compare.answer import Side, side
from answers.compare.records import TenantRecord
from answers.promotion import answer
from answers.promotion.candidates import PlanRequest
from answers.promotion.simulation import simulate
from benchmarks.comparison import GROUP_COUNT, GROUPS, POLICIES, made_id
from benchmarks.filled_inventory import MISSING_EVERY, fill
from benchmarks.machine import empty_inventory, facts, played, spread
from graph.catalog import load_catalog
from inventory.observation import Observation, Observer
from inventory.people import Person, Role
from process_exit import run_to_exit
from storage.database import Database

SOURCE, EMPTY, EDITED = UUID(int=71), UUID(int=72), UUID(int=73)
ADA, GRACE = (Person(person_id=f"local/{name}", name=name, role=Role.APPROVER) for name in ("ada", "grace"))


def observed(groups: Observer, policies: Observer, tenant: int, number: int) -> Observation:
    """The item of this number in a tenant: a group, or after those a policy."""
    if number < GROUP_COUNT:
        return groups.observe({"id": made_id(tenant, "group", number), "displayName": f"Group {number}"})
    policy_id = made_id(tenant, "policy", number)
    # Some of the groups are missing.
    places = [number * step % GROUP_COUNT for step in (1, 7)]
    assigned = [made_id(tenant, "group", place if place % MISSING_EVERY else place + 1) for place in places]
    document: dict[str, Any] = {
        "@odata.type": "#microsoft.graph.windows10CompliancePolicy",
        "id": policy_id,
        "displayName": f"Policy {number}",
        "passwordMinimumLength": 8 if tenant else 12,
        "scheduledActionsForRule": [],
        **{f"setting{position}": position % 3 for position in range(20)},
        "assignments": [
            {
                "id": f"{policy_id}_{group_id}",
                "source": "direct",
                "sourceId": policy_id,
                "target": {"@odata.type": "#microsoft.graph.groupAssignmentTarget", "groupId": group_id},
            }
            for group_id in assigned
        ],
    }
    return policies.observe(document)


@asynccontextmanager
async def sides(database: Database, target: UUID) -> AsyncIterator[tuple[Side, Side]]:
    """The source and a target."""
    async with (
        database.tenant(SOURCE, read_only=True, snapshot=True) as here,
        database.tenant(target, snapshot=True) as there,
    ):
        yield (
            await side(TenantRecord(tenant_id=SOURCE, name="golden"), here),
            await side(TenantRecord(tenant_id=target, name="branch"), there),
        )


async def measure(url: str, rounds: int) -> None:
    """Prints the seconds of each step, for a target with all items new and for one with all items edited."""
    async with Database(url, pool_size=2) as database:
        for target in (EMPTY, EDITED):
            seconds: dict[str, list[float]] = {"plan": [], "show": [], "simulate": [], "approve": []}
            for _ in range(rounds):
                await _round(database, target, seconds)
            times = ", ".join(f"{step} {spread(spent, 1)} s" for step, spent in seconds.items())
            print(f"  {'all created' if target == EMPTY else 'all updated'}: {times}", flush=True)


async def _round(database: Database, target: UUID, seconds: dict[str, list[float]]) -> None:
    began = time.perf_counter()
    async with sides(database, target) as (here, there):
        record, content = await answer.make_plan(here, there, PlanRequest("", [POLICIES]), ADA)
    seconds["plan"].append(time.perf_counter() - began)
    _expect(not content.counts.blocked, [item.reasons for item in content.items if item.reasons][:1])
    began = time.perf_counter()
    async with database.tenant(target, read_only=True) as session:
        record, content = await answer.plan_called(session, str(record.plan_id))
    seconds["show"].append(time.perf_counter() - began)
    began = time.perf_counter()
    async with sides(database, target) as (here, there):
        found = await simulate(here, there, record, content)
    seconds["simulate"].append(time.perf_counter() - began)
    _expect(found.record.proven == found.record.written, [item for item in found.items if not item.is_proven][:1])
    began = time.perf_counter()
    async with database.tenant(target) as session:
        _, refusals = await answer.approve(session, str(record.plan_id), GRACE, "a benchmark")
    seconds["approve"].append(time.perf_counter() - began)
    _expect(not refusals, refusals)


def _expect(holds: bool, why: object) -> None:
    if not holds:
        raise RuntimeError(f"the plan is not what is measured: {why}")


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.promotion", description=__doc__.splitlines()[0])
    parser.add_argument("--items", type=int, default=2_000)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    with empty_inventory() as postgres:
        url = postgres.url
        groups, policies = (Observer(load_catalog().collections[key].observation_rules()) for key in (GROUPS, POLICIES))
        for number, (tenant_id, count) in enumerate(((SOURCE, arguments.items), (EMPTY, 0), (EDITED, arguments.items))):
            fill(url, GROUP_COUNT + count, tenant_id, partial(observed, groups, policies, number))
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("VACUUM (ANALYZE)")
        print(f"{arguments.items:,} policies; {facts()}", flush=True)
        played(lambda: measure(url, arguments.rounds))


if __name__ == "__main__":
    run_to_exit(main)
