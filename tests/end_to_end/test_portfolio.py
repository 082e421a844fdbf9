"""Portfolio runs and schedules as a user makes them: many tenants, commands, workers, Temporal, PostgreSQL, Graph."""

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from temporalio.client import WorkflowExecutionStatus

from connections import connect_temporal
from inventory.error_codes import ErrorCode
from inventory.outcomes import RunStatus
from inventory.portfolio import PortfolioRecord
from inventory.records import RunRecord
from local.simulated_graph import Answer, Fault, FaultKind, GraphRequest, Kind, SimulatedGraph
from local.temporal import EmbeddedTemporal
from tests.deadlines import DEADLINE_SECONDS, until, until_async
from tests.end_to_end.system import SEEDS, CommandResult, System
from workflows.messages import portfolio_workflow_id
from workflows.portfolio import PortfolioWorkflow

TENANTS = 4
SELECTION = ("--type", "groups", "--type", "assignmentFilters")
EVENTS_A_TENANT = 11
"""Upper bound. Seen: 73 events for six tenants one at a time: 9 for each, and 19 to open and close."""


@pytest.fixture
def graph() -> Iterator[SimulatedGraph]:
    with SimulatedGraph(tenants=TENANTS, seed=next(SEEDS)) as server:
        yield server


@pytest.fixture
def slow_system(temporal: EmbeddedTemporal, database_url: str, tmp_path: Path) -> Iterator[System]:
    """A system whose runs take a few seconds, so that a test can interrupt them."""
    with (
        SimulatedGraph(
            tenants=TENANTS,
            items_per_collection=20,
            page_size=5,
            latency=timedelta(milliseconds=300),
            seed=next(SEEDS),
        ) as graph,
        System(graph, temporal, database_url, tmp_path) as system,
    ):
        yield system


def portfolio_of(result: CommandResult) -> PortfolioRecord:
    assert result.stdout, result.stderr
    return PortfolioRecord.model_validate_json(result.stdout)


def runs_of(system: System) -> list[RunRecord]:
    return [RunRecord.model_validate(record) for record in system.starter("runs", "--limit", "100", "--json").objects()]


def hold_run(request: GraphRequest) -> Answer | None:
    """A response that keeps a run under way, since the worker here retries without a limit."""
    return Answer(503, b"{}", {"retry-after": "1"}) if request.kind is Kind.INNER else None


def tag(system: System, tags: dict[int, list[str]]) -> None:
    """Gives tenants, by their number, tags in the tenants file."""
    path = Path(system.environment["TENANTS_FILE"])
    text = path.read_text()
    for number, some in tags.items():
        name = f'name = "{system.graph.tenants[number].name}"\n'
        assert name in text
        text = text.replace(name, f"{name}tags = {some!r}\n")
    path.write_text(text)


def test_portfolio_run_syncs_and_records_every_tenant_once(system: System) -> None:
    system.start_worker()
    result = system.starter("portfolio", "sync", "--all-tenants", *SELECTION, "--at-once", "3", "--json")
    assert result.code == 0, result.stderr
    record = portfolio_of(result)
    assert record.status is RunStatus.SUCCESS
    assert (record.counts.tenants, record.counts.success, record.counts.joined) == (TENANTS, TENANTS, 0)
    assert {str(tenant.tenant_id) for tenant in record.tenants} == {tenant.id for tenant in system.graph.tenants}
    runs = {run.tenant_id: run for run in runs_of(system)}
    assert len(runs) == TENANTS
    for tenant in record.tenants:
        run = runs[tenant.tenant_id]
        assert (tenant.run_id, tenant.status, tenant.error_codes) == (run.run_id, RunStatus.SUCCESS, [])
        assert (tenant.started_at, tenant.finished_at) == (run.started_at, run.finished_at)
    assert portfolio_of(system.starter("portfolio", "run", str(record.portfolio_run_id)[:8], "--json")) == record
    (portfolio_run,) = system.starter("portfolio", "runs", "--json").objects()
    assert portfolio_run["portfolio_run_id"] == str(record.portfolio_run_id)
    assert (
        f"{TENANTS} tenants: {TENANTS} success"
        in system.starter("portfolio", "run", portfolio_run["portfolio_run_id"]).stdout
    )


