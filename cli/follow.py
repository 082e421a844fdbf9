"""Follows a workflow to its end, and reports progress and obstacles.

Temporal Cloud bills each `progress` query (https://docs.temporal.io/cloud/actions; costs: `docs/scaling.md`), so their
gaps grow. It does not bill waits for the result and descriptions.
"""

import asyncio
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from shlex import quote
from typing import Any, Generic, NamedTuple, TypeVar
from uuid import UUID

import typer
from temporalio.api.enums.v1 import PendingActivityState
from temporalio.client import (
    Client,
    WorkflowExecutionDescription,
    WorkflowFailureError,
    WorkflowHandle,
    WorkflowQueryFailedError,
)
from temporalio.exceptions import FailureError
from temporalio.service import RPCError, RPCStatusCode

from cli import output
from cli.errors import ExitCode
from control.progress import ANSWER_SECONDS, nobody_polls
from inventory.outcomes import RunStatus
from inventory.user_errors import UnavailableError
from inventory.visible_text import visible
from workflows.messages import PortfolioProgress, SyncProgress

ProgressT = TypeVar("ProgressT", SyncProgress, PortfolioProgress)
Handle = WorkflowHandle[Any, Any]


class Pace(NamedTuple):
    """Gaps between queries, in seconds: a share of the time since the last change, within bounds."""

    least: float
    share: float
    most: float

    def gap(self, unchanged: float) -> float:
        return min(self.most, max(self.least, self.share * unchanged))


WATCHED = Pace(least=0.25, share=0.05, most=5)
"""The pace for a person at a terminal: some 780 queries an hour."""

LOGGED = Pace(least=2, share=0.25, most=300)
"""The pace for a log or a pipe: some 35 queries an hour, none for a run of under two seconds."""

CHECKED = Pace(least=2, share=0.1, most=5)
"""The pace of looks for obstacles, which are not billed."""

TEMPORAL_GAP_SECONDS = 5.0
"""The time between tries while Temporal does not answer."""

SILENT = "no worker answers: the workers of task queue {!r} are busy, frozen or gone; runs under way wait for one"
ANSWERING = "a worker answers again"

_PASSING = (
    RPCStatusCode.ABORTED,
    RPCStatusCode.CANCELLED,
    RPCStatusCode.DEADLINE_EXCEEDED,
    RPCStatusCode.INTERNAL,
    RPCStatusCode.RESOURCE_EXHAUSTED,
    RPCStatusCode.UNAVAILABLE,
    RPCStatusCode.UNKNOWN,
)


