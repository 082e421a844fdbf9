"""Items whose details are read after their listing: pending, merged, or stale if a detail cannot be read."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import text

from inventory.bounds import SHARDS
from inventory.error_codes import ErrorCode
from inventory.observation import Observation
from inventory.stale import StalePart
from storage import detail_ages, details, runs, staging
from storage import merge as merging
from storage.compression import decompress
from storage.database import Database
from storage.details import RemainingDetails, Share
from tests.storage.support import Comparison, begin, end, list_document, observation

TENANT = uuid4()
DAY = timedelta(days=1)


@pytest.fixture(autouse=True)
def tenant() -> None:
    global TENANT  # noqa: PLW0603 - each test its own tenant
    TENANT = uuid4()


async def land_list(
    database: Database,
    run: runs.RunIdentity,
    observations: Sequence[Observation],
    *,
    refresh: timedelta = DAY,
    deep: bool = False,
) -> merging.MergeResult:
    token = uuid4()
    async with database.tenant(TENANT) as session:
        await staging.stage(session, run.run_id, token, observations)
        return await merging.merge(
            session, run.run_id, token, promised_rows=len(observations), detail_refresh=refresh, deep=deep
        )


async def pending(database: Database, run: runs.RunIdentity, share: Share | None = None) -> list[str]:
    async with database.tenant(TENANT) as session:
        some = await details.some_pending(session, run.run_id, [share or Share("a")], 1000)
    return [item.external_id for item in some]


async def land_whole(database: Database, run: runs.RunIdentity, *external_ids: str, **properties: Any) -> int:
    """Merges the items' documents with their details, which are no longer pending."""
    async with database.tenant(TENANT) as session:
        some = await details.some_pending(session, run.run_id, [Share("a")], 1000)
        read = [item for item in some if item.external_id in external_ids]
        assert len(read) == len(external_ids)
        whole = [observation("a", item.external_id, **properties)._replace(list_hash=item.list_hash) for item in read]
        token = uuid4()
        assert await merging.claim(session, run.run_id, token) is None
        changed = await merging.merge_whole(session, run.run_id, token, whole, comparison=Comparison())
        await details.drop(session, run.run_id, read)
        return changed


async def rows(database: Database, statement: str) -> list[tuple[Any, ...]]:
    async with database.tenant(TENANT) as session:
        return [tuple(row) for row in await session.execute(text(statement))]


VERSIONS = (
    "SELECT version_number, details_complete, last_observed_at IS NOT NULL, first_observed_run_id FROM item_version"
    " ORDER BY external_id, version_number"
)


async def read_once(database: Database, **properties: Any) -> runs.RunIdentity:
    run = await begin(database, TENANT, "a")
    await land_list(database, run, [list_document("a", "1", displayName="one")])
    assert await land_whole(database, run, "1", displayName="one", settings=[1], **properties) == 0
    await end(database, TENANT, run)
    return run


async def test_new_item_gets_its_first_version_with_its_details(database: Database) -> None:
    run = await begin(database, TENANT, "a")
    merged = await land_list(database, run, [list_document("a", "1", displayName="one")])
    assert (merged.created, merged.changed, merged.unchanged) == (1, 0, 0)
    assert await pending(database, run) == ["1"]
    assert await rows(database, "SELECT version_number, details_complete FROM inventory_item") == [(0, False)]
    assert await land_whole(database, run, "1", displayName="one", settings=[1]) == 0
    assert await pending(database, run) == []
    assert await rows(database, VERSIONS) == [(1, True, False, run.run_id)]
    assert await rows(database, "SELECT version_number, details_complete FROM inventory_item") == [(1, True)]


async def test_details_are_not_read_again_if_the_list_document_is_unchanged(database: Database) -> None:
    first = await read_once(database)
    run = await begin(database, TENANT, "a")
    merged = await land_list(database, run, [list_document("a", "1", displayName="one")])
    assert (merged.created, merged.changed, merged.unchanged) == (0, 0, 1)
    assert await pending(database, run) == []
    assert await rows(database, VERSIONS) == [(1, True, False, first.run_id)]
    assert await rows(database, "SELECT last_seen_run_id, details_complete FROM inventory_item") == [(run.run_id, True)]