@pytest.mark.slow
def test_tenants_are_chosen_by_name_and_by_tag(system: System) -> None:
    tag(system, {0: ["emea", "pilot"], 1: ["emea"], 2: ["apac"]})
    system.start_worker()
    result = system.starter(
        "portfolio", "sync", "--tag", "emea", "--tenant", system.graph.tenants[3].name, *SELECTION, "--json"
    )
    record = portfolio_of(result)
    assert {str(tenant.tenant_id) for tenant in record.tenants} == {system.graph.tenants[n].id for n in (0, 1, 3)}
    for arguments, words in (
        ((), "say which tenants"),
        (("--all-tenants", "--tag", "emea"), "goes with neither"),
        (("--tag", "latam"), "the tenants file has: apac, emea, pilot"),
        (("--tenant", "nobody"), "unknown tenant"),
    ):
        refused = system.starter("portfolio", "sync", *arguments, *SELECTION)
        assert refused.code == 2
        assert words in refused.stderr
        assert refused.stderr.count("\n") == 1


@pytest.mark.slow
def test_revoked_app_fails_its_tenant_and_makes_the_portfolio_partial(system: System) -> None:
    revoked = system.graph.tenants[2].id
    system.graph.faults.add(Fault(FaultKind.APP_REVOKED, tenant_id=revoked))
    system.start_worker()
    result = system.starter("portfolio", "sync", "--all-tenants", *SELECTION, "--json")
    assert result.code == 3, result.stderr
    record = portfolio_of(result)
    assert record.status is RunStatus.PARTIAL
    assert record.error_codes == [ErrorCode.AUTH_FAILED]
    assert (record.counts.success, record.counts.failed) == (TENANTS - 1, 1)
    (failed,) = [tenant for tenant in record.tenants if tenant.status is not RunStatus.SUCCESS]
    assert (str(failed.tenant_id), failed.status, failed.error_codes) == (
        revoked,
        RunStatus.FAILED,
        [ErrorCode.AUTH_FAILED],
    )


def test_cancelling_a_portfolio_run_cancels_its_runs(system: System) -> None:
    system.graph.faults.add(Fault(FaultKind.THROTTLED, retry_after="300"))
    system.start_worker()
    started = portfolio_of(
        system.starter("portfolio", "sync", "--all-tenants", *SELECTION, "--at-once", "2", "--no-wait", "--json")
    )
    until(lambda: len(system.graph.requests(Kind.INNER)) >= 2)
    run_id = str(started.portfolio_run_id)
    result = system.starter("portfolio", "cancel", run_id, "--reason", "wrong tag")
    assert result.code == 0, result.stderr

    def cancelled_record() -> PortfolioRecord | None:
        printed = system.starter("portfolio", "run", run_id, "--json")
        return portfolio_of(printed) if printed.code == 5 else None

    record = until(cancelled_record)
    assert record.status is RunStatus.CANCELLED
    assert record.cancel_reason == "wrong tag"
    assert record.cancel_requested_by
    assert (record.counts.cancelled, record.counts.ended) == (2, 2), "the remaining tenants were not started"
    assert record.error_codes == [ErrorCode.CANCELLED]
    assert [tenant.status for tenant in record.tenants] == [RunStatus.CANCELLED] * 2
    assert {tenant.run_id for tenant in record.tenants} <= {run.run_id for run in runs_of(system)}
    assert system.starter("portfolio", "cancel", run_id).code == 2


@pytest.mark.slow
def test_portfolio_run_syncs_every_tenant_despite_a_killed_worker(slow_system: System) -> None:
    system = slow_system
    first = system.start_worker()
    follower = system.popen("portfolio", "sync", "--all-tenants", *SELECTION, "--at-once", "3", "--json")
    first.wait_until(lambda: len(system.graph.requests(Kind.INNER)) > 8)
    system.kill(first)
    assert follower.poll() is None, "killed in mid-run"
    system.start_worker()
    stdout, stderr = follower.communicate(timeout=DEADLINE_SECONDS)
    assert follower.returncode == 0, stderr
    record = PortfolioRecord.model_validate_json(stdout)
    assert record.counts.success == TENANTS == len(record.tenants)
    assert len(runs_of(system)) == TENANTS, "no tenant was synced twice"


@pytest.mark.slow
def test_portfolio_run_joins_a_run_under_way(system: System) -> None:
    others: set[str] = set()

    def hold(request: GraphRequest) -> Answer | None:
        """Keeps the first tenant's run under way until the portfolio, which starts all its runs at once, has them."""
        if request.tenant_id != system.tenant.id:
            others.add(str(request.tenant_id))
            return None
        return hold_run(request) if len(others) < TENANTS - 1 else None

    system.graph.before_answer = hold
    alone = system.starter("sync", system.tenant.name, *SELECTION, "--no-wait", "--json").run()
    started = system.popen("portfolio", "sync", "--all-tenants", *SELECTION, "--json")
    system.start_worker()
    stdout, stderr = started.communicate(timeout=DEADLINE_SECONDS)
    assert started.returncode == 0, stderr
    record = PortfolioRecord.model_validate_json(stdout)
    (joined,) = [tenant for tenant in record.tenants if tenant.joined]
    assert (str(joined.tenant_id), joined.run_id, joined.status) == (
        system.tenant.id,
        alone.run_id,
        RunStatus.SUCCESS,
    )
    assert record.counts.joined == 1
    assert len(runs_of(system)) == TENANTS


