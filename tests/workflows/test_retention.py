"""Retention goes through all batches of all tenants, over retries and new executions, and replays."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from temporalio import activity
from temporalio.client import WorkflowHandle
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.exceptions import ApplicationError
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Replayer, Worker

from activities.messages import (
    ActivityName,
    ForgetVersions,
    ForgetVersionsResult,
    ForgottenOfTenant,
    InventoriedTenants,
    RetentionInput,
    RetentionResult,
)
from workflows.retention import RetentionWorkflow

ONE, OTHER = UUID(int=1), UUID(int=2)


class Batches:
    """Answers a given number of batches for each tenant, each of ten versions and one document."""

    def __init__(self, batches: dict[UUID, int], *, failing_first: bool = False) -> None:
        self._batches = batches
        self._fails = failing_first
        self.asked: list[ForgetVersions] = []

    @activity.defn(name=ActivityName.INVENTORIED_TENANTS)
    async def inventoried_tenants(self) -> InventoriedTenants:
        return InventoriedTenants(tenant_ids=list(self._batches))

    @activity.defn(name=ActivityName.FORGET_VERSIONS)
    async def forget_versions(self, request: ForgetVersions) -> ForgetVersionsResult:
        if self._fails:
            self._fails = False
            raise ApplicationError("gone for a moment", type="storage_unavailable")
        self.asked.append(request)
        number = 1 + (int(request.after[1]) if request.after else 0)
        is_last = number == self._batches[request.tenant_id]
        return ForgetVersionsResult(versions=10, documents=1, after=None if is_last else ("groups", str(number)))


@asynccontextmanager
async def started(
    environment: WorkflowEnvironment, batches: Batches, given: RetentionInput
) -> AsyncIterator[WorkflowHandle[Any, RetentionResult]]:
    queue = str(uuid4())
    registered: list[Callable[..., Any]] = [batches.inventoried_tenants, batches.forget_versions]
    async with Worker(environment.client, task_queue=queue, workflows=[RetentionWorkflow], activities=registered):
        yield await environment.client.start_workflow(
            RetentionWorkflow.run, given, id=f"retention/{queue}", task_queue=queue
        )


LIMITS = RetentionInput.within(days=30, count=5)


@pytest.mark.asyncio(loop_scope="module")
async def test_every_batch_of_every_tenant_is_forgotten(skipping: WorkflowEnvironment) -> None:
    batches = Batches({ONE: 3, OTHER: 1}, failing_first=True)
    async with started(skipping, batches, LIMITS) as handle:
        result = await handle.result()
        history = await handle.fetch_history()
    assert result.tenants == [
        ForgottenOfTenant(tenant_id=ONE, versions=30, documents=3),
        ForgottenOfTenant(tenant_id=OTHER, versions=10, documents=1),
    ]
    assert [(one.tenant_id, one.after) for one in batches.asked] == [
        (ONE, None),
        (ONE, ("groups", "1")),
        (ONE, ("groups", "2")),
        (OTHER, None),
    ]
    assert {(one.older_than, one.kept) for one in batches.asked} == {(timedelta(days=30), 5)}
    await Replayer(workflows=[RetentionWorkflow], data_converter=pydantic_data_converter).replay_workflow(history)


@pytest.mark.asyncio(loop_scope="module")
async def test_one_tenant_is_asked_alone(skipping: WorkflowEnvironment) -> None:
    batches = Batches({ONE: 2, OTHER: 2})
    async with started(skipping, batches, LIMITS.model_copy(update={"tenant_id": OTHER})) as handle:
        assert (await handle.result()).tenants == [ForgottenOfTenant(tenant_id=OTHER, versions=20, documents=2)]
    assert {one.tenant_id for one in batches.asked} == {OTHER}


@pytest.mark.asyncio(loop_scope="module")
async def test_a_long_retention_goes_on_where_its_history_ended(short: WorkflowEnvironment) -> None:
    batches = Batches({ONE: 30, OTHER: 2})
    async with started(short, batches, LIMITS) as handle:
        result = await handle.result()
        first = await short.client.get_workflow_handle(handle.id, run_id=handle.first_execution_run_id).fetch_history()
    assert first.events[-1].HasField("workflow_execution_continued_as_new_event_attributes")
    assert result.tenants == [
        ForgottenOfTenant(tenant_id=ONE, versions=300, documents=30),
        ForgottenOfTenant(tenant_id=OTHER, versions=20, documents=2),
    ]
    assert [one.after for one in batches.asked[:30]] == [
        None,
        *(("groups", str(number)) for number in range(1, 30)),
    ]


def test_zero_is_no_limit() -> None:
    assert RetentionInput.within(days=0, count=0) == RetentionInput()
    assert RetentionInput.within(days=1, count=0) == RetentionInput(older_than=timedelta(days=1))
    assert RetentionInput.within(days=0, count=1) == RetentionInput(kept=1)
