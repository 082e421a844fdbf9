"""Row-level security: every table and every query, tried from another tenant's transaction."""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from uuid import uuid4

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, ProgrammingError
from sqlalchemy.ext.asyncio import AsyncSession

import answers.drift.tables
import answers.promotion.tables  # noqa: F401 - completes the metadata
from answers.changes import audit_queries as auditing
from answers.dependencies import queries as dependencies
from answers.drift import baseline_queries as baselines
from answers.drift import decision_queries as decisions
from answers.drift import queries as drift
from answers.drift.baselines import set_moment
from answers.drift.decision_scope import DecisionScope
from answers.drift.evaluation import evaluate
from answers.drift.rules import Decision
from graph.catalog import AUDIT_EVENTS
from inventory.error_codes import ErrorCode
from inventory.missing import RunCoverage
from inventory.outcomes import Counts, Outcome, RunStatus
from inventory.people import Person, Role
from inventory.portfolio import PortfolioCounts, TenantChoice
from inventory.reference_extraction import ReadingRules
from inventory.selection import Selection
from local.postgres import EmbeddedPostgres
from storage import (
    access_rules,
    coverage,
    details,
    documents,
    listed_pages,
    portfolio,
    queries,
    references,
    runs,
    staging,
    versions,
    watch,
    web_sessions,
)
from storage import confirmations as confirming
from storage import merge as merging
from storage import object_names as names
from storage import request_pace as pacing
from storage.access import ALL_TENANTS
from storage.database import Database, StorageUnavailableError
from storage.models import Base
from storage.watch import LogLook
from tests.conftest import OWNER, Rows, copy_of, empty, filled_by, put_back, rows_of, url_of
from tests.storage.support import LEASE, SLOTS, audit_event, begin, end, identity, land, listed, observation, sync

MINE, THEIRS = uuid4(), uuid4()

TABLES = frozenset(
    {
        "tenant",
        "sync_run",
        "sync_run_collection",
        "collection_coverage",
        "item_absence",
        "audited_object",
        "staged_item",
        "listed_page",
        "merged_wave",
        "request_pace",
        "audit_log_position",
        "document",
        "inventory_item",
        "item_version",
        "item_version_pin",
        "pending_item",
        "item_reference",
        "unread_item",
        "item_name",
        "item_setting",
        "reference_rules",
        "baseline",
        "baseline_collection",
        "baseline_gap",
        "drift_finding",
        "drift_decision",
        "promotion_plan",
        "promotion_decision",
        "promotion_mapping",
        "portfolio_run_tenant",
    }
)
WITHOUT_KEY = {"item_setting"}
"""An index that starts with the tenant, whose entries are equal, takes less room than a primary key."""

OF_NO_TENANT = "portfolio_run"
OF_THE_WEB = {"access_rule", "audit_record", "sign_in_flow", "sign_in_link", "web_person", "web_session"}
"""Seen in a session of no tenant alone: see `tests/web`."""
PORTFOLIO = portfolio.PortfolioIdentity(
    uuid4(), "portfolio/test", Selection(type_keys=("a",)), TenantChoice(tenant_ids=(THEIRS,))
)
RULES = {"b": ReadingRules({"needs": ("a",)}, assignable=True, has_settings=True)}
READABLE = {"staged_item": "staged_observation"}


class SetUp(NamedTuple):
    """A migrated database to copy, and the login that tests use; None is the superuser."""

    template: str
    login: str | None


class Filled(NamedTuple):
    """A database with another tenant's open run, and rows of theirs in every table."""

    database: Database
    run: runs.RunIdentity


@pytest.fixture(scope="module", params=["two roles", "one role"])
def set_up(request: pytest.FixtureRequest, migrated_template: str, one_role_template: str) -> SetUp:
    return SetUp(migrated_template, None) if request.param == "two roles" else SetUp(one_role_template, OWNER)


@pytest.fixture(scope="module")
def used_again(postgres: EmbeddedPostgres, set_up: SetUp) -> Iterator[str]:
    yield from copy_of(postgres, *set_up)


