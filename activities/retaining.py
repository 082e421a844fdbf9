"""The activities that forget versions."""

from temporalio import activity

from activities.failures import classified
from activities.heartbeats import beating
from activities.messages import ActivityName, ForgetVersions, ForgetVersionsResult, InventoriedTenants
from storage import versions
from storage.database import Database

BATCH = 5000
"""Versions, and items, of one call, in which the tenant's merges wait: under a second, of a million versions."""


class RetentionActivities:
    """Forgets by the rules of the database's function, which spares current and pinned versions."""

    def __init__(self, database: Database, *, batch: int = BATCH) -> None:
        self._database = database
        self._batch = batch

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
