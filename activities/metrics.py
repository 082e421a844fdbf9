"""The worker's metrics: runs, items, requests to Graph, and the age of readings.

They share the SDK's endpoint. Labels are closed sets, except tenant ids if configured.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import timedelta

from temporalio.common import MetricMeter

from activities.tenants import TenantsFile
from graph.meter import GraphMeter
from graph.tenants import TenantsFileError
from inventory.error_codes import ErrorCode
from inventory.outcomes import CollectionResult, Counts, Outcome, RunStatus
from inventory.portfolio import TenantChoice
from storage.database import Database, StorageNotReadyError, StorageUnavailableError
from storage.freshness import freshness

REFRESH_SECONDS = 60
"""Prometheus commonly scrapes every 15 to 60 seconds."""

COUNTED_ITEMS = ("created", "changed", "unchanged", "invalid")
"""Counts that add up over runs."""

STATUSES = range(100, 600)
"""Other statuses share a label: a hostile server could add one for each number."""

_LOG = logging.getLogger(__name__)


class RunMetrics:
    """Counts ended runs, each once unless its worker dies between record and count.

    Counters begin with 0: Prometheus sees no increase in a series that begins with 1.
    """

    def __init__(self, meter: MetricMeter = MetricMeter.noop) -> None:
        self._runs = meter.create_counter("tenant_inventory_runs_finished", "Runs that ended, by status.")
        self._abandoned = meter.create_counter(
            "tenant_inventory_runs_abandoned", "Runs that the sweep closed, since their workflow had ended."
        )
        self._items = meter.create_counter("tenant_inventory_items", "Items that ended runs observed, by result.")
        self._collections = meter.create_counter(
            "tenant_inventory_collections", "Collections of ended runs, by outcome."
        )
        self._errors = meter.create_counter(
            "tenant_inventory_collection_errors", "Collections of ended runs that were not read to their end, by code."
        )
        self._throttled = meter.create_counter(
            "tenant_inventory_throttled_requests", "Requests of ended runs that Graph throttled."
        )
        self._abandoned.add(0)
        self._throttled.add(0)
        for status in RunStatus:
            if status.ended:
                self._runs.add(0, {"status": status})
        for result in COUNTED_ITEMS:
            self._items.add(0, {"result": result})
        for outcome in Outcome:
            self._collections.add(0, {"outcome": outcome})
        for code in ErrorCode:
            self._errors.add(0, {"error_code": code})

    def ended(self, status: RunStatus, counts: Counts, collections: Mapping[str, CollectionResult]) -> None:
        """Call once, when the record is closed."""
        self._runs.add(1, {"status": status})
        self._throttled.add(counts.throttled)
        for result in COUNTED_ITEMS:
            self._items.add(getattr(counts, result), {"result": result})
        for collection in collections.values():
            outcome = collection.outcome or Outcome.INCOMPLETE
            self._collections.add(1, {"outcome": outcome})
            if collection.error_code is not None and outcome is not Outcome.SKIPPED:
                self._errors.add(1, {"error_code": collection.error_code})

    def abandoned(self, runs: int) -> None:
        self._abandoned.add(runs)
        self._runs.add(runs, {"status": RunStatus.FAILED})


class GraphMetrics(GraphMeter):
    def __init__(self, meter: MetricMeter) -> None:
        self._batches = meter.create_counter(
            "tenant_inventory_graph_batches", "$batch requests to Graph, by HTTP status; none is no answer."
        )
        self._requests = meter.create_counter(
            "tenant_inventory_graph_requests", "Requests inside batches that Graph answered, by HTTP status."
        )
        self._durations = meter.create_histogram_timedelta(
            "tenant_inventory_graph_batch_duration", "From a $batch's connection to the last byte of its answer."
        )
        for status in ("200", "429", "503", "none"):
            self._batches.add(0, {"status": status})
        for status in ("200", "429", "503"):
            self._requests.add(0, {"status": status})

    def batch_answered(self, status: int | None, duration: timedelta, answers: Sequence[int]) -> None:
        self._batches.add(1, {"status": "none" if status is None else _label(status)})
        self._durations.record(duration)
        for answer in answers:
            self._requests.add(1, {"status": _label(answer)})


def _label(status: int) -> str:
    return str(status) if status in STATUSES else "other"


class FreshnessMetrics:
    """Every worker reports the same, so dashboards take the maximum."""

    def __init__(self, meter: MetricMeter, database: Database, tenants: TenantsFile, *, with_tenants: bool) -> None:
        self._database = database
        self._tenants = tenants
        self._with_tenants = with_tenants
        self._configured = meter.create_gauge("tenant_inventory_tenants", "Tenants of the tenants file that are read.")
        self._never_read = meter.create_gauge(
            "tenant_inventory_tenants_never_read", "Those of them without a run that read a collection."
        )
        self._oldest = meter.create_gauge_float(
            "tenant_inventory_oldest_read_timestamp_seconds",
            "Of the tenant that was read the longest ago: when its latest run that read a collection began.",
        )
        self._latest = meter.create_gauge_float(
            "tenant_inventory_latest_read_timestamp_seconds",
            "Of each tenant (METRICS_TENANTS): when its latest run that read a collection began.",
        )
        self._open = meter.create_gauge("tenant_inventory_open_runs", "Runs that are queued or running, by status.")
        self._refreshed = meter.create_gauge_float(
            "tenant_inventory_freshness_timestamp_seconds", "When the worker last asked the database for these gauges."
        )

    async def refresh(self) -> None:
        """Raises `StorageUnavailableError`, `StorageNotReadyError` and `TenantsFileError`."""
        tenant_ids, _ = await self._tenants.enabled(TenantChoice(everyone=True))
        async with self._database.portfolio() as session:
            state = await freshness(session, tenant_ids)
        self._configured.set(len(tenant_ids))
        self._never_read.set(len(tenant_ids) - len(state.read_at))
        if state.read_at:
            self._oldest.set(min(state.read_at.values()).timestamp())
        if self._with_tenants:
            for tenant_id, read_at in state.read_at.items():
                self._latest.set(read_at.timestamp(), {"tenant_id": str(tenant_id)})
        self._open.set(state.queued, {"status": RunStatus.QUEUED})
        self._open.set(state.running, {"status": RunStatus.RUNNING})
        self._refreshed.set(state.asked_at.timestamp())

    @asynccontextmanager
    async def refreshed(self) -> AsyncIterator[None]:
        refreshing = asyncio.create_task(self._keep_refreshing())
        try:
            yield
        finally:
            refreshing.cancel()
            with suppress(asyncio.CancelledError):
                await refreshing

    async def _keep_refreshing(self) -> None:
        while True:
            try:
                await self.refresh()
            except (StorageUnavailableError, StorageNotReadyError, TenantsFileError) as error:
                _LOG.warning("the age of what was read is not known: %s", error)
            await asyncio.sleep(REFRESH_SECONDS)