@pytest.fixture
def database_url(postgres: EmbeddedPostgres, used_again: str) -> Iterator[str]:
    yield used_again
    empty(as_superuser(postgres, used_again))


def as_superuser(postgres: EmbeddedPostgres, url: str) -> str:
    """The URL of the same database, without the bounds of its owner."""
    return url_of(postgres, url.rpartition("/")[2])


@pytest.fixture(scope="module")
def filled_once(postgres: EmbeddedPostgres, set_up: SetUp) -> Iterator[tuple[str, runs.RunIdentity]]:
    """For tests that leave nothing behind."""
    for url in copy_of(postgres, *set_up):
        yield url, asyncio.run(filled_by(their_rows, url))


@pytest.fixture
async def filled(filled_once: tuple[str, runs.RunIdentity]) -> AsyncIterator[Filled]:
    url, run = filled_once
    database = Database(url)
    yield Filled(database, run)
    await database.close()


@pytest.fixture(scope="module")
def their_rows_once(postgres: EmbeddedPostgres, filled_once: tuple[str, runs.RunIdentity]) -> Rows:
    return rows_of(as_superuser(postgres, filled_once[0]))


@pytest.fixture
def their_run(
    postgres: EmbeddedPostgres, database_url: str, filled_once: tuple[str, runs.RunIdentity], their_rows_once: Rows
) -> runs.RunIdentity:
    put_back(as_superuser(postgres, database_url), their_rows_once)
    return filled_once[1]


OF_PROMOTIONS = """
INSERT INTO promotion_plan (plan_id, source_tenant_id, created_by, expires_at, counts, content_hash, content)
VALUES (gen_random_uuid(), gen_random_uuid(), 'ada', now(), '{}', sha256('x'), '');
INSERT INTO promotion_decision (plan_id, decision, content_hash, decided_by, reason)
SELECT plan_id, 'approved', content_hash, 'grace', 'a reason' FROM promotion_plan;
INSERT INTO promotion_mapping (source_tenant_id, type_key, source_id, target_id, mapped_by, reason)
VALUES (gen_random_uuid(), 'groups', '1', '2', 'ada', 'a reason')
"""


async def their_rows(database: Database) -> runs.RunIdentity:
    """Another tenant's open run, with rows in every table."""
    await sync(database, THEIRS, [observation("b", "7", needs="1")], "b")
    await sync(database, THEIRS, [], "b")
    await references.catch_up(database, THEIRS, RULES)
    async with database.tenant(THEIRS) as session:
        await set_moment(session, "golden", None, "the test", None)
        await session.execute(
            text(
                "INSERT INTO baseline_gap (baseline, type_key, external_id, why)"
                " VALUES ('golden', 'b', '6', 'forgotten')"
            )
        )
    await sync(database, THEIRS, [observation("b", "8")], "b")
    async with database.tenant(THEIRS) as session:
        await evaluate(session, THEIRS, "golden")
        for fingerprint in await drift.open_values(session, "golden"):
            await decisions.decide(session, [fingerprint], Decision.ACCEPTED, "the test", "a reason", None)
        everything = DecisionScope(field="*")
        fingerprint = everything.fingerprint(THEIRS)
        await decisions.decide_scope(session, fingerprint, everything, Decision.EXPECTED, "the test", "a reason", None)
    await sync(database, THEIRS, [audit_event("e", "1")], AUDIT_EVENTS)
    async with database.tenant(THEIRS) as session:
        for statement in OF_PROMOTIONS.split(";"):
            await session.execute(text(statement))
    run = await begin(database, THEIRS, "a")
    await land(database, THEIRS, run, [observation("a", "1", displayName="secret"), listed("a", "3")])
    async with database.tenant(THEIRS) as session:
        await staging.stage(session, run.run_id, uuid4(), [observation("a", "2")])
        of_an_older_worker: Any = observation("a", "4")
        await staging.stage(session, run.run_id, uuid4(), [of_an_older_worker._replace(body_hash=None)])
        await listed_pages.open_listings(session, run.run_id, {"a": "/a"})
        await pacing.pause(session, "apps", LEASE)
        await watch.keep_position(session, LogLook(AUDIT_EVENTS), datetime.now(UTC))
        await versions.pin(session, "a", "1", 1, "the test", None)
    async with database.no_tenant() as session:
        await portfolio.open_portfolio(session, PORTFOLIO)
        for link in (bytes(32), b"x" * 32):
            await web_sessions.add_link(
                session, link, Person(person_id="local/ada", name="ada", role=Role.READER), LEASE
            )
        await web_sessions.redeem_link(session, bytes(32), bytes(32), LEASE)
        await web_sessions.begin_flow(session, bytes(32), {"state": "x"}, "/", LEASE)
        everyone = access_rules.Subject(None, Role.READER)
        await access_rules.set_rule(session, everyone, is_excluded=False, set_by="ada", reason=None)
    async with database.tenant(THEIRS) as session:
        await portfolio.record_tenant(
            session, PORTFOLIO.portfolio_run_id, portfolio.TenantRunOutcome(run.run_id, RunStatus.SUCCESS, False, [])
        )
    return run


