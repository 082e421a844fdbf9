"""Runs a worker of one task queue until it is told to stop. `.env.example` describes its configuration."""

import argparse
import asyncio
import ctypes
import gc
import logging
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager, nullcontext
from datetime import UTC, datetime, timedelta
from functools import partial

from temporalio import activity, workflow
from temporalio.client import Client, Interceptor
from temporalio.common import MetricMeter, VersioningBehavior, WorkerDeploymentVersion
from temporalio.runtime import Runtime
from temporalio.worker import ResourceBasedSlotConfig, Worker, WorkerDeploymentConfig, WorkerTuner

from activities.confirmation import ConfirmActivities
from activities.details import DetailActivities
from activities.diagnosis import DiagnosisActivities
from activities.interceptor import ActivityInterceptor
from activities.messages.runs import RunPolicy
from activities.metrics import FreshnessMetrics, GraphMetrics, RunMetrics
from activities.notifications import NotificationActivities, NotificationsFile
from activities.observers import Observers, SensitivityRules
from activities.pages import FetchActivities
from activities.portfolio import PortfolioActivities
from activities.retention import RetentionActivities, RetentionLimits
from activities.run_records import RunLimits, RunRecordActivities
from activities.sweep import SweepActivities
from activities.tenants import TenantsFile
from activities.upsert import UpsertActivities
from activities.watch import WatchActivities
from activities.waves import WaveActivities
from configuration import NO_KEY_WARNING, ConfigurationError, Settings, TenantsFrom, check_key, load_settings
from connections import (
    UnreachableError,
    check_database,
    connect_temporal,
    polling,
    register_search_attributes,
    temporal_connect_config,
)
from delivery.targets import NotificationsFileError, load_notifications
from graph.catalog import load_catalog
from graph.client import BATCH_LIMIT, GraphClient
from graph.meter import GraphMeter
from graph.proxy import overlooked
from graph.tenants import TenantsFileError, load_tenants
from graph.trust import TrustError, ssl_context
from graph.vault import Vault
from inventory.backoff import MALFORMED_ATTEMPTS
from inventory.log_lines import LogFormat, WithoutQuotes, log_handler
from inventory.version import VERSION
from inventory.visible_text import visible
from process_exit import run_to_exit
from storage.database import Database, DatabaseUrlError
from temporal_errors import KnownFailures
from temporal_runtime import MetricsAddressError, logging_runtime
from tenants_source import tenants_source
from worker_schedules import schedule_notification_look, schedule_retention, schedule_sweep
from workflows.diagnosis import DiagnosisWorkflow
from workflows.messages import RetentionInput
from workflows.notify import NotificationLookWorkflow, NotifyWorkflow
from workflows.portfolio import PortfolioWorkflow
from workflows.retention import RetentionWorkflow
from workflows.sweep import SweepWorkflow
from workflows.sync import SyncWorkflow
from workflows.watch import WatchWorkflow

DETAIL_BATCHES = 8
"""The most `$batch` requests of one `FetchDetails`: the more, the fewer activities.

A killed worker loses at most four of them, which are merged together.
"""

DETAIL_ITEMS = DETAIL_BATCHES * BATCH_LIMIT // 2
"""Items of one `FetchDetails`, if each needs two requests."""

BATCHES_PER_ACTIVITY = 2
"""Batches for each of `WORKER_ACTIVITIES`: a batch that waits for Graph holds no connection to PostgreSQL."""

TOLD_AFTER = timedelta(minutes=2)
"""After this time, longer than a network blip, an activity reports a failing batch as each page's failure.

Then the run merges other waves, and reads a page on which Graph hangs apart from others.
"""

GRACEFUL_SHUTDOWN = timedelta(seconds=30)
"""Longer than a merge and most fetches; other workers retry the rest."""

FAREWELL = GRACEFUL_SHUTDOWN + timedelta(seconds=15)
"""The limit of the shutdown after a fatal error: the SDK's may never end (seen with temporalio 1.35)."""

WORKFLOWS = (
    SyncWorkflow,
    PortfolioWorkflow,
    SweepWorkflow,
    RetentionWorkflow,
    WatchWorkflow,
    DiagnosisWorkflow,
    NotifyWorkflow,
    NotificationLookWorkflow,
)

CONFIGURATION_ERRORS = (
    ConfigurationError,
    DatabaseUrlError,
    MetricsAddressError,
    NotificationsFileError,
    TenantsFileError,
    TrustError,
)
"""Errors that end a worker with exit code 2: only an operator can help."""

WORKFLOW_SLOTS = (10, 100)
"""The least and the most. Workflow tasks are short, so the least suffices on a busy machine."""

