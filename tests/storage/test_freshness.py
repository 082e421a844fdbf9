"""When tenants were last read, for metrics and their alerts."""

from uuid import uuid4

from inventory.error_codes import ErrorCode
from inventory.outcomes import Outcome, RunStatus
from storage.database import Database
from storage.freshness import freshness
from tests.storage.support import begin, end, land, observation

REFUSED: dict[str, tuple[Outcome, ErrorCode | None]] = {"groups": (Outcome.FAILED, ErrorCode.GRAPH_PERMISSION_MISSING)}


async def test_failed_and_open_runs_do_not_count_as_reads(database: Database) -> None:
    read, failing, unread = uuid4(), uuid4(), uuid4()
    first = await begin(database, read, "groups")
    await land(database, read, first, [observation("groups", "a")])
    await end(database, read, first)
    async with database.portfolio() as session:
        before = await freshness(session, [read])
    later = await begin(database, read, "groups")
    await end(database, read, later, RunStatus.FAILED, REFUSED)
    refused = await begin(database, failing, "groups")
    await end(database, failing, refused, RunStatus.FAILED, REFUSED)
    await begin(database, failing, "groups")

    async with database.portfolio() as session:
        found = await freshness(session, [read, failing, unread])
    assert found.read_at == before.read_at
    assert set(found.read_at) == {read}
    assert (found.running, found.queued) == (1, 0)
    assert found.asked_at > found.read_at[read]
