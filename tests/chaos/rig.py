"""The real servers of a chaos suite; each can be killed while runs are under way."""

import asyncio
import os
import signal
import socket
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import ExitStack, suppress
from datetime import timedelta
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Thread
from typing import NamedTuple, TypeVar
from uuid import UUID, uuid4

from sqlalchemy import text
from temporalio.client import Client, WorkflowFailureError
from temporalio.common import WorkflowIDConflictPolicy
from temporalio.service import RPCError, RPCStatusCode

from connections import UnreachableError, connect_temporal
from control.runs import StartedRun, start_sync
from inventory.portfolio import TenantChoice
from inventory.selection import Selection
from local.postgres import EmbeddedPostgres
from local.simulated_graph import SimulatedGraph, SimulatedTenant
from local.temporal import EmbeddedTemporal
from storage.database import Database
from storage.schema import upgrade
from tests.chaos.schedule import Event
from tests.deadlines import DEADLINE_SECONDS
from tests.end_to_end.system import System
from tests.forks import Fork
from workflows.messages import SyncInput, WatchInput
from workflows.requests import CancelRequest
from workflows.sync import SyncWorkflow
from workflows.watch import WatchWorkflow

AnswerT = TypeVar("AnswerT")

_READ_BY_LOOKS = text("SELECT coalesce(sum(observed + missing), 0)::int FROM sync_run WHERE kind = 'watch'")

GRAPH_PATIENCE_SECONDS = 40
"""Longer than a turn at Graph that a dead worker still holds."""

GRAPH_ATTEMPTS = 5


class ForeignServer:
    """A foreign server to which nothing may connect; it counts connections."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.link = f"https://127.0.0.1:{self._socket.getsockname()[1]}/beta/deviceManagement?$skiptoken=x"
        self.visitors = 0
        Thread(target=self._count, daemon=True).start()

    def _count(self) -> None:
        with suppress(OSError):
            while True:
                self._socket.accept()[0].close()
                self.visitors += 1

    def close(self) -> None:
        """Closes the server."""
        self._socket.close()


class SharedServers(NamedTuple):
    """Shared servers, which no event may hit; the database is the rig's own."""

    temporal: EmbeddedTemporal
    database_url: str


