"""Retention goes through all batches of all tenants, over retries and new executions, and replays."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from temporalio import activity
from temporalio.client import WorkflowFailureError, WorkflowHandle
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.exceptions import ApplicationError
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Replayer

from activities.messages.retention import (
    EVERY_TENANT,
    ForgetRuns,
    ForgetRunsResult,
    ForgetVersions,
    ForgetVersionsResult,
    ForgottenOfTenant,
    InventoriedTenants,
)
from tests.workflows.stand_in_worker import StandInWorker
from workflows.messages import RetentionInput, RetentionResult
from workflows.retention import RetentionWorkflow

FIRST, SECOND, THIRD = UUID(int=1), UUID(int=2), UUID(int=3)


class Batches:
    """Answers a given number of batches for each tenant, each of ten versions and one document."""

    def __init__(
        self,
        batches: dict[UUID, int],
        *,
        failing_first: bool = False,
        broken: dict[UUID, str] | None = None,
        is_full: bool = False,
    ) -> None:
        """`broken`: tenants of which one kind of batches fails; `is_full`: since PostgreSQL refuses every tenant."""
        self._is_full = is_full
        self._batches = batches
        self._fails = failing_first
        self._broken = broken or {}
        self.asked: list[ForgetVersions] = []
        self.asked_for_runs: list[ForgetRuns] = []
        self.order: list[tuple[UUID, str]] = []

    @activity.defn(name="inventoried_tenants")
    async def inventoried_tenants(self) -> InventoriedTenants:
        return InventoriedTenants(tenant_ids=list(self._batches))

    @activity.defn(name="forget_versions")
    async def forget_versions(self, request: ForgetVersions) -> ForgetVersionsResult:
        if self._fails:
            self._fails = False
            raise ApplicationError("gone for a moment", type="storage_unavailable")
        self._fail_if_broken(request.tenant_id, "versions")
        self.asked.append(request)
        self.order.append((request.tenant_id, "versions"))
        number = 1 + (int(request.after[1]) if request.after else 0)
        is_last = number == self._batches[request.tenant_id]
        return ForgetVersionsResult(versions=10, documents=1, after=None if is_last else ("groups", str(number)))

    @activity.defn(name="forget_runs")
    async def forget_runs(self, request: ForgetRuns) -> ForgetRunsResult:
        self._fail_if_broken(request.tenant_id, "runs")
        self.asked_for_runs.append(request)
        self.order.append((request.tenant_id, "runs"))
        number = sum(run.tenant_id == request.tenant_id for run in self.asked_for_runs)
        return ForgetRunsResult(runs=100, is_last=number == self._batches[request.tenant_id])

    def _fail_if_broken(self, tenant_id: UUID, kind: str) -> None:
        if self._broken.get(tenant_id) == kind:
            details = [{EVERY_TENANT: True}] if self._is_full else []
            raise ApplicationError("refused", *details, type="storage_unavailable", non_retryable=True)


@asynccontextmanager
async def started(
    environment: WorkflowEnvironment, batches: Batches, workflow_input: RetentionInput
) -> AsyncIterator[WorkflowHandle[Any, RetentionResult]]:
    queue = str(uuid4())
    registered: list[Callable[..., Any]] = [
        batches.inventoried_tenants,
        batches.forget_versions,
        batches.forget_runs,
    ]
    async with StandInWorker(
        environment.client, task_queue=queue, workflows=[RetentionWorkflow], activities=registered
    ):
        yield await environment.client.start_workflow(
            RetentionWorkflow.run, workflow_input, id=f"retention/{queue}", task_queue=queue
        )


LIMITS = RetentionInput.within(days=30, count=5, run_days=0)


@pytest.mark.asyncio(loop_scope="session")
async def test_retention_deletes_every_batch_of_every_tenant(time_skipping: WorkflowEnvironment) -> None:
    batches = Batches({FIRST: 3, SECOND: 1}, failing_first=True)
    async with started(time_skipping, batches, LIMITS) as handle:
        result = await handle.result()
        history = await handle.fetch_history()
    assert result.tenants == [
        ForgottenOfTenant(tenant_id=FIRST, versions=30, documents=3),
        ForgottenOfTenant(tenant_id=SECOND, versions=10, documents=1),
    ]
    assert [(request.tenant_id, request.after) for request in batches.asked] == [
        (FIRST, None),
        (FIRST, ("groups", "1")),
        (FIRST, ("groups", "2")),
        (SECOND, None),
    ]
    assert {(request.older_than, request.kept) for request in batches.asked} == {(timedelta(days=30), 5)}
    await Replayer(workflows=[RetentionWorkflow], data_converter=pydantic_data_converter).replay_workflow(history)


@pytest.mark.asyncio(loop_scope="session")
@pytest.mark.parametrize("kind", ["versions", "runs"])
async def test_a_tenant_that_fails_is_named_at_the_end(time_skipping: WorkflowEnvironment, kind: str) -> None:
    batches = Batches({FIRST: 1, SECOND: 1, THIRD: 1}, broken={FIRST: kind, SECOND: kind})
    async with started(time_skipping, batches, RetentionInput.within(days=30, count=0, run_days=7)) as handle:
        with pytest.raises(WorkflowFailureError) as failed:
            await handle.result()
        history = await handle.fetch_history()
    assert [done for done in batches.order if done[0] == THIRD] == [(THIRD, "versions"), (THIRD, "runs")]
    assert isinstance(failed.value.cause, ApplicationError)
    assert failed.value.cause.message == (
        f"retention of 2 tenants failed: {FIRST} (storage_unavailable), {SECOND} (storage_unavailable)"
    )
    await Replayer(workflows=[RetentionWorkflow], data_converter=pydantic_data_converter).replay_workflow(history)


@pytest.mark.asyncio(loop_scope="session")
@pytest.mark.parametrize("kind", ["versions", "runs"])
async def test_a_full_server_ends_retention_at_once(time_skipping: WorkflowEnvironment, kind: str) -> None:
    batches = Batches({FIRST: 1, SECOND: 1, THIRD: 1}, broken={FIRST: kind}, is_full=True)
    async with started(time_skipping, batches, RetentionInput.within(days=30, count=0, run_days=7)) as handle:
        with pytest.raises(WorkflowFailureError) as failed:
            await handle.result()
    assert {tenant_id for tenant_id, _ in batches.order} <= {FIRST}
    assert isinstance(failed.value.cause, ApplicationError)
    assert failed.value.cause.message == (
        f"retention of 1 tenant failed: {FIRST} (storage_unavailable);"
        " PostgreSQL refuses every tenant, so 2 more tenants must wait"
    )


@pytest.mark.asyncio(loop_scope="session")
async def test_retention_may_be_limited_to_a_tenant(time_skipping: WorkflowEnvironment) -> None:
    batches = Batches({FIRST: 2, SECOND: 2})
    async with started(time_skipping, batches, LIMITS.model_copy(update={"tenant_id": SECOND})) as handle:
        assert (await handle.result()).tenants == [ForgottenOfTenant(tenant_id=SECOND, versions=20, documents=2)]
    assert {request.tenant_id for request in batches.asked} == {SECOND}


@pytest.mark.asyncio(loop_scope="session")
async def test_retention_of_versions_continues_as_new_where_it_stopped(short_history: WorkflowEnvironment) -> None:
    batches = Batches({FIRST: 30, SECOND: 2})
    async with started(short_history, batches, LIMITS) as handle:
        result = await handle.result()
        first = await short_history.client.get_workflow_handle(
            handle.id, run_id=handle.first_execution_run_id
        ).fetch_history()
    assert first.events[-1].HasField("workflow_execution_continued_as_new_event_attributes")
    assert result.tenants == [
        ForgottenOfTenant(tenant_id=FIRST, versions=300, documents=30),
        ForgottenOfTenant(tenant_id=SECOND, versions=20, documents=2),
    ]
    assert [request.after for request in batches.asked[:30]] == [
        None,
        *(("groups", str(number)) for number in range(1, 30)),
    ]


@pytest.mark.asyncio(loop_scope="session")
async def test_a_tenant_that_failed_is_named_after_a_continue_as_new(short_history: WorkflowEnvironment) -> None:
    batches = Batches({FIRST: 1, SECOND: 12}, broken={FIRST: "versions"})
    async with started(short_history, batches, LIMITS) as handle:
        with pytest.raises(WorkflowFailureError) as failed:
            await handle.result()
        first = await short_history.client.get_workflow_handle(
            handle.id, run_id=handle.first_execution_run_id
        ).fetch_history()
    assert first.events[-1].HasField("workflow_execution_continued_as_new_event_attributes")
    assert len(batches.asked) == 12
    assert f"failed: {FIRST} (storage_unavailable)" in str(failed.value.cause)


@pytest.mark.asyncio(loop_scope="session")
@pytest.mark.parametrize(("count", "versions", "documents"), [(5, 30, 3), (0, 0, 0)])
async def test_each_tenants_runs_are_deleted_with_or_without_versions(
    time_skipping: WorkflowEnvironment, count: int, versions: int, documents: int
) -> None:
    batches = Batches({FIRST: 3, SECOND: 3})
    async with started(time_skipping, batches, RetentionInput.within(days=0, count=count, run_days=7)) as handle:
        result = await handle.result()
    assert result.tenants == [
        ForgottenOfTenant(tenant_id=tenant_id, versions=versions, documents=documents, runs=300)
        for tenant_id in (FIRST, SECOND)
    ]
    deleted = ["versions"] * (3 if count else 0) + ["runs"] * 3
    assert batches.order == [(tenant_id, kind) for tenant_id in (FIRST, SECOND) for kind in deleted]
    assert {run.older_than for run in batches.asked_for_runs} == {timedelta(days=7)}


@pytest.mark.slow
@pytest.mark.asyncio(loop_scope="session")
async def test_retention_of_runs_continues_as_new_where_it_stopped(short_history: WorkflowEnvironment) -> None:
    batches = Batches({FIRST: 16})
    async with started(short_history, batches, RetentionInput.within(days=1, count=0, run_days=7)) as handle:
        result = await handle.result()
        first = await short_history.client.get_workflow_handle(
            handle.id, run_id=handle.first_execution_run_id
        ).fetch_history()
    assert first.events[-1].HasField("workflow_execution_continued_as_new_event_attributes")
    assert result.tenants == [ForgottenOfTenant(tenant_id=FIRST, versions=160, documents=16, runs=1600)]
    assert (len(batches.asked), len(batches.asked_for_runs)) == (16, 16)


def test_zero_means_no_limit() -> None:
    assert RetentionInput.within(days=0, count=0, run_days=0) == RetentionInput()
    assert not RetentionInput().limits_anything
    assert RetentionInput.within(days=1, count=0, run_days=0) == RetentionInput(older_than=timedelta(days=1))
    assert RetentionInput.within(days=0, count=1, run_days=0) == RetentionInput(kept=1)
    runs = RetentionInput.within(days=0, count=0, run_days=1)
    assert runs == RetentionInput(runs_older_than=timedelta(days=1))
    assert (runs.limits_versions, runs.limits_anything) == (False, True)