@pytest.mark.slow
async def test_portfolio_history_has_few_events_per_tenant(system: System, temporal: EmbeddedTemporal) -> None:
    await asyncio.to_thread(system.start_worker)
    result = await asyncio.to_thread(
        system.starter, "portfolio", "sync", "--all-tenants", *SELECTION, "--name", "groups", "--at-once", "1", "--json"
    )
    record = portfolio_of(result)
    assert record.selection_name == "groups"
    assert {run.selection_name for run in await asyncio.to_thread(runs_of, system)} == {"groups"}
    assert record.workflow_id == portfolio_workflow_id(record.selection, record.chosen)
    client = await connect_temporal({"target_host": temporal.address})
    handle = client.get_workflow_handle(record.workflow_id)
    description = await handle.describe()
    assert description.status is WorkflowExecutionStatus.COMPLETED
    attributes = {pair.key.name: pair.value for pair in description.typed_search_attributes}
    assert (attributes["SelectionHash"], attributes["RunStatus"]) == (record.selection_hash, "success")
    assert attributes["Selection"] == "groups"
    for outcome in record.tenants:
        child = await client.get_workflow_handle(f"sync/{outcome.tenant_id}/{record.selection_hash}").describe()
        attributes = {pair.key.name: pair.value for pair in child.typed_search_attributes}
        assert attributes["Selection"] == "groups"
        assert attributes["TenantName"] in {tenant.name for tenant in system.graph.tenants}
        assert await child.static_summary() == f"{attributes['TenantName']}: groups"
    events = (await handle.fetch_history()).events
    opened_and_closed = 20
    assert len(events) <= opened_and_closed + TENANTS * EVENTS_A_TENANT


async def test_sweep_closes_a_terminated_portfolio_run(system: System, temporal: EmbeddedTemporal) -> None:
    system.environment["SWEEP_INTERVAL_SECONDS"] = "1"
    system.graph.faults.add(Fault(FaultKind.THROTTLED, retry_after="300"))
    await asyncio.to_thread(system.start_worker)
    command = ("portfolio", "sync", "--all-tenants", *SELECTION, "--at-once", "1", "--no-wait", "--json")
    started = portfolio_of(await asyncio.to_thread(system.starter, *command))
    await asyncio.to_thread(until, lambda: system.graph.requests(Kind.INNER))
    client = await connect_temporal({"target_host": temporal.address})
    await client.get_workflow_handle(started.workflow_id).terminate()

    def closed() -> PortfolioRecord | None:
        result = system.starter("portfolio", "run", str(started.portfolio_run_id), "--json")
        return portfolio_of(result) if result.code == 4 else None

    record = await asyncio.to_thread(lambda: until(closed))
    assert (record.status, record.error_codes) == (RunStatus.FAILED, [ErrorCode.RUN_ABANDONED])
    (run,) = await asyncio.to_thread(runs_of, system)
    assert run.status is RunStatus.RUNNING, "the runs outlive the portfolio run"


