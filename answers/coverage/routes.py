from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import HTMLResponse

from answers.coverage.answer import Extent, coverage_with_failures, unread_collections
from answers.coverage.records import CollectionCoverageRecord, CoverageRecord, UnreadCollections
from answers.coverage.rules import tasks
from answers.item_kinds import title_of
from answers.pages import grouped
from graph.catalog import load_catalog
from inventory.outcomes import Outcome
from web.layout import page
from web.scope import AllTenants, OneTenant
from web.twins import csv_file

router = APIRouter()


@router.get("/tenants/{tenant_id}/coverage", response_class=HTMLResponse, include_in_schema=False)
async def coverage_page(request: Request, scope: OneTenant) -> HTMLResponse:
    answer = await coverage_with_failures(scope.session)
    skipped = [record for record in answer.collections if record.outcome is Outcome.SKIPPED]
    read = [record for record in answer.collections if record.outcome is Outcome.COMPLETE]
    return page(
        request,
        "coverage/coverage.html",
        tenant=scope.tenant,
        coverage=answer,
        tasks=tasks(answer.collections),
        skipped=grouped(skipped, lambda record: record.error_code),
        read=grouped(read, lambda record: record.category),
        never=sorted(grouped(answer.never_selected, lambda key: load_catalog().collections[key].category)),
        title_of=title_of,
    )


@router.get("/api/tenants/{tenant_id}/coverage")
async def coverage_records(scope: OneTenant) -> CoverageRecord:
    """The coverage of a tenant's collections."""
    return await coverage_with_failures(scope.session)


@router.get("/api/coverage")
async def unread_records(
    scope: AllTenants,
    type_key: Annotated[str, Query(alias="type", description="Only this collection.", max_length=100)] = "",
    tag: Annotated[str, Query(description="Only tenants with this tag.", max_length=64)] = "",
) -> list[UnreadCollections]:
    """Collections that were not read in some of all tenants, by reason."""
    chosen = [tenant.id for tenant in scope.tenants if not tag or tag in tenant.tags]
    return await unread_collections(scope.session, chosen, Extent.of([type_key] if type_key else None))


@router.get("/tenants/{tenant_id}/coverage.csv", include_in_schema=False)
async def coverage_csv(scope: OneTenant) -> Response:
    found = await coverage_with_failures(scope.session)
    return csv_file(f"coverage-{scope.tenant.name}", CollectionCoverageRecord, found.collections)
