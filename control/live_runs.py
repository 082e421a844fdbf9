"""Runs as they are now, for all who look at them: one look serves everybody who asks at about the same time."""

import asyncio
import time
from typing import NamedTuple
from uuid import UUID

from answers.ids import IdRange
from answers.runs.answer import live_record, run_record
from configuration import ConfigurationError
from connections import UnreachableError
from control.progress import ANSWER_SECONDS, run_progress
from control.queued_runs import LOOK_GAP_SECONDS, LOOKS, Connect, unrecorded_runs
from control.shared_looks import SharedLooks
from inventory.outcomes import Outcome
from inventory.records import RunRecord
from storage.database import Database
from workflows.messages import SyncProgress

LOOK_SECONDS = 2.0
"""How old a look may be that a live page shows: so often PostgreSQL and the workflow are asked, however many watch."""

NEW_SECONDS = 30.0
"""So long after its start a run that is not found is looked for again."""


class LiveRun(NamedTuple):
    """A run, with the counts and collections of its workflow while it is under way.

    `reading` are the collections that have no outcome yet. `trouble` is why the workflow does not tell: then the counts
    are those of the items merged so far.
    """

    record: RunRecord
    waiting_for: str | None = None
    reading: frozenset[str] = frozenset()
    trouble: str | None = None


class LiveRuns:
    """Looks at runs. `connect` gives a client of Temporal."""

    def __init__(self, database: Database, connect: Connect, task_queue: str) -> None:
        self._database = database
        self._connect = connect
        self._task_queue = task_queue
        self._looks = SharedLooks[LiveRun | None]()

    async def look(self, tenant_id: UUID, run_id: UUID, *, within: float = 0.0) -> LiveRun | None:
        """The run as it was at most so many seconds ago; None if the tenant has no such run.

        Raises `UnavailableError`.
        """
        return await self._looks.look((tenant_id, run_id), lambda: self._look(tenant_id, run_id), within=within)

    async def _look(self, tenant_id: UUID, run_id: UUID) -> LiveRun | None:
        record = await self._record(tenant_id, run_id)
        for _ in range(LOOKS - 1):
            if record is not None or not _is_new(run_id):
                break
            await asyncio.sleep(LOOK_GAP_SECONDS)
            record = await self._record(tenant_id, run_id)
        if record is None:
            return None
        return LiveRun(record) if record.status.ended else await self._live(record)

    async def _record(self, tenant_id: UUID, run_id: UUID) -> RunRecord | None:
        async with self._database.tenant(tenant_id, read_only=True) as session:
            record = await run_record(session, run_id)
        if record is not None:
            return record
        wanted = IdRange(run_id, run_id)
        queued = await unrecorded_runs(
            self._database, self._task_queue, tenant_id, wanted, most=1, connect=self._connect
        )
        return queued[0] if queued else None

    async def _live(self, record: RunRecord) -> LiveRun:
        told = await self._told(record)
        if isinstance(told, str):
            is_open = (Outcome.INCOMPLETE, None)
            found = record.collections.items()
            reading = frozenset(key for key, result in found if (result.outcome, result.error_code) == is_open)
            return LiveRun(record, reading=reading, trouble=told)
        return LiveRun(
            live_record(record, told.counts, told.collections),
            told.waiting_for,
            frozenset(key for key, result in told.collections.items() if result.outcome is None),
        )

    async def _told(self, record: RunRecord) -> SyncProgress | str:
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                return await run_progress(await self._connect(), self._task_queue, record)
        except (ConfigurationError, UnreachableError) as error:
            return str(error)
        except TimeoutError:
            return f"no worker of task queue {self._task_queue!r} answers"


def _is_new(run_id: UUID) -> bool:
    """Whether a run was started just now, so that neither the database nor Temporal's list may know it yet.

    Temporal's run ids begin with their milliseconds (RFC 9562, version 7).
    """
    return run_id.version == 7 and abs(time.time() - (run_id.int >> 80) / 1000) < NEW_SECONDS
