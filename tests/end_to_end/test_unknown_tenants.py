"""Runs of tenants and of collections that the worker does not know."""

import asyncio
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text
from temporalio.client import Client, WorkflowFailureError
from temporalio.exceptions import ApplicationError

from connections import connect_temporal
from inventory.error_codes import ErrorCode
from inventory.outcomes import Outcome, RunStatus
from inventory.portfolio import TenantChoice
from inventory.selection import Selection
from local.temporal import EmbeddedTemporal
from tests.end_to_end.system import System
from tests.end_to_end.test_portfolio import portfolio_of
from workflows.messages import PortfolioInput, SyncInput, portfolio_workflow_id
from workflows.portfolio import PortfolioWorkflow
from workflows.requests import sync_workflow_id
from workflows.sync import SyncWorkflow

FEW = ("--type", "groups")
OF_A_LATER_RELEASE = Selection(type_keys=("assignmentFilters", "groups", "ofALaterRelease"))


async def refusal_code(client: Client, task_queue: str, tenant_id: UUID) -> str | None:
    """The error code of a run of the tenant, started by any caller in the namespace."""
    selection = Selection(type_keys=("groups",))
    with pytest.raises(WorkflowFailureError) as failed:
        await client.execute_workflow(
            SyncWorkflow.run,
            SyncInput(tenant_id=tenant_id, selection=selection),
            id=sync_workflow_id(tenant_id, selection),
            task_queue=task_queue,
        )
    cause = failed.value.cause
    assert isinstance(cause, ApplicationError)
    return cause.type


@pytest.mark.slow
async def test_runs_of_unknown_tenants_leave_no_row_and_block_no_tenant(
    system: System, temporal: EmbeddedTemporal
) -> None:
    await asyncio.to_thread(system.start_worker)
    client = await connect_temporal({"target_host": temporal.address})
    queue = system.environment["TEMPORAL_TASK_QUEUE"]
    made_up = asyncio.gather(*(refusal_code(client, queue, uuid4()) for _ in range(40)))
    # A worker refuses them only once the tenants file cannot have just changed; meanwhile it reads a real tenant.
    result = await asyncio.to_thread(system.starter, "sync", system.tenant.name, *FEW, "--json")
    assert result.run().status is RunStatus.SUCCESS
    assert set(await made_up) == {ErrorCode.AUTH_FAILED}
    async with system.database() as database, database.portfolio() as session:
        for table in ("tenant", "sync_run"):
            assert (await session.execute(text(f"SELECT count(*) FROM {table}"))).scalar_one() == 1, table


@pytest.mark.slow
def test_run_of_a_tenant_unknown_to_the_worker_fails(system: System) -> None:
    content = Path(system.environment["TENANTS_FILE"]).read_text()
    of_the_worker = system.folder / "of-the-worker.toml"
    of_the_worker.write_text(content.replace(str(system.tenant.id), str(uuid4())))
    of_the_command = system.environment["TENANTS_FILE"]
    system.environment["TENANTS_FILE"] = str(of_the_worker)
    system.start_worker()
    result = system.starter("sync", system.tenant.name, *FEW, "--json", TENANTS_FILE=of_the_command)
    assert result.code == 4, result.stderr
    record = result.run()
    assert (record.status, record.error_codes, record.collections) == (RunStatus.FAILED, [ErrorCode.AUTH_FAILED], {})
    assert system.starter("runs", "--json").objects() == []


@pytest.mark.slow
async def test_collection_of_a_later_release_fails_alone(system: System, temporal: EmbeddedTemporal) -> None:
    await asyncio.to_thread(system.start_worker)
    client = await connect_temporal({"target_host": temporal.address})
    chosen = TenantChoice(everyone=True)
    await client.execute_workflow(
        PortfolioWorkflow.run,
        PortfolioInput(selection=OF_A_LATER_RELEASE, chosen=chosen),
        id=portfolio_workflow_id(OF_A_LATER_RELEASE, chosen),
        task_queue=system.environment["TEMPORAL_TASK_QUEUE"],
    )

    def look() -> None:
        (listed,) = system.starter("portfolio", "runs", "--json").objects()
        portfolio_run = portfolio_of(system.starter("portfolio", "run", listed["portfolio_run_id"], "--json"))
        assert (portfolio_run.status, portfolio_run.error_codes) == (RunStatus.PARTIAL, [ErrorCode.UNKNOWN_COLLECTION])
        (mine,) = [tenant for tenant in portfolio_run.tenants if str(tenant.tenant_id) == system.tenant.id]
        assert (mine.status, mine.error_codes) == (RunStatus.PARTIAL, [ErrorCode.UNKNOWN_COLLECTION])
        result = system.starter("run", str(mine.run_id), "--json")
        assert result.code == 3
        run = result.run()
        unknown = run.collections["ofALaterRelease"]
        assert (unknown.outcome, unknown.error_code) == (Outcome.FAILED, ErrorCode.UNKNOWN_COLLECTION)
        assert {run.collections[key].outcome for key in ("assignmentFilters", "groups")} == {Outcome.COMPLETE}
        assert run.counts.errors == 1
        person = system.starter("run", str(mine.run_id))
        assert "ofALaterRelease" in person.stdout
        assert "unknown_collection" in person.stdout
        assert {item.type_key for item in system.items()} == {"assignmentFilters", "groups"}
        for command in ("missing", "changes", "dangling", "unassigned"):
            answered = system.starter(command, system.tenant.name, "--json")
            assert answered.code == 0, answered.stderr

    await asyncio.to_thread(look)
