"""How long a comparison of two tenants takes, and of many with a golden one.

    python -m benchmarks.comparison [--items 20000] [--rounds 5] [--by-setting]
    python -m benchmarks.comparison --tenants 50 [--items 300] [--rounds 5]

Two tenants with so many compliance policies of the same names, each assigned to two of two thousand groups. Ids are the
tenant's own, and one policy in a hundred has another value in the second. The time is that of all records of all pairs,
or with `--by-setting` of all settings.

With `--tenants`, so many tenants have copies of the golden tenant's policies of the settings catalog, 3 to 30 KB each,
under ids of their own; one policy in a hundred has another value in each. `compare --golden`, the same `--by-setting`
and `drift --golden` walk over all of them; the figures are processor time of the command and PostgreSQL.
"""

import argparse
import os
import resource
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from uuid import UUID

import psycopg

from answers.compare.answer import Comparison, Side, side
from answers.compare.records import TenantRecord
from answers.compare.setting_comparison import SettingsComparison
from benchmarks.filled_inventory import fill
from benchmarks.machine import empty_inventory, facts, played, processor_seconds_of, spread
from graph.catalog import load_catalog
from inventory.exact_json import JsonObject
from inventory.observation import Observation, Observer
from process_exit import run_to_exit
from storage.database import Database

TENANTS = (UUID(int=71), UUID(int=72))
POLICIES, GROUPS = "deviceCompliancePolicies", "groups"
GROUP_COUNT = 2_000
SETTINGS = 20
EDITED_EVERY = 100

CATALOG_POLICIES, SCOPE_TAGS = "configurationPolicies", "roleScopeTags"
CATALOG_GROUPS = 100
GOLDEN, FIRST_TENANT = UUID(int=70), 1_000
STARTER = Path(__file__).parents[1] / "starter.py"
WALKS = {
    "compare --golden": ["compare", "--golden", str(GOLDEN), "--all-tenants", "--json"],
    "the same --by-setting": ["compare", "--golden", str(GOLDEN), "--all-tenants", "--by-setting", "--json"],
    "drift --golden, a first time": ["drift", "--golden", str(GOLDEN), "--all-tenants", "--json"],
    "drift --golden": ["drift", "--golden", str(GOLDEN), "--all-tenants", "--json"],
}


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


def catalog_observed(observers: dict[str, Observer], tenant: int, number: int) -> Observation:
    """The item of this number in a tenant: a scope tag, a group, or after those a policy of the settings catalog."""
    if number == 0:
        return observers[SCOPE_TAGS].observe({"id": "0", "displayName": "Default", "isBuiltIn": True})
    if number <= CATALOG_GROUPS:
        return observers[GROUPS].observe({"id": made_id(tenant, "group", number), "displayName": f"Group {number}"})
    policy_id = made_id(tenant, "policy", number)
    assigned = [made_id(tenant, "group", 1 + number * step % CATALOG_GROUPS) for step in (1, 7)]
    return observers[CATALOG_POLICIES].observe(
        {
            "id": policy_id,
            "name": f"Policy {number}",
            "description": "copied" if number % EDITED_EVERY else f"as tenant {tenant} has it",
            "createdDateTime": f"2026-01-01T00:{tenant % 60:02}:00Z",
            "platforms": "windows10",
            "technologies": "mdm",
            "roleScopeTagIds": ["0"],
            "settingCount": 10 + number % 90,
            "templateReference": {"templateId": "", "templateFamily": "none", "templateDisplayName": None},
            "settings": [setting(number, position) for position in range(10 + number % 90)],
            "assignments": [
                {
                    "id": f"{policy_id}_{group_id}",
                    "source": "direct",
                    "sourceId": policy_id,
                    "target": {
                        "@odata.type": "#microsoft.graph.groupAssignmentTarget",
                        "deviceAndAppManagementAssignmentFilterId": None,
                        "deviceAndAppManagementAssignmentFilterType": "none",
                        "groupId": group_id,
                    },
                }
                for group_id in assigned
            ],
        }
    )