def test_the_tables_are_these() -> None:
    assert set(Base.metadata.tables) == TABLES | OF_THE_WEB | {OF_NO_TENANT}
    for name in TABLES:
        table = Base.metadata.tables[name]
        if name in WITHOUT_KEY:
            assert not table.primary_key.columns
            assert "tenant_id" in {next(iter(index.columns)).name for index in table.indexes}
        else:
            assert next(iter(table.primary_key.columns)).name == "tenant_id"
        for key in table.foreign_key_constraints:
            assert "tenant_id" in [column.name for column in key.columns] or key.referred_table.name == OF_NO_TENANT


async def rows_of_tables(session: AsyncSession) -> dict[str, int]:
    """How many rows of each table a transaction sees."""
    return {
        table: (await session.execute(text(f"SELECT count(*) FROM {READABLE.get(table, table)}"))).scalar_one()
        for table in sorted(TABLES)
    }


async def test_no_row_of_another_tenant_is_seen(filled: Filled) -> None:
    async with filled.database.tenant(THEIRS) as session:
        assert [table for table, rows in (await rows_of_tables(session)).items() if not rows] == []
    async with filled.database.tenant(MINE) as session:
        assert await rows_of_tables(session) == dict.fromkeys(TABLES, 0)


async def test_no_row_of_another_tenant_is_written(filled: Filled) -> None:
    async with filled.database.tenant(THEIRS) as session:
        before = await rows_of_tables(session)
    for table in sorted(TABLES):
        target = READABLE.get(table, table)
        for statement in (f"DELETE FROM {target}", f"UPDATE {target} SET tenant_id = tenant_id"):
            try:
                async with filled.database.tenant(MINE) as session:
                    result = await session.execute(text(statement))
                    assert result.rowcount == 0, statement  # type: ignore[attr-defined]
            except StorageUnavailableError as error:
                assert "permission denied" in str(error), statement
    async with filled.database.tenant(THEIRS) as session:
        assert await rows_of_tables(session) == before


