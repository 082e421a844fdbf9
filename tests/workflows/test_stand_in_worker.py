"""A test whose stand-in lacks an activity ends at once."""

from uuid import uuid4

import pytest
from temporalio.testing import WorkflowEnvironment

from tests.workflows.stand_in_worker import StandInWorker
from tests.workflows.test_retention import FIRST, LIMITS, Batches
from workflows.retention import RetentionWorkflow


@pytest.mark.asyncio(loop_scope="session")
async def test_a_missing_activity_ends_the_test_and_is_named(time_skipping: WorkflowEnvironment) -> None:
    queue, batches = str(uuid4()), Batches({FIRST: 1})
    with pytest.raises(AssertionError, match="lacks the activity forget_versions"):
        async with StandInWorker(
            time_skipping.client,
            task_queue=queue,
            workflows=[RetentionWorkflow],
            activities=[batches.inventoried_tenants],
        ):
            await time_skipping.client.execute_workflow(
                RetentionWorkflow.run, LIMITS, id=f"retention/{queue}", task_queue=queue
            )
