"""Row-level security: every query from another tenant's transaction, and the portfolio's reads and writes."""

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from uuid import uuid4

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, ProgrammingError

from inventory.error_codes import ErrorCode
from inventory.outcomes import Counts, Outcome, RunStatus
from inventory.portfolio import PortfolioCounts, TenantChoice
from local.postgres import EmbeddedPostgres
from storage import merge as merging
from storage import portfolio, queries, runs, staging
from storage.access import ALL_TENANTS
from storage.database import Database, StorageUnavailableError
from tests.conftest import Rows, copy_of, empty, filled_by, put_back, rows_of, url_of
from tests.storage.all_tables import METADATA
from tests.storage.conftest import SetUp
from tests.storage.crossing_queries import crossing_queries
from tests.storage.support import SLOTS, begin, end, identity, land, observation
from tests.storage.tenant_rows import (
    MINE,
    OF_NO_TENANT,
    OF_THE_WEB,
    PORTFOLIO,
    READABLE,
    TABLES,
    THEIRS,
    WITHOUT_KEY,
    their_rows,
)


@pytest.fixture(scope="module")
def reused_url(postgres: EmbeddedPostgres, set_up: SetUp) -> Iterator[str]:
    yield from copy_of(postgres, *set_up)


@pytest.fixture
def database_url(postgres: EmbeddedPostgres, reused_url: str) -> Iterator[str]:
    yield reused_url
    empty(as_superuser(postgres, reused_url))


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url)
    yield database
    await database.close()


def as_superuser(postgres: EmbeddedPostgres, url: str) -> str:
    """The database's URL for a superuser, whom no policy binds."""
    return url_of(postgres, url.rpartition("/")[2])


@pytest.fixture(scope="module")
def filled_once(postgres: EmbeddedPostgres, set_up: SetUp) -> Iterator[tuple[str, runs.RunIdentity]]:
    """A filled database for tests that change nothing."""
    for url in copy_of(postgres, *set_up):
        yield url, asyncio.run(filled_by(their_rows, url))


@pytest.fixture
async def filled(filled_once: tuple[str, runs.RunIdentity]) -> AsyncIterator[Database]:
    """A database with rows of another tenant in every table."""
    async with Database(filled_once[0]) as database:
        yield database


@pytest.fixture(scope="module")
def their_rows_once(postgres: EmbeddedPostgres, filled_once: tuple[str, runs.RunIdentity]) -> Rows:
    return rows_of(as_superuser(postgres, filled_once[0]))


@pytest.fixture
def their_run(
    postgres: EmbeddedPostgres, database_url: str, filled_once: tuple[str, runs.RunIdentity], their_rows_once: Rows
) -> runs.RunIdentity:
    with psycopg.connect(as_superuser(postgres, database_url)) as connection:
        put_back(connection, their_rows_once)
    return filled_once[1]


def test_listed_tables_are_complete_and_keyed_by_tenant() -> None:
    assert set(METADATA.tables) == TABLES | OF_THE_WEB | {OF_NO_TENANT}
    for name in TABLES:
        table = METADATA.tables[name]
        if name in WITHOUT_KEY:
            assert not table.primary_key.columns
            assert "tenant_id" in {next(iter(index.columns)).name for index in table.indexes}
        else:
            assert next(iter(table.primary_key.columns)).name == "tenant_id"
        for key in table.foreign_key_constraints:
            assert "tenant_id" in [column.name for column in key.columns] or key.referred_table.name == OF_NO_TENANT


async def test_no_query_returns_rows_of_another_tenant(database: Database, their_run: runs.RunIdentity) -> None:
    async with database.tenant(MINE) as session:
        for name, ask in crossing_queries(session, their_run).items():
            assert not await ask(), name


async def test_run_of_the_same_selection_leaves_another_tenants_run_open(
    database: Database, their_run: runs.RunIdentity
) -> None:
    mine = identity("a", run_id=uuid4())
    async with database.tenant(MINE) as session:
        assert (await runs.open_run(session, mine, SLOTS)).state is runs.OpeningState.RUNNING
    await end(database, MINE, mine)
    async with database.tenant(THEIRS, read_only=True) as session:
        record = await queries.run_record(session, their_run.run_id)
    assert record is not None
    assert record.status is RunStatus.RUNNING


