"""Workflow ids and schedule ids that somebody else holds: nothing waits for them, and nothing changes them."""

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleIntervalSpec,
    ScheduleSpec,
    WorkflowHandle,
)

from connections import UnreachableError, connect_temporal, schedule_retention, schedule_sweep
from inventory.error_codes import ErrorCode
from inventory.outcomes import RunStatus
from inventory.portfolio import PortfolioRecord, TenantChoice
from inventory.selection import Selection
from local.temporal import EmbeddedTemporal
from storage.runs import RunIdentity, open_run
from tests.end_to_end.system import Finished, System
from tests.patience import until_async
from tests.storage.support import SLOTS
from workflows.messages import PortfolioInput, RetentionInput, SyncInput, portfolio_workflow_id, sync_workflow_id
from workflows.portfolio import PortfolioWorkflow
from workflows.sync import SyncWorkflow

SELECTION = Selection(type_keys=("groups",))
FEW = ("--type", "groups")
ANOTHER_QUEUE = "another-deployment"


async def squat(client: Client, workflow_id: str, workflow_type: str, task_queue: str) -> WorkflowHandle[Any, Any]:
    """A workflow that no worker ever takes up."""
    return await client.start_workflow(workflow_type, id=workflow_id, task_queue=task_queue)


async def told(system: System, *arguments: str) -> Finished:
    return await asyncio.to_thread(system.starter, *arguments)


def assert_refused(done: Finished, *words: str) -> None:
    assert done.code == 2, done.stdout + done.stderr
    assert done.stderr.count("\n") == 1
    for word in words:
        assert word in done.stderr


HOLDERS = pytest.mark.parametrize("holder", ["another type", "another task queue"])


def held_by(holder: str, workflow_type: str, system: System) -> tuple[str, str]:
    """Type and task queue of what holds an id that is for workflows of `workflow_type`."""
    return (
        ("Squatter", system.environment["TEMPORAL_TASK_QUEUE"])
        if holder == "another type"
        else (
            workflow_type,
            ANOTHER_QUEUE,
        )
    )


@HOLDERS
async def test_a_run_is_not_joined_cancelled_or_followed_under_an_id_that_something_else_holds(
    system: System, temporal: EmbeddedTemporal, holder: str
) -> None:
    client = await connect_temporal({"target_host": temporal.address})
    kind = held_by(holder, "SyncWorkflow", system)
    squatter = await squat(client, sync_workflow_id(UUID(system.tenant.id), SELECTION), *kind)
    try:
        done = await told(system, "sync", system.tenant.name, *FEW)
        assert_refused(done, squatter.id, f"{kind[0]!r} on task queue {kind[1]!r}", "namespace 'default'")
        assert_refused(await told(system, "cancel", system.tenant.name, *FEW), squatter.id, repr(kind[0]))
    finally:
        await squatter.terminate()


@HOLDERS
async def test_a_recorded_run_whose_workflow_is_another_is_not_followed(
    system: System, temporal: EmbeddedTemporal, holder: str
) -> None:
    """Whoever can call `begin_run` writes down a workflow of any type."""
    client = await connect_temporal({"target_host": temporal.address})
    kind = held_by(holder, "SyncWorkflow", system)
    squatter = await squat(client, f"sync/{uuid4()}", *kind)
    run_id = UUID(squatter.first_execution_run_id)
    try:
        async with system.database() as database, database.tenant(UUID(system.tenant.id)) as session:
            await open_run(session, RunIdentity(run_id, squatter.id, SELECTION, "Contoso"), SLOTS)
        assert_refused(await told(system, "run", str(run_id), "--follow"), squatter.id, repr(kind[0]))
        looked = await told(system, "run", str(run_id))
        assert squatter.id in looked.stderr, "the counts are not taken from somebody else's workflow"
        done = await told(system, "cancel", system.tenant.name, "--run", str(run_id))
        assert_refused(done, squatter.id, repr(kind[0]))
    finally:
        await squatter.terminate()


