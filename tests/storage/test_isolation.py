"""Row-level security: every table and every query, tried from another tenant's transaction."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from uuid import uuid4

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError
from sqlalchemy.ext.asyncio import AsyncSession

from inventory.missing import RunCoverage
from inventory.outcomes import Counts, RunStatus
from storage import merging, queries, runs, staging
from storage.database import Database
from storage.models import Base
from tests.storage.support import LEASE, SLOTS, begin, end, identity, land, observation

MINE, THEIRS = uuid4(), uuid4()

TABLES = frozenset(
    {
        "tenant",
        "sync_run",
        "sync_run_collection",
        "staged_item",
        "merged_wave",
        "document",
        "inventory_item",
        "item_version",
    }
)
READABLE = {"staged_item": "staged_item_of_tenant"}


@pytest.fixture
async def their_run(database: Database) -> runs.RunIdentity:
    """Another tenant's open run, with rows in every table."""
    run = await begin(database, THEIRS, "a")
    await land(database, THEIRS, run, [observation("a", "1", displayName="secret")])
    async with database.tenant(THEIRS) as session:
        await staging.stage(session, run.run_id, uuid4(), [observation("a", "2")])
    return run


def test_the_tables_are_these() -> None:
    assert set(Base.metadata.tables) == TABLES
    for table in Base.metadata.tables.values():
        assert next(iter(table.primary_key.columns)).name == "tenant_id"
        for key in table.foreign_key_constraints:
            assert "tenant_id" in [column.name for column in key.columns]


@pytest.mark.parametrize("table", sorted(TABLES))
async def test_no_row_of_another_tenant_is_seen(database: Database, their_run: runs.RunIdentity, table: str) -> None:
    statement = text(f"SELECT count(*) FROM {READABLE.get(table, table)}")
    async with database.tenant(THEIRS) as session:
        assert (await session.execute(statement)).scalar_one() > 0
    async with database.tenant(MINE) as session:
        assert (await session.execute(statement)).scalar_one() == 0


@pytest.mark.parametrize("table", sorted(TABLES))
async def test_no_row_of_another_tenant_is_written(database: Database, their_run: runs.RunIdentity, table: str) -> None:
    target = READABLE.get(table, table)
    for statement in (f"DELETE FROM {target}", f"UPDATE {target} SET tenant_id = tenant_id"):
        try:
            async with database.tenant(MINE) as session:
                result = await session.execute(text(statement))
                assert result.rowcount == 0  # type: ignore[attr-defined]
        except ProgrammingError as error:
            assert isinstance(error.orig, psycopg.errors.InsufficientPrivilege)
    async with database.tenant(THEIRS) as session:
        assert (await session.execute(text(f"SELECT count(*) FROM {target}"))).scalar_one() > 0


INSERTS = {
    "tenant": "(tenant_id, name) VALUES (:theirs, 'x')",
    "sync_run": "(tenant_id, run_id, workflow_id, selection_hash, selection, lease_expires_at)"
    " VALUES (:theirs, gen_random_uuid(), 'w', repeat('a', 64), '{}', now())",
    "sync_run_collection": "(tenant_id, run_id, type_key) VALUES (:theirs, :run_id, 'b')",
    "staged_item": "(tenant_id, run_id, fetch_token, type_key, external_id, meta, content_hash, document)"
    " VALUES (:theirs, :run_id, gen_random_uuid(), 'a', '1', '{}', '', '')",
    "merged_wave": "(tenant_id, run_id, fetch_token) VALUES (:theirs, :run_id, gen_random_uuid())",
    "document": "(tenant_id, content_hash, body) VALUES (:theirs, sha256('x'), '{}')",
    "inventory_item": "(tenant_id, type_key, external_id, meta, content_hash, version_number, first_seen_at,"
    " first_seen_run_id, content_changed_at, last_seen_at, last_seen_run_id)"
    " VALUES (:theirs, 'a', 'new', '{}', sha256('x'), 1, now(), :run_id, now(), now(), :run_id)",
    "item_version": "(tenant_id, type_key, external_id, version_number, content_hash, observed_at, run_id)"
    " SELECT :theirs, 'a', '1', 99, sha256('x'), now(), :run_id",
}


@pytest.mark.parametrize("table", sorted(TABLES))
async def test_no_row_is_planted_in_another_tenant(database: Database, their_run: runs.RunIdentity, table: str) -> None:
    with pytest.raises(ProgrammingError) as refused:
        async with database.tenant(MINE) as session:
            await session.execute(
                text(f"INSERT INTO {table} {INSERTS[table]}"), {"theirs": THEIRS, "run_id": their_run.run_id}
            )
    assert isinstance(refused.value.orig, psycopg.errors.InsufficientPrivilege)


