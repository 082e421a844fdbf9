from collections.abc import Sequence
from datetime import timedelta
from typing import Annotated, NamedTuple
from urllib.parse import urlencode
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import HTMLResponse

from answers.item_kinds import title_of
from answers.runs.answer import recent_runs
from answers.status.answer import found_by_runs, status
from answers.status.records import Attention, TenantStatus
from answers.status.rules import following, has_words, reasons
from web.layout import page
from web.page_size import fitting_page
from web.scope import AllTenants, NoSuchPageError, OneTenant, PortfolioScope
from web.twins import Limit, csv_file, say_next

router = APIRouter()

PAGE = 100

RUNS = 5

SPANS = (("day", "1d", timedelta(days=1)), ("week", "7d", timedelta(days=7)))
"""In words, as the page of changes takes them, and as durations."""


class TenantFilter(NamedTuple):
    tag: str = ""
    name: str = ""
    why: Attention | None = None

    def query(self, **more: object) -> str:
        """The query string, with `more` changed."""
        parameters = {**self._asdict(), **more}
        return urlencode({name: str(value) for name, value in parameters.items() if value})


def _tenant_filter(
    tag: Annotated[str, Query(description="Only tenants with this tag.", max_length=64)] = "",
    name: Annotated[str, Query(description="Only tenants with these words in their names.", max_length=200)] = "",
    why: Annotated[Attention | None, Query(description="Only tenants that need attention for this reason.")] = None,
) -> TenantFilter:
    return TenantFilter(tag, name.strip(), why)


RequestedFilter = Annotated[TenantFilter, Depends(_tenant_filter)]
After = Annotated[UUID | None, Query(description="Go on after this tenant.")]


@router.get("/", response_class=HTMLResponse, include_in_schema=False)
async def portfolio_page(
    request: Request, scope: AllTenants, tenant_filter: RequestedFilter, after: After = None
) -> HTMLResponse:
    statuses = await _status(scope, tenant_filter)
    chosen = _for_reason(statuses, tenant_filter.why)
    following = _following(chosen, after)
    attempts = (
        {
            "tenants": following[:most],
            "follows": tenant_filter.query(after=following[most - 1].tenant_id) if following[most:] else None,
        }
        for most in (PAGE, PAGE // 2)
    )
    return fitting_page(
        request,
        "status/portfolio.html",
        attempts,
        statuses=statuses,
        reasons=reasons(statuses),
        names=scope.tenants.names(),
        tags=scope.tenants.all_tags(),
        tenant_filter=tenant_filter,
        is_later=after is not None,
    )


@router.get("/api/status")
async def portfolio_records(
    request: Request,
    response: Response,
    scope: AllTenants,
    tenant_filter: RequestedFilter,
    after: After = None,
    limit: Limit = 1000,
) -> Sequence[TenantStatus]:
    """The state of every tenant, the most urgent first."""
    found = _following(_for_reason(await _status(scope, tenant_filter), tenant_filter.why), after)
    say_next(response, request, str(found[limit - 1].tenant_id) if found[limit:] else None)
    return found[:limit]


@router.get("/tenants.csv", include_in_schema=False)
async def portfolio_csv(scope: AllTenants, tenant_filter: RequestedFilter) -> Response:
    return csv_file("tenants", TenantStatus, _for_reason(await _status(scope, tenant_filter), tenant_filter.why))


@router.get("/tenants/{tenant_id}", response_class=HTMLResponse, include_in_schema=False)
async def tenant_page(request: Request, scope: OneTenant) -> HTMLResponse:
    disabled = [scope.tenant.id] if scope.tenant.disabled else []
    (found,) = await status(scope.session, [scope.tenant.id], disabled=disabled)
    runs = await recent_runs(scope.session, RUNS)
    spans = [(words, since, await found_by_runs(scope.session, span)) for words, since, span in SPANS]
    shown = {"status": found, "runs": runs, "spans": spans, "title_of": title_of}
    return page(request, "status/tenant.html", tenant=scope.tenant, **shown)


async def _status(scope: PortfolioScope, tenant_filter: TenantFilter) -> list[TenantStatus]:
    chosen = [
        tenant.id
        for tenant in scope.tenants
        if (not tenant_filter.tag or tenant_filter.tag in tenant.tags) and has_words(tenant.name, tenant_filter.name)
    ]
    return await status(scope.session, chosen, disabled=scope.tenants.disabled())


def _for_reason(tenants: Sequence[TenantStatus], why: Attention | None) -> Sequence[TenantStatus]:
    return [tenant for tenant in tenants if why is None or why in tenant.attention]


def _following(tenants: Sequence[TenantStatus], after: UUID | None) -> Sequence[TenantStatus]:
    try:
        return following(tenants, after)
    except LookupError as error:
        raise NoSuchPageError(str(error)) from None