LEAST_ACTIVITY_SLOTS = 16
"""Given even on a busy machine, since activities mostly wait for Graph."""

RAMP_THROTTLE = timedelta(milliseconds=10)
"""The gap between activities beyond the least; the SDK's 50 ms allow only 20 a second."""

UNVERSIONED = WorkerDeploymentConfig(WorkerDeploymentVersion("tenant-inventory", VERSION), use_worker_versioning=False)
"""Names the release in histories; without it, the SDK spends 0.2 processor seconds on hashing all modules."""

M_ARENA_MAX = -8
"""See mallopt(3)."""


async def run(settings: Settings, stop: asyncio.Event) -> None:
    """Works until `stop`. Raises `UnreachableError` if Temporal or PostgreSQL do not answer at start."""
    with traced(settings) as interceptors:
        client = await connect_temporal(
            temporal_connect_config(),
            runtime=logging_runtime(settings.worker_metrics_address),
            interceptors=interceptors,
        )
        await serve(settings, client, stop)


@contextmanager
def traced(settings: Settings) -> Iterator[Sequence[Interceptor]]:
    """The interceptor that sends traces, if configured. Raises `ConfigurationError`."""
    if settings.traces_endpoint is None:
        yield []
        return
    try:
        from run_traces import tracing  # needs optional libraries
    except ImportError:
        raise ConfigurationError(
            "TRACES_ENDPOINT needs libraries that are not installed: requirements/traces.txt (docs/operating.md)"
        ) from None
    with tracing(settings.traces_endpoint) as interceptor:
        yield [interceptor]


async def serve(settings: Settings, client: Client, stop: asyncio.Event) -> None:
    """Registers search attributes and schedules, then works until `stop`. Raises as `run`."""
    failure = Failure()
    async with built(settings, client, failure.tell) as worker:
        await register_search_attributes(client)
        await schedule_sweep(client, settings.temporal_task_queue, timedelta(seconds=settings.sweep_interval_seconds))
        await schedule_retention(
            client,
            settings.temporal_task_queue,
            timedelta(hours=settings.retention_interval_hours),
            RetentionInput.within(
                settings.version_retention_days, settings.version_retention_count, settings.run_retention_days
            ),
        )
        await schedule_notification_look(
            client, settings.temporal_task_queue, is_wanted=settings.notifications_file is not None
        )
        with polling(client):
            await ended(asyncio.create_task(work(settings, worker, stop)), failure, FAREWELL)


async def work(settings: Settings, worker: Worker, stop: asyncio.Event) -> None:
    """Works until `stop`, then lets activities end in time. Raises the worker's fatal error."""
    async with worker:
        logging.getLogger(__name__).info(version_line(settings))
        logging.getLogger(__name__).info("worker ready on task queue %s", settings.temporal_task_queue)
        await stop.wait()
        logging.getLogger(__name__).info("worker stops")


class Failure:
    def __init__(self) -> None:
        self.error: BaseException | None = None
        self.happened = asyncio.Event()

    async def tell(self, error: BaseException) -> None:
        self.error = error
        self.happened.set()


async def ended(working: asyncio.Task[None], failure: Failure, farewell: timedelta) -> None:
    """Waits for the end of `working`, after a fatal error for at most `farewell`. Raises that error."""
    failed = asyncio.create_task(failure.happened.wait())
    try:
        await asyncio.wait({working, failed}, return_when=asyncio.FIRST_COMPLETED)
        if failure.error is not None and not (await asyncio.wait({working}, timeout=farewell.total_seconds()))[0]:
            working.cancel()
            raise failure.error
        await working
    finally:
        failed.cancel()


async def check(settings: Settings) -> None:
    """Builds and closes the worker without running it. Raises as `run`."""
    client = await connect_temporal(temporal_connect_config())
    async with built(settings, client):
        pass


@asynccontextmanager
async def built(
    settings: Settings, client: Client, on_fatal_error: Callable[[BaseException], Awaitable[None]] | None = None
) -> AsyncIterator[Worker]:
    """Builds the worker, which changes nothing outside this process. Raises `UnreachableError`, `TrustError`."""
    async with Database(
        settings.database_url.get_secret_value(),
        pool_size=settings.database_connections,
        application_name="tenant-inventory worker",
    ) as database:
        await check_database(database)
        for excess in await database.excess():
            logging.getLogger(__name__).warning(
                "the login of DATABASE_URL %s, which workers do not need: give them one that is a member of the two"
                " roles and owns nothing (python starter.py database roles --owner OWNER --worker-login NAME)",
                excess,
            )
        meter = meter_of(client)
        async with graph_client(settings, GraphMetrics(meter)) as graph, freshness_told(settings, database, meter):
            yield Worker(
                client,
                task_queue=settings.temporal_task_queue,
                workflows=WORKFLOWS,
                activities=activities(settings, database, graph, client),
                tuner=slots(settings),
                deployment_config=deployment(settings) or UNVERSIONED,
                # Eager activities bypass Temporal's fairness and rate limits: a worker prefers its own runs.
                disable_eager_activity_execution=True,
                interceptors=[ActivityInterceptor()],
                graceful_shutdown_timeout=GRACEFUL_SHUTDOWN,
                on_fatal_error=on_fatal_error,
            )