async def _crossing_queries(
    session: AsyncSession, theirs: runs.RunIdentity
) -> dict[str, Callable[[], Awaitable[object]]]:
    """Every function of `storage/` that takes a session, asked for the other tenant's rows by name."""
    their_hash = theirs.selection.hash()

    async def listed_items() -> object:
        return [item async for item in queries.items(session, None)]

    async def listed_missing() -> object:
        asked = queries.Question(
            theirs.selection,
            theirs.run_id,
            RunCoverage(RunStatus.SUCCESS, datetime.max.replace(tzinfo=UTC), has_errors=False),
            {},
        )
        return [item async for item in queries.missing_items(session, asked)]

    async def resolved() -> object:
        try:
            return await queries.resolve_selection_hash(session, their_hash)
        except queries.UnknownSelectionError:
            return None

    return {
        "run_record": lambda: queries.run_record(session, theirs.run_id),
        "recent_runs": lambda: queries.recent_runs(session, 100),
        "question": lambda: queries.question(session, their_hash),
        "items": listed_items,
        "missing_items": listed_missing,
        "resolve_selection_hash": resolved,
        "renew_lease": lambda: runs.renew_lease(session, theirs.run_id, LEASE),
    }


async def test_no_query_answers_for_another_tenant(database: Database, their_run: runs.RunIdentity) -> None:
    async with database.tenant(MINE) as session:
        for name, ask in (await _crossing_queries(session, their_run)).items():
            assert not await ask(), name


async def test_opening_and_closing_a_run_of_the_same_id_leaves_the_other_tenants_run_alone(
    database: Database, their_run: runs.RunIdentity
) -> None:
    mine = identity("a", run_id=uuid4())
    async with database.tenant(MINE) as session:
        assert await runs.open_run(session, mine, SLOTS) is runs.Opening.RUNNING
    await end(database, MINE, mine)
    async with database.tenant(THEIRS, read_only=True) as session:
        record = await queries.run_record(session, their_run.run_id)
    assert record is not None
    assert record.status is RunStatus.RUNNING


async def test_a_merge_finds_nothing_of_another_tenants_token(database: Database, their_run: runs.RunIdentity) -> None:
    token = uuid4()
    async with database.tenant(THEIRS) as session:
        await staging.stage(session, their_run.run_id, token, [observation("a", "3")])
    mine = await begin(database, MINE, "a")
    with pytest.raises(merging.StagedRowsLostError):
        async with database.tenant(MINE) as session:
            await merging.merge(session, mine.run_id, token, promised_rows=1)


async def test_a_transaction_without_a_tenant_sees_nothing(database: Database, their_run: runs.RunIdentity) -> None:
    async with database.tenant(MINE) as session:
        await session.execute(text("SELECT set_config('app.tenant_id', '', true)"))
        for table in TABLES:
            count = await session.execute(text(f"SELECT count(*) FROM {READABLE.get(table, table)}"))
            assert count.scalar_one() == 0, table


async def test_the_binding_ends_with_the_transaction(database: Database, their_run: runs.RunIdentity) -> None:
    async with database.tenant(THEIRS) as session:
        assert (await session.execute(text("SELECT current_tenant()"))).scalar_one() == THEIRS
    async with database.portfolio() as session:
        assert (await session.execute(text("SELECT current_tenant()"))).scalar_one() is None


async def test_the_portfolio_reads_all_tenants_and_writes_none(database: Database, their_run: runs.RunIdentity) -> None:
    await end(database, MINE, await begin(database, MINE, "a"))
    async with database.portfolio() as session:
        assert {run.tenant_id for run in await queries.recent_runs(session, 10)} == {MINE, THEIRS}
        for table in sorted(TABLES):
            for privilege in ("INSERT", "UPDATE", "DELETE", "TRUNCATE"):
                held = await session.execute(
                    text("SELECT has_any_column_privilege(:table, :privilege)")
                    if privilege in ("INSERT", "UPDATE")
                    else text("SELECT has_table_privilege(:table, :privilege)"),
                    {"table": table, "privilege": privilege},
                )
                assert not held.scalar_one(), f"{privilege} on {table}"


def test_counts_are_all_stored() -> None:
    assert set(Counts.model_fields) <= {column.name for column in Base.metadata.tables["sync_run"].columns}
