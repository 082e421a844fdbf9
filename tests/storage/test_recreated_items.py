from uuid import UUID, uuid4

from sqlalchemy import text

from inventory.error_codes import ErrorCode
from inventory.outcomes import Outcome, RunStatus
from storage.database import Database
from storage.recreated_items import AT_ONCE
from tests.storage.support import observation, sync

TENANT = UUID(int=1)
OLD, OLDER, NEW, NEWER = (str(UUID(int=number)) for number in range(1, 5))


async def links(database: Database) -> dict[str, str]:
    """The re-created items, each with its original."""
    statement = "SELECT external_id, recreates_external_id FROM inventory_item WHERE recreates_external_id IS NOT NULL"
    async with database.tenant(TENANT, read_only=True) as session:
        return {row.external_id: row.recreates_external_id for row in await session.execute(text(statement))}


async def test_recreated_item_is_linked_with_its_original(database: Database) -> None:
    for external_id, name in ((OLD, "same"), (NEW, "same"), (NEWER, "another name")):
        item = observation("a", external_id, displayName=name, of=f"{external_id}_group")
        await sync(database, TENANT, [item], "a")
    assert await links(database) == {NEW: OLD}


async def test_original_with_an_upper_case_id_is_linked(database: Database) -> None:
    old, new = "0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9", "1a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9"
    for external_id in (old.upper(), new):
        item = observation("a", external_id, displayName="same", of=f"group of {external_id}")
        await sync(database, TENANT, [item], "a")
    assert await links(database) == {new: old}


async def test_namesake_with_other_content_is_not_linked(database: Database) -> None:
    await sync(database, TENANT, [observation("a", OLD, displayName="same", value="A")], "a")
    await sync(database, TENANT, [observation("a", NEW, displayName="same", value="B")], "a")
    assert await links(database) == {}


async def test_an_item_of_another_collection_is_not_linked(database: Database) -> None:
    originals = [
        observation("a", OLD, displayName="same", value=1),
        observation("b", OLDER, displayName="same", value=2),
    ]
    copies = [observation("a", NEW, displayName="same", value=3), observation("b", NEWER, displayName="same", value=1)]
    await sync(database, TENANT, originals, "a", "b")
    await sync(database, TENANT, copies, "a", "b")
    assert await links(database) == {}


async def test_items_without_names_are_linked_by_their_content(database: Database) -> None:
    await sync(database, TENANT, [observation("a", OLD, of="x"), observation("a", OLDER, of="y")], "a")
    await sync(database, TENANT, [observation("a", NEW, of="y"), observation("a", NEWER, of="x")], "a")
    assert await links(database) == {NEW: OLDER, NEWER: OLD}


async def test_names_that_differ_only_by_the_id_are_equal(database: Database) -> None:
    for external_id in (OLD, NEW):
        await sync(database, TENANT, [observation("a", external_id, displayName=f"Policy {external_id}")], "a")
    assert await links(database) == {NEW: OLD}


async def test_short_id_within_a_name_is_not_replaced(database: Database) -> None:
    await sync(database, TENANT, [observation("a", "1", displayName="Windows 11")], "a")
    await sync(database, TENANT, [observation("a", "2", displayName="Windows 11")], "a")
    assert await links(database) == {"2": "1"}


async def test_every_copy_is_linked_with_the_latest_original(database: Database) -> None:
    for external_ids in ([OLDER], [OLD], [NEW, NEWER]):
        await sync(
            database, TENANT, [observation("a", external_id, displayName="same") for external_id in external_ids], "a"
        )
    assert await links(database) == {OLD: OLDER, NEW: OLD, NEWER: OLD}


async def test_incomplete_collection_links_nothing(database: Database) -> None:
    await sync(database, TENANT, [observation("a", OLD, displayName="same")], "a")
    outcomes: dict[str, tuple[Outcome, ErrorCode | None]] = {"a": (Outcome.INCOMPLETE, ErrorCode.GRAPH_UNAVAILABLE)}
    copies = [observation("a", NEW, displayName="same")]
    await sync(database, TENANT, copies, "a", status=RunStatus.PARTIAL, outcomes=outcomes)
    assert await links(database) == {}


async def test_new_item_of_an_incomplete_run_is_linked_by_the_next_run(database: Database) -> None:
    old, new = observation("a", OLD, displayName="same"), observation("a", NEW, displayName="same")
    outcomes: dict[str, tuple[Outcome, ErrorCode | None]] = {"a": (Outcome.INCOMPLETE, ErrorCode.GRAPH_UNAVAILABLE)}
    await sync(database, TENANT, [old, observation("a", OLDER, displayName="another")], "a")
    await sync(database, TENANT, [new], "a", status=RunStatus.PARTIAL, outcomes=outcomes)
    await sync(database, TENANT, [new, observation("a", OLDER, displayName="another")], "a")
    assert await links(database) == {NEW: OLD}


async def test_copy_made_before_the_deletion_is_not_linked(database: Database) -> None:
    old, new = observation("a", OLD, displayName="same"), observation("a", NEW, displayName="same")
    await sync(database, TENANT, [old], "a")
    await sync(database, TENANT, [old, new], "a")
    await sync(database, TENANT, [new], "a")
    assert await links(database) == {}


async def test_every_item_of_a_recreated_tenant_is_linked(database: Database) -> None:
    names = [f"item {number % (AT_ONCE // 2)}" for number in range(AT_ONCE * 3)]
    for _ in range(2):
        items = [observation("a", str(uuid4()), displayName=name, number=number) for number, name in enumerate(names)]
        await sync(database, TENANT, items, "a")
    linked = await links(database)
    assert len(set(linked.values())) == len(linked) == len(names)