def graph_client(settings: Settings, meter: GraphMeter | None = None) -> GraphClient:
    """Raises `TrustError`."""
    return GraphClient.from_endpoints(
        base_url=settings.graph_base_url,
        authority_url=settings.graph_authority_url,
        ca_file=settings.graph_ca_file,
        proxy_url=settings.graph_proxy,
        vault_url=settings.tenant_vault_url,
        meter=meter,
    )


def vault_of(settings: Settings) -> Vault | None:
    """The vault of credentials, if configured. Raises `TrustError`."""
    if settings.tenant_vault_url is None:
        return None
    return Vault(settings.tenant_vault_url, ssl_context(settings.graph_ca_file), settings.graph_proxy)


def meter_of(client: Client) -> MetricMeter:
    return (client.service_client.config.runtime or Runtime.default()).metric_meter


def freshness_told(settings: Settings, database: Database, meter: MetricMeter) -> AbstractAsyncContextManager[None]:
    if settings.worker_metrics_address is None:
        return nullcontext()
    tenants = TenantsFile(tenants_source(settings))
    return FreshnessMetrics(meter, database, tenants, with_tenants=settings.metrics_tenants).refreshed()


def machine_clock() -> datetime:
    return datetime.now(UTC)


def slots(settings: Settings) -> WorkerTuner:
    """Limits concurrent tasks by free memory and processor time, and activities by `WORKER_ACTIVITIES`."""
    least_workflows, most_workflows = WORKFLOW_SLOTS
    return WorkerTuner.create_resource_based(
        target_memory_usage=settings.worker_target_memory_usage,
        target_cpu_usage=settings.worker_target_cpu_usage,
        workflow_config=ResourceBasedSlotConfig(least_workflows, most_workflows),
        activity_config=ResourceBasedSlotConfig(
            min(LEAST_ACTIVITY_SLOTS, settings.worker_activities), settings.worker_activities, RAMP_THROTTLE
        ),
    )


def deployment(settings: Settings) -> WorkerDeploymentConfig | None:
    """The version to which runs are pinned; None if the worker is unversioned.

    The worker sets the behavior: set on workflow classes, an unversioned worker would never get a workflow task.
    """
    if settings.worker_deployment_name is None or settings.worker_build_id is None:
        return None
    return WorkerDeploymentConfig(
        version=WorkerDeploymentVersion(settings.worker_deployment_name, settings.worker_build_id),
        use_worker_versioning=True,
        default_versioning_behavior=VersioningBehavior.PINNED,
    )


def version_line(settings: Settings) -> str:
    version = deployment(settings)
    if version is None:
        return "worker is unversioned"
    name, build_id = version.version.deployment_name, version.version.build_id
    return f"worker is version {build_id} of deployment {name}; it gets new runs once that is the current version"


def activities(
    settings: Settings, database: Database, graph: GraphClient, client: Client
) -> Sequence[Callable[..., Awaitable[object]]]:
    catalog = load_catalog()
    tenants = TenantsFile(tenants_source(settings))
    secrecy = SensitivityRules(
        settings.wrapping_keys,
        settings.sensitive_fields_comparable,
        settings.hide_script_bodies,
        settings.show_payloads,
    )
    observers = Observers(catalog, secrecy, database)
    run_metrics = RunMetrics(meter_of(client))
    fetching = FetchActivities(graph, database, catalog, tenants, observers)
    detailing = DetailActivities(graph, database, catalog, tenants, observers)
    records = RunRecordActivities(
        database,
        catalog,
        tenants,
        observers,
        RunLimits(settings.runs_per_tenant, settings.runs_overall),
        _run_policy(settings),
        run_metrics,
        notifies=settings.notifications_file is not None,
    )
    upserting = UpsertActivities(database, observers)
    confirming = ConfirmActivities(graph, database, catalog, tenants, observers)
    sweeping = SweepActivities(database, client, run_metrics)
    limits = RetentionInput.within(
        settings.version_retention_days, settings.version_retention_count, settings.run_retention_days
    )
    retaining = RetentionActivities(database, RetentionLimits(limits.older_than, limits.kept, limits.runs_older_than))
    portfolios = PortfolioActivities(database, tenants, client, settings.portfolio_tenants_at_once)
    watching = WatchActivities(graph, database, catalog, tenants, observers)
    notifying = NotificationActivities(
        database, tenants, NotificationsFile(settings.notifications_file), vault=vault_of(settings)
    )
    warnings = [NO_KEY_WARNING] if not settings.has_key else []
    diagnosis = DiagnosisActivities(
        partial(graph_client, settings), database, catalog, tenants, warnings, machine_clock
    )
    return [
        records.begin_run,
        records.renew_lease,
        records.finish_run,
        WaveActivities(
            fetching.fetch_pages,
            confirming.confirm_missing,
            detailing.fetch_details,
            at_once=BATCHES_PER_ACTIVITY * settings.worker_activities,
        ).read_wave,
        fetching.fetch_pages,
        upserting.upsert_items,
        confirming.confirm_missing,
        detailing.fetch_details,
        sweeping.sweep,
        retaining.inventoried_tenants,
        retaining.forget_versions,
        retaining.forget_runs,
        portfolios.open_portfolio,
        portfolios.follow_runs,
        portfolios.record_portfolio,
        watching.watched_tenants,
        watching.watch_tenants,
        diagnosis.diagnose_worker,
        notifying.note_events,
        notifying.look_for_events,
        notifying.deliver_events,
    ]


