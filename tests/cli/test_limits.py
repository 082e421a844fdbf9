"""`limits`: compares the configured limits with Temporal's, and applies them."""

import getpass
import socket
import sysconfig
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from temporalio.client import Client
from temporalio.testing import WorkflowEnvironment

from cli.task_queue import read_rates, same_rate, set_rates
from connections import UnreachableError
from local.temporal import EmbeddedTemporal
from tests.deadlines import DEADLINE
from tests.end_to_end.system import System

FIELDS = [
    "task_queue",
    "partitions",
    "applied",
    "in_step",
    "activities_per_second",
    "activities_per_second_per_tenant",
    "runs_per_tenant",
    "runs_overall",
    "waves_in_flight",
    "worker_activities",
    "worker_database_connections",
]
RATE_FIELDS = ["configured", "temporal", "before", "set_by", "set_at", "reason"]


async def test_temporal_keeps_set_limits_and_drops_removed_limits(
    temporal: EmbeddedTemporal,
) -> None:
    client = await Client.connect(temporal.address)
    task_queue = f"test-{uuid4()}"

    async def assert_limits(overall: float | None, per_tenant: float | None) -> None:
        await set_rates(
            client, task_queue, overall=overall, per_tenant=per_tenant, identity="someone@somewhere", reason="a test"
        )

    fresh = await read_rates(client, task_queue)
    assert (fresh.overall.per_second, fresh.per_tenant.per_second) == (None, None)
    assert fresh.partitions == 1, "on the embedded server a limit holds for the whole queue"

    await assert_limits(40, 0.1)
    limited = await read_rates(client, task_queue)
    assert (limited.overall.per_second, limited.per_tenant.per_second) == (40, 0.1)
    assert (limited.overall.set_by, limited.overall.reason) == ("someone@somewhere", "a test")
    assert limited.overall.set_at is not None
    assert abs(limited.overall.set_at - datetime.now(UTC)) < timedelta(minutes=5)

    await assert_limits(None, 2.5)
    half = await read_rates(client, task_queue)
    assert (half.overall.per_second, half.per_tenant.per_second) == (None, 2.5)

    await assert_limits(None, None)
    free = await read_rates(client, task_queue)
    assert (free.overall.per_second, free.per_tenant.per_second) == (None, None)


@pytest.mark.parametrize(
    ("limit", "other_limit", "same"),
    [(None, None, True), (0.1, 0.10000000149011612, True), (0.1, 0.2, False), (None, 1.0, False), (1.0, None, False)],
)
def test_limits_are_compared_in_temporals_precision(limit: float | None, other_limit: float | None, same: bool) -> None:
    assert same_rate(limit, other_limit) is same


def test_limits_are_shown_applied_and_removed(system: System) -> None:
    configured = {"ACTIVITIES_PER_SECOND": "30", "ACTIVITIES_PER_SECOND_PER_TENANT": "2.5", "RUNS_PER_TENANT": "7"}

    (limits,) = system.starter("limits", "--json", **configured).objects()
    assert list(limits) == FIELDS
    assert (limits["applied"], limits["in_step"], limits["partitions"]) == (False, False, 1)
    assert limits["task_queue"] == system.environment["TEMPORAL_TASK_QUEUE"]
    assert (limits["runs_per_tenant"], limits["runs_overall"], limits["waves_in_flight"]) == (7, 20, 16)
    assert (limits["worker_activities"], limits["worker_database_connections"]) == (20, 20)
    assert limits["activities_per_second"] == {**dict.fromkeys(RATE_FIELDS), "configured": 30}

    (applied,) = system.starter("limits", "--apply", "--json", **configured).objects()
    assert (applied["applied"], applied["in_step"]) == (True, True)
    rate = applied["activities_per_second_per_tenant"]
    assert list(rate) == RATE_FIELDS
    assert (rate["before"], rate["temporal"], rate["configured"]) == (None, 2.5, 2.5)
    assert rate["set_by"] == f"{getpass.getuser()}@{socket.gethostname()}"
    assert rate["reason"] == "starter.py limits --apply"

    (again,) = system.starter("limits", "--json", **configured).objects()
    assert (again["in_step"], again["activities_per_second"]["temporal"]) == (True, 30)

    (taken_away,) = system.starter("limits", "--apply", "--json").objects()
    assert taken_away["in_step"]
    assert taken_away["activities_per_second"]["before"] == 30
    assert [taken_away[name]["temporal"] for name in FIELDS[4:6]] == [None, None]


def test_a_difference_is_shown_with_the_command_to_apply_it(system: System) -> None:
    result = system.starter("limits", ACTIVITIES_PER_SECOND="30")
    assert result.code == 0
    assert "apply these: python starter.py limits --apply" in result.stdout
    applied = system.starter("limits", "--apply", ACTIVITIES_PER_SECOND="30")
    assert "ACTIVITIES_PER_SECOND: none before, 30 now" in applied.stdout
    assert "apply these" not in applied.stdout
    assert "apply these" not in system.starter("limits", ACTIVITIES_PER_SECOND="30").stdout
    assert "apply these" in system.starter("limits").stdout


async def test_an_old_server_is_refused_as_too_old() -> None:
    program = Path(sysconfig.get_path("scripts")) / "temporal-test-server"
    async with await WorkflowEnvironment.start_time_skipping(
        test_server_existing_path=str(program), test_server_startup_timeout=DEADLINE
    ) as old:
        with pytest.raises(UnreachableError, match=r"too old to limit a task queue; use server 1\.29 or newer"):
            await set_rates(old.client, "any", overall=1, per_tenant=None, identity="me", reason="a test")
        with pytest.raises(UnreachableError, match="too old to tell the limits of its task queues"):
            await read_rates(old.client, "any")
