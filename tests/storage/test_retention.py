"""Retention deletes versions beyond its limits in batches, but none current or pinned, and no document still in use."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import timedelta
from hashlib import sha256
from typing import NamedTuple
from uuid import UUID, uuid4

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from storage import merge as merging
from storage import staging, versions
from storage.database import Database
from tests.deadlines import until_async
from tests.storage.support import begin, items, observation, sync

Key = tuple[str, int]
"""An item and a version of it."""


class Version(NamedTuple):
    """A version of the model: its age (by days and an hour), its content, whether it is pinned."""

    age_days: int
    says: str
    is_pinned: bool = False


def numbers_to_forget(history: Sequence[Version], days: int | None, count: int | None) -> set[int]:
    """The numbers of the versions beyond the limits; the oldest is number 1."""
    numbers = set()
    for number, version in enumerate(history[:-1], 1):
        is_old = days is not None and history[number].age_days >= days
        is_one_too_many = count is not None and len(history) - number >= count
        if (is_old or is_one_too_many) and not version.is_pinned:
            numbers.add(number)
    return numbers


def insert(database_url: str, tenant_id: UUID, histories: Mapping[str, Sequence[Version]]) -> None:
    """Writes items with these histories, oldest version first."""
    with psycopg.connect(database_url) as connection:
        connection.execute("SELECT set_config('app.tenant_id', %s, false)", [str(tenant_id)])
        connection.execute("INSERT INTO tenant (name) VALUES ('Contoso') ON CONFLICT DO NOTHING")
        for external_id, history in histories.items():
            hashes = [sha256(version.says.encode()).digest() for version in history]
            connection.execute(
                "INSERT INTO inventory_item (type_key, external_id, meta, content_hash, version_number, first_seen_at,"
                " first_seen_run_id, content_changed_at, last_seen_at, last_seen_run_id)"
                " VALUES ('groups', %s, '{}', %s, %s, now(), %s, now(), now(), %s)",
                [external_id, hashes[-1], len(history), uuid4(), uuid4()],
            )
            for number, (version, content_hash) in enumerate(zip(history, hashes, strict=True), 1):
                connection.execute(
                    "INSERT INTO document (content_hash, body, size) VALUES (%s, '', 0) ON CONFLICT DO NOTHING",
                    [content_hash],
                )
                connection.execute(
                    "INSERT INTO item_version (type_key, external_id, version_number, content_hash,"
                    " first_observed_at, first_observed_run_id)"
                    " VALUES ('groups', %s, %s, %s, now() - make_interval(days => %s, hours => 1), %s)",
                    [external_id, number, content_hash, version.age_days, uuid4()],
                )
                if version.is_pinned:
                    connection.execute(
                        "INSERT INTO item_version_pin (type_key, external_id, version_number, pinned_by)"
                        " VALUES ('groups', %s, %s, 'the test')",
                        [external_id, number],
                    )


async def stored_versions(database: Database, tenant_id: UUID) -> tuple[set[Key], set[bytes]]:
    """The stored versions and documents."""
    async with database.tenant(tenant_id, read_only=True) as session:
        rows = await session.execute(text("SELECT external_id, version_number FROM item_version"))
        hashes = await session.execute(text("SELECT content_hash FROM document"))
        return {(row.external_id, row.version_number) for row in rows}, set(hashes.scalars())


async def forget_all(
    database: Database, tenant_id: UUID, *, days: int | None, count: int | None, most: int
) -> tuple[int, int]:
    """Forgets batch after batch. Returns the reported numbers of versions and documents."""
    forgotten, after, batches = [], None, 0
    while batches < 1000:
        async with database.tenant(tenant_id) as session:
            older_than = None if days is None else timedelta(days=days)
            batch = await versions.forget(session, older_than=older_than, kept=count, most=most, after=after)
        assert batch.versions <= most
        forgotten.append(batch)
        batches, after = batches + 1, batch.after
        if after is None:
            return sum(tenant.versions for tenant in forgotten), sum(tenant.documents for tenant in forgotten)
    raise AssertionError("retention goes round in circles")


histories = st.dictionaries(
    st.sampled_from("abcd"),
    st.lists(
        st.builds(Version, st.integers(0, 9), st.sampled_from(["one", "two", "three"]), st.booleans()),
        min_size=1,
        max_size=5,
    ).map(lambda versions: sorted(versions, key=lambda version: -version.age_days)),
)
limits = st.none() | st.integers(0, 9)


@pytest.mark.parametrize("examples", [5, pytest.param(60, marks=pytest.mark.slow)])
def test_retention_agrees_with_the_model(database_url: str, examples: int) -> None:
    @given(histories, limits, st.none() | st.integers(1, 5), st.integers(1, 6))
    @settings(max_examples=examples)
    def holds(model: dict[str, list[Version]], days: int | None, count: int | None, most: int) -> None:
        asyncio.run(check(model, days, count, most))

    async def check(model: dict[str, list[Version]], days: int | None, count: int | None, most: int) -> None:
        tenant_id, other = uuid4(), uuid4()
        for owner in (tenant_id, other):
            insert(database_url, owner, model)
        async with Database(database_url) as database:
            every = {(item, number) for item, history in model.items() for number in range(1, len(history) + 1)}
            forgotten = {
                (item, number) for item, history in model.items() for number in numbers_to_forget(history, days, count)
            }
            contents = {sha256(version.says.encode()).digest() for history in model.values() for version in history}
            still = {sha256(model[item][number - 1].says.encode()).digest() for item, number in every - forgotten}
            counts = await forget_all(database, tenant_id, days=days, count=count, most=most)
            assert await stored_versions(database, tenant_id) == (every - forgotten, still)
            assert counts == (len(forgotten), len(contents - still))
            assert await forget_all(database, tenant_id, days=days, count=count, most=most) == (0, 0)
            assert await stored_versions(database, other) == (every, contents), "another tenant keeps all"

    holds()


async def test_unpinned_version_can_be_forgotten(database: Database, database_url: str) -> None:
    tenant_id = uuid4()
    insert(database_url, tenant_id, {"a": [Version(9, "one", True), Version(5, "two"), Version(1, "three")]})
    assert await forget_all(database, tenant_id, days=None, count=1, most=10) == (1, 1)
    async with database.tenant(tenant_id) as session:
        assert await versions.unpin(session, "groups", "a", 1, "the test")
    assert await forget_all(database, tenant_id, days=None, count=1, most=10) == (1, 1)
    assert (await stored_versions(database, tenant_id))[0] == {("a", 3)}


async def test_version_numbers_continue_after_forgotten_versions(database: Database) -> None:
    tenant_id = uuid4()
    for name in ("one", "two", "three"):
        await sync(database, tenant_id, [observation("groups", "a", displayName=name)], "groups")
    assert await forget_all(database, tenant_id, days=None, count=1, most=10) == (2, 2)
    await sync(database, tenant_id, [observation("groups", "a", displayName="one")], "groups")
    assert (await stored_versions(database, tenant_id))[0] == {("a", 3), ("a", 4)}
    assert (await items(database, tenant_id))["a"].display_name == "one"


async def test_retention_keeps_a_document_that_an_open_merge_refers_to(database: Database) -> None:
    tenant_id = uuid4()
    for name in ("one", "two"):
        await sync(database, tenant_id, [observation("groups", "a", displayName=name)], "groups")
    run, token = await begin(database, tenant_id, "groups"), uuid4()
    returning = observation("groups", "a", displayName="one")
    async with database.tenant(tenant_id) as session:
        await staging.stage(session, run.run_id, token, [returning])
    async with database.tenant(tenant_id) as session:
        await merging.merge(session, run.run_id, token, promised_rows=1)
        # The document exists already, so only the lock protects it until this transaction ends.
        retention = asyncio.create_task(forget_all(database, tenant_id, days=None, count=1, most=10))
        await waiting_for_a_lock(database, tenant_id)
        assert not retention.done()
    assert await retention == (2, 1)
    remaining, documents = await stored_versions(database, tenant_id)
    assert (remaining, documents) == ({("a", 3)}, {returning.content_hash})


async def test_a_merge_waits_for_retention_and_writes_its_document_again(database: Database) -> None:
    tenant_id = uuid4()
    for name in ("one", "two"):
        await sync(database, tenant_id, [observation("groups", "a", displayName=name)], "groups")
    returning = observation("groups", "a", displayName="one")
    async with database.tenant(tenant_id) as session:
        forgotten = await versions.forget(session, older_than=None, kept=1, most=10)
        assert (forgotten.versions, forgotten.documents) == (1, 1)
        merge = asyncio.create_task(sync(database, tenant_id, [returning], "groups"))
        await waiting_for_a_lock(database, tenant_id)
        assert not merge.done()
    assert (await merge).changed == 1
    assert returning.content_hash in (await stored_versions(database, tenant_id))[1]


async def waiting_for_a_lock(database: Database, tenant_id: UUID, kind: str = "advisory") -> None:
    """Waits until a transaction waits for a lock of this kind."""
    waiting = text(
        "SELECT count(*) FROM pg_locks JOIN pg_stat_activity USING (pid)"
        " WHERE locktype = :kind AND NOT granted AND datname = current_database()"
    )

    async def somebody_waits() -> bool:
        async with database.tenant(tenant_id) as session:
            return bool((await session.execute(waiting, {"kind": kind})).scalar_one())

    await until_async(somebody_waits)


@pytest.mark.parametrize("number", [1, 2, 3])
async def test_worker_deletes_no_versions_and_owner_none_current_or_pinned(
    database: Database, database_url: str, number: int
) -> None:
    tenant_id = uuid4()
    insert(database_url, tenant_id, {"a": [Version(9, "one", True), Version(5, "two"), Version(1, "three")]})
    delete = f"DELETE FROM item_version WHERE tenant_id = '{tenant_id}' AND version_number = {number}"
    with pytest.raises(Exception, match="permission denied"):
        async with database.tenant(tenant_id) as session:
            await session.execute(text(delete))
    with psycopg.connect(database_url) as connection:
        if number == 2:
            assert connection.execute(delete).rowcount == 1
        else:
            with pytest.raises(psycopg.errors.IntegrityError, match="current or pinned"):
                connection.execute(delete)


async def test_pin_fails_if_retention_forgets_the_version_first(database: Database, database_url: str) -> None:
    tenant_id = uuid4()
    insert(database_url, tenant_id, {"a": [Version(9, "one"), Version(1, "two")]})

    async def pin() -> bool:
        async with database.tenant(tenant_id) as session:
            return await versions.pin(session, "groups", "a", 1, "late", None)

    async with database.tenant(tenant_id) as session:
        await versions.forget(session, older_than=None, kept=1, most=10)
        pinning = asyncio.create_task(pin())
        await waiting_for_a_lock(database, tenant_id, "transactionid")
    with pytest.raises(IntegrityError):
        await pinning
    assert (await stored_versions(database, tenant_id))[0] == {("a", 2)}
