"""The pages of a tenant's runs."""

from collections.abc import Sequence
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import HTMLResponse

from answers.runs.answer import UnknownRunError, recent_runs, run_record
from graph.catalog import load_catalog
from inventory.error_codes import EXPLANATIONS
from inventory.outcomes import Outcome
from inventory.records import RunRecord
from web.layout import page
from web.scope import OneTenant, TenantScope
from web.site import Site, site_of

router = APIRouter()

ORDER = (Outcome.FAILED, Outcome.INCOMPLETE, Outcome.COMPLETE, Outcome.SKIPPED)

Limit = Annotated[int, Query(ge=1, le=200, description="How many, newest first.")]


@router.get("/tenants/{tenant_id}/runs", response_class=HTMLResponse, include_in_schema=False)
async def runs_page(request: Request, scope: OneTenant, limit: Limit = 50) -> HTMLResponse:
    """The newest runs."""
    found = await recent_runs(scope.session, limit)
    selections = {run.run_id: load_catalog().name_of(run.selection.type_keys) for run in found}
    return page(
        request, "runs/runs.html", tenant=scope.tenant, runs=found, selections=selections, is_cut=len(found) == limit
    )


@router.get("/tenants/{tenant_id}/runs/{run_id}", response_class=HTMLResponse, include_in_schema=False)
async def run_page(
    request: Request, scope: OneTenant, run_id: UUID, site: Annotated[Site, Depends(site_of)]
) -> HTMLResponse:
    """One run: what was read, what was not and why."""
    run = await _run(scope, run_id)
    collections = sorted(run.collections.items(), key=lambda found: (ORDER.index(found[1].outcome), found[0]))
    titles = {key: collection.title for key, collection in load_catalog().collections.items()}
    return page(
        request,
        "runs/run.html",
        tenant=scope.tenant,
        run=run,
        selection=load_catalog().name_of(run.selection.type_keys),
        collections=collections,
        titles=titles,
        explanations=EXPLANATIONS,
        workflow_url=site.workflow_url(run.workflow_id, run.run_id),
    )


@router.get("/api/tenants/{tenant_id}/runs")
async def run_records(scope: OneTenant, limit: Limit = 50) -> Sequence[RunRecord]:
    """The newest runs of a tenant."""
    return await recent_runs(scope.session, limit)


@router.get("/api/tenants/{tenant_id}/runs/{run_id}")
async def one_run_record(scope: OneTenant, run_id: UUID) -> RunRecord:
    """One run of a tenant."""
    return await _run(scope, run_id)


async def _run(scope: TenantScope, run_id: UUID) -> RunRecord:
    run = await run_record(scope.session, run_id)
    if run is None:
        raise UnknownRunError("this tenant has no such run")
    return run
