"""Activity calls, workflows and signals of a stranger with access to the Temporal namespace."""

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Row, text

from activities.messages.pages import CursorRequest, FetchPages, FetchPagesResult
from activities.messages.retention import ForgetRuns, ForgetRunsResult, ForgetVersions, ForgetVersionsResult
from activities.messages.runs import BeginRunResult, FinishRun, FinishRunResult, Run
from connections import connect_temporal
from graph.catalog import load_catalog
from inventory.error_codes import ErrorCode
from inventory.missing import State
from inventory.outcomes import CollectionResult, Counts, Outcome, RunStatus
from inventory.selection import Selection
from local.postgres import EmbeddedPostgres
from local.simulated_graph import Kind, SimulatedGraph, SimulatedTenant
from local.temporal import EmbeddedTemporal
from tests.conftest import copy_of
from tests.end_to_end.foreign_workflow import stranger
from tests.end_to_end.system import SEEDS, System
from workflows.messages import RetentionInput, SyncInput
from workflows.requests import sync_workflow_id
from workflows.retention import RetentionWorkflow
from workflows.sync import SyncWorkflow

GROUPS = Selection(type_keys=("groups",))

TENANTS = 12
"""More than the tests use."""


@pytest.fixture(scope="module")
def graph() -> Iterator[SimulatedGraph]:
    with SimulatedGraph(tenants=TENANTS, seed=next(SEEDS)) as server:
        yield server


