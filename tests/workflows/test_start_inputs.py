"""Workflows that are started with invalid input fail, instead of retrying for ever."""

from typing import Any
from uuid import uuid4

import pytest
from temporalio.client import WorkflowFailureError
from temporalio.exceptions import ApplicationError
from temporalio.testing import WorkflowEnvironment

from activities.messages.portfolio import PortfolioRun
from activities.messages.runs import Run
from inventory.portfolio import MOST_TENANTS, TenantChoice
from inventory.selection import MOST_BYTES, MOST_TYPE_KEYS, Selection
from tests.deadlines import DEADLINE
from tests.workflows.scripted_activities import Script
from tests.workflows.stand_in_worker import StandInWorker
from workflows.messages import PortfolioInput, SyncInput
from workflows.portfolio import PortfolioWorkflow
from workflows.retention import RetentionWorkflow
from workflows.sync import SyncWorkflow

MADE_UP = [f"a{number}" for number in range(150_000)]
"""So many unknown keys once left a row each."""

SELECTIONS: dict[str, tuple[Any, str]] = {
    "too many type keys": ({"type_keys": MADE_UP}, "type keys, not 150000"),
    "a type key that is too long": ({"type_keys": ["a" * 101]}, "should match pattern"),
    "no type key": ({"type_keys": []}, "at least 1 item"),
    "options that are too large": (
        {"type_keys": ["a"], "options": {"a": "x" * MOST_BYTES}},
        "a selection has at most",
    ),
    "no selection": (None, "valid dictionary or instance"),
}


@pytest.mark.asyncio(loop_scope="session")
@pytest.mark.parametrize("workflow_type", ["SyncWorkflow", "PortfolioWorkflow"])
@pytest.mark.parametrize("name", SELECTIONS)
async def test_a_workflow_with_an_invalid_selection_fails_at_once(
    time_skipping: WorkflowEnvironment, workflow_type: str, name: str
) -> None:
    selection, words = SELECTIONS[name]
    workflow_input = {"tenant_id": str(uuid4()), "chosen": {"everyone": True}, "selection": selection}
    task_queue = f"test-{uuid4()}"
    script = Script({})
    async with StandInWorker(
        time_skipping.client,
        task_queue=task_queue,
        workflows=[SyncWorkflow, PortfolioWorkflow],
        activities=script.activities(),
    ):
        with pytest.raises(WorkflowFailureError) as failed:
            await time_skipping.client.execute_workflow(
                workflow_type, workflow_input, id=str(uuid4()), task_queue=task_queue
            )
    cause = failed.value.cause
    assert isinstance(cause, ApplicationError)
    assert words in cause.message
    assert len(cause.message) < 1000
    assert script.finished == [], "no activity was scheduled"


@pytest.mark.asyncio(loop_scope="session")
@pytest.mark.parametrize(
    ("workflow_input", "words"),
    [
        ({"kept": "many"}, "valid integer"),
        ({"kept": 0}, "greater than or equal to 1"),
        ({"kept": 10**30}, "less than or equal to"),
        ({"older_than": "-P1D"}, "greater than or equal to"),
        ({"runs_older_than": "P1000000D"}, "less than or equal to"),
        ({"left": ["no id"]}, "valid UUID"),
        ({"after": ["groups", "x" * 1_900_000]}, "at most 512 characters"),
    ],
    ids=lambda value: "" if isinstance(value, str) else next(iter(value)),
)
async def test_a_retention_with_invalid_limits_fails_at_once(
    time_skipping: WorkflowEnvironment, workflow_input: dict[str, Any], words: str
) -> None:
    task_queue = f"test-{uuid4()}"
    async with StandInWorker(time_skipping.client, task_queue=task_queue, workflows=[RetentionWorkflow]):
        with pytest.raises(WorkflowFailureError) as failed:
            await time_skipping.client.execute_workflow(
                "RetentionWorkflow", workflow_input, id=str(uuid4()), task_queue=task_queue, run_timeout=DEADLINE
            )
    cause = failed.value.cause
    assert isinstance(cause, ApplicationError), cause
    assert words in cause.message


@pytest.mark.parametrize("name", SELECTIONS)
def test_activity_messages_refuse_invalid_selections(name: str) -> None:
    ids = {"workflow_id": "any", "selection": SELECTIONS[name][0]}
    with pytest.raises(ValueError, match="selection"):
        Run.model_validate({**ids, "tenant_id": uuid4(), "run_id": uuid4()})
    with pytest.raises(ValueError, match="selection"):
        PortfolioRun.model_validate({**ids, "portfolio_run_id": uuid4(), "chosen": {"everyone": True}})


@pytest.mark.parametrize(
    "fields",
    [
        {"chosen": TenantChoice(tenant_ids=tuple(uuid4() for _ in range(MOST_TENANTS + 1)))},
        {"chosen": TenantChoice(tags=tuple(f"tag{number}" for number in range(1001)))},
        {"at_once": 0},
        {"at_once": 1001},
    ],
    ids=["tenants", "tags", "none at once", "all at once"],
)
def test_a_portfolio_input_beyond_its_limits_is_refused(fields: dict[str, Any]) -> None:
    valid = {"selection": Selection(type_keys=("a",)), "chosen": TenantChoice(everyone=True)}
    with pytest.raises(ApplicationError):
        PortfolioInput.model_validate({**valid, **fields})


def test_the_largest_selection_of_the_longest_type_keys_is_accepted() -> None:
    keys = tuple(f"a{number:099d}" for number in range(MOST_TYPE_KEYS))
    assert SyncInput(tenant_id=uuid4(), selection=Selection(type_keys=keys)).selection.type_keys == keys
