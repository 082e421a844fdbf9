"""The activities that forget versions and runs."""

from datetime import timedelta
from typing import NamedTuple, TypeVar

from temporalio import activity

from activities.failures import server_fault
from activities.messages.retention import (
    ForgetRuns,
    ForgetRunsResult,
    ForgetVersions,
    ForgetVersionsResult,
    InventoriedTenants,
)
from storage import run_retention as forgetting
from storage import versions
from storage.database import Database

BATCH = 5000
"""The most versions and items of one call, for which the tenant's merges wait: under a second among a million."""


RUNS = 2000
"""The most runs of one call, each with a row for every collection: a second or two."""


class RetentionLimits(NamedTuple):
    """A limit of None deletes nothing."""

    older_than: timedelta | None = None
    """Deletes versions that another version followed longer ago."""
    kept: int | None = None
    """Keeps so many of an item's newest versions."""
    runs_older_than: timedelta | None = None
    """Deletes runs that ended longer ago."""


class RetentionActivities:
    """The database spares current and pinned versions.

    Anybody with access to the Temporal namespace can send a message, so a message can only keep more than `limits`.
    """

    def __init__(self, database: Database, limits: RetentionLimits) -> None:
        self._database = database
        self._limits = limits

    @activity.defn
    async def inventoried_tenants(self) -> InventoriedTenants:
        async with self._database.portfolio() as session:
            return InventoriedTenants(tenant_ids=await versions.tenants(session))

    @activity.defn
    async def forget_versions(self, request: ForgetVersions) -> ForgetVersionsResult:
        """Deletes one batch; a second attempt continues after deleted rows."""
        older_than = _narrower(self._limits.older_than, request.older_than)
        kept = _narrower(self._limits.kept, request.kept)
        if older_than is None and kept is None:
            return ForgetVersionsResult(versions=0, documents=0)
        async with server_fault(), self._database.tenant(request.tenant_id) as session:
            forgotten = await versions.forget(
                session, older_than=older_than, kept=kept, most=BATCH, after=request.after
            )
        return ForgetVersionsResult(versions=forgotten.versions, documents=forgotten.documents, after=forgotten.after)

    @activity.defn
    async def forget_runs(self, request: ForgetRuns) -> ForgetRunsResult:
        """Deletes one batch, and all undecided expired plans; a second attempt continues after deleted rows."""
        older_than = _narrower(self._limits.runs_older_than, request.older_than)
        if older_than is None:
            return ForgetRunsResult(runs=0, is_last=True)
        async with server_fault(), self._database.tenant(request.tenant_id) as session:
            runs = await forgetting.forget_runs(session, older_than=older_than, most=RUNS)
            plans = await forgetting.forget_plans(session, older_than=older_than)
        return ForgetRunsResult(runs=runs, is_last=runs < RUNS, plans=plans)


LimitT = TypeVar("LimitT", int, timedelta)


def _narrower(allowed: LimitT | None, requested: LimitT | None) -> LimitT | None:
    """The limit that keeps more; None keeps all."""
    return None if allowed is None or requested is None else max(allowed, requested)