@pytest.fixture(scope="module")
def shared(
    graph: SimulatedGraph,
    temporal: EmbeddedTemporal,
    postgres: EmbeddedPostgres,
    migrated_template: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[System]:
    """A worker for the whole module; each test has a tenant of its own."""
    for url in copy_of(postgres, migrated_template):
        with System(graph, temporal, url, tmp_path_factory.mktemp("shared")) as system:
            system.start_worker()
            yield system


@pytest.fixture(scope="module")
def unused(graph: SimulatedGraph) -> Iterator[SimulatedTenant]:
    return iter(graph.tenants)


@pytest.fixture
async def synced(shared: System, unused: Iterator[SimulatedTenant]) -> System:
    """A tenant whose groups a running worker has read."""
    shared.tenant = next(unused)
    assert (await asyncio.to_thread(shared.sync, "--type", "groups")).status is RunStatus.SUCCESS
    return shared


def new_run(system: System, selection: Selection = GROUPS) -> Run:
    tenant_id = UUID(system.tenant.id)
    return Run(
        tenant_id=tenant_id, run_id=uuid4(), workflow_id=sync_workflow_id(tenant_id, selection), selection=selection
    )


def claim(run: Run, outcome: Outcome = Outcome.COMPLETE, error_code: ErrorCode | None = None) -> FinishRun:
    """The claim that the run read everything and that most items are new."""
    collections = {
        key: CollectionResult(outcome=outcome, pages=1, error_code=error_code) for key in run.selection.type_keys
    }
    counts = Counts(observed=9, created=7, unchanged=2)
    return FinishRun(run=run, status=RunStatus.SUCCESS, counts=counts, error_codes=[], collections=collections)


def page_of(run: Run, url: str, type_key: str = "groups", api_version: str = "v1.0") -> FetchPages:
    cursors = [CursorRequest(type_key=type_key, url=url)]
    return FetchPages(tenant_id=run.tenant_id, run_id=run.run_id, api_version=api_version, cursors=cursors)


@pytest.mark.parametrize("opened", [False, True])
async def test_run_that_read_nothing_proves_no_item_missing(synced: System, *, opened: bool) -> None:
    run = new_run(synced)
    async with stranger(synced) as foreign:
        if opened:
            result = await foreign.call("begin_run", run, BeginRunResult)
            assert result.opening == RunStatus.RUNNING
        finished = await foreign.call("finish_run", claim(run), FinishRunResult)
    assert (finished.status, finished.error_codes) == (RunStatus.FAILED, [ErrorCode.LISTING_UNPROVEN])
    record = (await asyncio.to_thread(synced.starter, "run", str(run.run_id), "--json")).run()
    groups = record.collections["groups"]
    assert record.status is RunStatus.FAILED
    assert (groups.outcome, groups.error_code, groups.items) == (Outcome.INCOMPLETE, ErrorCode.LISTING_UNPROVEN, 0)
    items = await asyncio.to_thread(synced.items)
    assert record.counts == Counts(errors=1, not_read=len(items) if opened else 0)
    unproven = (State.MISSING, "low", f"collection_incomplete:{ErrorCode.LISTING_UNPROVEN}")
    states = {(item.state, item.confidence, item.evidence) for item in items}
    assert states == {unproven if opened else (State.PRESENT, "high", "listed")}


async def test_collection_is_not_skipped_without_a_refusal_by_graph(synced: System) -> None:
    run = new_run(synced)
    async with stranger(synced) as foreign:
        await foreign.call("begin_run", run, BeginRunResult)
        request = claim(run, Outcome.SKIPPED, ErrorCode.GRAPH_NOT_LICENSED)
        finished = await foreign.call("finish_run", request, FinishRunResult)
    assert (finished.status, finished.error_codes) == (RunStatus.FAILED, [ErrorCode.LISTING_UNPROVEN])


async def test_absent_parent_does_not_skip_the_child_collection(synced: System) -> None:
    profiles = "depEnrollmentProfiles"
    run = new_run(synced, Selection(type_keys=(profiles,)))
    child_url = load_catalog().collections[profiles].child_url("made-up")
    async with stranger(synced) as foreign:
        await foreign.call("begin_run", run, BeginRunResult)
        (page,) = (await foreign.call("fetch_pages", page_of(run, child_url, profiles, "beta"), FetchPagesResult)).pages
        assert page.failure is not None
        assert page.failure.code is ErrorCode.GRAPH_NOT_FOUND
        request = claim(run, Outcome.SKIPPED, ErrorCode.GRAPH_NOT_FOUND)
        finished = await foreign.call("finish_run", request, FinishRunResult)
    assert finished.status is RunStatus.FAILED
    assert ErrorCode.LISTING_UNPROVEN in (finished.error_codes or [])


async def test_foreign_url_is_refused_beside_a_valid_page(synced: System, graph: SimulatedGraph) -> None:
    run = new_run(synced)
    async with stranger(synced) as foreign:
        (planned,) = (await foreign.call("begin_run", run, BeginRunResult)).plan
        earlier = len(graph.requests(Kind.INNER))
        hidden = CursorRequest(type_key="groups", url="/users")
        request = page_of(run, planned.first_url)
        fetched = await foreign.call(
            "fetch_pages", request.model_copy(update={"cursors": [hidden, *request.cursors]}), FetchPagesResult
        )
        assert [request.path for request in graph.requests(Kind.INNER)[earlier:]] == ["/v1.0/groups"]
    refused, read = fetched.pages
    assert refused.failure is not None
    assert (refused.failure.code, refused.was_read) == (ErrorCode.GRAPH_UNTRUSTED_LINK, False)
    assert (read.failure, read.was_read) == (None, True)


async def test_listing_without_a_merge_is_no_evidence(synced: System) -> None:
    run = new_run(synced)
    async with stranger(synced) as foreign:
        result = await foreign.call("begin_run", run, BeginRunResult)
        (planned,) = result.plan
        fetched = await foreign.call("fetch_pages", page_of(run, planned.first_url), FetchPagesResult)
        assert fetched.rows
        finished = await foreign.call("finish_run", claim(run), FinishRunResult)
    assert finished.status is RunStatus.FAILED


async def test_url_that_graph_did_not_return_is_not_read(synced: System, graph: SimulatedGraph) -> None:
    urls = (
        "/groups?$select=id",
        "/users",
        "/auditLogs/signIns",
        "/groups?$expand=members&$skiptoken=x",
        "https://graph.microsoft.com/v1.0/users",
    )
    run = new_run(synced)
    async with stranger(synced) as foreign:
        await foreign.call("begin_run", run, BeginRunResult)
        earlier = len(graph.requests())
        for url in urls:
            (page,) = (await foreign.call("fetch_pages", page_of(run, url), FetchPagesResult)).pages
            assert page.failure is not None, url
            assert page.failure.code is ErrorCode.GRAPH_UNTRUSTED_LINK, url
            assert len(graph.requests()) == earlier, url


async def test_other_api_version_is_not_read(synced: System, graph: SimulatedGraph) -> None:
    run = new_run(synced)
    async with stranger(synced) as foreign:
        (planned,) = (await foreign.call("begin_run", run, BeginRunResult)).plan
        earlier = len(graph.requests())
        request = page_of(run, planned.first_url, api_version="beta")
        (page,) = (await foreign.call("fetch_pages", request, FetchPagesResult)).pages
        assert len(graph.requests()) == earlier
    assert page.failure is not None
    assert page.failure.code is ErrorCode.UNKNOWN_COLLECTION


NOTHING_KEPT = RetentionInput(kept=1, older_than=timedelta(0), runs_older_than=timedelta(0))


async def test_nothing_is_deleted_if_retention_is_off(synced: System) -> None:
    groups = synced.tenant.documents("groups")
    synced.tenant.rename("groups", groups[0]["id"], "second")
    await asyncio.to_thread(synced.sync, "--type", "groups")
    queue = synced.environment["TEMPORAL_TASK_QUEUE"]
    tenant_id = UUID(synced.tenant.id)
    async with stranger(synced) as foreign:
        result = await foreign.client.execute_workflow(
            RetentionWorkflow.run, NOTHING_KEPT, id=f"retention/{uuid4()}", task_queue=queue
        )
        assert {(tenant.versions, tenant.documents, tenant.runs) for tenant in result.tenants} == {(0, 0, 0)}
        versions = ForgetVersions(tenant_id=tenant_id, kept=1, older_than=timedelta(days=-1))
        assert (await foreign.call("forget_versions", versions, ForgetVersionsResult)).versions == 0
        runs = ForgetRuns(tenant_id=tenant_id, older_than=timedelta(days=-1))
        assert (await foreign.call("forget_runs", runs, ForgetRunsResult)).runs == 0
    assert len((await asyncio.to_thread(synced.starter, "runs", synced.tenant.name, "--json")).objects()) == 2


async def test_message_cannot_delete_more_than_the_workers_retention(system: System) -> None:
    system.environment["VERSION_RETENTION_COUNT"] = "2"
    await asyncio.to_thread(system.start_worker)
    await asyncio.to_thread(system.sync, "--type", "groups")
    group = system.tenant.documents("groups")[0]["id"]
    for name in ("second", "third"):
        system.tenant.rename("groups", group, name)
        run = await asyncio.to_thread(system.sync, "--type", "groups")
        assert (run.status, run.counts.changed) == (RunStatus.SUCCESS, 1), run.error_codes
    tenant_id = UUID(system.tenant.id)
    async with stranger(system) as foreign:
        for kept, forgotten in ((None, 0), (3, 0), (1, 1)):
            answer = await foreign.call(
                "forget_versions", ForgetVersions(tenant_id=tenant_id, kept=kept), ForgetVersionsResult
            )
            assert answer.versions == forgotten


async def _signalled(system: System, *signals: object) -> Row[Any]:
    """The record of a run that has these signals pending when a worker takes it up."""
    tenant_id, queue = UUID(system.tenant.id), system.environment["TEMPORAL_TASK_QUEUE"]
    client = await connect_temporal({"target_host": system.environment["TEMPORAL_ADDRESS"]})
    handle = await client.start_workflow(
        SyncWorkflow.run,
        SyncInput(tenant_id=tenant_id, selection=GROUPS),
        id=sync_workflow_id(tenant_id, GROUPS),
        task_queue=queue,
    )
    for signal in signals:
        await handle.signal("cancel", signal)
    await asyncio.to_thread(system.start_worker)
    await handle.result()
    async with system.database() as database, database.portfolio() as session:
        return (await session.execute(text("SELECT status, cancel_reason, cancel_requested_by FROM sync_run"))).one()


async def test_long_cancel_reason_is_truncated(system: System) -> None:
    row = await _signalled(system, {"reason": "x" * 1_900_000, "requested_by": "y" * 50_000})
    assert row.status == RunStatus.CANCELLED
    assert (len(row.cancel_reason), len(row.cancel_requested_by)) == (500, 500)


async def test_malformed_signals_are_ignored(system: System) -> None:
    row = await _signalled(system, "garbage", {"run_id": 7}, {"reason": ["x"]}, {"reason": "meant"})
    assert row.cancel_reason == "meant"
