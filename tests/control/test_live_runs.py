"""The cost and the answers of many simultaneous looks at a run."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text
from temporalio.client import Client

from answers.runs.answer import UnknownRunError
from control import live_runs as looks_at_runs
from control.live_runs import NEW_SECONDS, LiveRuns
from control.shared_looks import SharedLooks
from storage.database import Database
from storage.runs import open_run
from tests.deadlines import DEADLINE_SECONDS
from tests.storage.support import SLOTS, begin, identity
from tests.web.support import CONTOSO, FABRIKAM, POLICIES
from web.temporal import TemporalAccess

NOWHERE = {"target_host": "127.0.0.1:1"}


@pytest.fixture(autouse=True)
def long_look_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    """Looks wait for a Temporal that answers, however busy the machine is."""
    monkeypatch.setattr(looks_at_runs, "PAGE_WAITS_SECONDS", DEADLINE_SECONDS)


@pytest.fixture
async def silent_temporal() -> AsyncIterator[TemporalAccess]:
    """A Temporal that accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        yield TemporalAccess(lambda: {"target_host": f"127.0.0.1:{silent.getsockname()[1]}"})


async def test_only_the_first_look_waits_for_a_silent_temporal(
    database: Database, silent_temporal: TemporalAccess, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = [await begin(database, CONTOSO, POLICIES), await begin(database, FABRIKAM, POLICIES)]
    connects = 0

    async def connect() -> Client:
        nonlocal connects
        connects += 1
        return await silent_temporal.client()

    monkeypatch.setattr(looks_at_runs, "PAGE_WAITS_SECONDS", 0.01)
    monkeypatch.setattr(looks_at_runs, "SILENCE_SECONDS", DEADLINE_SECONDS)
    live_runs = LiveRuns(database, connect, "queue")
    for run, tenant_id in zip(runs, (CONTOSO, FABRIKAM), strict=True):
        found = await live_runs.look(tenant_id, run.run_id)
        assert "Temporal does not answer" in (found.trouble or "")
    with pytest.raises(UnknownRunError, match="Temporal, which knows of queued runs, does not answer"):
        await live_runs.look(CONTOSO, uuid4())
    assert connects == 1


async def test_callers_waiting_during_a_look_share_the_next_look() -> None:
    looks, number = SharedLooks[int](), 0
    may_look = asyncio.Event()

    async def find() -> int:
        nonlocal number
        number += 1
        await may_look.wait()
        return number

    crowd = [asyncio.ensure_future(looks.look("run", find)) for _ in range(200)]
    await asyncio.sleep(0)
    may_look.set()
    assert set(await asyncio.gather(*crowd)) == {1, 2}
    assert await looks.look("run", find) == 3, "later callers get a new look"


async def test_two_hundred_callers_share_one_look_and_hold_no_connection(database_url: str, database: Database) -> None:
    run = await begin(database, CONTOSO, POLICIES)
    connects = 0

    async def connect() -> Client:
        nonlocal connects
        connects += 1
        await asyncio.sleep(0)
        return await TemporalAccess(lambda: NOWHERE).client()

    one_connection = Database(database_url, pool_size=1)
    live_runs = LiveRuns(one_connection, connect, "queue")
    found = await asyncio.gather(*(live_runs.look(CONTOSO, run.run_id, within=1e6) for _ in range(200)))
    async with one_connection.tenant(CONTOSO) as session:
        assert (await session.execute(text("SELECT 1"))).scalar_one() == 1
    await one_connection.close()
    assert connects == 1
    assert {live.record.run_id for live in found} == {run.run_id}
    assert all("does not answer" in (live.trouble or "") for live in found)


@pytest.mark.parametrize(("age", "is_found"), [(0.0, True), (NEW_SECONDS + 3600, False)], ids=["new", "old"])
async def test_new_run_recorded_between_the_two_queries_is_found(
    database: Database, age: float, is_found: bool
) -> None:
    milliseconds = int((time.time() - age) * 1000)
    run = identity(POLICIES, run_id=UUID(int=milliseconds << 80 | 7 << 76 | 2 << 62 | 1))

    async def connect() -> Client:
        # The database was queried before, and Temporal no longer counts the run as queued.
        async with database.tenant(CONTOSO) as session:
            await open_run(session, run, SLOTS)
        return await TemporalAccess(lambda: NOWHERE).client()

    looked = LiveRuns(database, connect, "queue").look(CONTOSO, run.run_id)
    if is_found:
        assert (await looked).record.run_id == run.run_id
    else:
        with pytest.raises(UnknownRunError):
            await looked
