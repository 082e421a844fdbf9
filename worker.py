"""Runs one worker: the workflows and activities of one task queue, until it is told to stop.

python worker.py            reads its configuration as `.env.example` describes
python worker.py --check    connects to Temporal and PostgreSQL and exits 0 if both answer
"""

import argparse
import asyncio
import logging
import signal
import sys
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta

from temporalio.exceptions import ApplicationError
from temporalio.worker import Worker

from activities.fetching import FetchActivities
from activities.messages import RunPolicy
from activities.run_records import RunLimits, RunRecordActivities
from activities.tenants import TenantsFile
from activities.upserting import UpsertActivities
from configuration import ConfigurationError, Settings, load_settings, temporal_connect_config
from connections import UnreachableError, check_database, connect_temporal, register_search_attributes
from graph.catalog import load_catalog
from graph.client import GraphClient
from graph.tenants import TenantsFileError, load_tenants
from graph.trust import TrustError
from storage.database import Database, DatabaseUrlError
from workflows.sync import SyncWorkflow

GRACEFUL_SHUTDOWN = timedelta(seconds=30)
"""Longer than a merge and than most fetches; what it cuts off is tried again elsewhere."""

WORKFLOWS = (SyncWorkflow,)


class ClassifiedFailures(logging.Filter):
    """Logs a failure that has a stable code in one line: its traceback says nothing that the code does not."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Takes the traceback off such a record, and lets every record through."""
        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, ApplicationError):
            record.msg, record.args, record.exc_info = f"{record.getMessage()}: {error}", None, None
        return True


async def run(settings: Settings, stop: asyncio.Event) -> None:
    """Works until `stop` is set. Raises `UnreachableError` where Temporal or PostgreSQL do not answer at start."""
    client = await connect_temporal(temporal_connect_config())
    await register_search_attributes(client)
    database = Database(
        settings.database_url.get_secret_value(),
        pool_size=settings.worker_database_connections,
        application_name="tenant-inventory worker",
    )
    try:
        await check_database(database)
        async with GraphClient.from_endpoints(
            base_url=settings.graph_base_url,
            authority_url=settings.graph_authority_url,
            ca_file=settings.graph_ca_file,
        ) as graph:
            worker = Worker(
                client,
                task_queue=settings.temporal_task_queue,
                workflows=WORKFLOWS,
                activities=activities(settings, database, graph),
                max_concurrent_activities=settings.worker_activities,
                graceful_shutdown_timeout=GRACEFUL_SHUTDOWN,
            )
            async with worker:
                logging.getLogger(__name__).info("worker ready on task queue %s", settings.temporal_task_queue)
                await stop.wait()
                logging.getLogger(__name__).info("worker stops")
    finally:
        await database.close()


def activities(
    settings: Settings, database: Database, graph: GraphClient
) -> Sequence[Callable[..., Awaitable[object]]]:
    """The activities with what they depend on."""
    catalog = load_catalog()
    tenants = TenantsFile(settings.tenants_file)
    key = settings.sensitive_fields_key
    fetching = FetchActivities(graph, database, catalog, tenants, key.get_secret_value().encode() if key else None)
    records = RunRecordActivities(
        database,
        catalog,
        tenants,
        RunLimits(settings.runs_per_tenant, settings.runs_overall),
        RunPolicy(
            queue_patience=timedelta(seconds=settings.run_queue_patience_seconds),
            graph_patience=timedelta(seconds=settings.graph_patience_seconds),
            waves_in_flight=settings.waves_in_flight,
        ),
    )
    upserting = UpsertActivities(database)
    return [
        records.begin_run,
        records.renew_lease,
        records.finish_run,
        fetching.fetch_pages,
        upserting.upsert_items,
    ]


async def _check(settings: Settings) -> None:
    await connect_temporal(temporal_connect_config())
    database = Database(settings.database_url.get_secret_value(), pool_size=1)
    try:
        await check_database(database)
    finally:
        await database.close()


async def _main(*, check: bool) -> int:
    try:
        settings = load_settings()
        logging.basicConfig(
            level=settings.log_level, format="%(asctime)s %(levelname)s %(name)s %(message)s", stream=sys.stderr
        )
        logging.getLogger("httpx").setLevel(logging.WARNING)
        for name in ("temporalio.activity", "temporalio.workflow"):
            logging.getLogger(name).addFilter(ClassifiedFailures())
        load_tenants(settings.tenants_file)
        stop = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        if check:
            await _check(settings)
        else:
            await run(settings, stop)
    except (ConfigurationError, DatabaseUrlError, TenantsFileError, TrustError) as error:
        print(f"worker: {error}", file=sys.stderr)
        return 2
    except UnreachableError as error:
        print(f"worker: {error}", file=sys.stderr)
        return 1
    return 0


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="worker.py", description="Runs one worker of Tenant Inventory.", epilog="example: python worker.py"
    )
    parser.add_argument("--check", action="store_true", help="connect to Temporal and PostgreSQL, then exit")
    arguments = parser.parse_args()
    sys.exit(asyncio.run(_main(check=arguments.check)))


if __name__ == "__main__":
    main()
