"""Which tenants need attention, in which order."""

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from answers.status.records import Attention, TenantStatus
from inventory.outcomes import RunStatus

OLD_AFTER = timedelta(hours=24)


def attention(tenant: TenantStatus, now: datetime, old_after: timedelta) -> list[Attention]:
    """The most urgent reason comes first. If the latest run failed and nothing is read, its failure is the reason."""
    if tenant.run_id is None:
        return [Attention.NEVER_READ]
    has_failed = tenant.run_status is RunStatus.FAILED
    holds = {
        Attention.RUN_FAILED: has_failed,
        Attention.NOT_READ: bool(tenant.not_read) and not (has_failed and tenant.read == 0),
        Attention.OLD: tenant.oldest is not None and now - tenant.oldest > old_after,
        Attention.NOT_WATCHED: bool(tenant.not_watched),
        Attention.STALE: tenant.stale > 0,
        Attention.HIGH_DRIFT: tenant.high_drift > 0,
        Attention.MISSING: tenant.missing > 0,
    }
    return [reason for reason in Attention if holds.get(reason)]


def most_urgent_first(tenants: Iterable[TenantStatus]) -> list[TenantStatus]:
    """By first reason, then number of reasons, then counts; tenants without a reason last."""
    order = {reason: place for place, reason in enumerate(Attention)}
    return sorted(
        tenants,
        key=lambda tenant: (
            order[tenant.attention[0]] if tenant.attention else len(order),
            -len(tenant.attention),
            -tenant.missing - tenant.high_drift - tenant.stale,
        ),
    )


def reasons(tenants: Iterable[TenantStatus]) -> dict[Attention, int]:
    """Numbers of tenants, most urgent reason first."""
    found = Counter(reason for tenant in tenants for reason in tenant.attention)
    return {reason: found[reason] for reason in Attention if found[reason]}


def has_words(name: str, words: str) -> bool:
    """Whether the name has each word, in any case."""
    folded = name.casefold()
    return all(word in folded for word in words.casefold().split())


def following(tenants: Sequence[TenantStatus], after: UUID | None) -> Sequence[TenantStatus]:
    """All tenants for None. Raises `LookupError` if `after` is not among them."""
    if after is None:
        return tenants
    place = next((place for place, tenant in enumerate(tenants) if tenant.tenant_id == after), None)
    if place is None:
        raise LookupError("the tenant after which the list goes on is not in it; begin with the first")
    return tenants[place + 1 :]
