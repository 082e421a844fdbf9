"""Pages over tenants, asked one after the other in the order of names."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, NamedTuple, TypeVar

from answers.unanswered_tenant import UnansweredTenant
from graph.tenants import TenantConfig, Tenants
from web.scope import NoSuchPageError
from web.tenant_failures import TenantFailures

TENANTS_AT_A_TIME = 5
"""Each takes some milliseconds."""

RecordT = TypeVar("RecordT")


class TenantsInTurn(NamedTuple):
    """Some of `total` tenants. `begins`: the first one's number, from 1. `goes_on`: the next page's `after`."""

    tenants: list[TenantConfig]
    begins: int
    total: int
    goes_on: str | None


def tenants_by_name(tenants: Tenants, tag: str, after: str, most: int) -> TenantsInTurn:
    """The first `most` tenants after the id `after`; an empty `tag` takes all. Raises `NoSuchPageError`."""
    chosen = by_name(tenants, tag)
    begin = _place(chosen, after)
    shown = chosen[begin : begin + most]
    goes_on = str(shown[-1].id) if begin + most < len(chosen) else None
    return TenantsInTurn(shown, begin + 1, len(chosen), goes_on)


class TenantRecords(NamedTuple, Generic[RecordT]):
    """One tenant's records. `rows`: how many count for the limit. `goes_on`: the place of the next ones, if any."""

    records: Sequence[RecordT]
    rows: int
    goes_on: str | None


class RecordsInTurn(NamedTuple, Generic[RecordT]):
    records: list[RecordT]
    goes_on: str | None


def asked_in_turn(tenants: Tenants, tag: str, after: str) -> list[TenantConfig]:
    """The tenants that `records_in_turn` may ask. Raises `NoSuchPageError`."""
    waiting, _ = _following(tenants, tag, after)
    return waiting[:TENANTS_AT_A_TIME]


def _following(tenants: Tenants, tag: str, after: str) -> tuple[list[TenantConfig], str]:
    """The tenants to ask, and the place within the first one's list."""
    named, _, within = after.partition(" ")
    chosen = by_name(tenants, tag)
    begin = _place(chosen, named)
    if within and not begin:
        raise NoSuchPageError("no part of the list begins there; go back to its beginning")
    return (chosen[begin - 1 :] if within else chosen[begin:]), within


async def records_in_turn(
    tenants: Tenants,
    tag: str,
    after: str,
    limit: int,
    ask: Callable[[TenantConfig, str, int], Awaitable[TenantRecords[RecordT]]],
    failures: TenantFailures,
) -> RecordsInTurn[RecordT | UnansweredTenant]:
    """Up to `limit` records of the next few tenants; one for a tenant without an answer.

    `after`: a tenant's id and, if its own list goes on, a space and a place there. `ask` gets a tenant, the place in
    its list, and the limit. Raises `NoSuchPageError`.
    """
    waiting, within = _following(tenants, tag, after)
    records = list[RecordT | UnansweredTenant]()
    remaining = limit
    batch = waiting[:TENANTS_AT_A_TIME]
    for number, tenant in enumerate(batch, 1):
        try:
            of_tenant = await ask(tenant, within, remaining)
        except Exception as error:  # noqa: BLE001 - the other tenants are asked
            records.append(await failures.add(tenant.id, error))
            of_tenant = TenantRecords([], 0, None)
        records += of_tenant.records
        if of_tenant.goes_on is not None:
            return RecordsInTurn(records, f"{tenant.id} {of_tenant.goes_on}")
        remaining, within = remaining - of_tenant.rows, ""
        if remaining <= 0 or number == len(batch):
            return RecordsInTurn(records, str(tenant.id) if number < len(waiting) else None)
    return RecordsInTurn(records, None)


def by_name(tenants: Tenants, tag: str) -> list[TenantConfig]:
    chosen = (tenant for tenant in tenants if not tag or tag in tenant.tags)
    return sorted(chosen, key=lambda tenant: (tenant.name.casefold(), str(tenant.id)))


def _place(chosen: Sequence[TenantConfig], after: str) -> int:
    """The number of tenants up to the id's; 0 without an id."""
    places = {str(tenant.id): place for place, tenant in enumerate(chosen, 1)}
    if after and after not in places:
        raise NoSuchPageError("no page of the list begins there; go back to its first page")
    return places.get(after, 0)
