"""Ids made of GUIDs are compared without case, all other ids with it."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from alembic import command
from psycopg.types.json import Jsonb
from sqlalchemy import Connection, create_engine, text

from answers.items.answer import UnknownItemError, find_item
from storage import schema
from storage.confirmations import some_unlisted
from storage.database import Database
from storage.database import database_url as sqlalchemy_url
from storage.queries import item
from storage.roles import settle
from storage.schema import upgrade
from storage.versions import history
from tests.storage.earlier_release import write_item
from tests.storage.support import begin, items, land, observation, sync

TENANT = uuid4()
UPPER = "0A1B2C3D-4E5F-6071-8293-A4B5C6D7E8F9"
LOWER = UPPER.lower()
GRANT = "ZD6Vv0IbbUahFdtAPV4VH8r0CWZqbqVErSGmqkF5PMk"


async def test_guid_in_another_case_is_the_same_unchanged_item(database: Database) -> None:
    await sync(database, TENANT, [observation("a", LOWER, displayName="HQ")], "a")
    merged = await sync(database, TENANT, [observation("a", UPPER, displayName="HQ")], "a")

    assert (merged.created, merged.changed, merged.unchanged) == (0, 0, 1)
    async with database.tenant(TENANT) as session:
        (version,) = await history(session, "a", LOWER)
        found = await item(session, "a", LOWER)
    assert version.version == 1
    assert found is not None
    assert (found.external_id, found.graph_id) == (LOWER, UPPER)


async def test_the_latest_spelling_is_kept(database: Database) -> None:
    for spelling in (UPPER, LOWER):
        await sync(database, TENANT, [observation("a", spelling)], "a")
    async with database.tenant(TENANT) as session:
        found = await item(session, "a", LOWER)
    assert found is not None
    assert found.graph_id is None


async def test_change_under_another_spelling_makes_the_next_version(database: Database) -> None:
    await sync(database, TENANT, [observation("a", LOWER, displayName="HQ")], "a")
    await sync(database, TENANT, [observation("a", UPPER, displayName="Branch")], "a")
    async with database.tenant(TENANT) as session:
        assert [version.version for version in reversed(await history(session, "a", LOWER))] == [1, 2]


async def test_base64_ids_that_differ_in_case_are_two_items(database: Database) -> None:
    merged = await sync(database, TENANT, [observation("a", GRANT), observation("a", GRANT.swapcase())], "a")
    assert merged.created == 2
    assert set(await items(database, TENANT)) == {GRANT, GRANT.swapcase()}


async def test_second_spelling_in_a_run_is_a_duplicate(database: Database) -> None:
    run = await begin(database, TENANT, "a")
    await land(database, TENANT, run, [observation("a", LOWER)])
    merged = await land(database, TENANT, run, [observation("a", UPPER)])
    assert (merged.created, merged.duplicates) == (0, {"a": 1})


async def test_get_by_id_uses_graphs_spelling(database: Database) -> None:
    await sync(database, TENANT, [observation("a", UPPER)], "a")
    run = await begin(database, TENANT, "a")
    async with database.tenant(TENANT) as session:
        (unlisted,) = await some_unlisted(session, run.run_id, ["a"], 10)
    assert (unlisted.external_id, unlisted.graph_id) == (LOWER, UPPER)


@pytest.mark.parametrize("typed", [LOWER, UPPER, "0a1B2c3D", "0A1B2C3D-4e5f"])
async def test_guid_is_found_in_any_case(database: Database, typed: str) -> None:
    await sync(database, TENANT, [observation("a", UPPER), observation("a", GRANT)], "a")
    async with database.tenant(TENANT) as session:
        assert await find_item(session, "a", typed) == LOWER
        with pytest.raises(UnknownItemError):
            await find_item(session, "a", GRANT.swapcase())


@pytest.fixture
def earlier(empty_database_url: str) -> str:
    """A database of the previous revision."""
    upgrade_to("0020", empty_database_url)
    return empty_database_url


def upgrade_to(revision: str, url: str) -> None:
    engine = create_engine(sqlalchemy_url(url))
    with engine.connect() as connection:
        settle(connection)
        command.upgrade(schema._config(connection), revision)
    engine.dispose()


@contextmanager
def release_connection(url: str) -> Iterator[Connection]:
    engine = create_engine(sqlalchemy_url(url))
    with engine.begin() as connection:
        yield connection
    engine.dispose()


def write_version(connection: Connection, external_id: str, number: int, name: str, hours_ago: int) -> None:
    """Writes a further version of an item and makes it current."""
    document = {"id": external_id, "displayName": name}
    write_item(connection, TENANT, "other", document)
    values = {"tenant": TENANT, "id": external_id, "number": number, "ago": timedelta(hours=hours_ago), "run": uuid4()}
    for statement in (
        """
        INSERT INTO item_version (tenant_id, type_key, external_id, version_number, content_hash, display_name,
            first_observed_at, first_observed_run_id)
        SELECT tenant_id, 'a', external_id, :number, content_hash, display_name, now() - :ago, :run
        FROM inventory_item WHERE (tenant_id, type_key, external_id) = (:tenant, 'other', :id)
        """,
        """
        UPDATE inventory_item AS item
        SET version_number = :number, content_hash = other.content_hash, display_name = other.display_name,
            content_changed_at = now() - :ago, last_seen_at = now() - :ago
        FROM inventory_item AS other
        WHERE (item.tenant_id, item.type_key, item.external_id) = (:tenant, 'a', :id)
            AND (other.tenant_id, other.type_key, other.external_id) = (:tenant, 'other', :id)
        """,
    ):
        connection.execute(text(statement), values)


RUN = uuid4()

AROUND = {
    "item_version_pin": {"version_number": 1, "pinned_by": "ada"},
    "unread_item": {},
    "item_absence": {
        "absent_from": datetime.now(UTC),
        "run_id": RUN,
        "last_seen_at": datetime.now(UTC) - timedelta(days=1),
        "evidence": "not_listed",
        "confidence": "high",
    },
    "item_reference": {
        "position": 0, "version_number": 1, "path": "x", "role": "use", "target_type_keys": ["b"], "target_id": UPPER
    },
    "staged_item": {
        "run_id": RUN, "fetch_token": RUN, "meta": Jsonb({}), "content_hash": b"", "document": b"", "document_size": 0,
        "is_whole": True,
    },
}  # fmt: skip
"""A row for each table that refers to the item."""

EVENT = {"tenant_id": TENANT, "object_id": UPPER, "activity_at": datetime.now(UTC), "event_id": "e"}


def write_around(connection: Connection) -> None:
    rows = {table: {"tenant_id": TENANT, "type_key": "a", "external_id": UPPER, **row} for table, row in AROUND.items()}
    for table, row in {**rows, "audited_object": EVENT}.items():
        names = ", ".join(row)
        connection.execute(text(f"INSERT INTO {table} ({names}) VALUES (:{names.replace(', ', ', :')})"), row)


def ids(connection: Connection, table: str, column: str = "external_id") -> set[str]:
    rows = connection.execute(text(f"SELECT {column} FROM {table} WHERE tenant_id = :tenant"), {"tenant": TENANT})
    return set(rows.scalars())


async def test_upgrade_lowercases_an_items_id_in_every_table(earlier: str) -> None:
    with release_connection(earlier) as connection:
        write_item(connection, TENANT, "a", {"id": UPPER, "displayName": "HQ"})
        write_item(connection, TENANT, "a", {"id": GRANT})
        write_around(connection)

    upgrade_to("0021", earlier)  # a later revision deletes staged rows

    with release_connection(earlier) as connection:
        assert ids(connection, "staged_item") == {LOWER}
        assert ids(connection, "staged_item", "graph_id") == {UPPER}

    upgrade(earlier)

    with release_connection(earlier) as connection:
        assert ids(connection, "inventory_item") == ids(connection, "item_version") == {LOWER, GRANT}
        for table in AROUND.keys() - {"staged_item"}:
            assert ids(connection, table) == {LOWER}, table
        assert (
            ids(connection, "item_reference", "target_id") == ids(connection, "audited_object", "object_id") == {LOWER}
        )
    async with Database(earlier) as database:
        async with database.tenant(TENANT) as session:
            found = await item(session, "a", LOWER)
        assert found is not None
        assert found.graph_id == UPPER
        await sync(database, TENANT, [observation("a", UPPER, displayName="Branch"), observation("a", GRANT)], "a")
        async with database.tenant(TENANT) as session:
            assert [version.version for version in reversed(await history(session, "a", LOWER))] == [1, 2]


async def test_upgrade_joins_the_histories_of_two_spellings(earlier: str) -> None:
    with release_connection(earlier) as connection:
        # write_item: first observed two days ago, seen a day ago.
        write_item(connection, TENANT, "a", {"id": UPPER, "displayName": "first"})
        write_version(connection, UPPER, 2, "second", hours_ago=20)
        write_item(connection, TENANT, "a", {"id": LOWER, "displayName": "third"})
        for statement in (
            "ALTER TABLE item_version DISABLE TRIGGER immutable",
            "UPDATE item_version SET first_observed_at = now() - interval '10 hours' WHERE external_id = :lower",
            "ALTER TABLE item_version ENABLE TRIGGER immutable",
            "UPDATE inventory_item SET last_seen_at = now(), recreates_external_id = :upper WHERE external_id = :lower",
        ):
            connection.execute(text(statement), {"lower": LOWER, "upper": UPPER})
        write_around(connection)

    upgrade(earlier)

    async with Database(earlier) as database:
        async with database.tenant(TENANT) as session:
            versions = list(reversed(await history(session, "a", LOWER)))
            found = await item(session, "a", LOWER)
        assert [(version.version, version.display_name) for version in versions] == [
            (1, "first"),
            (2, "second"),
            (3, "third"),
        ]
        assert [version.recreates_external_id for version in versions] == [None] * 3
        assert versions[1].last_observed_at == versions[1].first_observed_at
        assert found is not None
        assert found.display_name == "third"
        assert found.first_seen_at == versions[0].first_observed_at
        merged = await sync(database, TENANT, [observation("a", UPPER, displayName="fourth")], "a")
        assert merged.created == 0
        async with database.tenant(TENANT) as session:
            assert [version.version for version in reversed(await history(session, "a", LOWER))] == [1, 2, 3, 4]
    with release_connection(earlier) as connection:
        assert ids(connection, "inventory_item") == ids(connection, "item_version") == {LOWER}
        assert ids(connection, "item_version_pin") == {LOWER}
        assert ids(connection, "item_absence") == ids(connection, "item_reference") == set()
        triggers = text("SELECT tgenabled FROM pg_trigger WHERE tgname = 'immutable'")
        assert set(connection.execute(triggers).scalars()) == {"O"}


async def test_upgrade_lowercases_ids_of_each_tenant(earlier: str) -> None:
    tenants: list[UUID] = [uuid4(), uuid4()]
    with release_connection(earlier) as connection:
        for tenant_id in tenants:
            write_item(connection, tenant_id, "a", {"id": UPPER})
    upgrade(earlier)
    async with Database(earlier) as database:
        for tenant_id in tenants:
            assert set(await items(database, tenant_id)) == {LOWER}