INSERTS = {
    "tenant": "(tenant_id, name) VALUES (:theirs, 'x')",
    "sync_run": "(tenant_id, run_id, workflow_id, selection_hash, selection, lease_expires_at)"
    " VALUES (:theirs, gen_random_uuid(), 'w', repeat('a', 64), '{}', now())",
    "sync_run_collection": "(tenant_id, run_id, type_key) VALUES (:theirs, :run_id, 'b')",
    "staged_item": "(tenant_id, run_id, fetch_token, type_key, external_id, meta, content_hash, document,"
    " document_size, likeness_hash, is_whole)"
    " VALUES (:theirs, :run_id, gen_random_uuid(), 'a', '1', '{}', '', '', 0, '', true)",
    "listed_page": "(tenant_id, run_id, type_key, fetch_token, position, opens, is_merged)"
    " VALUES (:theirs, :run_id, 'b', gen_random_uuid(), gen_random_uuid(), '{}', true)",
    "merged_wave": "(tenant_id, run_id, fetch_token) VALUES (:theirs, :run_id, gen_random_uuid())",
    "request_pace": "(tenant_id, throttle_family) VALUES (:theirs, 'directory')",
    "audit_log_position": "(tenant_id, type_key) VALUES (:theirs, 'auditEvents')",
    "document": "(tenant_id, content_hash, body, size) VALUES (:theirs, sha256('x'), '{}', 2)",
    "inventory_item": "(tenant_id, type_key, external_id, meta, content_hash, version_number, first_seen_at,"
    " first_seen_run_id, content_changed_at, last_seen_at, last_seen_run_id)"
    " VALUES (:theirs, 'a', 'new', '{}', sha256('x'), 1, now(), :run_id, now(), now(), :run_id)",
    "item_version": "(tenant_id, type_key, external_id, version_number, content_hash, first_observed_at,"
    " first_observed_run_id) SELECT :theirs, 'a', '1', 99, sha256('x'), now(), :run_id",
    "item_version_pin": "(tenant_id, type_key, external_id, version_number, pinned_by)"
    " VALUES (:theirs, 'a', '1', 1, 'me')",
    "portfolio_run_tenant": "(tenant_id, portfolio_run_id, status, joined)"
    " VALUES (:theirs, gen_random_uuid(), 'success', false)",
    "collection_coverage": "(tenant_id, type_key, run_id, run_started_at, outcome)"
    " VALUES (:theirs, 'a', :run_id, now(), 'failed')",
    "item_absence": "(tenant_id, type_key, external_id, absent_from, run_id, last_seen_at, evidence, confidence)"
    " VALUES (:theirs, 'a', '1', now(), :run_id, now() - interval '1 day', 'confirmed', 'high')",
    "item_reference": "(tenant_id, type_key, external_id, position, version_number, path, role, target_type_keys,"
    " target_id) VALUES (:theirs, 'a', '1', 9, 1, 'x', 'use', '{}', '1')",
    "unread_item": "(tenant_id, type_key, external_id) VALUES (:theirs, 'a', '9')",
    "item_name": "(tenant_id, type_key, external_id, name_key) VALUES (:theirs, 'a', '9', 'x')",
    "item_setting": "(tenant_id, type_key, external_id, position, setting) VALUES (:theirs, 'a', '9', 0, 'x')",
    "reference_rules": "(tenant_id, type_key, rules_hash) VALUES (:theirs, 'a', '')",
    "promotion_plan": "(tenant_id, plan_id, source_tenant_id, created_by, expires_at, counts, content_hash, content)"
    " VALUES (:theirs, gen_random_uuid(), :theirs, 'me', now(), '{}', sha256('x'), '')",
    "promotion_decision": "(tenant_id, plan_id, decision, content_hash, decided_by, reason)"
    " VALUES (:theirs, gen_random_uuid(), 'approved', sha256('x'), 'me', 'x')",
    "promotion_mapping": "(tenant_id, source_tenant_id, type_key, source_id, target_id, mapped_by, reason)"
    " VALUES (:theirs, :theirs, 'groups', '1', '2', 'me', 'x')",
    "baseline": "(tenant_id, name, kind, at, set_by) VALUES (:theirs, 'x', 'moment', now(), 'me')",
    "baseline_collection": "(tenant_id, baseline, type_key, outcome, run_id, read_at)"
    " VALUES (:theirs, 'golden', 'a', 'complete', :run_id, now())",
    "baseline_gap": "(tenant_id, baseline, type_key, external_id, why) VALUES (:theirs, 'golden', 'a', '1', 'unread')",
    "drift_finding": "(tenant_id, fingerprint, period, baseline, type_key, external_id, item_kind, path, kind, hidden,"
    " value_hash, severity, evidence, first_seen_at, last_seen_at) VALUES (:theirs, repeat('a', 64), 1, 'golden', 'a',"
    " '1', 'x', '', 'item_added', false, sha256('x'), 'low', 'observed', now(), now())",
    "drift_decision": "(tenant_id, fingerprint, number, decision, value_hash, decided_by, reason)"
    " VALUES (:theirs, repeat('a', 64), 1, 'open', sha256('x'), 'me', 'x')",
    "audited_object": "(tenant_id, object_id, activity_at, event_id) VALUES (:theirs, '1', now(), 'f')",
    "pending_item": "(tenant_id, run_id, type_key, external_id, shard, list_hash, list_document, list_document_size)"
    " VALUES (:theirs, :run_id, 'a', '9', 0, '', '', 0)",
}


