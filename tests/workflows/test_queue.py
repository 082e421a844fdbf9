"""A run in the queue for a slot, with the worker's own activities and PostgreSQL: its waits and their cost."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from pydantic import SecretStr
from sqlalchemy import text
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import WorkflowHandle, WorkflowHistory
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.exceptions import CancelledError
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Replayer

from activities.interceptor import ActivityInterceptor
from activities.messages.runs import BeginRunResult
from configuration import Settings
from graph.catalog import load_catalog
from graph.client import GraphClient
from inventory.error_codes import ErrorCode
from inventory.outcomes import RunStatus
from inventory.records import RunRecord
from inventory.selection import Selection
from storage import queries, runs
from storage.database import Database
from tests.storage.support import SLOTS, begin, end
from tests.workflows.stand_in_worker import StandInWorker
from tests.workflows.test_sync_workflow import failure_of
from worker import activities
from workflows.messages import SyncInput, SyncResult
from workflows.requests import CancelRequest, sync_workflow_id
from workflows.sync import SyncWorkflow

pytestmark = pytest.mark.asyncio(loop_scope="session")

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
EVERYTHING = Selection(type_keys=tuple(load_catalog().collections))
"""The selection that makes histories largest."""

BYTES_AN_HOUR = 112 * 1024
"""The most that an hour in the queue adds to a run's histories."""

BYTES_AN_EXECUTION = 32 * 1024
"""The addition for each execution, which begins, asks and ends with the selection."""

EVENTS_SUGGESTED = 60
"""The number after which `time_skipping_short_history` suggests to continue as new."""


class QueuedRun:
    """A run of everything, behind a run of another tenant that has the only slot."""

    def __init__(self, environment: WorkflowEnvironment, database: Database) -> None:
        self.sync = SyncInput(tenant_id=uuid4(), selection=EVERYTHING)
        self.holder_tenant = uuid4()
        self.holder: runs.RunIdentity | None = None
        self._environment = environment
        self._database = database
        self._handle: WorkflowHandle[SyncWorkflow, SyncResult] | None = None

    @property
    def handle(self) -> WorkflowHandle[SyncWorkflow, SyncResult]:
        assert self._handle is not None
        return self._handle

    async def start(self, task_queue: str) -> None:
        # PostgreSQL's clock does not skip, and this machine may be slow.
        slot = SLOTS._replace(overall=1, lease=timedelta(days=1))
        self.holder = await begin(self._database, self.holder_tenant, "a", slots=slot)
        # A tenant that was taken out of the tenants file: its runs go on as before, and fail where a token is needed.
        async with self._database.tenant(self.sync.tenant_id) as session:
            await session.execute(text("INSERT INTO tenant (name) VALUES ('Contoso')"))
        self._handle = await self._environment.client.start_workflow(
            SyncWorkflow.run,
            self.sync,
            id=sync_workflow_id(self.sync.tenant_id, self.sync.selection),
            task_queue=task_queue,
        )

    async def free_the_slot(self) -> None:
        assert self.holder is not None
        await end(self._database, self.holder_tenant, self.holder)

    async def record(self) -> RunRecord | None:
        async with self._database.portfolio() as session:
            return await queries.run_record(session, UUID(self.handle.first_execution_run_id))

    async def until_it_is_queued(self) -> RunRecord:
        async with asyncio.timeout(90):
            while (record := await self.record()) is None:  # noqa: ASYNC110 - an activity writes it
                await asyncio.sleep(0.02)
        return record

    async def histories(self) -> list[WorkflowHistory]:
        """The histories of its executions, in order."""
        client = self._environment.client
        executions = [
            await client.get_workflow_handle(self.handle.id, run_id=workflow.run_id).fetch_history()
            async for workflow in client.list_workflows(f"WorkflowId = '{self.handle.id}'")
        ]
        return sorted(executions, key=lambda history: history.events[0].event_time.ToNanoseconds())


@asynccontextmanager
async def queued(
    environment: WorkflowEnvironment, database_url: str, folder: Path, queue_limit: timedelta = HOUR
) -> AsyncIterator[QueuedRun]:
    tenants = folder / "tenants.toml"
    tenants.touch()
    settings = Settings(
        database_url=SecretStr(database_url),
        tenants_file=tenants,
        runs_overall=1,
        run_queue_patience_seconds=int(queue_limit.total_seconds()),
    )
    database = Database(database_url)
    queued_run = QueuedRun(environment, database)
    task_queue = f"test-{uuid4()}"
    try:
        async with (
            GraphClient.from_endpoints(base_url=None, authority_url=None, ca_file=None) as graph,
            StandInWorker(
                environment.client,
                task_queue=task_queue,
                workflows=[SyncWorkflow],
                activities=activities(settings, database, graph, environment.client),
                interceptors=[ActivityInterceptor()],
            ),
        ):
            await queued_run.start(task_queue)
            yield queued_run
    finally:
        await database.close()


def size_bytes(histories: list[WorkflowHistory]) -> int:
    return sum(len(event.SerializeToString()) for history in histories for event in history.events)


