"""Following runs, leaving them and coming back, with workers that are frozen, absent, or back."""

import asyncio
import os
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from shlex import split
from typing import IO

import pytest

from connections import connect_temporal
from inventory.error_codes import ErrorCode
from inventory.outcomes import RunStatus
from inventory.portfolio import PortfolioRecord, TenantChoice
from inventory.records import RunRecord
from inventory.selection import Selection
from local.simulated_graph import Fault, FaultKind, SimulatedGraph
from local.temporal import EmbeddedTemporal
from tests.end_to_end.system import System
from workflows import search_attributes
from workflows.messages import PortfolioInput
from workflows.portfolio import PortfolioWorkflow

GROUPS = ("--type", "groups")
DEADLINE_SECONDS = 100


def line_with(stream: IO[str] | None, words: str) -> str:
    """The first line that contains the words. Fails if the command ends without such a line."""
    assert stream is not None
    lines = []
    for line in stream:
        lines.append(line)
        if words in line:
            return line
    raise AssertionError(f"{words!r} is not in {lines}")


@contextmanager
def started(system: System, *arguments: str) -> Iterator["subprocess.Popen[str]"]:
    """A command as a shell starts it; it ends with the block."""
    process = system.popen(*arguments)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def interrupted(process: "subprocess.Popen[str]", words: str) -> str:
    """Presses Ctrl-C once the command has printed the words; returns the output after them."""
    line_with(process.stderr, words)
    os.kill(process.pid, signal.SIGINT)
    _, stderr = process.communicate(timeout=DEADLINE_SECONDS)
    assert process.returncode == 1
    return stderr


def offered_command(stderr: str, beginning: str) -> list[str]:
    """The arguments of the command that a message offers."""
    (found,) = re.findall(rf"{beginning}: python starter.py (.+)", stderr)
    return split(found)


@pytest.mark.slow
def test_frozen_worker_is_reported_and_its_queued_run_shown(system: System) -> None:
    worker = system.start_worker()
    system.sync("--type", "assignmentFilters")
    os.kill(worker.pid, signal.SIGSTOP)
    try:
        with started(system, "sync", system.tenant.name, *GROUPS) as sync:
            line_with(sync.stderr, "busy, frozen or gone")
            listed, _ = [RunRecord.model_validate(record) for record in system.starter("runs", "--json").objects()]
            assert (listed.status, listed.selection.type_keys) == (RunStatus.QUEUED, ("groups",))
            of_tenant, _ = system.starter("runs", system.tenant.name, "--json").objects()
            assert of_tenant["run_id"] == str(listed.run_id)
            (beginning,) = system.starter("run", str(listed.run_id)[:18], "--json").objects()
            assert beginning["workflow_id"] == listed.workflow_id
            os.kill(worker.pid, signal.SIGCONT)
            sync.communicate(timeout=DEADLINE_SECONDS)
            assert sync.returncode == 0
    finally:
        os.kill(worker.pid, signal.SIGCONT)
    assert system.starter("run", str(listed.run_id), "--json").run().status is RunStatus.SUCCESS


@pytest.mark.slow
def test_interrupted_sync_prints_commands_that_follow_and_cancel_its_run(system: System) -> None:
    with started(system, "sync", system.tenant.name, *GROUPS) as sync:
        output = interrupted(sync, "no worker is polling")
    assert re.search(r"^run \S+ goes on$", output, re.MULTILINE)
    with started(system, *offered_command(output, "follow it")) as follow:
        again = interrupted(follow, "no worker is polling")
    assert again == output
    cancelled = system.starter(*offered_command(output, "cancel it"))
    assert cancelled.code == 0, cancelled.stderr
    with started(system, *offered_command(output, "follow it"), "--json") as follow:
        system.start_worker()
        stdout, stderr = follow.communicate(timeout=DEADLINE_SECONDS)
    assert follow.returncode == 5, stderr
    assert RunRecord.model_validate_json(stdout).status is RunStatus.CANCELLED


