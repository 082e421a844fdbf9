"""The activities that open, keep and close a run's record."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import NamedTuple
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from temporalio import activity

from activities.failures import UNEXPECTED_ATTEMPTS, log_unexpected
from activities.messages.merges import DetailRefresh
from activities.messages.runs import (
    BeginRunResult,
    FinishRun,
    FinishRunResult,
    PlannedCollection,
    RenewLease,
    RenewLeaseResult,
    Run,
    RunPolicy,
)
from activities.metrics import RunMetrics
from activities.observers import Observers
from activities.tenants import ReadingDisabledError, TenantsFile
from graph.catalog import Catalog
from graph.catalog import Collection as CatalogCollection
from graph.cpu_executor import crunch
from inventory.backoff import RetryLimits, known_failure
from inventory.records import DamagedRecord
from storage import references, runs
from storage.coverage import listed_once
from storage.database import Database, StorageUnavailableError
from storage.detail_ages import read_before
from storage.known_failures import LatestFailure, latest_failures
from storage.listed_pages import open_listings
from storage.recreated_items import StoredDocument, link_recreated
from storage.titles import give_titles

LEASE = timedelta(minutes=10)
"""Fetches, merges and every three minutes of waiting renew it; a run whose lease expires counts as abandoned."""


READING = timedelta(seconds=40)
"""The time for references, within the two minutes of `policies.DATABASE`; the next run or a command reads the rest."""


class RunLimits(NamedTuple):
    """The most runs at once."""

    per_tenant: int = 2
    overall: int = 20


class RunRecordActivities:
    """Idempotent by run id."""

    def __init__(
        self,
        database: Database,
        catalog: Catalog,
        tenants: TenantsFile,
        observers: Observers,
        limits: RunLimits,
        policy: RunPolicy,
        metrics: RunMetrics | None = None,
        *,
        notifies: bool = False,
    ) -> None:
        self._database = database
        self._catalog = catalog
        self._tenants = tenants
        self._observers = observers
        self._slots = runs.Slots(limits.per_tenant, limits.overall, LEASE)
        self._policy = policy
        self._metrics = metrics or RunMetrics()
        self._notifies = notifies
        self._rules = catalog.reading_rules()

    @activity.defn
    async def begin_run(self, run: Run) -> BeginRunResult:
        """Plans the collections, in the selection's order, once the run has a slot.

        A tenant unknown to tenants file and database is refused before anything is written.
        """
        tenant_name = await self._known_name(run.tenant_id)
        identity = _identity(run, tenant_name)
        async with self._database.tenant(run.tenant_id) as session:
            opening = await runs.open_run(session, identity, self._slots)
            is_running = opening.state is runs.OpeningState.RUNNING
            catalogued = [type_key for type_key in run.selection.type_keys if type_key in self._catalog.collections]
            if is_running:
                first_urls = {type_key: self._catalog.first_url(type_key, run.tenant_id) for type_key in catalogued}
                await open_listings(session, run.run_id, first_urls)
            listed = await listed_once(session) if is_running else set()
            failed = await latest_failures(session, run.selection.type_keys) if is_running else {}
            detailed = [type_key for type_key in catalogued if self._catalog.collections[type_key].details]
            oldest = await read_before(session, detailed) if is_running else {}
        if not is_running:
            # Small, since a queued run asks more than once, and its history keeps each answer.
            return BeginRunResult(opening=opening.state, ahead=opening.ahead, policy=self._policy)
        plan = [self._planned(run.tenant_id, type_key, listed, failed, oldest) for type_key in catalogued]
        if any(collection.is_first_listing for collection in plan):
            # Merges accept references read with the listing only if these rules, once stored, read them.
            async with self._database.tenant(run.tenant_id) as session:
                await references.follow_rules(session, self._rules)
        return BeginRunResult(
            opening=opening.state,
            plan=plan,
            policy=self._policy,
            unknown=[type_key for type_key in run.selection.type_keys if type_key not in catalogued],
            tenant_name=tenant_name,
            selection_name=run.selection_name or self._catalog.name_of(run.selection.type_keys),
        )

    async def _known_name(self, tenant_id: UUID) -> str | None:
        """The tenant's name; None if only the database knows the tenant.

        Raises `ReadingDisabledError`, and `UnnamedTenantError` or `TenantsFileError` for an unknown tenant.
        """
        if await self._tenants.is_disabled(tenant_id):
            raise ReadingDisabledError
        name = await self._tenants.name(tenant_id)
        if name is None and not await self._is_recorded(tenant_id):
            name = (await self._tenants.configured(tenant_id)).name
        return name

    async def _is_recorded(self, tenant_id: UUID) -> bool:
        async with self._database.tenant(tenant_id, read_only=True) as session:
            return await runs.is_recorded(session)

    @activity.defn
    async def renew_lease(self, request: RenewLease) -> RenewLeaseResult:
        """Keeps a slot or a place in the queue, and tells how many runs are ahead."""
        lease = self._slots.queue_lease if request.queued else LEASE
        async with self._database.tenant(request.tenant_id) as session:
            is_open = await runs.renew_lease(session, request.run_id, lease)
            ahead = await runs.runs_ahead(session, request.run_id, self._slots) if request.queued else None
            return RenewLeaseResult(open=is_open, ahead=ahead)

    @activity.defn
    async def finish_run(self, request: FinishRun) -> FinishRunResult:
        """Closes the record once, then reads references of new versions.

        Needs PostgreSQL only; every failure is retried as long as `policies.CLOSE` allows. A run of an unknown tenant
        was refused, and leaves no record.
        """
        tenant_id = request.run.tenant_id
        if await self._tenants.name(tenant_id) is None and not await self._is_recorded(tenant_id):
            return FinishRunResult(status=request.status, counts=request.counts)
        ending = runs.RunEnd(
            status=request.status,
            counts=request.counts,
            error_codes=request.error_codes,
            collections=request.collections,
            cancel_requested_by=request.cancel_requested_by,
            cancel_reason=request.cancel_reason,
            logs=self._catalog.logs,
            confirmable=self._catalog.confirmable,
        )
        async with self._database.tenant(tenant_id) as session:
            finished = await runs.finish_run(session, _identity(request.run, None), ending)
            if finished.counts.created or finished.counts.missing:
                # Only a release that knows a collection can compare its documents.
                listed = sorted(finished.listed & self._catalog.collections.keys())
                await self._link_recreated(session, request.run, listed)
        if finished.collections is not None:
            self._metrics.ended(finished.status, finished.counts, finished.collections)
        await self._catch_up(tenant_id)
        return FinishRunResult(
            status=finished.status,
            counts=finished.counts,
            error_codes=list(finished.error_codes),
            notifies=self._notifies,
        )

    async def _link_recreated(self, session: AsyncSession, run: Run, listed: Sequence[str]) -> None:
        """Logs a lasting failure and goes on: the record must be closed."""
        try:
            async with session.begin_nested():
                likenesses = partial(self._likenesses, run.tenant_id)
                _log(await link_recreated(session, run.run_id, listed, likenesses))
        except Exception as error:
            if activity.info().attempt < UNEXPECTED_ATTEMPTS:
                raise
            log_unexpected(error)

    async def _catch_up(self, tenant_id: UUID) -> None:
        try:
            # One reader, since a worker's pool has one connection for each activity.
            _log(await references.catch_up(self._database, tenant_id, self._rules, within=READING, readers=1))
            async with self._database.tenant(tenant_id) as session:
                await give_titles(session, self._catalog.title_rules())
        except StorageUnavailableError as error:
            activity.logger.warning("the references of new versions were not read: %s", error)
        except Exception as error:  # noqa: BLE001 - the run has ended despite any error
            log_unexpected(error)

    async def _likenesses(self, tenant_id: UUID, documents: Sequence[StoredDocument]) -> list[bytes]:
        return await crunch(tenant_id, self._observers.likenesses, documents)

    def _planned(
        self,
        tenant_id: UUID,
        type_key: str,
        listed: Collection[str],
        failed: Mapping[str, LatestFailure],
        oldest: Mapping[str, datetime],
    ) -> PlannedCollection:
        collection = self._catalog.collections[type_key]
        full = RetryLimits(self._policy.cursor_attempts, self._policy.graph_patience)
        latest = failed.get(type_key)
        return PlannedCollection(
            type_key=type_key,
            first_url=self._catalog.first_url(type_key, tenant_id),
            api_version=collection.api_version,
            throttle_family=collection.throttle_family,
            wave_limit=collection.throttle_family.wave_limit,
            confirmable=collection.confirmable,
            detailed=collection.may_lack_details,
            is_first_listing=type_key not in listed,
            interval=collection.throttle_family.interval,
            refresh=DetailRefresh(period=self._period(collection), read_before=oldest.get(type_key))
            if collection.details
            else None,
            known_failure=None if latest is None else known_failure(*latest, full),
        )

    def _period(self, collection: CatalogCollection) -> timedelta:
        if collection.refresh_hours is None:
            return self._policy.detail_refresh
        return min(self._policy.detail_refresh, timedelta(hours=collection.refresh_hours))


def _log(damaged: Sequence[DamagedRecord]) -> None:
    for record in damaged:
        activity.logger.warning(record.in_words)


def _identity(run: Run, tenant_name: str | None) -> runs.RunIdentity:
    return runs.RunIdentity(run.run_id, run.workflow_id, run.selection, tenant_name, run.selection_name)
