"""What a merge tells that finds no staged rows, since PostgreSQL lost them in a crash."""

from uuid import UUID, uuid4

import pytest
from temporalio.testing import ActivityEnvironment

from activities.messages.merges import PromisedWave, UpsertItems
from activities.observers import Observers, SensitivityRules
from activities.upsert import UpsertActivities
from graph.catalog import load_catalog
from storage.database import Database
from tests.storage.support import begin, land, listed, sync

TENANT = UUID(int=7)


@pytest.mark.parametrize("empty_page_is_of_its_own_wave", [False, True])
async def test_it_counts_what_is_left_of_listings_that_an_empty_page_of_it_ended(
    database: Database, *, empty_page_is_of_its_own_wave: bool
) -> None:
    await sync(database, TENANT, [listed("groups", "1")], "groups")
    run = await begin(database, TENANT, "groups")
    await land(database, TENANT, run, [listed("groups", "3")])
    upsert = UpsertActivities(database, Observers(load_catalog(), SensitivityRules(), database))
    request = UpsertItems(
        tenant_id=TENANT,
        run_id=run.run_id,
        fetch_token=uuid4(),
        promised_rows=3,
        more_waves=[PromisedWave(fetch_token=uuid4(), rows=0)] if empty_page_is_of_its_own_wave else [],
        ended=["groups"],
        detailed=["groups"],
    )
    told = await ActivityEnvironment().run(upsert.upsert_items, request)
    assert (told.lost, told.lost_tokens) == (
        (False, [request.fetch_token]) if empty_page_is_of_its_own_wave else (True, [])
    )
    assert (told.created, told.unlisted, told.pending) == (0, {"groups": 1}, {"groups": 1})
