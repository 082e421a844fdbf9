"""How long a comparison of two tenants takes.

    python -m benchmarks.comparison [--items 20000] [--rounds 5] [--by-setting]

Two tenants with so many compliance policies of the same names, each assigned to two of two thousand groups. Ids are the
tenant's own, and one policy in a hundred has another value in the second. The time is that of all records of all pairs,
or with `--by-setting` of all settings.
"""

import argparse
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from functools import partial
from random import Random
from uuid import UUID

import psycopg

from answers.compare.answer import Comparison, Side, side
from answers.compare.records import TenantRecord
from answers.compare.setting_comparison import SettingsComparison
from benchmarks.filled_inventory import fill
from benchmarks.machine import empty_inventory, facts, played, spread
from graph.catalog import load_catalog
from inventory.observation import Observation, Observer
from process_exit import run_to_exit
from storage.database import Database

TENANTS = (UUID(int=71), UUID(int=72))
POLICIES, GROUPS = "deviceCompliancePolicies", "groups"
GROUP_COUNT = 2_000
SETTINGS = 20
EDITED_EVERY = 100


def made_id(tenant: int, kind: str, number: int) -> str:
    """The id of an object, in no order."""
    return str(UUID(int=Random(f"{tenant} {kind} {number}").getrandbits(128)))  # noqa: S311 - the same ids each time


def observed(groups: Observer, policies: Observer, tenant: int, number: int) -> Observation:
    """The item of this number in a tenant: a group, or after those a policy of about 1.2 KB."""
    if number < GROUP_COUNT:
        return groups.observe({"id": made_id(tenant, "group", number), "displayName": f"Group {number}"})
    policy_id = made_id(tenant, "policy", number)
    assigned = [made_id(tenant, "group", number * step % GROUP_COUNT) for step in (1, 7)]
    return policies.observe(
        {
            "@odata.type": "#microsoft.graph.windows10CompliancePolicy",
            "id": policy_id,
            "displayName": f"Policy {number}",
            "edition": tenant if number % EDITED_EVERY == 0 else 0,
            **{f"setting{position}": position % 3 for position in range(SETTINGS)},
            "assignments": [
                {
                    "id": f"{policy_id}_{group_id}",
                    "target": {"@odata.type": "#microsoft.graph.groupAssignmentTarget", "groupId": group_id},
                }
                for group_id in assigned
            ],
        }
    )


async def compared(here: Side, there: Side) -> Counter[str]:
    """The number of policy pairs with each status."""
    comparison = Comparison(here, there, [POLICIES])
    return Counter([str(item.status) async for item in comparison.items()])


async def compared_by_setting(here: Side, there: Side) -> Counter[str]:
    """The number of settings with each status."""
    return Counter([str(setting.status) for setting in await SettingsComparison(here, there, [POLICIES]).settings()])


async def measure(url: str, rounds: int, compare: Callable[[Side, Side], Awaitable[Counter[str]]]) -> None:
    """Prints the seconds of a comparison."""
    seconds: list[float] = []
    async with Database(url, pool_size=2) as database:
        for _ in range(rounds):
            began = time.perf_counter()
            async with (
                database.tenant(TENANTS[0], read_only=True, snapshot=True) as here,
                database.tenant(TENANTS[1], read_only=True, snapshot=True) as there,
            ):
                counts = await compare(
                    await side(TenantRecord(tenant_id=TENANTS[0], name="one"), here),
                    await side(TenantRecord(tenant_id=TENANTS[1], name="other"), there),
                )
            seconds.append(time.perf_counter() - began)
    print(f"  {dict(counts)}: {spread(seconds, 1)} s", flush=True)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.comparison", description=__doc__.splitlines()[0])
    parser.add_argument("--items", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--by-setting", action="store_true")
    arguments = parser.parse_args()
    compare = compared_by_setting if arguments.by_setting else compared
    with empty_inventory() as postgres:
        url = postgres.url
        groups, policies = (Observer(load_catalog().collections[key].observation_rules()) for key in (GROUPS, POLICIES))
        for number, tenant_id in enumerate(TENANTS):
            fill(url, GROUP_COUNT + arguments.items, tenant_id, partial(observed, groups, policies, number))
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("VACUUM (ANALYZE)")
        print(f"{arguments.items:,} pairs of policies; {facts()}", flush=True)
        played(lambda: measure(url, arguments.rounds, compare))


if __name__ == "__main__":
    run_to_exit(main)
