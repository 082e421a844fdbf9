"""The sweep, with more expired runs than one sweep looks at."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any, cast
from uuid import UUID, uuid4

import psycopg
import pytest
from sqlalchemy import text
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.service import RPCError, RPCStatusCode
from temporalio.testing import ActivityEnvironment

from activities import sweep as sweeping
from activities.holders import SYNC_WORKFLOW
from activities.messages.sweep import SweepResult
from activities.sweep import SweepActivities
from inventory.error_codes import ErrorCode
from inventory.outcomes import RunStatus
from inventory.selection import Selection
from storage import queries, runs
from storage.database import Database
from tests.deadlines import until_async
from tests.storage.support import SLOTS, begin, without_locks

LIVE = 300
TENANT = UUID(int=3)


@dataclass
class Temporal:
    """Temporal for the sweep: every run but the dead run is under way."""

    dead_run_id: str

    def get_workflow_handle(self, workflow_id: str) -> "Temporal.Handle":
        return self.Handle(workflow_id, self.dead_run_id)

    @dataclass
    class Handle:
        workflow_id: str
        dead_run_id: str

        async def describe(self) -> Any:
            if self.workflow_id == self.dead_run_id:
                raise RPCError("not found", RPCStatusCode.NOT_FOUND, b"")
            raw = cast("Any", type("Raw", (), {"first_run_id": self.workflow_id}))
            fields = {"raw_info": raw, "status": WorkflowExecutionStatus.RUNNING, "workflow_type": SYNC_WORKFLOW}
            return type("Description", (), fields)


async def many_runs(database: Database) -> UUID:
    """Opens many runs with expired leases; returns the dead run, whose lease expired last."""
    ids = [uuid4() for _ in range(LIVE + 1)]
    async with database.tenant(TENANT) as session:
        for run_id in ids:
            run = runs.RunIdentity(run_id, str(run_id), Selection(type_keys=(f"a{run_id.hex}",)), "Contoso")
            await runs.open_run(session, run, SLOTS._replace(per_tenant=1))
        await session.execute(
            text("UPDATE sync_run SET lease_expires_at = clock_timestamp() - interval '1 hour' WHERE run_id <> :dead"),
            {"dead": ids[-1]},
        )
        await session.execute(
            text("UPDATE sync_run SET lease_expires_at = clock_timestamp() WHERE run_id = :dead"), {"dead": ids[-1]}
        )
    return ids[-1]


pytestmark = pytest.mark.filled.with_args(many_runs)


@pytest.fixture
def dead_run_id(filled: UUID) -> UUID:
    return filled


async def status(database: Database, run_id: UUID) -> tuple[RunStatus, list[ErrorCode]]:
    async with database.portfolio() as session:
        record = await queries.run_record(session, run_id)
    assert record is not None
    return record.status, record.error_codes


async def test_the_sweep_finds_a_dead_run_among_many_live_runs(database: Database, dead_run_id: UUID) -> None:
    activities = SweepActivities(database, cast("Client", Temporal(str(dead_run_id))))
    assert await ActivityEnvironment().run(activities.sweep) == SweepResult(expired=LIVE + 1, closed=1)
    assert await status(database, dead_run_id) == (RunStatus.FAILED, [ErrorCode.RUN_ABANDONED])


async def test_consecutive_sweeps_look_at_different_runs(
    database: Database, dead_run_id: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweeping, "RUNS_AT_ONCE", LIVE // 3)
    activities = SweepActivities(database, cast("Client", Temporal(str(dead_run_id))))

    async def sweep_closes_dead_run() -> bool:
        result = await ActivityEnvironment().run(activities.sweep)
        assert result.expired == LIVE // 3
        return result.closed == 1

    await until_async(sweep_closes_dead_run)
    assert await status(database, dead_run_id) == (RunStatus.FAILED, [ErrorCode.RUN_ABANDONED])


async def test_a_sweep_stops_at_its_time_limit(
    database: Database, dead_run_id: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweeping, "SECONDS", 0)
    activities = SweepActivities(database, cast("Client", Temporal(str(dead_run_id))))
    assert (await ActivityEnvironment().run(activities.sweep)).expired <= 1


async def test_a_locked_record_stops_no_other(database: Database, dead_run_id: UUID, database_url: str) -> None:
    other = await begin(database, UUID(int=4), "groups", slots=SLOTS._replace(lease=timedelta(seconds=-1)))
    activities = SweepActivities(database, cast("Client", Temporal(str(dead_run_id))))
    async with await psycopg.AsyncConnection.connect(database_url) as connection:
        await connection.execute("SELECT FROM sync_run WHERE run_id = %s FOR UPDATE", [dead_run_id])
        result = await without_locks(database_url, ActivityEnvironment().run(activities.sweep))
    assert result == SweepResult(expired=LIVE + 2, closed=1)
    assert not (await status(database, dead_run_id))[0].ended
    assert await status(database, other.run_id) == (RunStatus.FAILED, [ErrorCode.RUN_ABANDONED])