async def test_no_row_is_planted_in_another_tenant(filled: Filled) -> None:
    values = {"theirs": THEIRS, "run_id": filled.run.run_id}
    assert INSERTS.keys() == TABLES
    for table, insert in INSERTS.items():
        refusals = "permission denied for table" if table == "staged_item" else "violates row-level security policy"
        with pytest.raises((ProgrammingError, StorageUnavailableError), match=refusals):
            async with filled.database.tenant(MINE) as session:
                await session.execute(text(f"INSERT INTO {table} {insert}"), values)


async def _crossing_queries(
    session: AsyncSession, theirs: runs.RunIdentity
) -> dict[str, Callable[[], Awaitable[object]]]:
    """Every function of `storage/` that takes a session, asked for the other tenant's rows by name."""
    their_hash = theirs.selection.hash()

    async def listed_items() -> object:
        return [item async for item in queries.items(session, None)]

    async def listed_missing() -> object:
        run = RunCoverage(RunStatus.SUCCESS, datetime.max.replace(tzinfo=UTC), has_errors=False)
        basis = queries.CollectionBasis(theirs.run_id, run, None)
        asked = queries.Question(None, dict.fromkeys(theirs.selection.type_keys, basis))
        return [item async for item in queries.missing_items(session, asked)]

    async def not_read() -> object:
        run = RunCoverage(RunStatus.SUCCESS, datetime.max.replace(tzinfo=UTC), has_errors=False)
        basis = queries.CollectionBasis(theirs.run_id, run, None)
        asked = queries.Question(None, dict.fromkeys(theirs.selection.type_keys, basis))
        return await queries.collections_not_read(session, asked)

    async def all_of(found: AsyncIterator[object]) -> object:
        return [row async for row in found]

    async def resolved() -> object:
        try:
            return await queries.resolve_selection_hash(session, their_hash)
        except queries.UnknownSelectionError:
            return None

    async def there_now() -> object:
        return [item async for item in documents.items_at(session, datetime.max.replace(tzinfo=UTC))]

    async def forgotten(some: Awaitable[versions.ForgottenCounts]) -> object:
        return (await some).versions

    async def waited(turn: Awaitable[pacing.Turn]) -> object:
        return (await turn).wait

    return {
        "run_record": lambda: queries.run_record(session, theirs.run_id),
        "recent_runs": lambda: queries.recent_runs(session, 100),
        "count_unread": lambda: references.count_unread(session, RULES),
        "read_some": lambda: references.read_some(session, RULES),
        "of_items": lambda: dependencies.of_items(session, [("b", "7")], 10),
        "to_items": lambda: dependencies.to_items(session, [("a", "1")], 10),
        "all_references": lambda: all_of(dependencies.all_references(session)),
        "not_there": lambda: all_of(dependencies.not_there(session, None)),
        "unassigned": lambda: all_of(dependencies.unassigned(session, None)),
        "reaching": lambda: all_of(dependencies.reaching(session, "1", everyone=True)),
        "question": lambda: queries.question(session, their_hash),
        "items": listed_items,
        "missing_items": listed_missing,
        "item": lambda: queries.item(session, "a", "1"),
        "history": lambda: versions.history(session, "a", "1"),
        "find": lambda: documents.find(session, "a", "1", 10),
        "some_items": lambda: documents.some_items(session, "a"),
        "document": lambda: documents.document(session, "a", "1", 1),
        "items_at": there_now,
        "was_read": lambda: documents.was_read(session, datetime.max.replace(tzinfo=UTC), ["b"]),
        "collections_not_read": not_read,
        "types_not_read": lambda: documents.types_not_read(session, datetime.max.replace(tzinfo=UTC)),
        "resolve_selection_hash": resolved,
        "expired_runs": lambda: runs.expired_runs(session, 100),
        "close_abandoned": lambda: runs.close_abandoned(session, theirs.run_id),
        "count_unlisted": lambda: confirming.count_unlisted(session, theirs.run_id, ["a"]),
        "some_unlisted": lambda: confirming.some_unlisted(session, theirs.run_id, ["a"], 10),
        "take_turn": lambda: waited(pacing.take_turn(session, "apps", None)),
        "count_pending": lambda: details.count_pending(session, theirs.run_id, ["a"]),
        "some_pending": lambda: details.some_pending(session, theirs.run_id, [details.Share("a")], 10),
        "left": lambda: details.left(session, theirs.run_id, [details.Share("a")]),
        "pin": lambda: versions.pin(session, "a", "1", 1, "me", None),
        "unpin": lambda: versions.unpin(session, "a", "1", 1, "the test"),
        "forget": lambda: forgotten(versions.forget(session, older_than=timedelta(0), kept=0, most=10)),
        "recorded": lambda: merging.recorded(session, theirs.run_id, uuid4()),
        "ended_runs": lambda: portfolio.ended_runs(session, [theirs.run_id]),
        "portfolio_record": lambda: portfolio.portfolio_record(session, PORTFOLIO.portfolio_run_id),
        "ids_between": lambda: portfolio.ids_between(
            session, PORTFOLIO.portfolio_run_id, PORTFOLIO.portfolio_run_id, 10
        ),
        "run_ids_between": lambda: queries.run_ids_between(session, theirs.run_id, theirs.run_id, 10),
        "recorded_runs": lambda: queries.recorded_runs(session, [theirs.run_id]),
        "recent_portfolio_runs": lambda: portfolio.recent_portfolio_runs(session, 100),
        "coverage": lambda: coverage.coverage(session),
        "audit_events": lambda: auditing.audit_events(session, ["1"], None, datetime.max.replace(tzinfo=UTC) - LEASE),
        "display_names": lambda: names.display_names(session, [("a", "1")]),
        "baselines": lambda: baselines.baselines(session),
        "baseline_collections": lambda: baselines.baseline_collections(session, "golden"),
        "gaps": lambda: baselines.gaps(session, "golden"),
        "drop_baseline": lambda: baselines.drop_baseline(session, "golden"),
        "open_values": lambda: drift.open_values(session, "golden"),
        "findings_of": lambda: drift.findings_of(session, "golden"),
        "findings_beginning": lambda: drift.findings_beginning(session, "", 10),
        "unresolved_findings": lambda: drift.unresolved_findings(session),
        "scope_decisions": lambda: decisions.scope_decisions(session),
        "scopes_beginning": lambda: decisions.scopes_beginning(session, "", 10),
        "all_decisions": lambda: decisions.all_decisions(session),
        "items_with_findings": lambda: decisions.items_with_findings(session, "", None, 10),
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
        assert (await runs.open_run(session, mine, SLOTS)).state is runs.OpeningState.RUNNING
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
    for table in sorted(TABLES | {OF_NO_TENANT}):
        target = READABLE.get(table, table)
        for statement in (f"DELETE FROM {target}", f"TRUNCATE {table}", "SET TRANSACTION READ WRITE"):
            with pytest.raises((DBAPIError, StorageUnavailableError)) as refused:
                async with database.portfolio() as session:
                    await session.execute(text(statement))
            assert re.search("read-only|permission denied|read-write mode", str(refused.value)), statement


async def test_the_portfolio_sees_every_table(filled: Filled) -> None:
    async with filled.database.portfolio() as session:
        for table in sorted(TABLES - READABLE.keys() | {OF_NO_TENANT}):
            assert (await session.execute(text(f"SELECT count(*) FROM {table}"))).scalar_one() > 0, table


async def test_a_plan_made_for_all_tenants_is_not_used_for_one(database: Database, their_run: runs.RunIdentity) -> None:
    """The driver prepares a statement that it has seen often enough, and PostgreSQL keeps its plan."""
    seen = set()
    for _ in range(20):
        async with database.portfolio() as session:
            every = len(await queries.recent_runs(session, 100))
        async with database.tenant(MINE) as session:
            mine = len(await queries.recent_runs(session, 100))
        seen.add((every, mine))
    assert seen == {(every, 0)}
    assert every > 0


async def test_a_portfolio_of_some_tenants_sees_no_row_of_another(filled: Filled) -> None:
    for visible, is_seen in (([THEIRS], True), ([MINE, THEIRS], True), ([MINE], False), ([], False)):
        async with filled.database.portfolio(visible) as session:
            for table in sorted(TABLES - READABLE.keys() | {OF_NO_TENANT}):
                count = (await session.execute(text(f"SELECT count(*) FROM {table}"))).scalar_one()
                assert (count > 0) is is_seen, (table, visible)


async def test_a_portfolio_run_over_all_tenants_is_not_for_whoever_sees_some(database: Database) -> None:
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


async def test_a_plan_made_for_some_tenants_is_not_used_for_others(
    database_url: str, their_run: runs.RunIdentity
) -> None:
    """Prepared statements stay with their connection, whoever has it next."""
    database = Database(database_url, pool_size=1)
    seen = []
    for _ in range(20):
        found = []
        for visible in (None, [THEIRS], [MINE]):
            async with database.portfolio(visible) as session:
                found.append(len(await queries.recent_runs(session, 100)))
        async with database.tenant(MINE) as session:
            found.append(len(await queries.recent_runs(session, 100)))
        seen.append(found)
    await database.close()
    assert seen[0][0] > 0
    assert seen == [[seen[0][0], seen[0][0], 0, 0]] * 20


async def test_the_switch_to_all_tenants_gives_nothing_to_write(
    database: Database, their_run: runs.RunIdentity
) -> None:
    """Whoever sets it by hand, in a transaction that may write."""
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


async def test_row_level_security_binds_the_owner_too(database_url: str, postgres: EmbeddedPostgres) -> None:
    with psycopg.connect(database_url) as connection:
        unforced = connection.execute(
            "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'"
            " AND NOT (relrowsecurity AND relforcerowsecurity)"
        )
        assert {name for (name,) in unforced} == {"staged_item", "alembic_version"}


def test_counts_are_all_stored() -> None:
    assert set(Counts.model_fields) <= {column.name for column in Base.metadata.tables["sync_run"].columns}


async def test_a_portfolio_run_names_tenants_so_no_tenants_transaction_sees_or_writes_it(
    database: Database, their_run: runs.RunIdentity
) -> None:
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


async def test_what_belongs_to_no_tenant_is_written_without_a_view_of_any(
    database: Database, their_run: runs.RunIdentity
) -> None:
    async with database.no_tenant() as session:
        for table in TABLES:
            count = await session.execute(text(f"SELECT count(*) FROM {READABLE.get(table, table)}"))
            assert count.scalar_one() == 0, table
        assert (await session.execute(text("SELECT count(*) FROM portfolio_run"))).scalar_one() == 1
        counts = PortfolioCounts(tenants=1, success=1)
        ending = portfolio.PortfolioEnd(RunStatus.SUCCESS, counts, [])
        await portfolio.close_portfolio(session, PORTFOLIO.portfolio_run_id, ending)
        late = ending._replace(status=RunStatus.FAILED)
        await portfolio.close_portfolio(session, PORTFOLIO.portfolio_run_id, late)
    async with database.portfolio() as session:
        record = await portfolio.portfolio_record(session, PORTFOLIO.portfolio_run_id)
    assert record is not None
    assert (record.status, record.counts) == (RunStatus.SUCCESS, counts), "closed once"
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
