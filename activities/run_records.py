"""The activities that open, keep and close a run's record."""

from collections.abc import Collection, Sequence
from datetime import timedelta
from typing import NamedTuple
from uuid import UUID

from temporalio import activity

from activities.failures import classified
from activities.heartbeats import beating
from activities.messages import (
    ActivityName,
    BeginRunResult,
    FinishRun,
    FinishRunResult,
    PlannedCollection,
    RenewLease,
    RenewLeaseResult,
    Run,
    RunPolicy,
)
from activities.observing import Observers
from activities.tenants import TenantsFile
from graph.catalog import Catalog
from graph.crunching import crunch
from inventory.outcomes import Outcome
from storage import references, runs
from storage.coverage import listed_once
from storage.database import Database
from storage.recreating import StoredDocument, link_recreated

LEASE = timedelta(minutes=10)
"""Renewed by every fetch, every merge and every three minutes of waiting; past it a run counts as abandoned."""


READING = timedelta(seconds=40)
"""Of `policies.DATABASE`'s two minutes: what is left over is read by the next run, or by who asks."""


class RunLimits(NamedTuple):
    """How many runs may be running at once."""

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
    ) -> None:
        self._database = database
        self._catalog = catalog
        self._tenants = tenants
        self._observers = observers
        self._slots = runs.Slots(limits.per_tenant, limits.overall, LEASE)
        self._policy = policy
        self._rules = catalog.reading_rules()

    @activity.defn(name=ActivityName.BEGIN_RUN)
    async def begin_run(self, run: Run) -> BeginRunResult:
        """Records the run, gives it a slot once it is its turn, and plans its collections in the selection's order."""
        async with classified(), beating():
            identity = await self._identity(run)
            async with self._database.tenant(run.tenant_id) as session:
                listed = await listed_once(session)
                opening = await runs.open_run(session, identity, self._slots)
            plan = [self._planned(run.tenant_id, type_key, listed) for type_key in run.selection.type_keys]
            if opening.state is runs.OpeningState.RUNNING and any(one.is_first_listing for one in plan):
                # What is read while items are listed is taken where it was read by these rules.
                async with self._database.tenant(run.tenant_id) as session:
                    await references.follow_rules(session, self._rules)
            return BeginRunResult(opening=opening.state, ahead=opening.ahead, plan=plan, policy=self._policy)

    @activity.defn(name=ActivityName.RENEW_LEASE)
    async def renew_lease(self, request: RenewLease) -> RenewLeaseResult:
        """Keeps the slot of a run that waits."""
        async with classified(), beating(), self._database.tenant(request.tenant_id) as session:
            return RenewLeaseResult(open=await runs.renew_lease(session, request.run_id, LEASE))

    @activity.defn(name=ActivityName.FINISH_RUN)
    async def finish_run(self, request: FinishRun) -> FinishRunResult:
        """Closes the record, once: a later attempt answers what the first one wrote.

        Then the references of new versions are read, also of those that closing has made.
        """
        async with classified(), beating():
            identity = await self._identity(request.run)
            ending = runs.Ending(
                status=request.status,
                counts=request.counts,
                error_codes=request.error_codes,
                collections=request.collections,
                cancel_requested_by=request.cancel_requested_by,
                cancel_reason=request.cancel_reason,
            )
            async with self._database.tenant(request.run.tenant_id) as session:
                status, counts = await runs.finish_run(session, identity, ending)
                if counts.created or counts.missing:
                    listed = [key for key, one in request.collections.items() if one.outcome is Outcome.COMPLETE]
                    await link_recreated(session, request.run.run_id, listed, self._likenesses)
            # One reader, since a worker's pool has one connection for each activity.
            await references.catch_up(self._database, request.run.tenant_id, self._rules, within=READING, readers=1)
            return FinishRunResult(status=status, counts=counts)

    async def _likenesses(self, documents: Sequence[StoredDocument]) -> list[bytes]:
        return await crunch(self._observers.likenesses, documents)

    async def _identity(self, run: Run) -> runs.RunIdentity:
        tenant = await self._tenants.get(run.tenant_id)
        name = tenant.name if tenant is not None else str(run.tenant_id)
        return runs.RunIdentity(run.run_id, run.workflow_id, run.selection, name)

    def _planned(self, tenant_id: UUID, type_key: str, listed: Collection[str]) -> PlannedCollection:
        collection = self._catalog.collections[type_key]
        return PlannedCollection(
            type_key=type_key,
            first_url=self._catalog.first_url(type_key, tenant_id),
            api_version=collection.api_version,
            throttle_family=collection.throttle_family,
            wave_limit=collection.throttle_family.wave_limit,
            confirmable=collection.confirmable,
            detailed=bool(collection.details),
            is_first_listing=type_key not in listed,
            interval=collection.throttle_family.interval,
        )