@HOLDERS
async def test_a_portfolio_is_not_joined_under_an_id_that_something_else_holds(
    system: System, temporal: EmbeddedTemporal, holder: str
) -> None:
    client = await connect_temporal({"target_host": temporal.address})
    kind = held_by(holder, "PortfolioWorkflow", system)
    chosen = TenantChoice(tenant_ids=(UUID(system.tenant.id),))
    squatter = await squat(client, portfolio_workflow_id(SELECTION, chosen), *kind)
    try:
        done = await told(system, "portfolio", "sync", "--tenant", system.tenant.name, *FEW)
        assert_refused(done, squatter.id, f"{kind[0]!r} on task queue {kind[1]!r}")
    finally:
        await squatter.terminate()


@HOLDERS
async def test_a_tenant_whose_id_something_else_holds_fails_in_a_portfolio_and_the_others_go_on(
    system: System, temporal: EmbeddedTemporal, holder: str
) -> None:
    client = await connect_temporal({"target_host": temporal.address})
    kind = held_by(holder, "SyncWorkflow", system)
    squatter = await squat(client, sync_workflow_id(UUID(system.tenant.id), SELECTION), *kind)
    try:
        await asyncio.to_thread(system.start_worker)
        done = await told(system, "portfolio", "sync", "--all-tenants", *FEW, "--json")
    finally:
        await squatter.terminate()
    record = PortfolioRecord.model_validate_json(done.stdout)
    assert (done.code, record.status) == (3, RunStatus.PARTIAL)
    assert record.error_codes == [ErrorCode.WORKFLOW_ID_HELD]
    assert (record.counts.success, record.counts.failed, record.counts.joined) == (1, 1, 0)
    (failed,) = [one for one in record.tenants if one.status is RunStatus.FAILED]
    assert (str(failed.tenant_id), failed.run_id, failed.joined) == (system.tenant.id, None, False)
    assert failed.error_codes == [ErrorCode.WORKFLOW_ID_HELD]


def of_another_tenant(system: System) -> UUID:
    return UUID(system.graph.tenants[1].id)


async def joined_and_refused(system: System, *command: str) -> Finished:
    """A command that joins what a worker then refuses to do."""
    following = system.popen(*command, "--json")
    assert following.stderr is not None
    said = await asyncio.to_thread(following.stderr.readline)
    assert "joined" in said
    await asyncio.to_thread(system.start_worker)
    stdout, stderr = await asyncio.to_thread(following.communicate)
    assert system.graph.requests() == [], "nothing is read of the other tenant either"
    return Finished(following.returncode, stdout, said + stderr)


async def test_a_run_of_another_tenant_under_the_id_of_this_one_is_refused(
    system: System, temporal: EmbeddedTemporal
) -> None:
    client = await connect_temporal({"target_host": temporal.address})
    await client.start_workflow(
        SyncWorkflow.run,
        SyncInput(tenant_id=of_another_tenant(system), selection=SELECTION),
        id=sync_workflow_id(UUID(system.tenant.id), SELECTION),
        task_queue=system.environment["TEMPORAL_TASK_QUEUE"],
    )
    refused = await joined_and_refused(system, "sync", system.tenant.name, *FEW)
    record = refused.run()
    assert (refused.code, record.status, record.error_codes) == (4, RunStatus.FAILED, [ErrorCode.WORKFLOW_ID_HELD])
    assert (await asyncio.to_thread(system.sync, *FEW)).status is RunStatus.SUCCESS


async def test_a_portfolio_of_other_tenants_under_the_id_of_this_one_is_refused(
    system: System, temporal: EmbeddedTemporal
) -> None:
    client = await connect_temporal({"target_host": temporal.address})
    ours, theirs = (TenantChoice(tenant_ids=(one,)) for one in (UUID(system.tenant.id), of_another_tenant(system)))
    await client.start_workflow(
        PortfolioWorkflow.run,
        PortfolioInput(selection=SELECTION, chosen=theirs),
        id=portfolio_workflow_id(SELECTION, ours),
        task_queue=system.environment["TEMPORAL_TASK_QUEUE"],
    )
    command = ("portfolio", "sync", "--tenant", system.tenant.name, *FEW)
    refused = await joined_and_refused(system, *command)
    record = PortfolioRecord.model_validate_json(refused.stdout)
    assert (refused.code, record.status, record.error_codes) == (4, RunStatus.FAILED, [ErrorCode.WORKFLOW_ID_HELD])
    done = await told(system, *command, "--json")
    assert PortfolioRecord.model_validate_json(done.stdout).status is RunStatus.SUCCESS


