"""The pages of drift."""

from collections.abc import Sequence
from contextlib import nullcontext, suppress
from operator import itemgetter
from typing import Annotated
from urllib.parse import urlencode
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import HTMLResponse

from answers.coverage.answer import tenant_coverage
from answers.drift.answer import Drift, baseline_drift, bring_up_to_date, drift
from answers.drift.baselines import UnknownBaselineError, baselines
from answers.drift.records import BaselineDrift, BaselineRecord, DriftFindingRecord, DriftReport
from answers.drift.triage import placed, weakens
from answers.item_kinds import title_of
from answers.pages import grouped
from answers.status.answer import status
from inventory.severity import Severity
from storage.database import StorageCollisionError
from web.layout import page
from web.page_size import fitting_page
from web.scope import AllTenants, EachTenant, NoSuchPageError, TenantSessions
from web.sorted_pages import After, SortedPage, sorted_page
from web.twins import Limit, csv_file, say_next

router = APIRouter()

PAGE = 100

ATTEMPTS = tuple({"most_lines": lines, "most": most} for lines, most in ((8, PAGE), (3, PAGE // 2), (2, PAGE // 5)))
"""A page shows less if it gets too long."""

BaselineName = Annotated[str, Query(alias="baseline", description="By default the first one.", max_length=100)]
TypeKey = Annotated[str, Query(alias="type", description="Only this collection.", max_length=100)]
SeverityChoice = Annotated[Severity | None, Query(description="Only findings of this severity.")]
Everything = Annotated[bool, Query(alias="all", description="Also what is accepted, expected here, or resolved.")]
Tag = Annotated[str | None, Query(description="Only tenants with this tag.", max_length=64)]


@router.get("/tenants/{tenant_id}/drift", response_class=HTMLResponse, include_in_schema=False)
async def drift_page(
    request: Request,
    scope: EachTenant,
    tenant_id: UUID,
    name: BaselineName = "",
    type_key: TypeKey = "",
    severity: str = "",
    everything: Everything = False,
    after: After = "",
) -> HTMLResponse:
    tenant = scope.named(tenant_id)
    chosen_severity = Severity(severity) if severity in set(Severity) else None
    known, baseline, found = await _evaluated(scope, tenant_id, name)
    async with scope.session_of(tenant_id) as session:
        covered = await tenant_coverage(session)
    if found is None or baseline is None:
        return page(request, "drift/none.html", tenant=tenant, coverage=covered)
    findings = _chosen(found, type_key, chosen_severity, everything=everything)
    query = {"baseline": baseline.name, "type": type_key, "severity": severity, "all": "1" if everything else ""}
    return fitting_page(
        request,
        "drift/drift.html",
        ({**attempt, "findings": _page(findings, after, attempt["most"])} for attempt in ATTEMPTS),
        tenant=tenant,
        coverage=covered,
        baselines=known,
        baseline=baseline,
        golden=_name_of(scope, baseline),
        report=found.report,
        weakens=weakens,
        by_item=by_item,
        choices=sorted(
            {(finding.type_key, title_of(finding.type_key)) for finding in found.findings},
            key=lambda choice: choice[1].casefold(),
        ),
        severities=list(Severity),
        type_key=type_key,
        severity=chosen_severity,
        everything=everything,
        query=lambda **more: urlencode({key: value for key, value in (query | more).items() if value}),
    )


@router.get("/drift", response_class=HTMLResponse, include_in_schema=False)
async def all_drift_page(request: Request, scope: AllTenants, tag: Tag = None, after: After = "") -> HTMLResponse:
    chosen = {tenant.id: tenant for tenant in scope.tenants if not tag or tag in tenant.tags}
    found = await baseline_drift(scope.session, list(chosen))
    places = [f"{drift.tenant_id}/{drift.baseline}" for drift in found]
    if after and after not in places:
        raise NoSuchPageError("the tenant after which the list goes on is not in it; begin with the first")
    begin = places.index(after) + 1 if after else 0
    with_baseline = {drift.tenant_id for drift in found}
    return page(
        request,
        "drift/all.html",
        shown=found[begin : begin + PAGE],
        after=places[begin + PAGE - 1] if begin + PAGE < len(found) else None,
        without=[tenant for tenant in chosen.values() if tenant.id not in with_baseline],
        names=scope.tenants.names(),
        statuses=await status(scope.session, list(chosen)),
        tags=scope.tenants.all_tags(),
        tag=tag or "",
        tenants=list(scope.tenants),
    )


@router.get("/api/drift")
async def all_drift_records(scope: AllTenants, tag: Tag = None) -> Sequence[BaselineDrift]:
    """How all tenants, or those of a tag, deviate from each of their baselines, in numbers."""
    return await baseline_drift(scope.session, [tenant.id for tenant in scope.tenants if not tag or tag in tenant.tags])


@router.get("/drift.csv", include_in_schema=False)
async def all_drift_csv(scope: AllTenants, tag: Tag = None) -> Response:
    return csv_file("drift", BaselineDrift, await all_drift_records(scope, tag))


@router.get("/api/tenants/{tenant_id}/drift")
async def drift_report(scope: EachTenant, tenant_id: UUID, name: BaselineName = "") -> DriftReport:
    """The basis of a tenant's drift from a baseline, and its items with open findings."""
    scope.named(tenant_id)
    _, _, found = await _evaluated(scope, tenant_id, name)
    if found is None:
        raise UnknownBaselineError("this tenant has no baseline")
    return found.report


@router.get("/api/tenants/{tenant_id}/findings")
async def finding_records(
    request: Request,
    response: Response,
    scope: EachTenant,
    tenant_id: UUID,
    name: BaselineName = "",
    type_key: TypeKey = "",
    severity: SeverityChoice = None,
    everything: Everything = False,
    after: After = "",
    limit: Limit = PAGE,
) -> Sequence[DriftFindingRecord]:
    """Deviations from a baseline; those that weaken the tenant's protection come first."""
    scope.named(tenant_id)
    _, _, found = await _evaluated(scope, tenant_id, name)
    findings = [] if found is None else _chosen(found, type_key, severity, everything=everything)
    shown = _page(findings, after, limit)
    say_next(response, request, shown.goes_on)
    return shown.rows


@router.get("/tenants/{tenant_id}/drift.csv", include_in_schema=False)
async def findings_csv(
    scope: EachTenant,
    tenant_id: UUID,
    name: BaselineName = "",
    type_key: TypeKey = "",
    severity: SeverityChoice = None,
    everything: Everything = False,
) -> Response:
    scope.named(tenant_id)
    _, _, found = await _evaluated(scope, tenant_id, name)
    findings = [] if found is None else _chosen(found, type_key, severity, everything=everything)
    rows = [finding for _, finding in sorted(placed(findings), key=itemgetter(0))]
    return csv_file("drift", DriftFindingRecord, rows)


async def _evaluated(
    scope: TenantSessions, tenant_id: UUID, name: str
) -> tuple[list[BaselineRecord], BaselineRecord | None, Drift | None]:
    """All baselines, the requested one, and its drift, brought up to date if the person may see the golden tenant.
    Raises `UnknownBaselineError`.
    """
    async with scope.session_of(tenant_id) as session:
        known = await baselines(session)
    chosen = next((baseline for baseline in known if not name or baseline.name == name), None)
    if chosen is None and name:
        raise UnknownBaselineError(f"this tenant has no baseline {name!r}")
    if chosen is None:
        return known, None, None
    if chosen.other_tenant_id is None or scope.tenants.get(chosen.other_tenant_id) is not None:
        # While another request evaluates the baseline, the last evaluation stands.
        turn = nullcontext() if chosen.other_tenant_id is None else scope.turn()
        with suppress(StorageCollisionError):
            async with turn, scope.writing_session_of(tenant_id, snapshot=True) as session:
                await bring_up_to_date(session, scope.session_of, tenant_id, chosen)
    async with scope.session_of(tenant_id) as session:
        found = await drift(session, tenant_id, chosen.name)
    return known, found.report.baseline, found


def _chosen(drift: Drift, type_key: str, severity: Severity | None, *, everything: bool) -> list[DriftFindingRecord]:
    return [
        finding
        for finding in drift.findings
        if (finding.is_open or everything)
        and type_key in ("", finding.type_key)
        and severity in (None, finding.severity)
    ]


def _page(findings: Sequence[DriftFindingRecord], after: str, most: int) -> SortedPage[DriftFindingRecord]:
    places = placed(findings)
    shown = sorted_page(places, itemgetter(0), after, most)
    return SortedPage([finding for _, finding in shown.rows], shown.total, shown.goes_on)


def by_item(findings: Sequence[DriftFindingRecord]) -> list[tuple[tuple[str, str], list[DriftFindingRecord]]]:
    """Keeps the findings' order."""
    return grouped(findings, lambda finding: (finding.type_key, finding.external_id))


def _name_of(scope: TenantSessions, baseline: BaselineRecord) -> str:
    if baseline.other_tenant_id is None:
        return ""
    tenant = scope.tenants.get(baseline.other_tenant_id)
    return str(baseline.other_tenant_id) if tenant is None else tenant.name
