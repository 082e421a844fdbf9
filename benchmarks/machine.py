"""The whole product on one machine, to be measured: servers, workers, a simulated Graph in a process of its own."""

import asyncio
import os
import platform
import statistics
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from secrets import token_hex
from tempfile import TemporaryDirectory
from uuid import UUID, uuid4

from temporalio.client import Client

from connections import connect_temporal
from control.runs import start_sync
from inventory.records import RunRecord
from inventory.selection import Selection
from local.postgres import SMALL, EmbeddedPostgres
from local.processes import Child
from local.simulated_graph import SimulatedGraph, SimulatedTenant
from local.state import State
from local.temporal import EmbeddedTemporal
from storage import queries
from storage.database import Database
from storage.schema import upgrade
from workflows.messages import SyncInput

CHECKOUT = Path(__file__).resolve().parents[1]
TASK_QUEUE = "benchmark"
POSTGRES = {"shared_buffers": "4GB", "max_wal_size": "4GB", "checkpoint_timeout": "15min"}
"""As `docker-compose.yml` sets them, with as much memory as `docs/scaling.md` advises for 24 GiB."""
FIRST_RELEASE = (
    "androidManagedAppProtections", "assignmentFilters", "authenticationStrengthPolicies", "compliancePolicies",
    "conditionalAccessPolicies", "configurationPolicies", "depOnboardingSettings", "deviceCategories",
    "deviceCompliancePolicies", "deviceConfigurations", "deviceCustomAttributeShellScripts",
    "deviceEnrollmentConfigurations", "deviceHealthScripts", "deviceManagementScripts", "deviceShellScripts",
    "groupPolicyConfigurations", "groups", "intents", "intuneBrandingProfiles", "iosManagedAppProtections",
    "mobileAppConfigurations", "mobileApps", "namedLocations", "notificationMessageTemplates", "organization",
    "policySets", "reusablePolicySettings", "roleAssignments", "roleDefinitions", "roleScopeTags", "subscribedSkus",
    "targetedManagedAppConfigurations", "termsAndConditions", "termsOfUseAgreements",
    "windowsAutopilotDeploymentProfiles", "windowsDriverUpdateProfiles", "windowsFeatureUpdateProfiles",
    "windowsManagedAppProtections", "windowsQualityUpdatePolicies", "windowsQualityUpdateProfiles",
)  # fmt: skip
"""Forty collections: a small selection."""


class Machine:
    """Everything started. A context manager."""

    def __init__(
        self,
        graph: SimulatedGraph,
        *,
        workers: int = 1,
        database_url: str | None = None,
        graph_is_running: bool = False,
        **settings: str,
    ) -> None:
        """`database_url` is of an existing inventory; without it, an empty inventory is made."""
        self.graph = graph
        self._graph_is_running = graph_is_running
        self._database_url = database_url
        self._workers = workers
        self._settings = settings
        self._stack = ExitStack()
        self._client: Client | None = None
        self._parts: dict[str, list[int]] = {"workers": []}

    def __enter__(self) -> "Machine":
        folder = Path(self._stack.enter_context(TemporaryDirectory()))
        if not self._graph_is_running:
            self._stack.enter_context(self.graph)
        self.database_url = self._database_url or self._empty_database(folder / "postgres")
        self._temporal = self._stack.enter_context(EmbeddedTemporal(folder / "temporal"))
        self._parts["Temporal"] = [self._temporal.child.pid]
        state = State(folder)
        state.write_tenants([tenant.entry() for tenant in self.graph.tenants])
        self._environment = {
            "DATABASE_URL": self.database_url,
            "TEMPORAL_ADDRESS": self._temporal.address,
            "TEMPORAL_TASK_QUEUE": TASK_QUEUE,
            "GRAPH_BASE_URL": self.graph.base_url,
            "GRAPH_AUTHORITY_URL": self.graph.authority_url,
            "GRAPH_CA_FILE": str(self.graph.ca_file),
            "TENANTS_FILE": str(state.tenants_file),
            "TENANT_INVENTORY_STATE": str(folder / "no-stack"),
            "SENSITIVE_FIELDS_KEY": token_hex(32),
            **self._settings,
        }
        self._folder = folder
        for _ in range(self._workers):
            self.start_worker()
        return self

    def _empty_database(self, folder: Path) -> str:
        postgres = self._stack.enter_context(EmbeddedPostgres(folder, settings=POSTGRES))
        upgrade(postgres.url)
        self._parts["PostgreSQL"] = [postgres.child.pid]
        return postgres.url

    def start_worker(self) -> Child:
        log = self._folder / f"worker-{uuid4()}.log"
        worker = Child("a worker", [sys.executable, CHECKOUT / "worker.py"], log=log, environment=self._environment)
        self._stack.callback(worker.stop)
        worker.wait_until(lambda: "worker ready" in log.read_text())
        self._parts["workers"].append(worker.pid)
        return worker

    def processor_seconds(self) -> dict[str, float]:
        """Each part's processor time so far, with its children; the simulated Graph is this process."""
        taken = {part: sum(map(processor_seconds_of, pids)) for part, pids in self._parts.items()}
        return {**taken, "simulated Graph": time.process_time()}

    def __exit__(self, *raised: object) -> None:
        self._stack.close()

    async def client(self) -> Client:
        """A client of the Temporal server."""
        if self._client is None:
            self._client = await connect_temporal({"target_host": self._temporal.address})
        return self._client

    async def sync(self, tenant: SimulatedTenant, selection: Selection) -> RunRecord:
        """One run, from its start to its end."""
        sync_input = SyncInput(tenant_id=UUID(tenant.id), selection=selection)
        run = await start_sync(await self.client(), TASK_QUEUE, sync_input, tenant.name)
        await run.handle.result()
        async with (
            Database(self.database_url, pool_size=1) as database,
            database.tenant(UUID(tenant.id), read_only=True) as session,
        ):
            record = await queries.run_record(session, run.run_id)
        if record is None:
            raise LookupError(f"run {run.run_id} has no record")
        return record


@contextmanager
def empty_inventory(settings: Mapping[str, str] = SMALL) -> Iterator[EmbeddedPostgres]:
    """A server whose database is an inventory without a tenant; both are gone at the end."""
    with (
        TemporaryDirectory() as folder,
        EmbeddedPostgres(Path(folder) / "postgres", durable=False, settings=settings) as postgres,
    ):
        upgrade(postgres.url)
        yield postgres


def processor_seconds_of(pid: int) -> float:
    """The processor time of a process and its children, including ended children (proc(5))."""
    taken = 0.0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(FileNotFoundError, ProcessLookupError):
            fields = stat.read_text().rpartition(")")[2].split()
            if pid in (int(stat.parent.name), int(fields[1])):
                taken += sum(int(field) for field in fields[11:15]) / os.sysconf("SC_CLK_TCK")
    return taken


def facts() -> str:
    """The machine, in a line."""
    return f"{platform.machine()}, {platform.system()}, Python {platform.python_version()}"


def spread(figures: Sequence[float], digits: int = 2) -> str:
    """Median, minimum and maximum."""
    return (
        f"{statistics.median(figures):.{digits}f} ({min(figures):.{digits}f}–{max(figures):.{digits}f},"
        f" {len(figures)} times)"
    )


def played(play: Callable[[], Awaitable[None]]) -> None:
    """Runs it to its end, in the thread that owns the servers: they end with it."""

    async def run() -> None:
        await play()

    asyncio.run(run())