def _run_policy(settings: Settings) -> RunPolicy:
    return RunPolicy(
        queue_patience=timedelta(seconds=settings.run_queue_patience_seconds),
        graph_patience=timedelta(seconds=settings.graph_patience_seconds),
        cursor_attempts=settings.graph_attempts,
        waves_in_flight=settings.waves_in_flight,
        detail_refresh=timedelta(hours=settings.detail_refresh_hours),
        detail_batches=DETAIL_BATCHES,
        detail_items=DETAIL_ITEMS,
        malformed_attempts=MALFORMED_ATTEMPTS,
        told_after=min(TOLD_AFTER, timedelta(seconds=settings.graph_patience_seconds) / 10),
    )


def spare_the_collector() -> None:
    """Makes garbage collection rarer, and exempts objects made so far: documents are trees and need none."""
    gc.freeze()
    gc.set_threshold(10_000, 20, 10)


async def _main(*, check_only: bool) -> int:
    try:
        settings = load_settings()
        handler = log_handler(settings.log_format)
        if settings.log_format is LogFormat.JSON:
            # JSON fields say the same.
            activity.logger.activity_info_on_message = workflow.logger.workflow_info_on_message = False
        # A check runs every minute, so it logs only errors.
        logging.basicConfig(level=logging.ERROR if check_only else settings.log_level, handlers=[handler])
        logging.getLogger("httpx").setLevel(logging.WARNING)
        for name in ("temporalio.activity", "temporalio.workflow", "temporalio.worker._worker"):
            logging.getLogger(name).addFilter(KnownFailures())
        logging.getLogger("asyncio").addFilter(WithoutQuotes())
        warning = None if settings.graph_proxy_url else overlooked(os.environ)
        if warning is not None:
            logging.getLogger(__name__).warning(warning)
        check_key(settings)
        if not settings.has_key:
            logging.getLogger(__name__).warning(NO_KEY_WARNING)
        if settings.tenants_from is TenantsFrom.FILE:
            load_tenants(settings.tenants_file)
        if settings.notifications_file is not None:
            load_notifications(settings.notifications_file)
        spare_the_collector()
        stop = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        if check_only:
            await check(settings)
        else:
            await run(settings, stop)
    except CONFIGURATION_ERRORS as error:
        print(f"worker: {visible(str(error))}", file=sys.stderr)
        return 2
    except UnreachableError as error:
        print(f"worker: {visible(str(error))}", file=sys.stderr)
        return 1
    return 0


def share_memory_between_threads() -> None:
    """Makes the GNU C library use one arena for all threads, so that a thread reuses memory that another freed."""
    libc = ctypes.CDLL(None)
    if sys.platform == "linux" and hasattr(libc, "gnu_get_libc_version"):
        libc.mallopt(M_ARENA_MAX, 1)


def main() -> None:
    run_to_exit(_command)


def _command() -> None:
    share_memory_between_threads()
    parser = argparse.ArgumentParser(
        prog="worker.py", description="Runs one worker of Tenant Inventory.", epilog="example: python worker.py"
    )
    parser.add_argument("--check", action="store_true", help="build the worker, connect it, then exit")
    parser.add_argument("--version", action="version", version=f"tenant-inventory {VERSION}")
    arguments = parser.parse_args()
    sys.exit(asyncio.run(_main(check_only=arguments.check)))


if __name__ == "__main__":
    main()
