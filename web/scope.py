"""A request's scope: one tenant or the portfolio, in a transaction with a short statement timeout."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import Annotated, NamedTuple, Protocol
from uuid import UUID

from fastapi import Depends, Request
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from graph.tenants import TenantConfig, Tenants
from inventory.access_rules import visible_tenants
from inventory.user_errors import NotHereError, UserError
from web.recent_answers import RecentAnswers
from web.security import SAFE_METHODS
from web.sign_in import HasAccess
from web.site import Site, site_of
from web.tenant_failures import TenantFailures
from web.tenant_failures import TooSlowError as TooSlowError

STATEMENT_SECONDS = 5
"""Slower questions are for the command line."""

_LIMIT = text("SELECT set_config('statement_timeout', :limit, true)")


class NoSuchPageError(NotHereError):
    """The address names nothing that exists for this person."""


class NulError(UserError):
    """A form's field holds a NUL character."""


class TenantScope(NamedTuple):
    """The transaction sees only the tenant's rows."""

    tenant: TenantConfig
    session: AsyncSession


class PortfolioScope(NamedTuple):
    """The person's tenants, and a transaction across tenants or (`NoTenant`) on rows of no tenant."""

    tenants: Tenants
    session: AsyncSession


SessionOf = Callable[[UUID], AbstractAsyncContextManager[AsyncSession]]


class WritingSessionOf(Protocol):
    """Opens a session that may write one tenant's rows."""

    def __call__(
        self, tenant_id: UUID, *, snapshot: bool = False, seconds: int = STATEMENT_SECONDS
    ) -> AbstractAsyncContextManager[AsyncSession]: ...


class TenantSessions(NamedTuple):
    """Opens transactions, one at a time, on one of the person's tenants or on all (`portfolio`).

    Within `turn`, which waits for its turn, several may be open, or one for long. `session_of` reads a snapshot,
    `writing_session_of` may write; both raise `NoSuchPageError` for an invisible tenant. With `snapshot`, a writing
    session raises `StorageCollisionError` if another transaction wrote the same rows. `seconds` limits each statement.
    `recent_answers` may be other persons'; `failures` are this request's.
    """

    tenants: Tenants
    portfolio: Callable[[], AbstractAsyncContextManager[AsyncSession]]
    turn: Callable[[], AbstractAsyncContextManager[None]]
    session_of: SessionOf
    writing_session_of: WritingSessionOf
    recent_answers: RecentAnswers
    failures: TenantFailures

    def named(self, tenant_id: UUID) -> TenantConfig:
        """Raises `NoSuchPageError`."""
        return _one_of(self.tenants, tenant_id)


TheSite = Annotated[Site, Depends(site_of)]


async def without_nul(request: Request) -> None:
    """Raises `NoSuchPageError` or `NulError`, since PostgreSQL refuses NUL characters."""
    if "\0" in request.url.path or any("\0" in value for value in request.query_params.values()):
        raise NoSuchPageError("there is a NUL character in the address")
    if request.method not in SAFE_METHODS:
        form = await request.form()
        if any("\0" in value for value in form.values() if isinstance(value, str)):
            raise NulError("there is a NUL character in a field of the form")


def _visible(request: Request, access: HasAccess, site: TheSite) -> Tenants:
    """Not `async`, so that FastAPI runs it in a thread."""
    tenants = site.tenants_now()
    seen = visible_tenants(access.person, access.rules, {tenant.id: tenant.tags for tenant in tenants})
    request.state.sees_no_tenant = not seen and len(tenants) > 0
    return tenants if len(seen) == len(tenants) else Tenants([tenant for tenant in tenants if tenant.id in seen])


Visible = Annotated[Tenants, Depends(_visible)]


def _one_of(tenants: Visible, tenant_id: UUID) -> TenantConfig:
    tenant = tenants.get(tenant_id)
    if tenant is None:
        raise NoSuchPageError("there is no such tenant, or you do not see it; ask an administrator for access")
    return tenant


Named = Annotated[TenantConfig, Depends(_one_of)]
"""The address's tenant, which the person sees; opens no transaction."""


