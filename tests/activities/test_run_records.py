"""Opening and closing a run's record while something else is broken."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import cast
from uuid import UUID, uuid4

import psycopg
import pytest
from sqlalchemy import text
from temporalio.client import Client
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode
from temporalio.testing import ActivityEnvironment

from activities import run_records
from activities.messages.portfolio import (
    FollowRuns,
    PortfolioRun,
    PortfolioRunEnd,
    RecordPortfolio,
    RecordPortfolioResult,
    RunToFollow,
    TenantOutcome,
)
from activities.messages.runs import FinishRun, Run, RunPolicy
from activities.observers import Observers, SensitivityRules
from activities.portfolio import RECORD_ATTEMPTS, PortfolioActivities
from activities.run_records import RunLimits, RunRecordActivities
from activities.tenants import TenantsFile
from graph.catalog import load_catalog
from inventory.error_codes import ErrorCode
from inventory.missing import Confidence, State
from inventory.outcomes import CollectionResult, Counts, Outcome, RunStatus
from inventory.portfolio import PortfolioCounts, TenantChoice
from inventory.records import RunRecord
from inventory.selection import Selection
from storage import confirmations, listed_pages, portfolio, queries, references
from storage.database import Database
from tests.activities.intercepted_activity import intercepted
from tests.storage.support import ONE_CREATED, items, observation, record_wave, sync, without_locks

TENANT = UUID(int=7)


def activities(database: Database, tenants_file: Path) -> RunRecordActivities:
    catalog = load_catalog()
    observers = Observers(catalog, SensitivityRules(), database)
    return RunRecordActivities(database, catalog, TenantsFile(tenants_file), observers, RunLimits(), RunPolicy())


def new_run(*type_keys: str) -> Run:
    return Run(tenant_id=TENANT, run_id=uuid4(), workflow_id="sync/test", selection=Selection(type_keys=type_keys))


def ending(run: Run) -> FinishRun:
    collections = {key: CollectionResult(outcome=Outcome.COMPLETE) for key in run.selection.type_keys}
    return FinishRun(run=run, status=RunStatus.SUCCESS, counts=Counts(), error_codes=[], collections=collections)


async def record_listings(database: Database, run: Run) -> None:
    """Records that the run read each of its collections, which are empty."""
    urls = {type_key: load_catalog().first_url(type_key, TENANT) for type_key in run.selection.type_keys}
    async with database.tenant(TENANT) as session:
        pages = [listed_pages.ReadPage(type_key, url, (), 0) for type_key, url in urls.items()]
        await listed_pages.record_pages(session, run.run_id, uuid4(), pages)


async def record_of(database: Database, run: Run) -> RunRecord:
    async with database.portfolio() as session:
        record = await queries.run_record(session, run.run_id)
    assert record is not None
    return record


async def tenant_name(database: Database) -> str:
    async with database.tenant(TENANT) as session:
        return str((await session.execute(text("SELECT name FROM tenant"))).scalar_one())


async def read_before(database: Database) -> None:
    """Records the tenant as read before, with its id for a name."""
    async with database.tenant(TENANT) as session:
        await session.execute(text("INSERT INTO tenant (name) VALUES (CAST(current_tenant() AS text))"))


def write_tenants_file(path: Path, tenant_id: UUID = TENANT) -> Path:
    path.write_text(f'[[tenant]]\nid = "{tenant_id}"\nname = "Contoso"\nmanaged_identity = true\n')
    return path


async def rows(database: Database) -> dict[str, int]:
    """The number of rows of all tenants, by table; tables without rows are left out."""
    async with database.portfolio() as session:
        counts = {
            table: (await session.execute(text(f"SELECT count(*) FROM {table}"))).scalar_one()
            for table in ("tenant", "sync_run", "sync_run_collection", "portfolio_run_tenant")
        }
    return {table: count for table, count in counts.items() if count}


async def test_a_run_record_needs_no_tenants_file(database: Database, tmp_path: Path) -> None:
    await read_before(database)
    path = tmp_path / "tenants.toml"
    records, environment, run = activities(database, path), ActivityEnvironment(), new_run("groups")
    assert (await environment.run(records.begin_run, run)).opening == RunStatus.RUNNING
    assert await tenant_name(database) == str(TENANT)
    write_tenants_file(path)
    await environment.run(records.begin_run, run)
    await record_listings(database, run)
    path.unlink()
    assert (await environment.run(activities(database, path).finish_run, ending(run))).status is RunStatus.SUCCESS
    assert (await record_of(database, run)).finished_at is not None
    assert await tenant_name(database) == "Contoso", "closing keeps the name"


@pytest.mark.parametrize(("outcome", "code"), [(Outcome.COMPLETE, None), (Outcome.FAILED, ErrorCode.GRAPH_THROTTLED)])
async def test_expired_log_entries_are_not_counted_as_missing_or_not_read(
    database: Database, tmp_path: Path, outcome: Outcome, code: ErrorCode | None
) -> None:
    types = ("auditEvents", "groups")
    await sync(database, TENANT, [observation("auditEvents", "1"), observation("groups", "1")], *types)
    run = new_run(*types)
    records, environment = activities(database, tmp_path / "none"), ActivityEnvironment()
    await environment.run(records.begin_run, run)
    await record_listings(database, run)
    collections = dict.fromkeys(types, CollectionResult(outcome=outcome, error_code=code))
    finish = ending(run).model_copy(update={"collections": collections, "status": RunStatus.PARTIAL})
    counts = (await environment.run(records.finish_run, finish)).counts
    assert counts.missing + counts.not_read == 1, "the group keeps its name"


@pytest.mark.parametrize(
    ("is_asked", "outcome", "code"),
    [(True, Outcome.COMPLETE, None), (False, Outcome.INCOMPLETE, ErrorCode.LISTING_UNPROVEN)],
)
async def test_a_listing_is_complete_only_if_unlisted_items_were_requested_by_id(
    database: Database, tmp_path: Path, is_asked: bool, outcome: Outcome, code: ErrorCode | None
) -> None:
    await sync(database, TENANT, [observation("groups", "1")], "groups")
    run = new_run("groups")
    records, environment = activities(database, tmp_path / "none"), ActivityEnvironment()
    await environment.run(records.begin_run, run)
    await record_listings(database, run)
    if is_asked:
        async with database.tenant(TENANT) as session:
            await confirmations.record_gone(session, run.run_id, [confirmations.UnlistedItem("groups", "1")])
    await environment.run(records.finish_run, ending(run))
    recorded = (await record_of(database, run)).collections["groups"]
    assert (recorded.outcome, recorded.error_code) == (outcome, code)
    missing = (await items(database, TENANT))["1"]
    assert (missing.state, missing.confidence) == (State.MISSING, Confidence.HIGH if is_asked else Confidence.LOW)


async def test_a_run_that_was_never_opened_is_recorded_at_its_end(database: Database, tmp_path: Path) -> None:
    await read_before(database)
    run = new_run("groups")
    finish = ending(run).model_copy(update={"status": RunStatus.CANCELLED, "collections": {}})
    await ActivityEnvironment().run(activities(database, tmp_path / "none").finish_run, finish)
    assert (await record_of(database, run)).status is RunStatus.CANCELLED
    assert await tenant_name(database) == str(TENANT)


async def test_a_run_begun_by_0_3_0_needs_no_records_of_its_pages(database: Database, tmp_path: Path) -> None:
    await read_before(database)
    run = new_run("groups", "auditEvents")
    records, environment = activities(database, tmp_path / "none"), ActivityEnvironment()
    await environment.run(records.begin_run, run)
    async with database.tenant(TENANT) as session:
        await listed_pages.forget_pages(session, run.run_id)  # 0.3.0 recorded none
        last = listed_pages.ReadPage("groups", "/groups?$skiptoken=last", (), 0)
        await listed_pages.record_pages(session, run.run_id, uuid4(), [last])
    assert (await environment.run(records.finish_run, ending(run))).status is RunStatus.SUCCESS


async def test_begin_run_names_unknown_collections_and_plans_the_others(database: Database, tmp_path: Path) -> None:
    await read_before(database)
    run = new_run("groups", "ofALaterRelease")
    result = await ActivityEnvironment().run(activities(database, tmp_path / "none").begin_run, run)
    assert [planned.type_key for planned in result.plan] == ["groups"]
    assert result.unknown == ["ofALaterRelease"]


async def test_a_run_ends_although_its_references_cannot_be_read(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await read_before(database)

    async def catch_up(*_: object, **__: object) -> None:
        raise KeyError("defect")

    monkeypatch.setattr(references, "catch_up", catch_up)
    run = new_run("groups")
    records, environment = activities(database, tmp_path / "none"), ActivityEnvironment()
    await environment.run(records.begin_run, run)
    await record_listings(database, run)
    assert (await environment.run(records.finish_run, ending(run))).status is RunStatus.SUCCESS
    assert (await record_of(database, run)).status is RunStatus.SUCCESS


async def test_a_run_ends_after_a_few_failed_attempts_to_link_recreated_items(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await read_before(database)

    async def link(session: object, *_: object) -> None:
        await session.execute(text("SELECT 1 / 0"))  # type: ignore[attr-defined]

    monkeypatch.setattr(run_records, "link_recreated", link)
    run = new_run("groups")
    records, environment = activities(database, tmp_path / "none"), ActivityEnvironment()
    await environment.run(records.begin_run, run)
    await record_listings(database, run)
    await record_wave(database, TENANT, run.run_id, ONE_CREATED)
    for attempt in (1, 2):
        environment.info = replace(environment.info, attempt=attempt)
        with pytest.raises(Exception, match=r".*") as failed:
            await intercepted(environment, records.finish_run, ending(run))
        assert getattr(failed.value, "type", None) == ErrorCode.UNEXPECTED_ERROR
    environment.info = replace(environment.info, attempt=3)
    finished = await environment.run(records.finish_run, ending(run))
    assert (finished.status, finished.counts.created) == (RunStatus.SUCCESS, 1)


@pytest.mark.parametrize(
    ("content", "code"), [("named", ErrorCode.AUTH_FAILED), (None, ErrorCode.CONFIGURATION_INVALID)]
)
async def test_an_unknown_tenant_is_refused_and_leaves_no_row(
    database: Database, tmp_path: Path, content: str | None, code: ErrorCode
) -> None:
    path = tmp_path / "tenants.toml"
    if content is not None:
        write_tenants_file(path, UUID(int=8))
    records, environment = activities(database, path), ActivityEnvironment()
    for number in range(3):
        run = new_run("groups").model_copy(update={"tenant_id": UUID(int=900 + number)})
        with pytest.raises(ApplicationError) as refused:
            await intercepted(environment, records.begin_run, run)
        assert refused.value.type == code
        failed = ending(run).model_copy(update={"status": RunStatus.FAILED, "error_codes": [code]})
        assert (await environment.run(records.finish_run, failed)).status is RunStatus.FAILED
    assert await rows(database) == {}


async def test_tenants_of_the_last_valid_file_stay_known_while_it_is_broken(database: Database, tmp_path: Path) -> None:
    path = write_tenants_file(tmp_path / "tenants.toml")
    records, environment = activities(database, path), ActivityEnvironment()
    with pytest.raises(ApplicationError):
        await intercepted(
            environment, records.begin_run, new_run("groups").model_copy(update={"tenant_id": UUID(int=900)})
        )
    path.write_text("[[tenant]")
    assert (await environment.run(records.begin_run, new_run("groups"))).opening == RunStatus.RUNNING
    assert await tenant_name(database) == "Contoso"


async def test_unknown_tenants_leave_no_row_in_a_portfolio_run(database: Database, tmp_path: Path) -> None:
    named, taken_out, made_up = TENANT, UUID(int=8), UUID(int=900)
    portfolios = PortfolioActivities(
        database, TenantsFile(write_tenants_file(tmp_path / "tenants.toml")), cast("Client", None), 5
    )
    async with database.tenant(taken_out) as session:
        await session.execute(text("INSERT INTO tenant (name) VALUES ('Fabrikam')"))
    run = PortfolioRun(
        portfolio_run_id=uuid4(),
        workflow_id="portfolio/test",
        selection=Selection(type_keys=("groups",)),
        chosen=TenantChoice(tenant_ids=(named, taken_out, made_up)),
    )
    outcomes = [
        TenantOutcome(tenant_id=tenant_id, status=RunStatus.FAILED, error_codes=[code])
        for tenant_id, code in (
            (named, ErrorCode.WORKFLOW_ID_HELD),
            (taken_out, ErrorCode.AUTH_FAILED),
            (made_up, ErrorCode.CONCURRENCY_LIMIT),
        )
    ]
    recorded = await ActivityEnvironment().run(portfolios.record_portfolio, RecordPortfolio(run=run, outcomes=outcomes))
    assert set(recorded.error_codes) == {outcome.error_codes[0] for outcome in outcomes}
    async with database.portfolio() as session:
        record = await portfolio.portfolio_record(session, run.portfolio_run_id)
    assert record is not None
    assert {tenant.tenant_id for tenant in record.tenants} == {named, taken_out}


class TiredTemporal:
    """Does not answer about one workflow, and has no other."""

    def __init__(self, workflow_id: str) -> None:
        self._workflow_id = workflow_id

    def get_workflow_handle(self, workflow_id: str) -> "TiredTemporal":
        return TiredTemporal("" if workflow_id == self._workflow_id else workflow_id)

    async def describe(self) -> None:
        status = RPCStatusCode.NOT_FOUND if self._workflow_id else RPCStatusCode.DEADLINE_EXCEEDED
        raise RPCError("no description", status, b"")


async def test_a_run_that_temporal_does_not_describe_holds_up_no_other(database: Database, tmp_path: Path) -> None:
    temporal, tenants = cast("Client", TiredTemporal("sync/one")), TenantsFile(tmp_path / "tenants.toml")
    followed = [
        RunToFollow(tenant_id=UUID(int=number), workflow_id=workflow_id, run_id=uuid4())
        for number, workflow_id in enumerate(("sync/one", "sync/other"))
    ]
    portfolios = PortfolioActivities(database, tenants, temporal, 5)
    found = await ActivityEnvironment().run(portfolios.follow_runs, FollowRuns(runs=followed))
    assert [(outcome.run_id, outcome.status) for outcome in found.outcomes] == [
        (followed[0].run_id, RunStatus.RUNNING),
        (followed[1].run_id, RunStatus.FAILED),
    ]


async def test_a_locked_tenant_does_not_keep_a_portfolio_run_open(
    database: Database, database_url: str, tmp_path: Path
) -> None:
    portfolios = PortfolioActivities(
        database, TenantsFile(write_tenants_file(tmp_path / "tenants.toml")), cast("Client", None), 5
    )
    locked = UUID(int=8)
    async with database.tenant(locked) as session:
        await session.execute(text("INSERT INTO tenant (name) VALUES ('Fabrikam')"))
    run = PortfolioRun(
        portfolio_run_id=uuid4(),
        workflow_id="portfolio/test",
        selection=Selection(type_keys=("groups",)),
        chosen=TenantChoice(tenant_ids=(locked, TENANT)),
    )
    begun, ended = (
        [TenantOutcome(tenant_id=tenant_id, status=status) for tenant_id in (locked, TENANT)]
        for status in (RunStatus.RUNNING, RunStatus.SUCCESS)
    )
    end = PortfolioRunEnd(status=RunStatus.SUCCESS, counts=PortfolioCounts(tenants=2, success=2), error_codes=[])
    batch, last_batch = (RecordPortfolio(run=run, outcomes=ended, ending=ending) for ending in (None, end))
    environment = ActivityEnvironment()
    await environment.run(portfolios.record_portfolio, RecordPortfolio(run=run, outcomes=begun))
    async with await psycopg.AsyncConnection.connect(database_url) as connection:
        await connection.execute("SELECT FROM portfolio_run_tenant WHERE tenant_id = %s FOR UPDATE", [locked])

        async def record(request: RecordPortfolio) -> RecordPortfolioResult:
            return await without_locks(database_url, environment.run(portfolios.record_portfolio, request))

        assert (await record(batch)).unrecorded == ended[:1]
        with pytest.raises(ApplicationError, match="1 outcome could not be recorded"):
            await record(last_batch)
        environment.info = replace(environment.info, attempt=RECORD_ATTEMPTS)
        assert (await record(last_batch)).unrecorded == ended[:1]
    async with database.portfolio() as session:
        recorded = await portfolio.portfolio_record(session, run.portfolio_run_id)
    assert recorded is not None
    assert (recorded.status, recorded.counts.success) == (RunStatus.SUCCESS, 2)
    assert {tenant.tenant_id: tenant.status for tenant in recorded.tenants} == {
        locked: RunStatus.RUNNING,
        TENANT: RunStatus.SUCCESS,
    }


async def test_the_plan_says_when_details_of_each_collection_are_due(database: Database, tmp_path: Path) -> None:
    records = activities(database, write_tenants_file(tmp_path / "tenants.toml"))
    run = new_run("mobileApps", "roleScopeTags", "configurationPolicies", "groups", "assignmentFilters")
    result = await ActivityEnvironment().run(records.begin_run, run)
    due = {planned.type_key: planned.refresh for planned in result.plan}
    assert {key: refresh.period for key, refresh in due.items() if refresh is not None} == {
        "mobileApps": timedelta(hours=6),
        "roleScopeTags": timedelta(hours=24),
        "groups": timedelta(hours=24),
        "configurationPolicies": RunPolicy().detail_refresh,
    }
    assert {refresh.read_before for refresh in due.values() if refresh is not None} == {None}
