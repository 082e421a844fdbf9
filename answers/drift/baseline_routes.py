"""The pages of baselines."""

from collections.abc import Sequence
from datetime import UTC
from enum import StrEnum
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Form, Request
from fastapi.responses import HTMLResponse, RedirectResponse

from answers.coverage.answer import tenant_coverage
from answers.drift import baselines
from answers.drift.baselines import LONGEST_NAME, NoBaselineError
from answers.drift.records import BaselineRecord
from answers.runs.answer import recent_runs, time_over
from answers.times import TIME_FORMS
from graph.tenants import TenantConfig
from inventory.outcomes import COMPLETED_STATUSES
from inventory.people import Action, Person
from inventory.user_errors import UnavailableError, UserError
from web.acts import recorded
from web.forms import ConfirmedOnce, Why
from web.layout import page
from web.roles import Approver
from web.scope import EachTenant, OneTenant, TenantScope, TenantSessions, TenantToChange, Visible

router = APIRouter()

RUNS = 30
"""Recent runs, of which a form offers the completed."""

Name = Annotated[str, Form(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=LONGEST_NAME)]


class BaselineSource(StrEnum):
    """`MOMENT` without a time means now."""

    MOMENT = "moment"
    RUN = "run"
    TENANT = "tenant"


@router.get("/tenants/{tenant_id}/baselines", response_class=HTMLResponse, include_in_schema=False)
async def baselines_page(request: Request, scope: OneTenant, tenants: Visible) -> HTMLResponse:
    return page(
        request,
        "drift/baselines.html",
        tenant=scope.tenant,
        coverage=await tenant_coverage(scope.session),
        shown=await baselines.baselines(scope.session),
        runs=[run for run in await recent_runs(scope.session, RUNS) if run.status in COMPLETED_STATUSES],
        others=[other for other in tenants if other.id != scope.tenant.id],
        names=tenants.names(),
    )


@router.get("/api/tenants/{tenant_id}/baselines")
async def baseline_records(scope: OneTenant) -> Sequence[BaselineRecord]:
    """Baselines of a tenant."""
    return await baselines.baselines(scope.session)


@router.post("/tenants/{tenant_id}/baselines", include_in_schema=False)
async def set_baseline(
    scope: TenantToChange,
    tenants: Visible,
    person: Approver,
    once: ConfirmedOnce,
    name: Name,
    reason: Why,
    source: Annotated[BaselineSource, Form(alias="of")],
    at: Annotated[str, Form(max_length=100)] = "",
    run: Annotated[UUID | None, Form()] = None,
    other: Annotated[UUID | None, Form()] = None,
) -> RedirectResponse:
    """Replaces a baseline of the same name."""
    session, tenant_id = scope.session, scope.tenant.id
    if await recorded(scope, person, Action.BASELINE_SET, f"baseline {name} ({source})", once, reason):
        if source is BaselineSource.TENANT:
            golden = None if other is None else tenants.get(other)
            if golden is None:
                raise NoBaselineError("choose a tenant that you may see as the baseline")
            await baselines.set_tenant(session, name, tenant_id, golden.id, person.name, reason)
        elif source is BaselineSource.RUN:
            if run is None:
                raise NoBaselineError("choose the run that the baseline is of")
            await baselines.set_run(session, name, run, person.name, reason)
        else:
            moment = await time_over(session, at, UTC) if at.strip() else None
            if at.strip() and moment is None:
                raise NoBaselineError(f"{at!r} is no time; write {TIME_FORMS}")
            await baselines.set_moment(session, name, moment, person.name, reason)
    return RedirectResponse(f"/tenants/{tenant_id}/drift?baseline={name}", 303)


@router.post("/tenants/{tenant_id}/baselines/remove", include_in_schema=False)
async def remove_baseline(
    scope: TenantToChange, person: Approver, once: ConfirmedOnce, name: Name, reason: Why
) -> RedirectResponse:
    """Also removes the baseline's pins and findings."""
    if await recorded(scope, person, Action.BASELINE_REMOVED, f"baseline {name}", once, reason):
        await baselines.drop_baseline(scope.session, name)
    return RedirectResponse(f"/tenants/{scope.tenant.id}/baselines", 303)


@router.post("/drift/golden", response_class=HTMLResponse, include_in_schema=False)
async def set_golden_baselines(
    request: Request,
    scope: EachTenant,
    person: Approver,
    once: ConfirmedOnce,
    golden: Annotated[UUID, Form()],
    tag: Annotated[str, Form(min_length=1, max_length=64)],
    reason: Why,
) -> HTMLResponse:
    """Makes one tenant the baseline of all tenants with a tag, and shows each result."""
    model = scope.named(golden)
    chosen = [tenant for tenant in scope.tenants if tag in tenant.tags and tenant.id != golden]
    outcomes = [
        (tenant.id, tenant.name, await _golden(scope, tenant.id, model, person, reason, once)) for tenant in chosen
    ]
    return page(request, "drift/golden.html", golden=model, tag=tag, outcomes=outcomes)


async def _golden(
    scope: TenantSessions, tenant_id: UUID, golden: TenantConfig, person: Person, reason: str, once: UUID
) -> str:
    """Returns why the baseline cannot be set; empty if it was set."""
    try:
        async with scope.writing_session_of(tenant_id) as session:
            golden_scope = TenantScope(scope.named(tenant_id), session)
            if await recorded(golden_scope, person, Action.BASELINE_SET, f"baseline of {golden.name}", once, reason):
                await baselines.golden_baseline(session, tenant_id, golden.id, golden.name, person.name)
    except (UserError, UnavailableError) as error:  # the other tenants still get theirs
        return str(error)
    return ""