def setting(policy: int, position: int) -> JsonObject:
    """About 330 bytes, with an id of Microsoft's."""
    definition = f"device_vendor_msft_policy_config_area{policy % 40}_setting{position}"
    kind = "#microsoft.graph.deviceManagementConfigurationChoiceSetting"
    return {
        "id": str(position),
        "settingInstance": {
            "@odata.type": f"{kind}Instance",
            "settingDefinitionId": definition,
            "settingInstanceTemplateReference": None,
            "choiceSettingValue": {
                "@odata.type": f"{kind}Value",
                "settingValueTemplateReference": None,
                "value": f"{definition}_{position % 3}",
                "children": [],
            },
        },
    }


def tenants_file(tenants: int) -> str:
    """The tenants beside the golden one."""
    return "".join(
        f'[[tenant]]\nid = "{UUID(int=FIRST_TENANT + number)}"\nname = "tenant {number}"\nclient_id = "c"\n'
        "managed_identity = true\n"
        for number in range(tenants)
    )


def walk_seconds(words: list[str], environment: dict[str, str], postgres: int) -> float:
    """Processor seconds of a command and PostgreSQL. Raises `CalledProcessError`."""
    before = processor_seconds_of(postgres) + _of_children()
    subprocess.run(  # noqa: S603 - nothing from outside
        [sys.executable, STARTER, *words], check=True, env=environment, stdout=subprocess.DEVNULL
    )
    return processor_seconds_of(postgres) + _of_children() - before


def _of_children() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def measure_walks(tenants: int, items: int, rounds: int) -> None:
    """Prints the milliseconds of each walk, a tenant."""
    observers = {
        key: Observer(load_catalog().collections[key].observation_rules())
        for key in (SCOPE_TAGS, GROUPS, CATALOG_POLICIES)
    }
    with empty_inventory() as postgres, TemporaryDirectory() as folder:
        for number, tenant_id in enumerate([GOLDEN, *(UUID(int=FIRST_TENANT + other) for other in range(tenants))]):
            size = 1 + CATALOG_GROUPS + items
            fill(postgres.url, size, tenant_id, partial(catalog_observed, observers, number))
        with psycopg.connect(postgres.url, autocommit=True) as connection:
            connection.execute("VACUUM (ANALYZE)")
        file = Path(folder) / "tenants.toml"
        file.write_text(tenants_file(tenants))
        environment = {
            "PATH": os.environ["PATH"],
            "DATABASE_URL": postgres.url,
            "TENANTS_FILE": str(file),
            "TENANT_INVENTORY_STATE": str(Path(folder) / "no-stack"),
            "LOGNAME": "benchmark",
        }
        print(f"{tenants} tenants, {items:,} policies each; {facts()}", flush=True)
        for label, words in WALKS.items():
            figures = [
                walk_seconds(words, environment, postgres.child.pid) / tenants * 1e3
                for _ in range(1 if label.endswith("first time") else rounds)
            ]
            print(f"  {label:<30} {spread(figures, 0)} ms", flush=True)


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
    parser.add_argument("--items", type=int)
    parser.add_argument("--tenants", type=int)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--by-setting", action="store_true")
    arguments = parser.parse_args()
    if arguments.tenants is not None:
        measure_walks(arguments.tenants, arguments.items or 300, arguments.rounds)
        return
    items = arguments.items or 20_000
    compare = compared_by_setting if arguments.by_setting else compared
    with empty_inventory() as postgres:
        url = postgres.url
        groups, policies = (Observer(load_catalog().collections[key].observation_rules()) for key in (GROUPS, POLICIES))
        for number, tenant_id in enumerate(TENANTS):
            fill(url, GROUP_COUNT + items, tenant_id, partial(observed, groups, policies, number))
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("VACUUM (ANALYZE)")
        print(f"{items:,} pairs of policies; {facts()}", flush=True)
        played(lambda: measure(url, arguments.rounds, compare))


if __name__ == "__main__":
    run_to_exit(main)
