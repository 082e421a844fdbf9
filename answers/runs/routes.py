"""The pages of runs: of one tenant and of all, one run live while it is under way, its start and its cancellation."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress
from typing import Annotated, Any, Literal, NamedTuple
from uuid import UUID

from fastapi import APIRouter, Depends, Form, Query, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from fastapi.sse import EventSourceResponse, ServerSentEvent
from temporalio.client import Client

from answers.runs.answer import UnknownRunError, newest_runs, recent_runs
from control.live_runs import LOOK_SECONDS, PAGE_WAITS_SECONDS, LiveRun
from control.progress import no_worker
from control.runs import StartedRun, cancel_run, start_sync
from graph.catalog import load_catalog
from graph.tenants import TenantConfig, refuse_disabled
from inventory.error_codes import EXPLANATIONS
from inventory.outcomes import Outcome, RunKind, RunStatus
from inventory.people import Action, Person, Role
from inventory.records import RunRecord
from inventory.user_errors import UnavailableError
from web.acts import Act, carry_out
from web.addresses import query_with
from web.confirmation import Confirmed
from web.forms import Once, Reason
from web.layout import fragment, page
from web.live import LivePart, live_parts
from web.roles import needs
from web.scope import AllTenants, Named, OneTenant, PortfolioScope, TenantScope, TheSite, Visible
from web.selection_form import FormSelection, selection_choices
from web.site import Site
from web.twins import csv_file, say_next

router = APIRouter()

PAGE = 50

ORDER = (Outcome.FAILED, Outcome.INCOMPLETE, Outcome.COMPLETE, Outcome.SKIPPED)

Operator = Annotated[Person, Depends(needs(Role.OPERATOR))]
Limit = Annotated[int, Query(ge=1, le=1000, description="How many, newest first.")]
After = Annotated[UUID | None, Query(description="Go on after this run.")]


def _status(
    status: Annotated[RunStatus | Literal[""], Query(description="Only runs of this status; empty for all.")] = "",
) -> RunStatus | None:
    return status or None


Status = Annotated[RunStatus | None, Depends(_status)]
Kind = Annotated[RunKind, Query(description="Full runs of a selection, or the runs of watch.")]


class UnrecordedRuns(NamedTuple):
    """Queued runs that only Temporal knows; `is_known` if it tells."""

    runs: Sequence[RunRecord] = ()
    is_known: bool = True


def _may_have_unrecorded(status: Status, kind: Kind = RunKind.SYNC, after: After = None) -> bool:
    """Whether a part of the list may have queued runs: the newest, of a fitting kind and status."""
    return after is None and kind is RunKind.SYNC and status in (None, RunStatus.QUEUED)


MayHaveUnrecorded = Annotated[bool, Depends(_may_have_unrecorded)]


async def _unrecorded(tenants: Visible, site: TheSite, is_wanted: MayHaveUnrecorded) -> UnrecordedRuns:
    found = await site.queued_runs.look(PAGE) if is_wanted else ()
    return UnrecordedRuns([run for run in found or () if tenants.get(run.tenant_id)], found is not None)


async def _unrecorded_of(tenant: Named, site: TheSite, is_wanted: MayHaveUnrecorded) -> UnrecordedRuns:
    found = await site.queued_runs.look(PAGE, tenant.id) if is_wanted else ()
    return UnrecordedRuns(found or (), found is not None)


# They come before the scope of a route, so that no connection is held while Temporal is asked.
Unrecorded = Annotated[UnrecordedRuns, Depends(_unrecorded)]
UnrecordedOf = Annotated[UnrecordedRuns, Depends(_unrecorded_of)]


def _listed(recorded: Sequence[RunRecord], unrecorded: UnrecordedRuns) -> list[RunRecord]:
    """A part of the list, with queued runs."""
    return newest_runs(recorded, unrecorded.runs, len(recorded) + len(unrecorded.runs))


@router.get("/runs", response_class=HTMLResponse, include_in_schema=False)
async def all_runs_page(
    request: Request,
    unrecorded: Unrecorded,
    scope: AllTenants,
    status: Status,
    kind: Kind = RunKind.SYNC,
    after: After = None,
) -> HTMLResponse:
    """The newest runs of all tenants."""
    found = await recent_runs(scope.session, PAGE + 1, after, status, kind)
    names = {tenant.id: tenant.name for tenant in scope.tenants}
    return _runs_page(request, found, unrecorded, status, kind, names=names, is_later=after is not None)


@router.get("/tenants/{tenant_id}/runs", response_class=HTMLResponse, include_in_schema=False)
async def runs_page(
    request: Request,
    unrecorded: UnrecordedOf,
    scope: OneTenant,
    status: Status,
    kind: Kind = RunKind.SYNC,
    after: After = None,
) -> HTMLResponse:
    """The newest runs of a tenant."""
    found = await recent_runs(scope.session, PAGE + 1, after, status, kind)
    return _runs_page(
        request, found, unrecorded, status, kind, names={}, is_later=after is not None, tenant=scope.tenant
    )


def _runs_page(
    request: Request,
    found: Sequence[RunRecord],
    unrecorded: UnrecordedRuns,
    status: RunStatus | None,
    kind: RunKind,
    *,
    names: Mapping[UUID, str],
    **shown: Any,
) -> HTMLResponse:
    recorded = found[:PAGE]
    runs = _listed(recorded, unrecorded)
    return page(
        request,
        "runs/runs.html",
        runs=runs,
        is_queue_known=unrecorded.is_known,
        names=names,
        status=status,
        statuses=list(RunStatus),
        kind=kind,
        selections={run.run_id: _selection_name(run) for run in runs},
        same_query=query_with(request, after=None),
        next_query=query_with(request, after=str(recorded[-1].run_id)) if found[PAGE:] else None,
        **shown,
    )


@router.get("/api/runs")
async def all_run_records(
    request: Request,
    response: Response,
    unrecorded: Unrecorded,
    scope: AllTenants,
    status: Status,
    limit: Limit = PAGE,
    after: After = None,
    kind: Kind = RunKind.SYNC,
) -> Sequence[RunRecord]:
    """The newest runs of all tenants. The first part has besides some 50 queued ones that no worker has taken up, or
    the header `Queued-Runs: unknown` where Temporal, which alone knows of them, does not answer.
    """
    return await _records(request, response, unrecorded, scope, limit, after, status, kind)


@router.get("/api/tenants/{tenant_id}/runs")
async def run_records(
    request: Request,
    response: Response,
    unrecorded: UnrecordedOf,
    scope: OneTenant,
    status: Status,
    limit: Limit = PAGE,
    after: After = None,
    kind: Kind = RunKind.SYNC,
) -> Sequence[RunRecord]:
    """The newest runs of a tenant. The first part has besides some 50 queued ones that no worker has taken up, or the
    header `Queued-Runs: unknown` where Temporal, which alone knows of them, does not answer.
    """
    return await _records(request, response, unrecorded, scope, limit, after, status, kind)


async def _records(
    request: Request,
    response: Response,
    unrecorded: UnrecordedRuns,
    scope: PortfolioScope | TenantScope,
    limit: int,
    after: UUID | None,
    status: RunStatus | None,
    kind: RunKind,
) -> Sequence[RunRecord]:
    found = await recent_runs(scope.session, limit + 1, after, status, kind)
    say_next(response, request, str(found[limit - 1].run_id) if found[limit:] else None)
    say_queue(response, is_known=unrecorded.is_known)
    return _listed(found[:limit], unrecorded)


def say_queue(response: Response, *, is_known: bool) -> None:
    """Sets a header if Temporal did not tell of queued runs."""
    if not is_known:
        response.headers["Queued-Runs"] = "unknown"


@router.get("/runs.csv", include_in_schema=False)
async def all_runs_csv(
    unrecorded: Unrecorded,
    scope: AllTenants,
    status: Status,
    kind: Kind = RunKind.SYNC,
    limit: Limit = 1000,
    after: After = None,
) -> Response:
    """The newest runs of all tenants as CSV."""
    return await _csv(unrecorded, scope, limit, after, status, kind)


@router.get("/tenants/{tenant_id}/runs.csv", include_in_schema=False)
async def runs_csv(
    unrecorded: UnrecordedOf,
    scope: OneTenant,
    status: Status,
    kind: Kind = RunKind.SYNC,
    limit: Limit = 1000,
    after: After = None,
) -> Response:
    """The newest runs of a tenant as CSV."""
    return await _csv(unrecorded, scope, limit, after, status, kind)


async def _csv(
    unrecorded: UnrecordedRuns,
    scope: PortfolioScope | TenantScope,
    limit: int,
    after: UUID | None,
    status: RunStatus | None,
    kind: RunKind,
) -> Response:
    found = await recent_runs(scope.session, limit, after, status, kind)
    response = csv_file("runs", RunRecord, _listed(found, unrecorded))
    say_queue(response, is_known=unrecorded.is_known)
    return response


@router.get("/tenants/{tenant_id}/runs/{run_id}", response_class=HTMLResponse, include_in_schema=False)
async def run_page(request: Request, tenant: Named, run_id: UUID, site: TheSite) -> HTMLResponse:
    """One run: its collections, and the reasons of unread ones. It follows a run that is under way."""
    return page(request, "runs/run.html", **_shown(site, tenant, await site.live_runs.look(tenant.id, run_id)))


@router.get("/api/tenants/{tenant_id}/runs/{run_id}")
async def one_run_record(tenant: Named, run_id: UUID, site: TheSite) -> RunRecord:
    """One run of a tenant; with the counts of its workflow while it is under way."""
    return (await site.live_runs.look(tenant.id, run_id)).record


def _shown(site: Site, tenant: TenantConfig, live: LiveRun) -> dict[str, Any]:
    run = live.record
    collections = sorted(
        run.collections.items(), key=lambda found: (found[0] in live.reading, ORDER.index(found[1].outcome), found[0])
    )
    return {
        "tenant": tenant,
        "run": run,
        "live": live,
        "selection": _selection_name(run),
        "collections": collections,
        "titles": {key: collection.title for key, collection in load_catalog().collections.items()},
        "explanations": EXPLANATIONS,
        "workflow_url": site.workflow_url(run.workflow_id, run.run_id),
    }


def _selection_name(run: RunRecord) -> str:
    return run.selection_name or load_catalog().name_of(run.selection.type_keys)


async def _first_look(tenant: Named, run_id: UUID, site: TheSite) -> LiveRun:
    """Before the stream begins, so that an unknown run is an error."""
    return await site.live_runs.look(tenant.id, run_id, within=LOOK_SECONDS)


@router.get("/tenants/{tenant_id}/runs/{run_id}/live", response_class=EventSourceResponse, include_in_schema=False)
async def live_run(
    request: Request, tenant: Named, first: Annotated[LiveRun, Depends(_first_look)], site: TheSite
) -> AsyncIterator[ServerSentEvent]:
    """The changing part of a run's page, until the run or the stream ends."""

    def part(live: LiveRun) -> LivePart:
        html = fragment(request, "runs/progress.html", **_shown(site, tenant, live))
        return LivePart(html, live.record.status.ended)

    async def look() -> LivePart:
        return part(await site.live_runs.look(tenant.id, first.record.run_id, within=LOOK_SECONDS))

    async for event in live_parts(site, part(first), look, LOOK_SECONDS):
        yield event