class Follower(Generic[ProgressT]):
    """`on_progress` gets the workflow's progress, `on_trouble` the reason of a standstill.

    `progress`: the type of the query's answer. `watched`: a person is looking.
    """

    def __init__(
        self,
        client: Client,
        task_queue: str,
        progress: type[ProgressT],
        on_progress: Callable[[ProgressT], None],
        on_trouble: Callable[[str], None],
        *,
        watched: bool,
    ) -> None:
        self._client = client
        self._task_queue = task_queue
        self._progress: type[ProgressT] = progress
        self._on_progress: Callable[[ProgressT], None] = on_progress
        self._on_trouble = on_trouble
        self._pace = WATCHED if watched else LOGGED
        self._told: set[str] = set()
        self._silent = False
        self._stuck: tuple[object, float] | None = None
        """The scheduled time of an unfinished workflow task, and when it was first seen."""

    async def follow(self, handle: Handle) -> None:
        """Returns when the workflow has ended in any way. Raises `RPCError` if Temporal refuses."""
        watching = [asyncio.create_task(self._watch_progress(handle)), asyncio.create_task(self._watch_trouble(handle))]
        try:
            await self._wait_for_end(handle)
        finally:
            for watch in watching:
                watch.cancel()
            await asyncio.gather(*watching, return_exceptions=True)

    async def _wait_for_end(self, handle: Handle) -> None:
        """Also waits while Temporal does not answer."""
        while True:
            try:
                await handle.result()
            except WorkflowFailureError:
                return
            except RPCError as error:
                if error.status is RPCStatusCode.NOT_FOUND:
                    return
                if error.status not in _PASSING:
                    raise
                self._tell(
                    f"Temporal does not answer ({error.status.name}); the run goes on, and is followed once it answers"
                )
                await asyncio.sleep(TEMPORAL_GAP_SECONDS)
            else:
                return

    async def _watch_progress(self, handle: Handle) -> None:
        clock = asyncio.get_running_loop().time
        changed = clock()
        last: RunStatus | None = None
        unanswered: float | None = None
        while True:
            await asyncio.sleep(self._pace.gap(clock() - changed))
            asked_at = clock()
            answer = await self._ask(handle)
            state = None if answer is None else answer.status
            if state is not last:
                changed, last = clock(), state
            if answer is not None:
                unanswered = None
                self._tell_answering()
                self._on_progress(answer)
                continue
            unanswered = asked_at if unanswered is None else unanswered
            if clock() - unanswered >= ANSWER_SECONDS:
                await self._tell_silence(handle)

    async def _ask(self, handle: Handle) -> ProgressT | None:
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                answer: ProgressT = await handle.query("progress", result_type=self._progress)
        except (RPCError, WorkflowQueryFailedError, TimeoutError):
            return None
        return answer

    async def _watch_trouble(self, handle: Handle) -> None:
        clock = asyncio.get_running_loop().time
        began = clock()
        while True:
            await asyncio.sleep(CHECKED.gap(clock() - began))
            try:
                await self._look(handle, clock())
            except RPCError:
                continue

    async def _look(self, handle: Handle, now: float) -> None:
        """Reports a delay's cause: no worker for the workflow's tasks, or failing activities."""
        description = await handle.describe()
        raw: Any = description.raw_description
        task = raw.pending_workflow_task if raw.HasField("pending_workflow_task") else None
        queued = [activity for activity in raw.pending_activities if _waits_for_worker(activity)]
        if (task is not None or queued) and (nobody := await self._nobody(description)):
            self._tell(nobody)
            return
        for activity in raw.pending_activities:
            if activity.attempt > 1 and activity.last_failure.message:
                failure = await description.data_converter.decode_failure(activity.last_failure)
                reason = failure.message if isinstance(failure, FailureError) else str(failure)
                self._tell(f"{activity.activity_type.name} is retried: {reason}")
        if task is None:
            self._stuck = None
            return
        scheduled = task.original_scheduled_time.ToNanoseconds()
        if self._stuck is None or self._stuck[0] != scheduled:
            self._stuck = (scheduled, now)
        elif now - self._stuck[1] >= ANSWER_SECONDS:
            self._tell(self._silence())

    async def _tell_silence(self, handle: Handle) -> None:
        try:
            description = await handle.describe()
            self._tell(await self._nobody(description) or self._silence())
        except RPCError:
            return  # Temporal itself does not answer; the wait for the result reports it.

    async def _nobody(self, description: WorkflowExecutionDescription) -> str | None:
        return await nobody_polls(self._client, self._task_queue, description)

    def _silence(self) -> str:
        self._silent = True
        return SILENT.format(self._task_queue)

    def _tell_answering(self) -> None:
        if self._silent:
            self._silent = False
            self._told.discard(SILENT.format(self._task_queue))
            self._on_trouble(ANSWERING)

    def _tell(self, trouble: str) -> None:
        if trouble not in self._told:
            self._told.add(trouble)
            self._on_trouble(trouble)


def _waits_for_worker(activity: Any) -> bool:
    scheduled: bool = activity.state == PendingActivityState.PENDING_ACTIVITY_STATE_SCHEDULED
    return scheduled and not activity.HasField("next_attempt_schedule_time")


def goes_on(run_id: UUID, tenant_name: str) -> str:
    return (
        f"run {run_id} goes on\n"
        f"  follow it: python starter.py run {run_id} --follow\n"
        f"  cancel it: python starter.py cancel {quote(visible(tenant_name))} --run {run_id}"
    )


@contextmanager
def leaving(words: str) -> Iterator[None]:
    """Prints `words`, how to come back, if Ctrl-C or a server that does not answer ends the body.

    Raises `typer.Exit` with code 1 after Ctrl-C. A second Ctrl-C ends the process at once.
    """
    try:
        yield
    except asyncio.CancelledError:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        output.stderr.print_lines(words)
        raise typer.Exit(ExitCode.UNEXPECTED) from None
    except (RPCError, UnavailableError):
        output.stderr.print_lines(words)
        raise
