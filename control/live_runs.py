"""Runs as they are now, for live pages."""

import asyncio
import time
from typing import NamedTuple
from uuid import UUID

from answers.ids import IdRange
from answers.runs.answer import UnknownRunError, live_record, run_record
from configuration import ConfigurationError
from connections import UnreachableError
from control.progress import run_progress
from control.queued_runs import LOOK_GAP_SECONDS, LOOKS, Connect, unrecorded_runs
from control.shared_looks import SharedLooks
from inventory.outcomes import Outcome
from inventory.records import RunRecord
from storage.database import Database
from workflows.messages import SyncProgress

LOOK_SECONDS = 2.0
"""The time between a live page's questions to PostgreSQL and the workflow."""

PAGE_WAITS_SECONDS = 1.0
"""How long a page waits for Temporal and a worker, before it shows the database's data."""

SILENCE_SECONDS = 5.0
"""After a question without an answer, nobody asks again for this long."""

TEMPORAL = "Temporal"

NEW_SECONDS = 30.0
"""If a run younger than this is not found, it may not be listed yet."""


_NO_ANSWER = f"Temporal does not answer within {PAGE_WAITS_SECONDS:g} s; check that it is up, and TEMPORAL_ADDRESS"


class LiveRun(NamedTuple):
    """`reading`: collections without an outcome.

    `trouble`: why the workflow does not answer; then the counts are of items merged so far.
    """

    record: RunRecord
    waiting_for: str | None = None
    reading: frozenset[str] = frozenset()
    trouble: str | None = None


class LiveRuns:
    def __init__(self, database: Database, connect: Connect, task_queue: str) -> None:
        self._database = database
        self._connect = connect
        self._task_queue = task_queue
        self._looks = SharedLooks[LiveRun]()
        self._silent: dict[str, tuple[float, str]] = {}

    async def look(self, tenant_id: UUID, run_id: UUID, *, within: float = 0.0) -> LiveRun:
        """The run, at most `within` seconds old. Raises `UnavailableError`, `UnknownRunError`."""
        return await self._looks.look((tenant_id, run_id), lambda: self._look(tenant_id, run_id), within=within)

    async def _look(self, tenant_id: UUID, run_id: UUID) -> LiveRun:
        answers = True
        for number in range(LOOKS if _is_new(run_id) else 1):
            if number and answers:
                await asyncio.sleep(LOOK_GAP_SECONDS)
            async with self._database.tenant(tenant_id, read_only=True) as session:
                record = await run_record(session, run_id)
            if record is None:
                queued = await self._queued(tenant_id, IdRange(run_id, run_id))
                record, answers = (queued[0] if queued else None), queued is not None
            if record is not None:
                return LiveRun(record) if record.status.ended else await self._live(record)
        if answers:
            raise UnknownRunError("this tenant has no such run")
        raise UnknownRunError(
            "the database has no such run of this tenant, and Temporal, which knows of queued runs, does not answer"
        )

    async def _queued(self, tenant_id: UUID, ids: IdRange) -> list[RunRecord] | None:
        """The run, if no worker has taken it; None if Temporal does not answer."""
        if self._silence_of(TEMPORAL) is not None:
            return None
        try:
            async with asyncio.timeout(PAGE_WAITS_SECONDS):
                return await unrecorded_runs(
                    self._database, self._task_queue, tenant_id, ids, most=1, connect=self._connect
                )
        except TimeoutError:
            self._note_silence(TEMPORAL, _NO_ANSWER)
            return None

    async def _live(self, record: RunRecord) -> LiveRun:
        progress = await self._progress_of(record)
        if isinstance(progress, str):
            is_open = (Outcome.INCOMPLETE, None)
            results = record.collections.items()
            reading = frozenset(key for key, result in results if (result.outcome, result.error_code) == is_open)
            return LiveRun(record, reading=reading, trouble=progress)
        return LiveRun(
            live_record(record, progress.counts, progress.collections),
            progress.waiting_for,
            frozenset(key for key, result in progress.collections.items() if result.outcome is None),
        )

    async def _progress_of(self, record: RunRecord) -> SyncProgress | str:
        silence = self._silence_of(TEMPORAL) or self._silence_of(record.workflow_id)
        if silence is not None:
            return silence
        clock = asyncio.get_running_loop().time
        until = clock() + PAGE_WAITS_SECONDS
        try:
            async with asyncio.timeout_at(until):
                client = await self._connect()
            progress = await run_progress(client, self._task_queue, record, until)
        except (ConfigurationError, UnreachableError) as error:
            return str(error)
        except TimeoutError:
            return self._note_silence(TEMPORAL, _NO_ANSWER)
        if isinstance(progress, str) and clock() >= until:
            self._note_silence(record.workflow_id, progress)
        return progress

    def _silence_of(self, workflow_id: str) -> str | None:
        """The trouble if Temporal or the run's worker has just not answered; None if it may be asked."""
        now = asyncio.get_running_loop().time()
        self._silent = {key: silence for key, silence in self._silent.items() if silence[0] > now}
        return self._silent[workflow_id][1] if workflow_id in self._silent else None

    def _note_silence(self, workflow_id: str, trouble: str) -> str:
        self._silent[workflow_id] = asyncio.get_running_loop().time() + SILENCE_SECONDS, trouble
        return trouble


def _is_new(run_id: UUID) -> bool:
    """Whether the run may be too new for the database and for Temporal's list.

    Temporal's run ids begin with their time in milliseconds (RFC 9562, version 7).
    """
    return run_id.version == 7 and abs(time.time() - (run_id.int >> 80) / 1000) < NEW_SECONDS