async def test_run_of_the_same_id_changes_no_row_of_another_tenant(
    postgres: EmbeddedPostgres, database: Database, database_url: str, their_run: runs.RunIdentity
) -> None:
    def rows_of_theirs() -> set[tuple[str, bytes]]:
        rows = rows_of(as_superuser(postgres, database_url))
        theirs = str(THEIRS).encode()
        return {(table, row) for table, data in rows.items() for row in data.splitlines() if theirs in row}

    before = rows_of_theirs()
    mine = identity("a", run_id=their_run.run_id)
    async with database.tenant(MINE) as session:
        assert (await runs.open_run(session, mine, SLOTS)).state is runs.OpeningState.RUNNING
    await land(database, MINE, mine, [observation("a", "9")])
    await end(database, MINE, mine)
    async with database.tenant(MINE, read_only=True) as session:
        record = await queries.run_record(session, mine.run_id)
    assert record is not None
    assert (record.tenant_id, record.status, record.counts.created) == (MINE, RunStatus.SUCCESS, 1)
    assert rows_of_theirs() == before


async def test_merge_does_not_find_rows_of_another_tenants_token(
    database: Database, their_run: runs.RunIdentity
) -> None:
    token = uuid4()
    async with database.tenant(THEIRS) as session:
        await staging.stage(session, their_run.run_id, token, [observation("a", "3")])
    mine = await begin(database, MINE, "a")
    with pytest.raises(merging.StagedRowsLostError):
        async with database.tenant(MINE) as session:
            await merging.merge(session, mine.run_id, token, promised_rows=1)


async def test_tenant_binding_ends_with_the_transaction(database: Database, their_run: runs.RunIdentity) -> None:
    async with database.tenant(THEIRS) as session:
        assert (await session.execute(text("SELECT current_tenant()"))).scalar_one() == THEIRS
    async with database.portfolio() as session:
        assert (await session.execute(text("SELECT current_tenant()"))).scalar_one() is None


async def test_the_portfolio_reads_all_tenants_and_writes_none(database: Database, their_run: runs.RunIdentity) -> None:
    await end(database, MINE, await begin(database, MINE, "a"))
    async with database.portfolio() as session:
        assert {run.tenant_id for run in await queries.recent_runs(session, 10)} == {MINE, THEIRS}
    for table in sorted(TABLES | {OF_NO_TENANT}):
        target = READABLE.get(table, table)
        for statement in (f"DELETE FROM {target}", f"TRUNCATE {table}", "SET TRANSACTION READ WRITE"):
            with pytest.raises((DBAPIError, StorageUnavailableError)) as refused:
                async with database.portfolio() as session:
                    await session.execute(text(statement))
            assert re.search("read-only|permission denied|read-write mode", str(refused.value)), statement


async def test_the_portfolio_sees_every_table(filled: Database) -> None:
    async with filled.portfolio() as session:
        for table in sorted(TABLES - READABLE.keys() | {OF_NO_TENANT}):
            assert (await session.execute(text(f"SELECT count(*) FROM {table}"))).scalar_one() > 0, table


async def test_query_plan_for_all_tenants_is_not_reused_for_one(
    database: Database, their_run: runs.RunIdentity
) -> None:
    """The driver prepares a repeated statement, and PostgreSQL keeps its plan."""
    counts = set()
    for _ in range(20):
        async with database.portfolio() as session:
            every = len(await queries.recent_runs(session, 100))
        async with database.tenant(MINE) as session:
            mine = len(await queries.recent_runs(session, 100))
        counts.add((every, mine))
    assert counts == {(every, 0)}
    assert every > 0


async def test_a_portfolio_of_some_tenants_sees_no_row_of_another(filled: Database) -> None:
    for visible, is_seen in (([THEIRS], True), ([MINE, THEIRS], True), ([MINE], False), ([], False)):
        async with filled.portfolio(visible) as session:
            for table in sorted(TABLES - READABLE.keys() | {OF_NO_TENANT}):
                count = (await session.execute(text(f"SELECT count(*) FROM {table}"))).scalar_one()
                assert (count > 0) is is_seen, (table, visible)


async def test_portfolio_run_is_hidden_unless_all_its_tenants_are_visible(database: Database) -> None:
    chosen = (
        TenantChoice(everyone=True),
        TenantChoice(tags=("emea",)),
        TenantChoice(tenant_ids=(THEIRS,), tags=("emea",)),
        TenantChoice(tenant_ids=(MINE, THEIRS)),
    )
    async with database.no_tenant() as session:
        for choice in chosen:
            await portfolio.open_portfolio(session, PORTFOLIO._replace(portfolio_run_id=uuid4(), chosen=choice))
    async with database.portfolio([THEIRS]) as session:
        assert await portfolio.recent_portfolio_runs(session, 10) == []
    async with database.portfolio([MINE, THEIRS]) as session:
        assert [run.chosen for run in await portfolio.recent_portfolio_runs(session, 10)] == [chosen[-1]]


async def test_query_plan_for_some_tenants_is_not_reused_for_others(
    database_url: str, their_run: runs.RunIdentity
) -> None:
    """Prepared statements stay with their connection, which other sessions use next."""
    database = Database(database_url, pool_size=1)
    counts = []
    for _ in range(20):
        found = []
        for visible in (None, [THEIRS], [MINE]):
            async with database.portfolio(visible) as session:
                found.append(len(await queries.recent_runs(session, 100)))
        async with database.tenant(MINE) as session:
            found.append(len(await queries.recent_runs(session, 100)))
        counts.append(found)
    await database.close()
    assert counts[0][0] > 0
    assert counts == [[counts[0][0], counts[0][0], 0, 0]] * 20