@pytest.mark.slow
def test_scheduled_portfolio_run_joins_runs_started_by_hand(system: System, temporal: EmbeddedTemporal) -> None:
    schedule = ("schedule", "set", "nightly", "--all-tenants", *SELECTION, "--every", "1d", "--note", "by night")
    assert system.starter(*schedule).code == 0
    system.graph.before_answer = hold_run
    by_hand = system.popen("portfolio", "sync", "--all-tenants", *SELECTION, "--at-once", str(TENANTS), "--json")
    system.start_worker()
    until(lambda: len(system.graph.requests(Kind.INNER)) >= TENANTS)
    assert system.starter("schedule", "trigger", "nightly").code == 0

    async def joins_all_runs() -> bool:
        records = (await asyncio.to_thread(system.starter, "portfolio", "runs", "--json")).objects()
        client = await connect_temporal({"target_host": temporal.address})
        for record in records:
            if record["schedule"] == "nightly":
                handle = client.get_workflow_handle(record["workflow_id"])
                assert await (await handle.describe()).static_summary() == "all tenants: assignmentFilters, groups"
                running = (await handle.query(PortfolioWorkflow.progress)).running
                return sum(run.joined for run in running) == TENANTS
        return False

    asyncio.run(until_async(joins_all_runs))
    system.graph.before_answer = None
    stdout, stderr = by_hand.communicate(timeout=DEADLINE_SECONDS)
    assert by_hand.returncode == 0, stderr
    first = PortfolioRecord.model_validate_json(stdout)

    def scheduled() -> list[Any]:
        records = system.starter("portfolio", "runs", "--json").objects()
        return [record for record in records if record["schedule"] == "nightly" and record["status"] != "running"]

    (portfolio_run,) = until(scheduled)
    second = portfolio_of(system.starter("portfolio", "run", portfolio_run["portfolio_run_id"], "--json"))
    assert second.status is RunStatus.SUCCESS
    joined = {tenant.tenant_id: tenant.run_id for tenant in second.tenants if tenant.joined}
    assert joined == {tenant.tenant_id: tenant.run_id for tenant in first.tenants}, "each joined the open run"
    runs: dict[UUID, list[RunRecord]] = {}
    for run in runs_of(system):
        runs.setdefault(run.tenant_id, []).append(run)
    for of_tenant in runs.values():
        of_tenant.sort(key=lambda run: run.queued_at)
        for earlier, later in pairwise(of_tenant):
            assert earlier.finished_at is not None
            assert earlier.finished_at <= later.queued_at, "two runs of one tenant never overlap"
    (row,) = until(lambda: system.starter("schedule", "list", "--json").objects())
    assert (row["name"], row["when"], row["note"], row["actions"]) == ("nightly", "every 1d", "by night", 1)
    assert (row["skipped_overlap"], row["missed_catch_up"], row["paused"]) == (0, 0, False)
    assert (row["selection_name"], row["last_status"]) == ("assignmentFilters, groups", "success")
    assert row["last_at"]
    assert row["next_at"]


@pytest.mark.slow
def test_a_schedule_is_changed_in_place_paused_and_deleted(system: System) -> None:
    def schedules() -> list[Any]:
        return system.starter("schedule", "list", "--json").objects()

    base = ("schedule", "set", "hourly", "--all-tenants", "--type", "groups")
    assert system.starter(*base, "--every", "1h", "--jitter", "5m", "--catch-up", "15m").code == 0
    (row,) = until(schedules)
    assert (row["when"], row["jitter"], row["catch_up"]) == ("every 1h + up to 5m", "5m", "15m")
    assert system.starter("schedule", "pause", "hourly", "--note", "maintenance").code == 0
    changed = system.starter(*base, "--calendar", "fri-mon,wed 06:30", "--time-zone", "Europe/Berlin", "--json")
    assert changed.objects() == [{"name": "hourly", "created": False}]
    (row,) = schedules()
    assert (row["when"], row["paused"], row["note"]) == (
        "fri-mon,wed 06:30 Europe/Berlin",
        True,
        "maintenance",
    )
    assert system.starter("schedule", "resume", "hourly").code == 0
    assert schedules()[0]["next_at"]
    assert system.starter(*base, "--cron", "0 * * * *").code == 0
    assert "hourly" in system.starter("schedule", "list").stdout
    assert system.starter("schedule", "delete", "hourly").code == 0
    until(lambda: not schedules())
    for verb in ("pause", "resume", "trigger", "delete"):
        refused = system.starter("schedule", verb, "hourly")
        assert refused.code == 2
        assert "there is no schedule 'hourly'" in refused.stderr


def test_schedule_skips_and_counts_overlapping_runs(system: System) -> None:
    # No worker: the first portfolio run stays under way.
    assert system.starter("schedule", "set", "busy", "--all-tenants", "--type", "groups", "--every", "1d").code == 0
    for _ in range(2):
        assert system.starter("schedule", "trigger", "busy").code == 0

    def skipped() -> bool:
        rows = system.starter("schedule", "list", "--json").objects()
        return bool(rows) and (rows[0]["actions"], rows[0]["skipped_overlap"]) == (1, 1)

    until(skipped)
    assert system.starter("schedule", "delete", "busy").code == 0


def test_malformed_schedule_is_refused_in_one_line(system: System) -> None:
    for options, words in (
        (("--every", "soon"), "is not a duration"),
        (("--cron", "99 * * * *"), "Temporal does not take"),
    ):
        refused = system.starter("schedule", "set", "odd", "--all-tenants", "--type", "groups", *options)
        assert refused.code == 2, refused.stderr
        assert words in refused.stderr
        assert refused.stderr.count("\n") == 1
