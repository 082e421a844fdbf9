"""What a request may read or change: one tenant or the portfolio, in a transaction with a short statement timeout."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Annotated, NamedTuple
from uuid import UUID

from fastapi import Depends, Request
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from graph.tenants import TenantConfig, Tenants
from inventory.user_errors import UnavailableError, UserError
from web.security import SAFE_METHODS
from web.sign_in import SignedIn
from web.site import Site, site_of

STATEMENT_SECONDS = 5
"""Nobody waits longer for a page; what takes longer belongs to the command line."""

_LIMIT = text(f"SET LOCAL statement_timeout = '{STATEMENT_SECONDS}s'")


class NoSuchPageError(UserError):
    """What the address names is not there, or not for this person."""


class NulError(UserError):
    """A field of a form holds a NUL character."""


class TooSlowError(UnavailableError):
    """The database needed longer than a page may take."""


class TenantScope(NamedTuple):
    """One tenant, and a transaction that sees its rows alone."""

    tenant: TenantConfig
    session: AsyncSession


class PortfolioScope(NamedTuple):
    """The person's tenants, and a transaction that reads across tenants."""

    tenants: Tenants
    session: AsyncSession


SessionOf = Callable[[UUID], AbstractAsyncContextManager[AsyncSession]]


class TenantsScope(NamedTuple):
    """The person's tenants, a transaction that reads across tenants, and read-only transactions of single tenants.

    `session_of` opens one, which sees one moment. Raises `NoSuchPageError` for a tenant of somebody else.
    """

    tenants: Tenants
    session: AsyncSession
    session_of: SessionOf

    def named(self, tenant_id: UUID) -> TenantConfig:
        """One of the person's tenants. Raises `NoSuchPageError`."""
        tenant = self.tenants.get(tenant_id)
        if tenant is None:
            raise NoSuchPageError("there is no such tenant in the tenants file")
        return tenant


async def without_nul(request: Request) -> None:
    """Refuses NUL, which PostgreSQL cannot compare with any text. Raises `NoSuchPageError`."""
    if "\0" in request.url.path or any("\0" in value for value in request.query_params.values()):
        raise NoSuchPageError("there is a NUL character in the address")
    if request.method not in SAFE_METHODS:
        form = await request.form()
        if any("\0" in value for value in form.values() if isinstance(value, str)):
            raise NulError("there is a NUL character in a field of the form")


def _tenant(site: Site, tenant_id: UUID) -> TenantConfig:
    tenant = site.tenant(tenant_id)
    if tenant is None:
        raise NoSuchPageError("there is no such tenant in the tenants file")
    return tenant


async def _tenant_scope(
    tenant_id: UUID, _person: SignedIn, site: Annotated[Site, Depends(site_of)]
) -> AsyncIterator[TenantScope]:
    tenant = _tenant(site, tenant_id)
    async with site.database.tenant(tenant.id, read_only=True) as session, _limited(session):
        yield TenantScope(tenant, session)


async def _portfolio_scope(_person: SignedIn, site: Annotated[Site, Depends(site_of)]) -> AsyncIterator[PortfolioScope]:
    tenants = site.tenants()
    async with site.database.portfolio() as session, _limited(session):
        yield PortfolioScope(tenants, session)


async def _tenant_to_change(
    tenant_id: UUID, _person: SignedIn, site: Annotated[Site, Depends(site_of)]
) -> AsyncIterator[TenantScope]:
    tenant = _tenant(site, tenant_id)
    async with site.database.tenant(tenant.id) as session, _limited(session):
        yield TenantScope(tenant, session)


async def _no_tenant_to_change(
    _person: SignedIn, site: Annotated[Site, Depends(site_of)]
) -> AsyncIterator[PortfolioScope]:
    async with site.database.no_tenant() as session, _limited(session):
        yield PortfolioScope(site.tenants(), session)


OneTenant = Annotated[TenantScope, Depends(_tenant_scope)]
AllTenants = Annotated[PortfolioScope, Depends(_portfolio_scope)]
TenantToChange = Annotated[TenantScope, Depends(_tenant_to_change, scope="function")]
"""One tenant, and a transaction that writes its rows. It is committed before the answer is sent, or undone."""
NoTenantToChange = Annotated[PortfolioScope, Depends(_no_tenant_to_change, scope="function")]
"""The person's tenants, and a transaction that writes what belongs to no tenant, as `TenantToChange`."""


async def _turn(site: Annotated[Site, Depends(site_of)]) -> AsyncIterator[None]:
    """Waits until so few pages hold several connections that this one may, too."""
    async with site.many_tenants:
        yield


async def _tenants_scope(
    _turn: Annotated[None, Depends(_turn)], scope: AllTenants, site: Annotated[Site, Depends(site_of)]
) -> AsyncIterator[TenantsScope]:
    @asynccontextmanager
    async def session_of(tenant_id: UUID) -> AsyncIterator[AsyncSession]:
        tenant = several.named(tenant_id)
        async with site.database.tenant(tenant.id, read_only=True, snapshot=True) as session, _limited(session):
            yield session

    several = TenantsScope(scope.tenants, scope.session, session_of)
    yield several


SeveralTenants = Annotated[TenantsScope, Depends(_tenants_scope)]


@asynccontextmanager
async def _limited(session: AsyncSession) -> AsyncIterator[None]:
    """Ends statements that take too long. Raises `TooSlowError`."""
    await session.execute(_LIMIT)
    try:
        yield
    except DBAPIError as error:
        if getattr(error.orig, "sqlstate", None) != "57014":
            raise
        raise TooSlowError(
            f"the database needed longer than {STATEMENT_SECONDS} seconds; narrow the question, or ask it on the"
            " command line"
        ) from None
