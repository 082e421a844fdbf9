"""Writes that wait for a row lock while the lock's holder moves the row to another place."""

import asyncio
from collections.abc import Awaitable, Callable
from hashlib import sha256
from uuid import uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from graph.catalog import load_catalog
from storage import details, first_form, recreated_items
from storage.absences import mark_absent
from storage.confirmations import UnlistedItem, mark_found_by_id, record_found, record_gone
from storage.database import Database
from storage.references import catch_up
from storage.runs import RunIdentity
from storage.titles import give_titles
from tests.storage.support import begin, land, list_document, observation, sync, until_it_waits
from tests.storage.test_titles import ASSIGNMENTS, ROLES, assignment

TENANT = uuid4()
TAKEN = sha256(b"taken").digest()
ITEM = [UnlistedItem(ASSIGNMENTS, "1")]
NAMED = {"type_keys": [ASSIGNMENTS], "external_ids": ["1"]}

MOVE = text("UPDATE inventory_item SET graph_id = 'X' WHERE external_id = '1'")

Write = Callable[[AsyncSession, RunIdentity], Awaitable[object]]


async def link(session: AsyncSession, _run: RunIdentity) -> None:
    linked = {"type_keys": [ASSIGNMENTS], "new_ids": ["1"], "old_ids": ["0"]}
    await session.execute(recreated_items._LINK, linked)


async def take_over(session: AsyncSession, _run: RunIdentity) -> None:
    await session.execute(first_form._TAKE_OVER, {**NAMED, "content_hashes": [TAKEN], "form": 1})


WRITES: dict[str, tuple[Write, str]] = {
    "found": (lambda session, run: record_found(session, run.run_id, ITEM), "last_seen_run_id = :run_id"),
    "gone": (lambda session, run: record_gone(session, run.run_id, ITEM), "missing_confirmed_run_id = :run_id"),
    "absent": (
        lambda session, _run: mark_absent(session, [ASSIGNMENTS]),
        "absent_from IS NOT NULL AND EXISTS (SELECT FROM item_absence)",
    ),
    "titled": (
        lambda session, _run: give_titles(session, load_catalog().title_rules()),
        "display_name LIKE 'Admin%'",
    ),
    "linked": (link, "recreates_external_id = '0'"),
    "taken over": (take_over, "content_hash = sha256('taken')"),
}


async def write_beside_a_move(
    database: Database, database_url: str, write: Write, run: RunIdentity, expected: str
) -> bool:
    """Whether the row is as expected after a write that waited for the transaction that moved it."""

    async def waiting() -> None:
        async with database.tenant(TENANT) as session:
            await write(session, run)

    async with database.tenant(TENANT) as other:
        await other.execute(MOVE)
        writing = asyncio.create_task(waiting())
        await until_it_waits(database_url, writing)
    await writing
    async with database.tenant(TENANT) as session:
        statement = text(f"SELECT {expected} AND graph_id = 'X' FROM inventory_item WHERE external_id = '1'")
        parameters = {"run_id": run.run_id} if ":run_id" in expected else {}
        return bool((await session.execute(statement, parameters)).scalar_one())


@pytest.mark.parametrize(("write", "expected"), WRITES.values(), ids=WRITES)
async def test_write_is_not_lost_if_its_row_moves_while_it_waits(
    database: Database, database_url: str, write: Write, expected: str
) -> None:
    listing = [observation(ROLES, "admin", displayName="Admin"), assignment("1", "admin", str(uuid4()))]
    await sync(database, TENANT, listing, ROLES, ASSIGNMENTS)
    await catch_up(database, TENANT, load_catalog().reading_rules())
    run = await begin(database, TENANT, ROLES, ASSIGNMENTS)
    async with database.tenant(TENANT) as session:
        await session.execute(text("UPDATE collection_coverage SET listed_from = clock_timestamp()"))
    assert await write_beside_a_move(database, database_url, write, run, expected)


async def test_found_by_id_is_marked_though_the_row_moves_meanwhile(database: Database, database_url: str) -> None:
    await sync(database, TENANT, [observation(ASSIGNMENTS, "1")], ASSIGNMENTS)
    run = await begin(database, TENANT, ASSIGNMENTS)
    async with database.tenant(TENANT) as session:
        await record_found(session, run.run_id, ITEM)

    async def mark(session: AsyncSession, _run: RunIdentity) -> None:
        await mark_found_by_id(session, run.run_id, ITEM)

    assert await write_beside_a_move(database, database_url, mark, run, "found_by_id_run_id = :run_id")


async def test_item_without_details_is_settled_though_its_row_moves_meanwhile(
    database: Database, database_url: str
) -> None:
    run = await begin(database, TENANT, ASSIGNMENTS)
    await land(database, TENANT, run, [list_document(ASSIGNMENTS, "1")])

    async def settle(session: AsyncSession, _run: RunIdentity) -> None:
        await details.settle(session, run.run_id)

    assert await write_beside_a_move(database, database_url, settle, run, "version_number = 1")
