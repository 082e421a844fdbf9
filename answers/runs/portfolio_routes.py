from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import Annotated, Any, NamedTuple
from urllib.parse import urlencode
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from fastapi.sse import EventSourceResponse, ServerSentEvent
from sqlalchemy.ext.asyncio import AsyncSession
from temporalio.client import Client

from answers.runs.answer import UnknownRunError
from answers.runs.portfolio_answer import newest_portfolio_runs, portfolio_run, recent_portfolio_runs
from answers.runs.routes import After, Limit, Status, UnrecordedPart, say_queue
from control.portfolio_words import tenants_in_words
from control.runs import cancel as cancel_run
from graph.catalog import load_catalog
from graph.tenants import Tenants
from inventory.error_codes import EXPLANATIONS
from inventory.outcomes import RunStatus
from inventory.people import Action, Role
from inventory.portfolio import PortfolioRecord, PortfolioSummary, TenantOutcomeRecord
from web.acts import Act, carry_out
from web.addresses import query_with
from web.forms import ConfirmedOnce, Reason
from web.layout import fragment, page
from web.live import LivePart, live_parts
from web.roles import Operator
from web.scope import AllTenants, EachTenant, PortfolioScope, TheSite, Visible, visible_ids
from web.sign_in import SignedIn
from web.site import Site
from web.sorted_pages import sorted_page
from web.twins import csv_file, say_next

router = APIRouter()

PAGE = 50

OUTCOMES = 200

LOOK_SECONDS = 2.0
"""Seconds between a live page's looks, for all followers together."""

AfterTenant = Annotated[str, Query(alias="after", description="Go on here, as the next page's address says.")]


UnrecordedRuns = UnrecordedPart[PortfolioRecord]


async def _queued(tenants: Tenants, site: Site) -> UnrecordedRuns:
    """Visible like recorded runs (decision 46)."""
    found = await site.queued_runs.look_at_portfolio_runs(PAGE)
    visible = visible_ids(tenants, site)
    shown = [run for run in found or () if visible is None or _is_of(run, visible)]
    return UnrecordedRuns(shown, found is not None)


def _is_of(run: PortfolioRecord, tenant_ids: Collection[UUID]) -> bool:
    chosen = run.chosen
    return not chosen.everyone and not chosen.tags and set(chosen.tenant_ids) <= set(tenant_ids)


async def _unrecorded(tenants: Visible, site: TheSite, status: Status, after: After = None) -> UnrecordedRuns:
    is_wanted = after is None and status in (None, RunStatus.QUEUED)
    return await _queued(tenants, site) if is_wanted else UnrecordedRuns()


class PortfolioRunList(NamedTuple):
    """Recorded portfolio runs, which `scope` reads, and unrecorded ones."""

    unrecorded: UnrecordedRuns
    scope: PortfolioScope
    status: RunStatus | None
    after: UUID | None

    async def part(self, limit: int) -> tuple[list[PortfolioRecord], str | None]:
        """As `RunList.part`."""
        found = await recent_portfolio_runs(self.scope.session, limit + 1, self.after, self.status)
        recorded, queued = found[:limit], self.unrecorded.runs
        goes_on = str(recorded[-1].portfolio_run_id) if found[limit:] else None
        return newest_portfolio_runs(recorded, queued, len(recorded) + len(queued)), goes_on


# Temporal is asked before the scope of a route is opened, so that no connection is held meanwhile.
async def _runs(
    unrecorded: Annotated[UnrecordedRuns, Depends(_unrecorded)], scope: AllTenants, status: Status, after: After = None
) -> PortfolioRunList:
    return PortfolioRunList(unrecorded, scope, status, after)


Runs = Annotated[PortfolioRunList, Depends(_runs)]


@router.get("/portfolio-runs", response_class=HTMLResponse, include_in_schema=False)
async def portfolio_runs_page(request: Request, listed: Runs) -> HTMLResponse:
    runs, last = await listed.part(PAGE)
    follows = {"after": last, **({"status": listed.status} if listed.status else {})} if last else None
    return page(
        request,
        "runs/portfolio_runs.html",
        runs=[(run, _tenants_in_words(run, listed.scope.tenants), _selection_name(run)) for run in runs],
        is_queue_known=listed.unrecorded.is_known,
        status=listed.status,
        statuses=list(RunStatus),
        is_later=listed.after is not None,
        next_query=follows and urlencode(follows),
    )


@router.get("/api/portfolio-runs")
async def portfolio_run_records(
    request: Request, response: Response, listed: Runs, limit: Limit = PAGE
) -> Sequence[PortfolioSummary]:
    """The newest portfolio runs; the first part has also some 50 that no worker has taken up, or the header
    `Queued-Runs: unknown` where Temporal, which knows of these, does not answer.
    """
    runs, goes_on = await listed.part(limit)
    say_next(response, request, goes_on)
    say_queue(response, is_known=listed.unrecorded.is_known)
    return runs


@router.get("/portfolio-runs.csv", include_in_schema=False)
async def portfolio_runs_csv(listed: Runs, limit: Limit = 1000) -> Response:
    runs, _ = await listed._replace(after=None).part(limit)
    response = csv_file("portfolio-runs", PortfolioSummary, runs)
    say_queue(response, is_known=listed.unrecorded.is_known)
    return response