class Rig:
    """Temporal, PostgreSQL, a simulated Graph with many tenants, and workers. A context manager."""

    def __init__(
        self,
        folder: Path,
        *,
        tenants: int,
        seed: int = 0,
        workers: int = 2,
        page_size: int = 3,
        shared_servers: SharedServers | None = None,
        **settings: str,
    ) -> None:
        """Without `shared_servers` it has servers of its own."""
        self._held = ExitStack()
        self._folder = folder
        self._tenants = tenants
        self._seed = seed
        self._worker_count = workers
        self._settings = settings
        self._page_size = page_size
        self._shared_servers = shared_servers
        self._fate = asyncio.Lock()
        self.events = Counter[str]()
        self.trap = ForeignServer()

    def __enter__(self) -> "Rig":
        with ExitStack() as held:
            held.callback(self.trap.close)
            self.temporal, self.database_url = self._shared_servers or self._servers(held)
            self.graph = held.enter_context(
                SimulatedGraph(
                    tenants=self._tenants, items_per_collection=7, page_size=self._page_size, seed=self._seed
                )
            )
            self.system = held.enter_context(System(self.graph, self.temporal, self.database_url, self._folder))
            self.system.environment.update(
                {
                    "GRAPH_PATIENCE_SECONDS": str(GRAPH_PATIENCE_SECONDS),
                    "GRAPH_ATTEMPTS": str(GRAPH_ATTEMPTS),
                    "RUNS_OVERALL": "100",
                    "RUNS_PER_TENANT": "3",
                    "WORKER_DATABASE_CONNECTIONS": "20",
                    "WORKER_ACTIVITIES": "40",
                    **self._settings,
                }
            )
            self.workers = [self.system.start_worker() for _ in range(self._worker_count)]
            self._held = held.pop_all()
        return self

    def _servers(self, held: ExitStack) -> SharedServers:
        # Another pytest of the same user shuts pytest's own folder to PostgreSQL, which is not root.
        data = held.enter_context(TemporaryDirectory())
        self.postgres = held.enter_context(EmbeddedPostgres(Path(data) / "postgres", durable=False))
        temporal = held.enter_context(EmbeddedTemporal(self._folder / "temporal"))
        database_url = self.postgres.create_database("chaos")
        upgrade(database_url)
        return SharedServers(temporal, database_url)

    def __exit__(self, *raised: object) -> None:
        self._held.close()

    async def connect(self) -> None:
        """Connects this process; to be called in the event loop that plays."""
        self.client: Client = await connect_temporal({"target_host": self.temporal.address})
        self.database = Database(self.database_url, pool_size=20)

    async def disconnect(self) -> None:
        """Closes the database connections."""
        await self.database.close()

    async def start(self, tenant: SimulatedTenant, selection: Selection, *, deep: bool = False) -> StartedRun:
        """Starts a run, or joins a run under way."""
        task_queue = self.system.environment["TEMPORAL_TASK_QUEUE"]
        sync_input = SyncInput(tenant_id=UUID(tenant.id), selection=selection, deep=deep)
        return await self.retry_until_answered(lambda: start_sync(self.client, task_queue, sync_input, tenant.name))

    async def wait_for(self, run: StartedRun) -> None:
        """Waits until the run has ended with any status. Raises `TimeoutError` if it does not end."""

        async def result() -> None:
            with suppress(WorkflowFailureError):
                await run.handle.result(rpc_timeout=timedelta(minutes=1))

        async with asyncio.timeout(DEADLINE_SECONDS):
            await self.retry_until_answered(result)

    async def sync(self, tenant: SimulatedTenant, selection: Selection, *, deep: bool = False) -> UUID:
        """Carries out a whole run; returns its id."""
        run = await self.start(tenant, selection, deep=deep)
        await self.wait_for(run)
        return run.run_id

    async def look(self, tenant: SimulatedTenant) -> None:
        """Looks once at the tenant's audit logs. Raises `TimeoutError` if the look does not end."""
        started = await self.retry_until_answered(
            partial(
                self.client.start_workflow,
                WatchWorkflow.run,
                WatchInput(chosen=TenantChoice(tenant_ids=(UUID(tenant.id),))),
                id=f"watch-{uuid4()}",
                task_queue=self.system.environment["TEMPORAL_TASK_QUEUE"],
                id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            )
        )

        async def result() -> None:
            with suppress(WorkflowFailureError):
                looked = await started.result(rpc_timeout=timedelta(minutes=1))
                self.events["looks"] += looked.looked

        async with asyncio.timeout(DEADLINE_SECONDS):
            await self.retry_until_answered(result)

    async def items_read_by_looks(self, tenant: SimulatedTenant) -> int:
        """From the records: the answer of a look that has recorded an item can be lost. Raises
        `StorageUnavailableError`.
        """
        async with self.database.tenant(UUID(tenant.id)) as session:
            items: int = (await session.execute(_READ_BY_LOOKS)).scalar_one()
        return items

    async def cancel(self, run: StartedRun, requested_by: str) -> None:
        """Signals a run to cancel, if it is still under way."""
        request = CancelRequest(reason="chaos", requested_by=requested_by)
        with suppress(RPCError):
            await run.handle.signal(SyncWorkflow.cancel, request)

    async def retry_until_answered(self, ask: Callable[[], Awaitable[AnswerT]]) -> AnswerT:
        """Repeats a request until Temporal, which may be restarting, answers."""
        while True:
            try:
                return await ask()
            except RPCError as error:
                if error.status in (RPCStatusCode.NOT_FOUND, RPCStatusCode.INVALID_ARGUMENT):
                    raise
                await asyncio.sleep(0.3)
            except UnreachableError:
                await asyncio.sleep(0.3)

    async def carry_out(self, event: Event) -> None:
        """Carries out an event, one at a time; returns when all servers run again."""
        async with self._fate:
            self.events[event] += 1
            await asyncio.to_thread(self._carry_out, event)

    def _carry_out(self, event: Event) -> None:
        match event:
            case Event.KILL_WORKER:
                doomed = self.workers.pop(0)
                self.system.kill(doomed)
                self.workers.append(self.system.start_worker())
            case Event.RESTART_TEMPORAL:
                self.temporal.stop()
                self.temporal.start()
            case Event.RESTART_POSTGRES:
                self.postgres.stop()
                self.postgres.start()
            case Event.CRASH_POSTGRES:
                # PostgreSQL recovers from an immediate shutdown as from a crash: unlogged tables are empty.
                os.kill(self.postgres.child.pid, signal.SIGQUIT)
                self.postgres.stop()
                self.postgres.start()
        self.restart_ended_workers()

    def restart_ended_workers(self) -> None:
        """Starts ended workers again, as a service manager does. They end with the calling thread."""
        alive: list[Fork] = [worker for worker in self.workers if worker.running()]
        self.events["worker_ended_by_itself"] += len(self.workers) - len(alive)
        self.workers = alive
        while len(self.workers) < self._worker_count:
            self.workers.append(self.system.start_worker())

    def secrets(self) -> list[str]:
        """The client secrets, which no log may contain."""
        return [tenant.client_secret for tenant in self.graph.tenants]


def selection_of(*type_keys: str) -> Selection:
    """The selection of some collections."""
    return Selection(type_keys=type_keys)
