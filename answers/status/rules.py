"""Which tenants need attention, and in what order."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from answers.status.records import Attention, TenantStatus
from inventory.outcomes import RunStatus

OLD_AFTER = timedelta(hours=24)
"""How old a reading may be where nobody says."""


def attention(tenant: TenantStatus, now: datetime, old_after: timedelta) -> list[Attention]:
    """Why somebody should look at the tenant, the most urgent first."""
    if tenant.run_id is None:
        return [Attention.NEVER_READ]
    holds = {
        Attention.RUN_FAILED: tenant.run_status is RunStatus.FAILED,
        Attention.NOT_READ: bool(tenant.not_read),
        Attention.OLD: tenant.oldest is None or now - tenant.oldest > old_after,
        Attention.STALE: tenant.stale > 0,
        Attention.HIGH_DRIFT: tenant.high_drift > 0,
        Attention.MISSING: tenant.missing > 0,
    }
    return [reason for reason in Attention if holds.get(reason)]


def most_urgent_first(tenants: Iterable[TenantStatus]) -> list[TenantStatus]:
    """By the first reason, then by how many reasons there are; tenants that need no attention come last."""
    order = {reason: place for place, reason in enumerate(Attention)}
    return sorted(
        tenants,
        key=lambda tenant: (
            order[tenant.attention[0]] if tenant.attention else len(order),
            -len(tenant.attention),
            -tenant.missing - tenant.high_drift - tenant.stale,
        ),
    )