async def _record_of(
    portfolio: Callable[[], AbstractAsyncContextManager[AsyncSession]],
    tenants: Tenants,
    site: Site,
    portfolio_run_id: UUID,
) -> PortfolioRecord:
    """Reads a portfolio run from the database or, before a worker takes it, from Temporal. Raises `UnknownRunError`."""
    try:
        async with portfolio() as session:
            return await portfolio_run(session, portfolio_run_id)
    except UnknownRunError:
        for run in (await _queued(tenants, site)).runs:
            if run.portfolio_run_id == portfolio_run_id:
                return run
        raise


class ShownPart(NamedTuple):
    status: Status
    after: AfterTenant = ""


ThePart = Annotated[ShownPart, Depends()]


@router.get("/portfolio-runs/{portfolio_run_id}", response_class=HTMLResponse, include_in_schema=False)
async def portfolio_run_page(
    request: Request, each: EachTenant, site: TheSite, portfolio_run_id: UUID, person: SignedIn, part: ThePart
) -> HTMLResponse:
    run = await _record_of(each.portfolio, each.tenants, site, portfolio_run_id)
    may_cancel = not run.status.ended and person.may(Role.OPERATOR)
    shown = _values_of(request, site, each.tenants, run, part)
    return page(request, "runs/portfolio_run.html", may_cancel=may_cancel, **shown)


async def _live_part(
    request: Request, tenants: Visible, site: TheSite, portfolio_run_id: UUID, part: ThePart
) -> LivePart:
    """People who see the same tenants share a look."""
    visible = visible_ids(tenants, site)

    async def find() -> PortfolioRecord:
        return await _record_of(partial(site.database.portfolio, visible), tenants, site, portfolio_run_id)

    key = (portfolio_run_id, None if visible is None else frozenset(visible))
    run = await site.portfolio_looks.look(key, find, within=LOOK_SECONDS)
    html = fragment(request, "runs/portfolio_progress.html", **_values_of(request, site, tenants, run, part))
    return LivePart(html, run.status.ended)


@router.get("/portfolio-runs/{portfolio_run_id}/live", response_class=EventSourceResponse, include_in_schema=False)
async def live_portfolio_run(
    request: Request,
    tenants: Visible,
    site: TheSite,
    portfolio_run_id: UUID,
    part: ThePart,
    first: Annotated[LivePart, Depends(_live_part)],
) -> AsyncIterator[ServerSentEvent]:
    look = partial(_live_part, request, tenants, site, portfolio_run_id, part)
    async for event in live_parts(site, first, look, LOOK_SECONDS):
        yield event


def _values_of(request: Request, site: Site, tenants: Tenants, run: PortfolioRecord, part: ShownPart) -> dict[str, Any]:
    names = tenants.names()

    def place(outcome: TenantOutcomeRecord) -> tuple[str, ...]:
        is_success = outcome.status is RunStatus.SUCCESS
        return str(int(is_success)), names.get(outcome.tenant_id, "").casefold(), str(outcome.tenant_id)

    records = [outcome for outcome in run.tenants if part.status is None or outcome.status is part.status]
    outcomes = sorted_page(records, place, part.after, OUTCOMES)
    return {
        "run": run,
        "tenants_in_words": _tenants_in_words(run, tenants),
        "selection": _selection_name(run),
        "names": names,
        "outcomes": outcomes,
        "status": part.status,
        "explanations": EXPLANATIONS,
        "workflow_url": site.workflow_url(run.workflow_id, run.portfolio_run_id),
        "same_query": query_with(request),
        "next_query": query_with(request, after=outcomes.goes_on) if outcomes.goes_on else None,
    }


@router.get("/api/portfolio-runs/{portfolio_run_id}")
async def one_portfolio_run_record(each: EachTenant, site: TheSite, portfolio_run_id: UUID) -> PortfolioRecord:
    """One portfolio run with the outcomes of its tenants."""
    return await _record_of(each.portfolio, each.tenants, site, portfolio_run_id)


@router.post("/portfolio-runs/{portfolio_run_id}/cancel", include_in_schema=False)
async def cancel(
    portfolio_run_id: UUID,
    person: Operator,
    tenants: Visible,
    site: TheSite,
    once: ConfirmedOnce,
    reason: Reason,
) -> Response:
    """Also cancels runs that the portfolio run has started."""
    run = await _record_of(
        partial(site.database.portfolio, visible_ids(tenants, site)), tenants, site, portfolio_run_id
    )

    async def request(client: Client) -> None:
        await cancel_run(client, site.settings.temporal_task_queue, run, reason, person.name)

    subject = f"portfolio run {portfolio_run_id}: {_selection_name(run)}"
    await carry_out(site, Act(person, Action.SYNC_CANCELLED, subject, once, reason), request)
    return RedirectResponse(f"/portfolio-runs/{portfolio_run_id}", 303)


def _tenants_in_words(run: PortfolioSummary, tenants: Tenants) -> str:
    names = tenants.names()
    return tenants_in_words(run.chosen, lambda tenant_id: names.get(tenant_id, str(tenant_id)))


def _selection_name(run: PortfolioSummary) -> str:
    return run.selection_name or load_catalog().name_of(run.selection.type_keys)