async def a_schedule_of(client: Client, schedule_id: str, workflow_type: str, task_queue: str) -> None:
    action = ScheduleActionStartWorkflow(workflow_type, id=f"squatted-{uuid4()}", task_queue=task_queue)
    spec = ScheduleSpec(intervals=[ScheduleIntervalSpec(every=timedelta(days=300))])
    await client.create_schedule(schedule_id, Schedule(action=action, spec=spec))


async def workflow_of(client: Client, schedule_id: str) -> tuple[str, str]:
    action = (await client.get_schedule_handle(schedule_id).describe()).schedule.action
    assert isinstance(action, ScheduleActionStartWorkflow)
    return str(action.workflow), action.task_queue


@HOLDERS
async def test_a_schedule_of_somebody_elses_is_not_changed_paused_triggered_or_deleted(
    system: System, temporal: EmbeddedTemporal, holder: str
) -> None:
    client = await connect_temporal({"target_host": temporal.address})
    kind = held_by(holder, "PortfolioWorkflow", system)
    schedule_id = f"tenant-inventory-portfolio/{system.environment['TEMPORAL_TASK_QUEUE']}/nightly"
    await a_schedule_of(client, schedule_id, *kind)
    try:
        for command in (
            ("set", "nightly", "--all-tenants", *FEW, "--every", "1d"),
            ("pause", "nightly"),
            ("resume", "nightly"),
            ("trigger", "nightly"),
            ("delete", "nightly"),
        ):
            assert_refused(await told(system, "schedule", *command), schedule_id, repr(kind[0]))
        assert await workflow_of(client, schedule_id) == kind
        assert (await told(system, "schedule", "set", "ours", "--all-tenants", *FEW, "--every", "1d")).code == 0

        async def both_are_listed() -> bool:
            return len([one async for one in await client.list_schedules() if one.id.endswith(("ours", "nightly"))]) > 1

        await until_async(both_are_listed)
        listed = await told(system, "schedule", "list", "--json")
        assert [row["name"] for row in listed.objects()] == ["ours"], "one that is not ours hides no other"
        assert schedule_id in listed.stderr
    finally:
        await client.get_schedule_handle(schedule_id).delete()


@HOLDERS
async def test_a_worker_leaves_a_schedule_of_somebody_elses_as_it_is(
    system: System, temporal: EmbeddedTemporal, holder: str
) -> None:
    client = await connect_temporal({"target_host": temporal.address})
    queue = system.environment["TEMPORAL_TASK_QUEUE"]
    sweep, retention = f"tenant-inventory-sweep/{queue}", f"tenant-inventory-retention/{queue}"
    kinds = {sweep: held_by(holder, "SweepWorkflow", system), retention: held_by(holder, "RetentionWorkflow", system)}
    for schedule_id, kind in kinds.items():
        await a_schedule_of(client, schedule_id, *kind)
    minute, never = timedelta(minutes=1), RetentionInput()
    try:
        with pytest.raises(UnreachableError, match=sweep):
            await schedule_sweep(client, queue, minute)
        with pytest.raises(UnreachableError, match=retention):
            await schedule_retention(client, queue, minute, RetentionInput.within(1, 0, 0))
        await schedule_sweep(client, queue, timedelta(0))
        await schedule_retention(client, queue, minute, never)
        assert {schedule_id: await workflow_of(client, schedule_id) for schedule_id in kinds} == kinds
    finally:
        for schedule_id in kinds:
            await client.get_schedule_handle(schedule_id).delete()
