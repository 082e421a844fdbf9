"""Pages over tenants that ask one tenant after the other: some tenants of all, by name."""

from typing import NamedTuple

from graph.tenants import TenantConfig, Tenants
from web.scope import NoSuchPageError


class TenantsInTurn(NamedTuple):
    """Some tenants of `total`, the first of them at the place `begins`, and the id after which the list goes on."""

    tenants: list[TenantConfig]
    begins: int
    total: int
    goes_on: str | None


def tenants_by_name(tenants: Tenants, tag: str, after: str, most: int) -> TenantsInTurn:
    """The first `most` tenants of a tag, or of all, that follow the tenant of an id. Raises `NoSuchPageError`."""
    chosen = sorted(
        (tenant for tenant in tenants if not tag or tag in tenant.tags),
        key=lambda tenant: (tenant.name.casefold(), str(tenant.id)),
    )
    places = {str(tenant.id): place for place, tenant in enumerate(chosen, 1)}
    if after and after not in places:
        raise NoSuchPageError("no page of the list begins there; go back to its first page")
    begin = places.get(after, 0)
    shown = chosen[begin : begin + most]
    goes_on = str(shown[-1].id) if begin + most < len(chosen) else None
    return TenantsInTurn(shown, begin + 1, len(chosen), goes_on)
