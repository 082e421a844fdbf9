"""The first run after an upgrade compares release 0.3.0's documents in today's normal form, and reports no change."""

from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import create_engine, text

from inventory.exact_json import decode
from inventory.normal_form import FORM
from inventory.outcomes import Counts, RunStatus
from storage import merge as merging
from storage import runs, staging
from storage.database import Database
from storage.database import database_url as sqlalchemy_url
from storage.documents import document
from storage.versions import history
from tests.storage.earlier_release import write_item
from tests.storage.support import Comparison, begin, observation

TENANT = uuid4()
OBJECT: dict[str, Any] = {
    "id": "1",
    "displayName": "VPN",
    "roleScopeTagIds": ["5", "0"],
    "onDemandRules": [{"action": "disconnect"}, {"action": "connect"}],
    "description": None,
    "version": 3,
}
STORED = {**{name: value for name, value in OBJECT.items() if name != "version"}, "description": []}


def _object(document: bytes) -> dict[str, Any]:
    found: Any = decode(document)
    return dict(found)


@pytest.fixture
async def old_item_database(database: Database, database_url: str) -> Database:
    """A database with an item that release 0.3.0 wrote."""
    engine = create_engine(sqlalchemy_url(database_url))
    with engine.begin() as connection:
        connection.execute(text("SELECT set_config('app.tenant_id', :tenant, true)"), {"tenant": str(TENANT)})
        write_item(connection, TENANT, "a", STORED)
    engine.dispose()
    return database


async def merged(database: Database, *documents: dict[str, Any]) -> merging.MergeResult:
    run = await begin(database, TENANT, "a")
    token = uuid4()
    async with database.tenant(TENANT) as session:
        rows = [
            observation("a", document["id"], **{k: v for k, v in document.items() if k != "id"})
            for document in documents
        ]
        await staging.stage(session, run.run_id, token, rows)
        result = await merging.merge(session, run.run_id, token, promised_rows=len(documents), comparison=Comparison())
        await runs.finish_run(session, run, runs.RunEnd(RunStatus.CANCELLED, Counts(), [], {}))
    return result


async def test_unchanged_item_takes_the_new_form_and_keeps_its_version(old_item_database: Database) -> None:
    graph_object = {name: value for name, value in OBJECT.items() if name != "version"}
    graph_object["onDemandRules"] = [*reversed(OBJECT["onDemandRules"])]
    first = await merged(old_item_database, graph_object)
    assert (first.created, first.changed, first.unchanged) == (0, 0, 1)
    async with old_item_database.tenant(TENANT) as session:
        (version,) = await history(session, "a", "1")
        assert _object(await document(session, "a", "1", 1) or b"{}")["roleScopeTagIds"] == ["0", "5"], "as it was"
        form = (await session.execute(text("SELECT form FROM inventory_item"))).scalar_one()
    assert (version.version, form) == (1, FORM)
    again = await merged(old_item_database, graph_object)
    assert (again.changed, again.unchanged) == (0, 1)


async def test_version_that_adds_properties_lost_by_form_0_is_no_change(old_item_database: Database) -> None:
    first = await merged(old_item_database, OBJECT)
    assert (first.created, first.changed, first.unchanged) == (0, 0, 1)
    async with old_item_database.tenant(TENANT) as session:
        assert [version.version for version in await history(session, "a", "1")] == [2, 1]
        assert _object(await document(session, "a", "1", 2) or b"{}") == OBJECT
        assert _object(await document(session, "a", "1", 1) or b"{}")["roleScopeTagIds"] == ["0", "5"], "as it was"
    assert (await merged(old_item_database, OBJECT)).unchanged == 1
    assert (await merged(old_item_database, {**OBJECT, "version": 4})).changed == 1, "a property that form 0 left out"


async def test_edited_item_has_changed(old_item_database: Database) -> None:
    result = await merged(old_item_database, {**OBJECT, "displayName": "Another"})
    assert (result.changed, result.unchanged) == (1, 0)
    async with old_item_database.tenant(TENANT) as session:
        assert [version.version for version in await history(session, "a", "1")] == [2, 1]
        assert (await session.execute(text("SELECT form FROM inventory_item"))).scalar_one() == FORM


async def test_new_order_after_the_upgrade_is_a_change(old_item_database: Database) -> None:
    await merged(old_item_database, OBJECT)
    moved = {**OBJECT, "onDemandRules": [*reversed(OBJECT["onDemandRules"])]}
    assert (await merged(old_item_database, moved)).changed == 1


async def test_rows_staged_by_the_previous_release_count_as_lost(database: Database) -> None:
    run = await begin(database, TENANT, "a")
    token = uuid4()
    of_an_older_worker: Any = observation("a", "1")
    async with database.tenant(TENANT) as session:
        await staging.stage(session, run.run_id, token, [of_an_older_worker._replace(body_hash=None)])
    with pytest.raises(merging.StagedRowsLostError):
        async with database.tenant(TENANT) as session:
            await merging.merge(session, run.run_id, token, promised_rows=1)


async def test_later_of_two_waves_decides_an_items_content(old_item_database: Database) -> None:
    run = await begin(old_item_database, TENANT, "a")
    first, second = uuid4(), uuid4()
    async with old_item_database.tenant(TENANT) as session:
        for token, name in ((first, "VPN"), (second, "Another")):
            graph_object = {**OBJECT, "displayName": name}
            row = observation("a", "1", **{key: value for key, value in graph_object.items() if key != "id"})
            await staging.stage(session, run.run_id, token, [row])
    async with old_item_database.tenant(TENANT) as session:
        result = await merging.merge(
            session, run.run_id, first, promised_rows=1, together_with={second: 1}, comparison=Comparison()
        )
        assert result.changed == 1
        assert [version.version for version in await history(session, "a", "1")] == [2, 1]
