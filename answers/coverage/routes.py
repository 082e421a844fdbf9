"""The page of a tenant's coverage."""

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from answers.coverage.answer import tenant_coverage
from answers.coverage.records import CoverageRecord
from web.layout import page
from web.scope import OneTenant

router = APIRouter()


@router.get("/tenants/{tenant_id}/coverage", response_class=HTMLResponse, include_in_schema=False)
async def coverage_page(request: Request, scope: OneTenant) -> HTMLResponse:
    """Which collections were read, and what to do about the others."""
    found = await tenant_coverage(scope.session)
    return page(request, "coverage/coverage.html", tenant=scope.tenant, coverage=found)


@router.get("/api/tenants/{tenant_id}/coverage")
async def coverage_records(scope: OneTenant) -> CoverageRecord:
    """The coverage of a tenant's collections."""
    return await tenant_coverage(scope.session)
