"""The whole product around one test: its configuration, its workers, its command line."""

import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, nullcontext
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp
from typing import Any
from uuid import uuid4

import orjson

from inventory.records import ItemRecord, RunRecord
from local.simulated_graph import SimulatedGraph, SimulatedTenant
from local.state import State
from local.temporal import EmbeddedTemporal
from storage.database import Database
from tests.deadlines import GRAPH_ATTEMPTS, GRAPH_PATIENCE_SECONDS
from tests.forks import CHECKOUT, Fork

SEEDS = count(1)
"""Tests of one process share a Temporal, where a tenant's id is the lock on its runs: each test has its own tenants."""


class CommandResult:
    """A command that has ended."""

    def __init__(self, code: int, stdout: str, stderr: str) -> None:
        self.code = code
        self.stdout = stdout
        self.stderr = stderr

    def objects(self) -> list[Any]:
        """Its JSON Lines."""
        return [orjson.loads(line) for line in self.stdout.splitlines()]

    def run(self) -> RunRecord:
        """The one run record that it printed."""
        (line,) = self.stdout.splitlines()
        return RunRecord.model_validate_json(line)


class RunningCommand:
    """A command that runs in `folder`; its output is in `outputs`."""

    def __init__(self, *arguments: str, environment: Mapping[str, str], folder: Path, outputs: Path) -> None:
        self._stdout, self._stderr = outputs / "stdout", outputs / "stderr"
        self.fork = Fork(
            "starter.py", arguments, environment=environment, folder=folder, stdout=self._stdout, stderr=self._stderr
        )

    def wait_for_line(self, *words: str) -> None:
        """Waits for a line on stderr that holds all of the words. Raises `PartError` if the command ends before."""
        self.fork.wait_until(
            lambda: any(all(word in line for word in words) for line in self._stderr.read_text().splitlines())
        )

    def finished(self) -> CommandResult:
        """Waits for its end."""
        code = self.fork.wait()
        return CommandResult(code, self._stdout.read_text(), self._stderr.read_text())


def starter(*arguments: str, environment: Mapping[str, str], folder: Path) -> CommandResult:
    """Runs one command in `folder` to its end."""
    with TemporaryDirectory() as outputs:
        return RunningCommand(*arguments, environment=environment, folder=folder, outputs=Path(outputs)).finished()


class System:
    """One configured product: commands and workers are processes of their own, as a user runs them."""

    def __init__(self, graph: SimulatedGraph, temporal: EmbeddedTemporal, database_url: str, folder: Path) -> None:
        self.graph = graph
        self.folder = folder
        self.tenant: SimulatedTenant = graph.tenants[0]
        self._workers: list[Fork] = []
        self._begun: list[RunningCommand] = []
        self._commands: list[subprocess.Popen[str]] = []
        state = State(folder)
        state.write_tenants([tenant.entry() for tenant in graph.tenants])
        self.environment = {
            "DATABASE_URL": database_url,
            "TEMPORAL_ADDRESS": temporal.address,
            "TEMPORAL_TASK_QUEUE": f"test-{uuid4()}",
            "GRAPH_BASE_URL": graph.base_url,
            "GRAPH_AUTHORITY_URL": graph.authority_url,
            "GRAPH_CA_FILE": str(graph.ca_file),
            "SENSITIVE_FIELDS_KEY": "none",
            "SWEEP_INTERVAL_SECONDS": "0",
            "GRAPH_PATIENCE_SECONDS": GRAPH_PATIENCE_SECONDS,
            "GRAPH_ATTEMPTS": GRAPH_ATTEMPTS,
            "TENANTS_FILE": str(state.tenants_file),
            "TENANT_INVENTORY_STATE": str(folder / "no-stack"),
        }

    def __enter__(self) -> "System":
        return self

    def __exit__(self, *raised: object) -> None:
        for running in self._begun:
            running.fork.stop()
        for command in self._commands:
            command.kill()
            command.__exit__(None, None, None)
        # All at once: each may use its whole grace period.
        for worker in self._workers:
            worker.ask_to_stop()
        for worker in self._workers:
            worker.stop()

    def start_worker(self) -> Fork:
        """Starts one worker and waits until it is ready."""
        log = self.folder / f"worker-{len(self._workers)}.log"
        worker = Fork("worker.py", environment=self.environment, folder=self.folder, stdout=log, stderr=log)
        self._workers.append(worker)
        worker.wait_until(lambda: "worker ready" in log.read_text())
        return worker

    def logs(self) -> str:
        """The logs of all workers."""
        return "".join(path.read_text() for path in sorted(self.folder.glob("worker-*.log")))

    def kill(self, worker: Fork) -> None:
        """Kills a worker with SIGKILL."""
        os.kill(worker.pid, signal.SIGKILL)
        worker.stop()

    def starter(self, *arguments: str, **environment: str) -> CommandResult:
        """Runs one command to its end."""
        return starter(*arguments, environment={**self.environment, **environment}, folder=self.folder)

    def begin(self, *arguments: str) -> RunningCommand:
        """Starts one command. The system stops it at the end of the test."""
        outputs = Path(mkdtemp(dir=self.folder))
        running = RunningCommand(*arguments, environment=self.environment, folder=self.folder, outputs=outputs)
        self._begun.append(running)
        return running

    def popen(self, *arguments: str, log: Path | None = None) -> "subprocess.Popen[str]":
        """Starts one command as a shell would. The system kills it at the end of the test.

        `log` receives stderr; without it the caller must read stderr, or the command blocks.
        """
        with log.open("a") if log else nullcontext() as stderr:
            command = subprocess.Popen(
                [sys.executable, CHECKOUT / "starter.py", *arguments],
                env={**os.environ, **self.environment},
                cwd=self.folder,
                stdout=subprocess.PIPE,
                stderr=stderr or subprocess.PIPE,
                text=True,
            )
        self._commands.append(command)
        return command

    @asynccontextmanager
    async def database(self) -> AsyncIterator[Database]:
        """The product's database, for checks."""
        async with Database(self.environment["DATABASE_URL"], pool_size=1) as database:
            yield database

    def sync(self, *selection: str) -> RunRecord:
        """Syncs the first tenant with a running worker; returns the run's record."""
        result = self.starter("sync", self.tenant.name, *(selection or ("--all",)), "--json")
        assert result.stdout, result.stderr
        return result.run()

    def items(self, *arguments: str) -> list[ItemRecord]:
        """The first tenant's inventory."""
        result = self.starter("items", self.tenant.name, *arguments, "--json")
        assert result.code == 0, result.stderr
        return [ItemRecord.model_validate(record) for record in result.objects() if "external_id" in record]
