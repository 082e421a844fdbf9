"""Foreign workflows and schedules that hold the product's ids: no command joins, follows or changes them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from temporalio.client import Client, Schedule, ScheduleActionStartWorkflow, ScheduleIntervalSpec, ScheduleSpec

from activities.holders import Kind
from connections import UnreachableError, connect_temporal
from inventory.error_codes import ErrorCode
from inventory.outcomes import RunStatus
from inventory.portfolio import PortfolioRecord, TenantChoice
from inventory.selection import Selection
from local.temporal import EmbeddedTemporal
from storage.runs import RunIdentity, open_run
from tests.deadlines import until_async
from tests.end_to_end.system import CommandResult, System
from tests.storage.support import SLOTS
from worker_schedules import schedule_retention, schedule_sweep
from workflows.messages import PortfolioInput, RetentionInput, SyncInput, portfolio_workflow_id
from workflows.requests import sync_workflow_id

SELECTION = Selection(type_keys=("groups",))
FEW = ("--type", "groups")
ANOTHER_QUEUE = "another-deployment"
HOLDERS = pytest.mark.parametrize("holder", ["another type", "another task queue"])


@pytest.fixture
async def client(temporal: EmbeddedTemporal) -> Client:
    return await connect_temporal({"target_host": temporal.address})


def held_by(holder: str, workflow_type: str, system: System) -> Kind:
    """The kind of the foreign workflow or schedule that holds an id for workflows of `workflow_type`."""
    ours = Kind(workflow_type, system.environment["TEMPORAL_TASK_QUEUE"])
    return (
        ours._replace(workflow_type="Squatter") if holder == "another type" else ours._replace(task_queue=ANOTHER_QUEUE)
    )


@asynccontextmanager
async def squatting(client: Client, workflow_id: str, kind: Kind) -> AsyncIterator[UUID]:
    """A workflow of that kind, which no worker takes up, holds the id; its run id."""
    squatter = await client.start_workflow(kind.workflow_type, id=workflow_id, task_queue=kind.task_queue)
    try:
        yield UUID(squatter.first_execution_run_id)
    finally:
        await squatter.terminate()


async def run_command(system: System, *arguments: str) -> CommandResult:
    return await asyncio.to_thread(system.starter, *arguments)


def assert_refused(result: CommandResult, *words: str) -> None:
    assert result.code == 2, result.stdout + result.stderr
    assert result.stderr.count("\n") == 1
    for word in words:
        assert word in result.stderr


def in_words(kind: Kind) -> str:
    return f"{kind.workflow_type!r} on task queue {kind.task_queue!r}"


@HOLDERS
async def test_sync_and_cancel_refuse_a_foreign_workflow_with_the_runs_id(
    system: System, client: Client, holder: str
) -> None:
    kind = held_by(holder, "SyncWorkflow", system)
    workflow_id = sync_workflow_id(UUID(system.tenant.id), SELECTION)
    async with squatting(client, workflow_id, kind):
        for command in ("sync", "cancel"):
            result = await run_command(system, command, system.tenant.name, *FEW)
            assert_refused(result, workflow_id, in_words(kind), "namespace 'default'")


@HOLDERS
async def test_recorded_run_with_a_foreign_workflow_is_not_followed(
    system: System, client: Client, holder: str
) -> None:
    """A caller of `begin_run` can record a workflow of any type."""
    kind = held_by(holder, "SyncWorkflow", system)
    workflow_id = f"sync/{uuid4()}"
    async with squatting(client, workflow_id, kind) as run_id:
        async with system.database() as database, database.tenant(UUID(system.tenant.id)) as session:
            await open_run(session, RunIdentity(run_id, workflow_id, SELECTION, "Contoso"), SLOTS)
        assert_refused(await run_command(system, "run", str(run_id), "--follow"), workflow_id, in_words(kind))
        looked = await run_command(system, "run", str(run_id))
        assert workflow_id in looked.stderr, "the counts do not come from the foreign workflow"
        result = await run_command(system, "cancel", system.tenant.name, "--run", str(run_id))
        assert_refused(result, workflow_id, in_words(kind))


@HOLDERS
async def test_portfolio_sync_refuses_a_foreign_workflow_with_its_id(
    system: System, client: Client, holder: str
) -> None:
    kind = held_by(holder, "PortfolioWorkflow", system)
    chosen = TenantChoice(tenant_ids=(UUID(system.tenant.id),))
    workflow_id = portfolio_workflow_id(SELECTION, chosen)
    async with squatting(client, workflow_id, kind):
        result = await run_command(system, "portfolio", "sync", "--tenant", system.tenant.name, *FEW)
        assert_refused(result, workflow_id, in_words(kind))


@HOLDERS
async def test_foreign_workflow_with_a_runs_id_fails_only_its_tenant(
    system: System, client: Client, holder: str
) -> None:
    kind = held_by(holder, "SyncWorkflow", system)
    async with squatting(client, sync_workflow_id(UUID(system.tenant.id), SELECTION), kind):
        await asyncio.to_thread(system.start_worker)
        result = await run_command(system, "portfolio", "sync", "--all-tenants", *FEW, "--json")
    record = PortfolioRecord.model_validate_json(result.stdout)
    assert (result.code, record.status) == (3, RunStatus.PARTIAL)
    assert record.error_codes == [ErrorCode.WORKFLOW_ID_HELD]
    assert (record.counts.success, record.counts.failed, record.counts.joined) == (1, 1, 0)
    (failed,) = [tenant for tenant in record.tenants if tenant.status is RunStatus.FAILED]
    assert (str(failed.tenant_id), failed.run_id, failed.joined) == (system.tenant.id, None, False)
    assert failed.error_codes == [ErrorCode.WORKFLOW_ID_HELD]


async def joined_and_refused(
    system: System, client: Client, workflow_id: str, workflow_input: SyncInput | PortfolioInput, *command: str
) -> CommandResult:
    """Runs a command that joins a workflow with that id but another input, which a worker then refuses."""
    workflow_type = "SyncWorkflow" if isinstance(workflow_input, SyncInput) else "PortfolioWorkflow"
    queue = system.environment["TEMPORAL_TASK_QUEUE"]
    await client.start_workflow(workflow_type, workflow_input, id=workflow_id, task_queue=queue)
    following = system.popen(*command, "--json")
    assert following.stderr is not None
    line = await asyncio.to_thread(following.stderr.readline)
    assert "joined" in line
    await asyncio.to_thread(system.start_worker)
    stdout, stderr = await asyncio.to_thread(following.communicate)
    assert system.graph.requests() == [], "the other tenant is not read"
    return CommandResult(following.returncode, stdout, line + stderr)


@pytest.mark.slow
async def test_run_of_another_tenant_under_this_tenants_id_is_refused(system: System, client: Client) -> None:
    ours, theirs = (UUID(tenant.id) for tenant in system.graph.tenants)
    workflow_input = SyncInput(tenant_id=theirs, selection=SELECTION)
    command = ("sync", system.tenant.name, *FEW)
    refused = await joined_and_refused(system, client, sync_workflow_id(ours, SELECTION), workflow_input, *command)
    record = refused.run()
    assert (refused.code, record.status, record.error_codes) == (4, RunStatus.FAILED, [ErrorCode.WORKFLOW_ID_HELD])
    assert (await asyncio.to_thread(system.sync, *FEW)).status is RunStatus.SUCCESS


@pytest.mark.slow
async def test_portfolio_of_other_tenants_under_this_portfolios_id_is_refused(system: System, client: Client) -> None:
    ours, theirs = (TenantChoice(tenant_ids=(UUID(tenant.id),)) for tenant in system.graph.tenants)
    workflow_input = PortfolioInput(selection=SELECTION, chosen=theirs)
    command = ("portfolio", "sync", "--tenant", system.tenant.name, *FEW)
    refused = await joined_and_refused(system, client, portfolio_workflow_id(SELECTION, ours), workflow_input, *command)
    record = PortfolioRecord.model_validate_json(refused.stdout)
    assert (refused.code, record.status, record.error_codes) == (4, RunStatus.FAILED, [ErrorCode.WORKFLOW_ID_HELD])
    result = await run_command(system, *command, "--json")
    assert PortfolioRecord.model_validate_json(result.stdout).status is RunStatus.SUCCESS


async def create_schedule_of(client: Client, schedule_id: str, kind: Kind) -> None:
    action = ScheduleActionStartWorkflow(kind.workflow_type, id=f"squatted-{uuid4()}", task_queue=kind.task_queue)
    spec = ScheduleSpec(intervals=[ScheduleIntervalSpec(every=timedelta(days=300))])
    await client.create_schedule(schedule_id, Schedule(action=action, spec=spec))


async def workflow_of(client: Client, schedule_id: str) -> Kind | None:
    return Kind.scheduled_by((await client.get_schedule_handle(schedule_id).describe()).schedule)


@HOLDERS
async def test_commands_refuse_a_foreign_schedule(system: System, client: Client, holder: str) -> None:
    kind = held_by(holder, "PortfolioWorkflow", system)
    schedule_id = f"tenant-inventory-portfolio/{system.environment['TEMPORAL_TASK_QUEUE']}/nightly"
    await create_schedule_of(client, schedule_id, kind)
    try:
        for command in (
            ("set", "nightly", "--all-tenants", *FEW, "--every", "1d"),
            ("pause", "nightly"),
            ("resume", "nightly"),
            ("trigger", "nightly"),
            ("delete", "nightly"),
        ):
            assert_refused(await run_command(system, "schedule", *command), schedule_id, repr(kind.workflow_type))
        assert await workflow_of(client, schedule_id) == kind
        assert (await run_command(system, "schedule", "set", "ours", "--all-tenants", *FEW, "--every", "1d")).code == 0

        async def both_are_listed() -> bool:
            return (
                len(
                    [
                        schedule
                        async for schedule in await client.list_schedules()
                        if schedule.id.endswith(("ours", "nightly"))
                    ]
                )
                > 1
            )

        await until_async(both_are_listed)
        listed = await run_command(system, "schedule", "list", "--json")
        assert [row["name"] for row in listed.objects()] == ["ours"], "a foreign schedule hides no other"
        assert schedule_id in listed.stderr
    finally:
        await client.get_schedule_handle(schedule_id).delete()


@HOLDERS
async def test_worker_leaves_foreign_schedules_as_they_are(system: System, client: Client, holder: str) -> None:
    queue = system.environment["TEMPORAL_TASK_QUEUE"]
    sweep, retention = f"tenant-inventory-sweep/{queue}", f"tenant-inventory-retention/{queue}"
    kinds = {sweep: held_by(holder, "SweepWorkflow", system), retention: held_by(holder, "RetentionWorkflow", system)}
    for schedule_id, kind in kinds.items():
        await create_schedule_of(client, schedule_id, kind)
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
