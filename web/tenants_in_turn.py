"""Pages of tenants that are asked one after the other, by name."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, NamedTuple, TypeVar

from graph.tenants import TenantConfig, Tenants
from web.scope import NoSuchPageError

TENANTS_AT_A_TIME = 5
"""Tenants of one page or part, at some milliseconds each."""

RecordT = TypeVar("RecordT")


class TenantsInTurn(NamedTuple):
    """Some of `total` tenants, from the place `begins`; the list goes on after the id `goes_on`."""

    tenants: list[TenantConfig]
    begins: int
    total: int
    goes_on: str | None


def tenants_by_name(tenants: Tenants, tag: str, after: str, most: int) -> TenantsInTurn:
    """The first `most` tenants, of a tag or all, after the tenant of an id. Raises `NoSuchPageError`."""
    chosen = by_name(tenants, tag)
    begin = _place(chosen, after)
    shown = chosen[begin : begin + most]
    goes_on = str(shown[-1].id) if begin + most < len(chosen) else None
    return TenantsInTurn(shown, begin + 1, len(chosen), goes_on)


class TenantRecords(NamedTuple, Generic[RecordT]):
    """One tenant's records, of which `rows` count for the limit. The tenant's list goes on at `goes_on`."""

    records: Sequence[RecordT]
    rows: int
    goes_on: str | None


class RecordsInTurn(NamedTuple, Generic[RecordT]):
    records: list[RecordT]
    goes_on: str | None


def asked_in_turn(tenants: Tenants, tag: str, after: str) -> list[TenantConfig]:
    """Asked for one part of the records. Raises `NoSuchPageError`."""
    waiting, _ = _following(tenants, tag, after)
    return waiting[:TENANTS_AT_A_TIME]


def _following(tenants: Tenants, tag: str, after: str) -> tuple[list[TenantConfig], str]:
    """The tenants from a place on, and the place within the first one's list. Raises `NoSuchPageError`."""
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
) -> RecordsInTurn[RecordT]:
    """Up to `limit` records of the next few tenants.

    A place is a tenant's id, and a place in its own list if that goes on. `ask` answers for one tenant, from a place
    on, with so many records. Raises `NoSuchPageError`.
    """
    waiting, within = _following(tenants, tag, after)
    records = list[RecordT]()
    left = limit
    asked = waiting[:TENANTS_AT_A_TIME]
    for number, tenant in enumerate(asked, 1):
        found = await ask(tenant, within, left)
        records += found.records
        if found.goes_on is not None:
            return RecordsInTurn(records, f"{tenant.id} {found.goes_on}")
        left, within = left - found.rows, ""
        if left <= 0 or number == len(asked):
            return RecordsInTurn(records, str(tenant.id) if number < len(waiting) else None)
    return RecordsInTurn(records, None)


def by_name(tenants: Tenants, tag: str) -> list[TenantConfig]:
    chosen = (tenant for tenant in tenants if not tag or tag in tenant.tags)
    return sorted(chosen, key=lambda tenant: (tenant.name.casefold(), str(tenant.id)))


def _place(chosen: Sequence[TenantConfig], after: str) -> int:
    """The number of tenants up to an id's. Raises `NoSuchPageError`."""
    places = {str(tenant.id): place for place, tenant in enumerate(chosen, 1)}
    if after and after not in places:
        raise NoSuchPageError("no page of the list begins there; go back to its first page")
    return places.get(after, 0)