def waited(histories: list[WorkflowHistory]) -> timedelta:
    """The total time of the timers."""
    timers = [
        event.timer_started_event_attributes.start_to_fire_timeout
        for history in histories
        for event in history.events
        if event.event_type == EventType.EVENT_TYPE_TIMER_STARTED
    ]
    return sum((timer.ToTimedelta() for timer in timers), timedelta(0))


@pytest.mark.parametrize("hours", [1, pytest.param(8, marks=pytest.mark.timeout(900))], ids=lambda hours: f"{hours}h")
@pytest.mark.slow
async def test_an_hour_in_the_queue_adds_little_history(
    time_skipping: WorkflowEnvironment, database_url: str, tmp_path: Path, hours: int
) -> None:
    async with queued(time_skipping, database_url, tmp_path, hours * HOUR) as queued_run:
        await failure_of(queued_run.handle)
        histories = await queued_run.histories()
        record = await queued_run.record()
    assert record is not None
    assert record.error_codes == [ErrorCode.CONCURRENCY_LIMIT]
    assert hours * HOUR / 2 < waited(histories) <= hours * HOUR, "PostgreSQL took the remaining real time"
    assert size_bytes(histories) <= hours * BYTES_AN_HOUR + len(histories) * BYTES_AN_EXECUTION


async def test_a_queued_run_continues_as_new_with_its_place_and_remaining_wait(
    time_skipping_short_history: WorkflowEnvironment, database_url: str, tmp_path: Path
) -> None:
    queue_limit = 15 * MINUTE
    async with queued(time_skipping_short_history, database_url, tmp_path, queue_limit) as queued_run:
        first = await queued_run.until_it_is_queued()
        await failure_of(queued_run.handle)
        histories = await queued_run.histories()
        record = await queued_run.record()
    assert len(histories) > 2
    assert all(len(history.events) < EVENTS_SUGGESTED * 2 for history in histories)
    assert waited(histories) <= queue_limit, "one queue limit for all executions"
    assert record is not None
    assert (record.run_id, record.queued_at) == (first.run_id, first.queued_at)
    assert (record.status, record.error_codes) == (RunStatus.FAILED, [ErrorCode.CONCURRENCY_LIMIT])
    for history in histories:
        await Replayer(workflows=[SyncWorkflow], data_converter=pydantic_data_converter).replay_workflow(history)


@pytest.mark.slow
async def test_begin_run_returns_the_plan_only_with_the_slot(
    time_skipping_short_history: WorkflowEnvironment, database_url: str, tmp_path: Path
) -> None:
    async with queued(time_skipping_short_history, database_url, tmp_path, 100 * HOUR) as queued_run:
        await queued_run.until_it_is_queued()
        await queued_run.free_the_slot()
        await failure_of(queued_run.handle)
        histories = await queued_run.histories()
        record = await queued_run.record()
    assert record is not None
    assert record.started_at is not None
    assert record.error_codes == [ErrorCode.AUTH_FAILED], "the tenants file has no tenant"
    answers = [answer for history in histories for answer in openings(history)]
    assert [answer.opening for answer in answers[-2:]] == ["waiting_for_slot", "running"]
    assert [len(answer.plan) for answer in answers] == [0] * (len(answers) - 1) + [len(EVERYTHING.type_keys)]
    assert all(answer.policy.queue_patience == 100 * HOUR for answer in answers), "runs of release 0.3.0 read it there"


def openings(history: WorkflowHistory) -> list[BeginRunResult]:
    """The answers of `begin_run`."""
    names = {
        event.event_id: event.activity_task_scheduled_event_attributes.activity_type.name for event in history.events
    }
    done: list[HistoryEvent] = [
        event for event in history.events if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED
    ]
    return [
        BeginRunResult.model_validate_json(event.activity_task_completed_event_attributes.result.payloads[0].data)
        for event in done
        if names[event.activity_task_completed_event_attributes.scheduled_event_id] == "begin_run"
    ]


@pytest.mark.parametrize("by_signal", [True, False])
async def test_a_queued_run_is_cancelled_after_it_continued_as_new(
    time_skipping_short_history: WorkflowEnvironment, database_url: str, tmp_path: Path, by_signal: bool
) -> None:
    async with queued(time_skipping_short_history, database_url, tmp_path, 100 * HOUR) as queued_run:
        async with asyncio.timeout(90):
            while len(await queued_run.histories()) < 2:  # noqa: ASYNC110 - it waits for Temporal
                await asyncio.sleep(0.02)
        if by_signal:
            await queued_run.handle.signal(SyncWorkflow.cancel, CancelRequest(reason="enough", requested_by="me"))
            assert (await queued_run.handle.result()).status is RunStatus.CANCELLED
        else:
            await queued_run.handle.cancel()
            assert isinstance(await failure_of(queued_run.handle), CancelledError)
        record = await queued_run.record()
    assert record is not None
    assert (record.status, record.error_codes) == (RunStatus.CANCELLED, [ErrorCode.CANCELLED])