async def test_changed_list_document_makes_a_version_only_with_its_details(database: Database) -> None:
    first = await read_once(database)
    run = await begin(database, TENANT, "a")
    await land_list(database, run, [list_document("a", "1", displayName="renamed")])
    assert await pending(database, run) == ["1"]
    await end(database, TENANT, run)
    assert await rows(database, VERSIONS) == [(1, True, False, first.run_id)]
    query = "SELECT display_name, version_number, details_complete, content_observed_run_id FROM inventory_item"
    assert await rows(database, query) == [("renamed", 1, False, first.run_id)]

    again = await begin(database, TENANT, "a")
    await land_list(database, again, [list_document("a", "1", displayName="renamed")])
    assert await pending(database, again) == ["1"], "unread details are requested by the next run"
    assert await land_whole(database, again, "1", displayName="renamed", settings=[1]) == 1
    assert await rows(database, VERSIONS) == [(1, True, True, first.run_id), (2, True, False, again.run_id)]
    observed = "SELECT last_observed_run_id FROM item_version WHERE version_number = 1"
    assert await rows(database, observed) == [(first.run_id,)]
    assert await rows(database, query) == [("renamed", 2, True, None)]


async def test_item_that_reverts_before_its_details_are_read_is_read_again(database: Database) -> None:
    await read_once(database)
    unread = await begin(database, TENANT, "a")
    await land_list(database, unread, [list_document("a", "1", displayName="renamed")])
    await end(database, TENANT, unread)
    back = await begin(database, TENANT, "a")
    await land_list(database, back, [list_document("a", "1", displayName="one")])
    assert await pending(database, back) == ["1"]


async def test_unchanged_details_make_no_version(database: Database) -> None:
    first = await read_once(database)
    run = await begin(database, TENANT, "a")
    await land_list(database, run, [list_document("a", "1", displayName="one")], deep=True)
    assert await pending(database, run) == ["1"]
    assert await land_whole(database, run, "1", displayName="one", settings=[1]) == 0
    assert await rows(database, VERSIONS) == [(1, True, False, first.run_id)]


async def test_a_deep_run_reads_every_item_once(database: Database) -> None:
    await read_once(database)
    run = await begin(database, TENANT, "a")
    await land_list(database, run, [list_document("a", "1", displayName="one")], deep=True)
    await land_whole(database, run, "1", displayName="one", settings=[1])
    await land_list(database, run, [list_document("a", "1", displayName="one")], deep=True)
    assert await pending(database, run) == []


async def test_refreshes_of_details_are_spread_over_the_period(database: Database) -> None:
    run = await begin(database, TENANT, "a")
    many = [list_document("a", str(number)) for number in range(200)]
    await land_list(database, run, many)
    await land_whole(database, run, *(str(number) for number in range(200)))
    await end(database, TENANT, run)
    due = []
    for days in (0.4, 0.6, 0.75, 0.9, 1.0):
        later = await begin(database, TENANT, "a")
        async with database.tenant(TENANT) as session:
            await session.execute(
                text("UPDATE inventory_item SET details_read_at = clock_timestamp() - CAST(:age AS interval)"),
                {"age": DAY * days},
            )
        await land_list(database, later, many)
        due.append(len(await pending(database, later)))
        await end(database, TENANT, later)
    assert due[0] == 0
    assert due[-1] == 200
    assert due == sorted(due)
    assert 10 < due[1] < 70 < due[2] < 130 < due[3] < 190, due


async def test_item_without_details_gets_a_version_of_its_list_document_at_run_end(database: Database) -> None:
    run = await begin(database, TENANT, "a")
    item = list_document("a", "1", displayName="one")
    await land_list(database, run, [item])
    await end(database, TENANT, run)
    assert await rows(database, VERSIONS) == [(1, False, False, run.run_id)]
    [(body, size, content_hash)] = await rows(database, "SELECT body, size, content_hash FROM document")
    assert (decompress(body), size, bytes(content_hash)) == (item.document, len(item.document), item.content_hash)

    later = await begin(database, TENANT, "a")
    await land_list(database, later, [item])
    assert await land_whole(database, later, "1", displayName="one", settings=[1]) == 0, "the tenant has not changed"
    assert await rows(database, VERSIONS) == [(1, False, True, run.run_id), (2, True, False, later.run_id)]


