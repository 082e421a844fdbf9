"""A tenant's rate under Temporal's limits, by partitions of the task queue, and with eager activities.

    python -m benchmarks.rate_limits

Starts the embedded Temporal server. A large tenant has `LARGE` activities at once, or in `CHAINS` chains where each
waits for the one before; three small tenants come a second later. Prints the large tenant's activities a second, and
the slowest small tenant's time for its `SMALL`.
"""

import asyncio
import time
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple
from unittest.mock import patch
from uuid import uuid4

from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.common import Priority
from temporalio.worker import Worker

from cli.task_queue import set_rates
from local import temporal
from local.temporal import EmbeddedTemporal
from process_exit import run_to_exit

LARGE = 80
CHAINS = 4
SMALL = 5
SMALL_TENANTS = 3


class Case(NamedTuple):
    partitions: int
    overall: float | None = None
    per_tenant: float | None = None
    chains: bool = False
    eager: bool = False


CASES = (
    Case(4),
    Case(4, overall=10),
    Case(4, per_tenant=5),
    Case(1),
    Case(1, overall=10),
    Case(1, per_tenant=5),
    Case(1, per_tenant=5, chains=True),
    Case(1, per_tenant=5, chains=True, eager=True),
)

_done: list[tuple[str, float]] = []


@activity.defn
async def note(tenant: str) -> None:
    """An activity that takes no time."""
    _done.append((tenant, time.monotonic()))


@workflow.defn(sandboxed=False)
class Notes:
    """Activities of one tenant: in so many chains, each of so many."""

    @workflow.run
    async def run(self, tenant: str, chains: int, length: int) -> None:
        await asyncio.gather(*(self._chain(tenant, length) for _ in range(chains)))

    async def _chain(self, tenant: str, length: int) -> None:
        for _ in range(length):
            await workflow.execute_activity(
                note, tenant, start_to_close_timeout=timedelta(minutes=1), priority=Priority(fairness_key=tenant)
            )


async def measure(client: Client, case: Case) -> tuple[float, float]:
    """Activities a second of the large tenant, and the seconds of the slowest small one."""
    task_queue = f"benchmark-{uuid4()}"
    _done.clear()
    await set_rates(
        client,
        task_queue,
        overall=case.overall,
        per_tenant=case.per_tenant,
        identity="benchmarks.rate_limits",
        reason="a measurement",
    )

    async def run(tenant: str, chains: int, length: int) -> float:
        started = time.monotonic()
        await client.execute_workflow(
            Notes.run, args=[tenant, chains, length], id=f"{task_queue}/{tenant}", task_queue=task_queue
        )
        return time.monotonic() - started

    worker = Worker(
        client,
        task_queue=task_queue,
        workflows=[Notes],
        activities=[note],
        max_concurrent_activities=20,
        disable_eager_activity_execution=not case.eager,
    )
    async with worker:
        shape = (CHAINS, LARGE // CHAINS) if case.chains else (LARGE, 1)
        large = asyncio.create_task(run("large", *shape))
        await asyncio.sleep(1)
        small = await asyncio.gather(*(run(f"small-{number}", SMALL, 1) for number in range(SMALL_TENANTS)))
        await large
    times = [moment for tenant, moment in _done if tenant == "large"]
    return (len(times) - 1) / (times[-1] - times[0]), max(small)


async def _measure_all(address: str, cases: list[Case]) -> None:
    client = await Client.connect(address)
    for case in cases:
        rate, slowest = await measure(client, case)
        print(f"{case}: {rate:.1f} a second; small tenants took at most {slowest:.1f} s", flush=True)


def main() -> None:
    """Prints one line a case."""
    for partitions in sorted({case.partitions for case in CASES}):
        settings = tuple(setting for setting in temporal.DYNAMIC_CONFIGURATION if "Partitions" not in setting) + tuple(
            f"matching.numTaskqueue{kind}Partitions={partitions}" for kind in ("Read", "Write")
        )
        with (
            TemporaryDirectory() as folder,
            patch.object(temporal, "DYNAMIC_CONFIGURATION", settings),
            EmbeddedTemporal(Path(folder)) as server,
        ):
            asyncio.run(_measure_all(server.address, [case for case in CASES if case.partitions == partitions]))


if __name__ == "__main__":
    run_to_exit(main)