def test_follow_command_of_sync_no_wait_works_at_once(system: System) -> None:
    result = system.starter("sync", system.tenant.name, *GROUPS, "--no-wait")
    follow = system.begin(*offered_command(result.stdout, "follow it"))
    system.start_worker()
    assert follow.finished().code == 0


@pytest.mark.slow
def test_portfolio_run_can_be_followed_after_an_interrupt(system: System) -> None:
    selection = ("portfolio", "sync", "--tenant", system.tenant.name, *GROUPS)
    with started(system, *selection) as sync:
        output = interrupted(sync, "no worker is polling")
    assert "portfolio cancel" in output
    (listed,) = system.starter("portfolio", "runs", "--json").objects()
    assert listed["status"] == RunStatus.QUEUED
    with started(system, *offered_command(output, "follow it")) as follow:
        system.start_worker()
        stdout, stderr = follow.communicate(timeout=DEADLINE_SECONDS)
        assert follow.returncode == 0, stderr
    assert "1 tenant: 1 success" in stdout


@pytest.mark.slow
def test_refused_portfolio_run_is_followed_to_its_end(system: System, temporal: EmbeddedTemporal) -> None:
    async def start_under_another_id() -> str:
        client = await connect_temporal({"target_host": temporal.address})
        portfolio = PortfolioInput(selection=Selection(type_keys=("groups",)), chosen=TenantChoice(everyone=True))
        handle = await client.start_workflow(
            PortfolioWorkflow.run,
            portfolio,
            id="portfolio/somebody",
            task_queue=system.environment["TEMPORAL_TASK_QUEUE"],
            search_attributes=search_attributes.portfolio(portfolio.selection, "groups"),
        )
        return str(handle.first_execution_run_id)

    run_id = asyncio.run(start_under_another_id())
    with started(system, "portfolio", "run", run_id, "--follow", "--json") as follow:
        line_with(follow.stderr, "no worker is polling")
        system.start_worker()
        stdout, stderr = follow.communicate(timeout=DEADLINE_SECONDS)
    assert follow.returncode == 4, stderr
    assert "Traceback" not in stderr
    record = PortfolioRecord.model_validate_json(stdout)
    assert (record.status, record.error_codes) == (RunStatus.FAILED, [ErrorCode.WORKFLOW_ID_HELD])


def test_a_running_run_shows_its_counts(system: System, graph: SimulatedGraph) -> None:
    system.environment["GRAPH_PATIENCE_SECONDS"] = "3600"
    worker = system.start_worker()
    graph.faults.add(Fault(FaultKind.THROTTLED, path="deviceConfigurations", retry_after="1800"))
    started_run = system.starter(
        "sync", system.tenant.name, *GROUPS, "--type", "deviceConfigurations", "--no-wait", "--json"
    )
    run_id = str(started_run.run().run_id)
    groups = len(system.tenant.documents("groups", "v1.0"))

    def merged() -> bool:
        found = system.starter("runs", "--json").objects()
        if not found:
            # Temporal lists a run without a record only once its index contains the run.
            return False
        (listed,) = found
        assert listed["status"] in ("queued", "running")
        return bool(listed["counts"]["created"] == groups)

    def shows_workflow_counts() -> bool:
        # The workflow learns of a merge after the database, and of the collection's end with the merge.
        result = system.starter("run", run_id, "--json")
        if "the counts come from the workflow" not in result.stderr:
            return False
        run = result.run()
        return run.counts.requests >= 2 and run.collections["groups"].outcome == "complete"

    worker.wait_until(merged)
    worker.wait_until(shows_workflow_counts)
    assert "1 not yet read" in system.starter("run", run_id).stdout
    os.kill(worker.pid, signal.SIGSTOP)
    try:
        silent = system.starter("run", run_id, "--json")
    finally:
        os.kill(worker.pid, signal.SIGCONT)
    assert "the counts are those of merged items so far" in silent.stderr
    assert silent.run().counts.created == groups
    assert system.starter("cancel", system.tenant.name, "--run", run_id[:20]).code == 0