async def test_item_that_is_gone_before_its_details_are_read_keeps_what_its_list_showed(database: Database) -> None:
    before = await read_once(database)
    run = await begin(database, TENANT, "a")
    await land_list(database, run, [list_document("a", "1", displayName="new name"), list_document("a", "2")])
    async with database.tenant(TENANT) as session:
        assert await merging.claim(session, run.run_id, uuid4()) is None
        gone = await details.some_pending(session, run.run_id, [Share("a")], 1000)
        await details.drop_gone(session, run.run_id, gone)
    assert [item.external_id for item in gone] == ["1", "2"]
    assert await pending(database, run) == []
    assert await rows(database, "SELECT stale_since FROM inventory_item WHERE external_id = '1'") == [(None,)]
    await end(database, TENANT, run)
    assert await rows(database, VERSIONS) == [(1, True, False, before.run_id), (1, False, False, run.run_id)]


async def test_an_abandoned_run_leaves_nothing_pending(database: Database) -> None:
    run = await begin(database, TENANT, "a")
    await land_list(database, run, [list_document("a", "1")])
    async with database.tenant(TENANT) as session:
        await runs.renew_lease(session, run.run_id, timedelta(seconds=-1))
        assert await runs.close_abandoned(session, run.run_id)
    assert await rows(database, "SELECT count(*) FROM pending_item") == [(0,)]
    assert await rows(database, VERSIONS) == [(1, False, False, run.run_id)]


async def test_shares_partition_the_pending_items_and_count_the_rest(database: Database) -> None:
    run = await begin(database, TENANT, "a")
    ids = {str(number) for number in range(60)}
    await land_list(database, run, [list_document("a", external_id) for external_id in ids])
    quarters = [await pending(database, run, Share("a", part, 4)) for part in range(4)]
    assert sorted(external_id for quarter in quarters for external_id in quarter) == sorted(ids)
    assert all(len(quarter) > 3 for quarter in quarters)
    assert await rows(database, "SELECT min(shard), max(shard) FROM pending_item") == [(0, SHARDS - 1)]
    async with database.tenant(TENANT) as session:
        share = Share("a", 0, 4)
        some = await details.some_pending(session, run.run_id, [share], 3)
        await details.drop(session, run.run_id, some[:1])
        again = [item._replace(attempts=1, progress=b"{}") for item in some[1:]]
        await details.note(session, run.run_id, again, [None, {"code": "graph_not_found"}])
        assert await details.left(session, run.run_id, [share]) == {"a": RemainingDetails(len(quarters[0]) - 2, 1)}
        assert (await details.count_pending(session, run.run_id, ["a"])) == {"a": 58}
        [last] = (await details.some_pending(session, run.run_id, [share], 100))[-1:]
        assert last == again[0], "failed items come last"


async def test_item_listed_twice_is_pending_with_its_latest_list_document(database: Database) -> None:
    run = await begin(database, TENANT, "a")
    await land_list(database, run, [list_document("a", "1", displayName="one")])
    merged = await land_list(database, run, [list_document("a", "1", displayName="two")])
    assert merged.duplicates == {"a": 1}
    async with database.tenant(TENANT) as session:
        [pending] = await details.some_pending(session, run.run_id, [Share("a")], 10)
    assert b"two" in pending.list_document


async def age(database: Database, **ages: timedelta) -> None:
    async with database.tenant(TENANT) as session:
        for external_id, read_ago in ages.items():
            await session.execute(
                text(
                    "UPDATE inventory_item SET details_read_at = clock_timestamp() - CAST(:age AS interval)"
                    " WHERE external_id = :id"
                ),
                {"age": read_ago, "id": external_id},
            )


async def refreshed(database: Database, items: Sequence[Observation], period: timedelta, most: int) -> list[str]:
    """Runs with at most this number of refreshes, and returns the ids of the refreshed items."""
    run = await begin(database, TENANT, "a")
    token = uuid4()
    async with database.tenant(TENANT) as session:
        bounds = await detail_ages.read_before(session, ["a"], most)
        await staging.stage(session, run.run_id, token, items)
        refreshes = {"a": (period, bounds.get("a"))}
        await merging.merge(
            session, run.run_id, token, promised_rows=len(items), detail_refresh=DAY, refreshes=refreshes
        )
    due = await pending(database, run)
    for external_id in due:
        await land_whole(database, run, external_id)
    await end(database, TENANT, run)
    return due


