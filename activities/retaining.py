"""The activities that forget versions and runs."""

from temporalio import activity

from activities.failures import classified
from activities.heartbeats import beating
from activities.messages import (
    ActivityName,
    ForgetRuns,
    ForgetRunsResult,
    ForgetVersions,
    ForgetVersionsResult,
    InventoriedTenants,
)
from storage import forgetting, versions
from storage.database import Database

BATCH = 5000
"""Versions, and items, of one call, in which the tenant's merges wait: under a second, of a million versions."""


RUNS = 2000
"""Runs of one call, each with a row for every collection: a second or two."""


class RetentionActivities:
    """Forgets versions by the rules of the database's function, which spares current and pinned ones, and runs."""

    def __init__(self, database: Database, *, batch: int = BATCH, runs: int = RUNS) -> None:
        self._database = database
        self._batch = batch
        self._runs = runs

    @activity.defn(name=ActivityName.INVENTORIED_TENANTS)
    async def inventoried_tenants(self) -> InventoriedTenants:
        """The tenants that have an inventory, whether the tenants file still has them or not."""
        async with classified(), beating(), self._database.portfolio() as session:
            return InventoriedTenants(tenant_ids=await versions.tenants(session))

    @activity.defn(name=ActivityName.FORGET_VERSIONS)
    async def forget_versions(self, request: ForgetVersions) -> ForgetVersionsResult:
        """One batch. What a second attempt at it would forget, the first has forgotten: it goes on from there."""
        async with classified(), beating(), self._database.tenant(request.tenant_id) as session:
            forgotten = await versions.forget(
                session, older_than=request.older_than, kept=request.kept, most=self._batch, after=request.after
            )
        return ForgetVersionsResult(versions=forgotten.versions, documents=forgotten.documents, after=forgotten.after)

    @activity.defn(name=ActivityName.FORGET_RUNS)
    async def forget_runs(self, request: ForgetRuns) -> ForgetRunsResult:
        """One batch. What a second attempt at it would forget, the first has forgotten."""
        async with classified(), beating(), self._database.tenant(request.tenant_id) as session:
            runs = await forgetting.forget_runs(session, older_than=request.older_than, most=self._runs)
        return ForgetRunsResult(runs=runs, is_last=runs < self._runs)