async def test_all_tenants_switch_permits_no_writes(database: Database, their_run: runs.RunIdentity) -> None:
    """It is set by hand, in a transaction that may write."""
    async with database.tenant(MINE) as session:
        await session.execute(text(f"SELECT set_config('search_path', 'public, {ALL_TENANTS}', true)"))
        for statement in ("UPDATE sync_run SET pages = 9", "DELETE FROM inventory_item"):
            assert (await session.execute(text(statement))).rowcount == 0  # type: ignore[attr-defined]


async def test_slots_are_counted_over_all_tenants(database: Database, their_run: runs.RunIdentity) -> None:
    one_overall = SLOTS._replace(overall=1)
    async with database.tenant(MINE) as session:
        assert (await runs.open_run(session, identity("a"), one_overall)).state is runs.OpeningState.WAITING_FOR_SLOT
    await end(database, THEIRS, their_run)
    async with database.tenant(MINE) as session:
        assert (await runs.open_run(session, identity("b"), SLOTS)).state is runs.OpeningState.RUNNING


def test_every_count_of_a_run_has_a_column() -> None:
    assert set(Counts.model_fields) <= {column.name for column in METADATA.tables["sync_run"].columns}


async def test_tenant_transactions_cannot_write_portfolio_runs(database: Database, their_run: runs.RunIdentity) -> None:
    for tenant_id in (MINE, THEIRS):
        async with database.tenant(tenant_id) as session:
            for statement in ("UPDATE portfolio_run SET schedule = 'x'", "DELETE FROM portfolio_run"):
                assert (await session.execute(text(statement))).rowcount == 0  # type: ignore[attr-defined]
        other = PORTFOLIO._replace(portfolio_run_id=uuid4())
        with pytest.raises(ProgrammingError) as refused:
            async with database.tenant(tenant_id) as session:
                await portfolio.open_portfolio(session, other)
        assert isinstance(refused.value.orig, psycopg.errors.InsufficientPrivilege)
    async with database.portfolio() as session:
        (record,) = await portfolio.recent_portfolio_runs(session, 10)
    assert (record.portfolio_run_id, record.schedule) == (PORTFOLIO.portfolio_run_id, None)


async def test_session_of_no_tenant_closes_a_portfolio_run_once(
    database: Database, their_run: runs.RunIdentity
) -> None:
    async with database.no_tenant() as session:
        assert (await session.execute(text("SELECT count(*) FROM portfolio_run"))).scalar_one() == 1
        counts = PortfolioCounts(tenants=1, success=1)
        ending = portfolio.PortfolioEnd(RunStatus.SUCCESS, counts, [])
        await portfolio.close_portfolio(session, PORTFOLIO.portfolio_run_id, ending)
        late = ending._replace(status=RunStatus.FAILED)
        await portfolio.close_portfolio(session, PORTFOLIO.portfolio_run_id, late)
    async with database.portfolio() as session:
        record = await portfolio.portfolio_record(session, PORTFOLIO.portfolio_run_id)
    assert record is not None
    assert (record.status, record.counts) == (RunStatus.SUCCESS, counts), "a run is closed once"
    (tenant,) = record.tenants
    assert (tenant.tenant_id, tenant.run_id, tenant.status) == (THEIRS, their_run.run_id, RunStatus.SUCCESS)


async def test_the_outcome_of_a_tenant_is_copied_from_its_runs_record(
    database: Database, their_run: runs.RunIdentity
) -> None:
    await end(database, THEIRS, their_run, RunStatus.FAILED, {"a": (Outcome.FAILED, ErrorCode.GRAPH_THROTTLED)})
    outcome = portfolio.TenantRunOutcome(their_run.run_id, RunStatus.FAILED, True, [ErrorCode.UNEXPECTED_ERROR])
    for _ in range(2):
        async with database.tenant(THEIRS) as session:
            codes = await portfolio.record_tenant(session, PORTFOLIO.portfolio_run_id, outcome)
        assert codes == [ErrorCode.GRAPH_THROTTLED]
    async with database.portfolio() as session:
        record = await portfolio.portfolio_record(session, PORTFOLIO.portfolio_run_id)
        run = await queries.run_record(session, their_run.run_id)
    assert record is not None
    assert run is not None
    (tenant,) = record.tenants
    assert (tenant.status, tenant.joined, tenant.started_at, tenant.finished_at) == (
        RunStatus.FAILED,
        True,
        run.started_at,
        run.finished_at,
    )