async def _tenant_scope(tenant: Named, site: TheSite) -> AsyncIterator[TenantScope]:
    async with site.database.tenant(tenant.id, read_only=True) as session, _limited(session):
        yield TenantScope(tenant, session)


def visible_ids(tenants: Tenants, site: Site) -> list[UUID] | None:
    """The ids for `Database.portfolio`; None for all."""
    return None if tenants is site.tenants() else [tenant.id for tenant in tenants]


def name_for(tenants: Tenants, site: Site) -> Callable[[UUID], str]:
    """A function that names tenants, for a person who sees `tenants`."""
    sees_all = len(tenants) == len(site.tenants())

    def name_of(tenant_id: UUID) -> str:
        tenant = tenants.get(tenant_id)
        if tenant is not None:
            return tenant.name
        return str(tenant_id) if sees_all else "a tenant that you do not see"

    return name_of


@asynccontextmanager
async def _portfolio_session(tenants: Tenants, site: Site) -> AsyncIterator[AsyncSession]:
    async with site.database.portfolio(visible_ids(tenants, site)) as session, _limited(session):
        yield session


async def _portfolio_scope(tenants: Visible, site: TheSite) -> AsyncIterator[PortfolioScope]:
    async with _portfolio_session(tenants, site) as session:
        yield PortfolioScope(tenants, session)


async def _tenant_to_change(tenant: Named, site: TheSite) -> AsyncIterator[TenantScope]:
    async with site.database.tenant(tenant.id) as session, _limited(session):
        yield TenantScope(tenant, session)


async def _no_tenant(tenants: Visible, site: TheSite) -> AsyncIterator[PortfolioScope]:
    async with site.database.no_tenant(read_only=True) as session, _limited(session):
        yield PortfolioScope(tenants, session)


async def _no_tenant_to_change(tenants: Visible, site: TheSite) -> AsyncIterator[PortfolioScope]:
    async with site.database.no_tenant() as session, _limited(session):
        yield PortfolioScope(tenants, session)


# The scope `function` ends a transaction before the answer is sent, so that a slow reader keeps no connection.
OneTenant = Annotated[TenantScope, Depends(_tenant_scope, scope="function")]
AllTenants = Annotated[PortfolioScope, Depends(_portfolio_scope, scope="function")]
NoTenant = Annotated[PortfolioScope, Depends(_no_tenant, scope="function")]
"""A transaction that reads rows without a tenant."""
TenantToChange = Annotated[TenantScope, Depends(_tenant_to_change, scope="function")]
"""A transaction that may write the tenant's rows; it ends before the answer is sent."""
NoTenantToChange = Annotated[PortfolioScope, Depends(_no_tenant_to_change, scope="function")]
"""As `TenantToChange`, for rows without a tenant."""


def _tenant_sessions(tenants: Visible, site: TheSite) -> TenantSessions:
    @asynccontextmanager
    async def opened(
        tenant_id: UUID, *, read_only: bool, snapshot: bool, seconds: int = STATEMENT_SECONDS
    ) -> AsyncIterator[AsyncSession]:
        tenant = _one_of(tenants, tenant_id)
        transaction = site.database.tenant(tenant.id, read_only=read_only, snapshot=snapshot)
        async with transaction as session, _limited(session, seconds):
            yield session

    return TenantSessions(
        tenants,
        partial(_portfolio_session, tenants, site),
        site.turns.several,
        partial(opened, read_only=True, snapshot=True),
        partial(opened, read_only=False, snapshot=False),
        site.recent_answers,
        TenantFailures(site.database, lambda tenant_id: _one_of(tenants, tenant_id).name),
    )


EachTenant = Annotated[TenantSessions, Depends(_tenant_sessions)]
"""For routes that ask several tenants."""


@asynccontextmanager
async def _limited(session: AsyncSession, seconds: int = STATEMENT_SECONDS) -> AsyncIterator[None]:
    await session.execute(_LIMIT, {"limit": f"{seconds}s"})
    try:
        yield
    except DBAPIError as error:
        if getattr(error.orig, "sqlstate", None) != "57014":
            raise
        raise TooSlowError(
            f"the database needed longer than {seconds} seconds; narrow the question, or ask it on the command line"
        ) from None
