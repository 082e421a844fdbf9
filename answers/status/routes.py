"""The pages of the portfolio and of one tenant."""

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse

from answers.runs.answer import recent_runs
from answers.status.answer import status
from answers.status.records import TenantStatus
from web.layout import page
from web.scope import AllTenants, OneTenant, PortfolioScope

router = APIRouter()

RUNS = 5
"""Recent runs on the page of a tenant."""

Tag = Annotated[str | None, Query(description="Only tenants with this tag.", max_length=64)]


@router.get("/", response_class=HTMLResponse, include_in_schema=False)
async def portfolio_page(request: Request, scope: AllTenants, tag: Tag = None) -> HTMLResponse:
    """Which tenants need attention, the most urgent first."""
    found = await _status(scope, tag)
    names = {tenant.id: tenant.name for tenant in scope.tenants}
    tags = sorted({tag for tenant in scope.tenants for tag in tenant.tags})
    return page(request, "status/portfolio.html", tenants=found, names=names, tags=tags, tag=tag)


@router.get("/api/status")
async def portfolio_records(scope: AllTenants, tag: Tag = None) -> Sequence[TenantStatus]:
    """The state of every tenant, the most urgent first."""
    return await _status(scope, tag)


@router.get("/tenants/{tenant_id}", response_class=HTMLResponse, include_in_schema=False)
async def tenant_page(request: Request, scope: OneTenant) -> HTMLResponse:
    """Whether the picture of a tenant is whole, and its latest runs."""
    (found,) = await status(scope.session, [scope.tenant.id])
    runs = await recent_runs(scope.session, RUNS)
    return page(request, "status/tenant.html", tenant=scope.tenant, status=found, runs=runs)


async def _status(scope: PortfolioScope, tag: str | None) -> list[TenantStatus]:
    chosen = [tenant.id for tenant in scope.tenants if tag is None or tag in tenant.tags]
    return await status(scope.session, chosen)
