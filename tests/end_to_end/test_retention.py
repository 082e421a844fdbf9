"""Retention, as an operator uses it: the worker's schedule, and the command."""

import asyncio
from datetime import timedelta
from typing import cast

import pytest
from temporalio.api.common.v1 import Payload
from temporalio.client import ScheduleActionStartWorkflow, ScheduleOverlapPolicy
from temporalio.service import RPCError

from activities.messages.retention import ForgottenOfTenant
from connections import connect_temporal
from local.temporal import EmbeddedTemporal
from tests.end_to_end.system import System
from worker_schedules import schedule_retention
from workflows.messages import RetentionInput
from workflows.retention import RetentionWorkflow

GROUPS = "groups"


def make_three_versions(system: System) -> None:
    """Makes three versions of one group."""
    groups = system.tenant.documents(GROUPS)
    system.sync("--type", "groups")
    for name in ("second", "third"):
        system.tenant.rename(GROUPS, groups[0]["id"], name)
        assert system.sync("--type", "groups").counts.changed == 1


@pytest.mark.slow
def test_retention_command_deletes_now_and_prints_counts(system: System) -> None:
    system.start_worker()
    make_three_versions(system)
    before = system.items()
    refused = system.starter("retention", system.tenant.name)
    assert refused.code == 2
    assert "retention keeps every version and run" in refused.stderr
    assert system.starter("retention", "--days", "1", "--json").objects() == [
        {"tenant_id": system.tenant.id, "versions": 0, "documents": 0, "runs": 0, "plans": 0}
    ]
    result = system.starter("retention", system.tenant.name, "--count", "2", "--json")
    assert result.objects() == [{"tenant_id": system.tenant.id, "versions": 1, "documents": 1, "runs": 0, "plans": 0}]
    counts = system.starter("retention", VERSION_RETENTION_COUNT="1")
    assert counts.code == 0, counts.stderr
    assert system.tenant.name in counts.stdout
    assert system.starter("retention", "--count", "1", "--json").objects()[0]["versions"] == 0
    assert system.items() == before
    assert system.sync("--type", "groups").counts.changed == 0


@pytest.mark.slow
async def test_worker_keeps_the_retention_schedule_and_deletes_by_its_limits(
    system: System, temporal: EmbeddedTemporal
) -> None:
    system.environment |= {"VERSION_RETENTION_COUNT": "1", "RUN_RETENTION_DAYS": "30", "RETENTION_INTERVAL_HOURS": "7"}
    await asyncio.to_thread(system.start_worker)
    await asyncio.to_thread(make_three_versions, system)
    client = await connect_temporal({"target_host": temporal.address})
    queue = system.environment["TEMPORAL_TASK_QUEUE"]
    handle = client.get_schedule_handle(f"tenant-inventory-retention/{queue}")
    description = await handle.describe()
    assert [interval.every for interval in description.schedule.spec.intervals] == [timedelta(hours=7)]
    assert description.schedule.policy.overlap is ScheduleOverlapPolicy.SKIP
    action = cast("ScheduleActionStartWorkflow", description.schedule.action)
    inputs = await client.data_converter.decode(cast("list[Payload]", action.args), [RetentionInput])
    assert inputs == [RetentionInput.within(days=0, count=1, run_days=30)]

    limits = RetentionInput.within(days=0, count=1, run_days=1)
    result = await client.execute_workflow(RetentionWorkflow.run, limits, id=f"retention/{queue}", task_queue=queue)
    (forgotten,) = result.tenants
    assert str(forgotten.tenant_id) == system.tenant.id
    assert forgotten == ForgottenOfTenant(tenant_id=forgotten.tenant_id, versions=2, documents=2)

    await schedule_retention(client, queue, timedelta(hours=7), RetentionInput())
    with pytest.raises(RPCError):
        await handle.describe()
