"""Tenants' states, most urgent first."""

from collections.abc import Collection
from datetime import timedelta
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from answers.status import queries
from answers.status.records import TenantStatus
from answers.status.rules import OLD_AFTER, attention, most_urgent_first
from graph.catalog import load_catalog
from storage.documents import database_time

found_by_runs = queries.recent_runs


async def status(
    session: AsyncSession,
    tenant_ids: Collection[UUID],
    old_after: timedelta = OLD_AFTER,
    *,
    disabled: Collection[UUID] = (),
) -> list[TenantStatus]:
    """Needs a session that sees the tenants. Equally urgent tenants keep the given order."""
    place = {tenant_id: number for number, tenant_id in enumerate(tenant_ids)}
    logs = load_catalog().logs
    states = await queries.tenant_states(session, tenant_ids, sorted(logs), sorted(load_catalog().everything() - logs))
    found = sorted(states, key=lambda tenant: place[tenant.tenant_id])
    now = await database_time(session)
    return most_urgent_first(
        tenant.model_copy(update={"disabled": True})
        if tenant.tenant_id in disabled
        else tenant.model_copy(update={"attention": attention(tenant, now, old_after)})
        for tenant in found
    )
