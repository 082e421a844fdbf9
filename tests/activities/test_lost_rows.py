"""A merge whose staged rows PostgreSQL lost in a crash, or whose items another transaction has moved."""

import asyncio
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text
from temporalio.testing import ActivityEnvironment

from activities.messages.merges import PromisedWave, UpsertItems, UpsertItemsResult
from activities.observers import Observers, SensitivityRules
from activities.upsert import UpsertActivities
from graph.catalog import load_catalog
from storage import staging
from storage.database import Database
from storage.staging import SameItems
from tests.storage.support import begin, end, land, list_document, observation, sync, until_it_waits

TENANT = UUID(int=7)
DIGEST = b"A" * 16


async def upserted(database: Database, request: UpsertItems) -> UpsertItemsResult:
    activities = UpsertActivities(database, Observers(load_catalog(), SensitivityRules(), database))
    return await ActivityEnvironment().run(activities.upsert_items, request)


@pytest.mark.parametrize("empty_page_is_of_its_own_wave", [False, True])
async def test_a_merge_with_lost_rows_counts_unlisted_and_pending_items(
    database: Database, *, empty_page_is_of_its_own_wave: bool
) -> None:
    await sync(database, TENANT, [list_document("groups", "1")], "groups")
    run = await begin(database, TENANT, "groups")
    await land(database, TENANT, run, [list_document("groups", "3")])
    request = UpsertItems(
        tenant_id=TENANT,
        run_id=run.run_id,
        fetch_token=uuid4(),
        promised_rows=3,
        more_waves=[PromisedWave(fetch_token=uuid4(), rows=0)] if empty_page_is_of_its_own_wave else [],
        ended=["groups"],
        detailed=["groups"],
    )
    result = await upserted(database, request)
    assert (result.lost, result.lost_tokens) == (
        (False, [request.fetch_token]) if empty_page_is_of_its_own_wave else (True, [])
    )
    assert (result.created, result.unlisted, result.pending) == (0, {"groups": 1}, {"groups": 1})


async def test_unchanged_items_with_moved_rows_are_merged_without_another_read(
    database: Database, database_url: str
) -> None:
    run = await begin(database, TENANT, "groups")
    await land(database, TENANT, run, [observation("groups", "1")._replace(raw_digest=DIGEST)])
    await end(database, TENANT, run)
    run = await begin(database, TENANT, "groups")
    token = uuid4()
    async with database.tenant(TENANT) as session:
        await staging.stage(session, run.run_id, token, [], [SameItems("groups", ["1"], [DIGEST])])
    request = UpsertItems(tenant_id=TENANT, run_id=run.run_id, fetch_token=token, promised_rows=1)
    async with database.tenant(TENANT) as other:
        await other.execute(text("UPDATE inventory_item SET graph_id = graph_id"))
        merging = asyncio.create_task(upserted(database, request))
        await until_it_waits(database_url, merging)
    result = await merging
    assert (result.lost, result.unchanged) == (False, 1)