async def test_refresh_period_of_the_collection_applies(database: Database) -> None:
    run = await begin(database, TENANT, "a")
    items = [list_document("a", "1")]
    await land_list(database, run, items)
    await land_whole(database, run, "1")
    await end(database, TENANT, run)
    await age(database, **{"1": timedelta(hours=7)})
    assert await refreshed(database, items, timedelta(hours=16), 10) == []
    assert await refreshed(database, items, timedelta(hours=6), 10) == ["1"]


async def test_run_refreshes_the_oldest_details_up_to_its_limit(database: Database) -> None:
    run = await begin(database, TENANT, "a")
    items = [list_document("a", str(number)) for number in range(10)]
    await land_list(database, run, items)
    for number in range(10):
        await land_whole(database, run, str(number))
    await end(database, TENANT, run)
    # All are due in every run: each is refreshed once before any is refreshed twice.
    await age(database, **{str(number): DAY * (20 - number) for number in range(10)})
    period = timedelta(microseconds=1)
    due = [await refreshed(database, items, period, 4) for _ in range(3)]
    assert due[0] == ["0", "1", "2", "3"]
    assert due[1] == ["4", "5", "6", "7"]
    assert set(due[2]) >= {"8", "9"}
    assert len(due[2]) == 4


LOST = [StalePart(detail="settings", error_code=ErrorCode.GRAPH_NOT_FOUND, http_status=404)]


async def requests_unreadable_detail(database: Database, listed: Observation, *, deep: bool = False) -> bool:
    """A run that lists an item with an unreadable detail. Returns whether it requests the details."""
    run = await begin(database, TENANT, "a")
    await land_list(database, run, [listed], deep=deep)
    async with database.tenant(TENANT) as session:
        some = await details.some_pending(session, run.run_id, [Share("a")], 1000)
        for item in some:
            partial = observation("a", "1", name="A")._replace(list_hash=item.list_hash, stale_parts=LOST)
            token = uuid4()
            assert await merging.claim(session, run.run_id, token) is None
            await merging.merge_whole(session, run.run_id, token, [partial])
            await details.drop(session, run.run_id, some)
    await end(database, TENANT, run)
    return bool(some)


async def age_latest_request(database: Database, ago: timedelta) -> None:
    statement = text("UPDATE inventory_item SET stale_asked_at = stale_asked_at - CAST(:ago AS interval)")
    async with database.tenant(TENANT) as session:
        await session.execute(statement, {"ago": ago})


async def test_unreadable_detail_is_retried_with_backoff(database: Database) -> None:
    listed = list_document("a", "1", name="A")
    assert [await requests_unreadable_detail(database, listed) for _ in range(4)] == [True, True, True, False]
    async with database.tenant(TENANT, read_only=True) as session:
        item = (await session.execute(text("SELECT * FROM inventory_item"))).one()
    assert (item.stale_since is not None, item.content_observed_at, item.stale_asks) == (True, None, 3)
    for waits, asks in ((timedelta(minutes=79), False), (timedelta(minutes=1), True), (timedelta(minutes=81), False)):
        await age_latest_request(database, waits)
        assert await requests_unreadable_detail(database, listed) == asks
    for _ in range(20):
        await age_latest_request(database, DAY)
        assert await requests_unreadable_detail(database, listed), "at the latest after the refresh period"


async def test_unreadable_detail_is_retried_at_once_after_an_edit_or_deep_run(database: Database) -> None:
    listed = list_document("a", "1", name="A")
    assert [await requests_unreadable_detail(database, listed) for _ in range(4)] == [True, True, True, False]
    assert await requests_unreadable_detail(database, listed, deep=True)
    assert not await requests_unreadable_detail(database, listed)
    edited = list_document("a", "1", name="B")
    assert [await requests_unreadable_detail(database, edited) for _ in range(4)] == [True, True, True, False]
    run = await begin(database, TENANT, "a")
    await land_list(database, run, [edited], deep=True)
    await land_whole(database, run, "1", name="B", settings=[])
    await end(database, TENANT, run)
    async with database.tenant(TENANT, read_only=True) as session:
        item = (await session.execute(text("SELECT * FROM inventory_item"))).one()
    assert (item.stale_since, item.stale_asks, item.details_complete) == (None, 0, True)