@router.get("/tenants/{tenant_id}/sync", response_class=HTMLResponse, include_in_schema=False)
async def sync_form(
    request: Request,
    tenant: Named,
    _person: Operator,
    site: TheSite,
    like: Annotated[UUID | None, Query(description="Choose the collections of this run.")] = None,
    deep: bool = False,
) -> HTMLResponse:
    """The form that starts a run."""
    run = None if like is None else (await site.live_runs.look(tenant.id, like)).record
    return page(
        request,
        "runs/sync.html",
        tenant=tenant,
        choices=selection_choices(None if run is None else run.selection),
        deep=deep,
        trouble=await _trouble(site),
    )


async def _trouble(site: Site) -> str | None:
    """Why a run would not begin now."""
    try:
        async with site.temporal.answering(PAGE_WAITS_SECONDS) as client:
            return await no_worker(client, site.settings.temporal_task_queue)
    except UnavailableError as error:
        return str(error)


@router.post("/tenants/{tenant_id}/sync", include_in_schema=False)
async def start(
    tenant: Named,
    person: Operator,
    site: TheSite,
    selection: FormSelection,
    once: Once,
    reason: Reason,
    deep: Annotated[bool, Form(description="Read the details of every item.")] = False,
) -> RedirectResponse:
    """Starts the run of a selection, or joins the one that is under way."""
    refuse_disabled(tenant)
    name = load_catalog().name_of(selection.type_keys)
    action = Action.DEEP_READ_REQUESTED if deep else Action.SYNC_REQUESTED

    async def request(client: Client) -> StartedRun:
        return await start_sync(client, site.settings.temporal_task_queue, tenant.id, tenant.name, selection, deep=deep)

    started = await carry_out(site, Act(person, action, name, once, reason, tenant.id), request)
    if started is None:
        return RedirectResponse(f"/tenants/{tenant.id}/runs", 303)
    is_known = await _is_soon_known(site, tenant, started.run_id)
    return RedirectResponse(f"/tenants/{tenant.id}/runs{f'/{started.run_id}' if is_known else ''}", 303)


async def _is_soon_known(site: Site, tenant: TenantConfig, run_id: UUID) -> bool:
    """Waits a moment until Temporal's list, and so the run's page, has a new run."""
    with suppress(UnknownRunError):
        await site.live_runs.look(tenant.id, run_id)
        return True
    return False


@router.post("/tenants/{tenant_id}/runs/{run_id}/cancel", include_in_schema=False)
async def cancel(
    tenant: Named, run_id: UUID, person: Operator, site: TheSite, once: Once, _confirmed: Confirmed, reason: Reason
) -> Response:
    """Asks a run to stop. Items that it has merged are kept."""
    run = (await site.live_runs.look(tenant.id, run_id)).record

    async def request(client: Client) -> None:
        await cancel_run(client, site.settings.temporal_task_queue, run, reason, person.name)

    subject = f"run {run_id}: {_selection_name(run)}"
    await carry_out(site, Act(person, Action.SYNC_CANCELLED, subject, once, reason, tenant.id), request)
    return RedirectResponse(f"/tenants/{tenant.id}/runs/{run_id}", 303)
