"""The pages of plans."""

from collections.abc import Sequence
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse

from answers.compare.records import TenantRecord
from answers.coverage.answer import tenant_coverage
from answers.item_kinds import title_of
from answers.promotion import answer
from answers.promotion.effects import ALARMING, EFFECT_WORDS, concerns_of, worst_first
from answers.promotion.records import PlanContent, PlannedItem, PlanRecord
from inventory.people import Person
from web.addresses import query_with
from web.forms import ConfirmedOnce, Why
from web.layout import page
from web.page_size import fitting_page
from web.roles import Approver
from web.scope import OneTenant, TenantScope, TenantToChange, Visible
from web.sign_in import SignedIn
from web.twins import Limit, csv_file, say_next

router = APIRouter()

PAGE = 100

ATTEMPTS = tuple(
    {"most": most, "most_fields": fields, "most_lines": lines}
    for most, fields, lines in ((PAGE, 12, 6), (PAGE, 4, 3), (50, 2, 2), (25, 1, 0), (10, 0, 0))
)
"""A page shows less if it gets too long."""

REFUSED = 409
"""The status of a page with the reasons of a refused approval."""

After = Annotated[int, Query(ge=0, le=1_000_000, description="Leave out so many items, the worst ones.")]


@router.get("/tenants/{tenant_id}/plans", response_class=HTMLResponse, include_in_schema=False)
async def plans_page(request: Request, scope: OneTenant, tenants: Visible) -> HTMLResponse:
    return page(
        request,
        "promotion/plans.html",
        tenant=scope.tenant,
        coverage=await tenant_coverage(scope.session),
        plans=await plan_records(scope, tenants),
    )


@router.get("/api/tenants/{tenant_id}/plans")
async def plan_records(scope: OneTenant, tenants: Visible) -> Sequence[PlanRecord]:
    """The plans for a tenant from tenants that the person sees, newest first."""
    target = TenantRecord(tenant_id=scope.tenant.id, name=scope.tenant.name)
    names = tenants.names()
    return await answer.plans(scope.session, target, names.__getitem__, names.keys())


@router.get("/tenants/{tenant_id}/plans.csv", include_in_schema=False)
async def plans_csv(scope: OneTenant, tenants: Visible) -> Response:
    return csv_file("plans", PlanRecord, await plan_records(scope, tenants))


@router.get("/tenants/{tenant_id}/plans/{plan_id}", response_class=HTMLResponse, include_in_schema=False)
async def plan_page(
    request: Request, scope: OneTenant, tenants: Visible, person: SignedIn, plan_id: UUID, after: After = 0
) -> HTMLResponse:
    record, plan = await _plan(scope, tenants, plan_id)
    return _plan_page(request, scope, person, record, plan, after=after)


@router.get("/api/tenants/{tenant_id}/plans/{plan_id}")
async def plan_record(scope: OneTenant, tenants: Visible, plan_id: UUID) -> PlanRecord:
    """A plan without its items."""
    record, _ = await _plan(scope, tenants, plan_id)
    return record


@router.get("/api/tenants/{tenant_id}/plans/{plan_id}/items")
async def planned_items(
    request: Request,
    response: Response,
    scope: OneTenant,
    tenants: Visible,
    plan_id: UUID,
    after: After = 0,
    limit: Limit = PAGE,
) -> Sequence[PlannedItem]:
    """The items of a plan, the worst first."""
    _, plan = await _plan(scope, tenants, plan_id)
    items = worst_first(plan.items)
    if after + limit < len(items):
        say_next(response, request, str(after + limit))
    return items[after : after + limit]


@router.get("/tenants/{tenant_id}/plans/{plan_id}/items.csv", include_in_schema=False)
async def planned_items_csv(scope: OneTenant, tenants: Visible, plan_id: UUID) -> Response:
    _, plan = await _plan(scope, tenants, plan_id)
    return csv_file("plan", PlannedItem, worst_first(plan.items))


@router.post("/tenants/{tenant_id}/plans/{plan_id}/approve", response_class=HTMLResponse, include_in_schema=False)
async def approve(
    request: Request,
    scope: TenantToChange,
    tenants: Visible,
    person: Approver,
    once: ConfirmedOnce,
    plan_id: UUID,
    reason: Why,
) -> Response:
    """The page shows why an approval is refused."""
    _, plan = await _plan(scope, tenants, plan_id)
    record, refusals = await answer.approve(scope.session, str(plan_id), person, reason, once)
    if not refusals:
        return _to_plan(scope, plan_id)
    refused = _plan_page(request, scope, person, record, plan, refusals)
    refused.status_code = REFUSED
    return refused


@router.post("/tenants/{tenant_id}/plans/{plan_id}/reject", include_in_schema=False)
async def reject(
    scope: TenantToChange,
    tenants: Visible,
    person: Approver,
    once: ConfirmedOnce,
    plan_id: UUID,
    reason: Why,
) -> RedirectResponse:
    await _plan(scope, tenants, plan_id)
    await answer.reject(scope.session, str(plan_id), person, reason, once)
    return _to_plan(scope, plan_id)


async def _plan(scope: TenantScope, tenants: Visible, plan_id: UUID) -> tuple[PlanRecord, PlanContent]:
    """Raises `UnknownPlanError`, also if the person does not see the plan's source."""
    record, plan = await answer.plan_called(scope.session, str(plan_id))
    if tenants.get(record.source.tenant_id) is None:
        raise answer.UnknownPlanError("there is no such plan, or you do not see the tenant that it is from")
    return record, plan


def _plan_page(
    request: Request,
    scope: TenantScope,
    person: Person,
    record: PlanRecord,
    plan: PlanContent,
    refusals: Sequence[str] = (),
    *,
    after: int = 0,
) -> HTMLResponse:
    items = worst_first(plan.items)
    attempts = (
        {**attempt, "shown": items[after : after + attempt["most"]], "next": after + attempt["most"]}
        for attempt in ATTEMPTS
    )
    return fitting_page(
        request,
        "promotion/plan.html",
        attempts,
        tenant=scope.tenant,
        record=record,
        plan=plan,
        total=len(items),
        after=after,
        concerns=concerns_of(items),
        effect_words=EFFECT_WORDS,
        alarming=ALARMING,
        refusals=refusals,
        is_creator=answer.is_creator(person, plan),
        not_planned=[collection for collection in plan.collections if not collection.is_planned],
        title_of=title_of,
        next_query=lambda begin: query_with(request, after=str(begin)),
    )


def _to_plan(scope: TenantScope, plan_id: UUID) -> RedirectResponse:
    return RedirectResponse(f"/tenants/{scope.tenant.id}/plans/{plan_id}", 303)
