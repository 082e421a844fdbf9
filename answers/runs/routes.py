from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from typing import Annotated, Any, Generic, Literal, NamedTuple, TypeVar
from uuid import UUID

from fastapi import APIRouter, Depends, Form, Query, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from fastapi.sse import EventSourceResponse, ServerSentEvent
from sqlalchemy.ext.asyncio import AsyncSession
from temporalio.client import Client

from answers.runs.answer import UnknownRunError, newest_runs, recent_runs
from control.live_runs import LOOK_SECONDS, PAGE_WAITS_SECONDS, LiveRun
from control.progress import no_worker
from control.runs import StartedRun, start_sync
from control.runs import cancel as cancel_run
from graph.catalog import load_catalog
from graph.tenants import TenantConfig, refuse_disabled
from inventory.error_codes import EXPLANATIONS
from inventory.outcomes import Outcome, RunKind, RunStatus
from inventory.people import Action
from inventory.records import RunRecord
from inventory.user_errors import UnavailableError
from web.acts import Act, carry_out
from web.addresses import query_with
from web.forms import ConfirmedOnce, Once, Reason
from web.layout import fragment, page
from web.live import LivePart, live_parts
from web.roles import Operator
from web.scope import AllTenants, Named, OneTenant, TheSite, Visible
from web.selection_form import FormSelection, selection_choices
from web.site import Site
from web.twins import csv_file, say_next
from workflows.requests import SyncRequest

router = APIRouter()

PAGE = 50

ORDER = (Outcome.FAILED, Outcome.INCOMPLETE, Outcome.COMPLETE, Outcome.SKIPPED)

Limit = Annotated[int, Query(ge=1, le=1000, description="How many, newest first.")]
After = Annotated[UUID | None, Query(description="Go on after this run.")]


def _status(
    status: Annotated[RunStatus | Literal[""], Query(description="Only runs of this status; empty for all.")] = "",
) -> RunStatus | None:
    return status or None


Status = Annotated[RunStatus | None, Depends(_status)]


class RunFilter(NamedTuple):
    status: RunStatus | None
    kind: RunKind
    after: UUID | None


async def _run_filter(
    status: Status,
    kind: Annotated[RunKind, Query(description="Full runs of a selection, or the runs of watch.")] = RunKind.SYNC,
    after: After = None,
) -> RunFilter:
    return RunFilter(status, kind, after)


RequestedRuns = Annotated[RunFilter, Depends(_run_filter)]


RecordT = TypeVar("RecordT")


class UnrecordedPart(NamedTuple, Generic[RecordT]):
    """Queued runs that only Temporal knows. `is_known`: it has answered."""

    runs: Sequence[RecordT] = ()
    is_known: bool = True


UnrecordedRuns = UnrecordedPart[RunRecord]


async def _may_have_unrecorded(question: RequestedRuns) -> bool:
    return question.after is None and question.kind is RunKind.SYNC and question.status in (None, RunStatus.QUEUED)


MayHaveUnrecorded = Annotated[bool, Depends(_may_have_unrecorded)]


async def _unrecorded(tenants: Visible, site: TheSite, is_wanted: MayHaveUnrecorded) -> UnrecordedRuns:
    queued = await site.queued_runs.look(PAGE) if is_wanted else ()
    return UnrecordedRuns([run for run in queued or () if tenants.get(run.tenant_id)], queued is not None)


async def _unrecorded_of(tenant: Named, site: TheSite, is_wanted: MayHaveUnrecorded) -> UnrecordedRuns:
    queued = await site.queued_runs.look(PAGE, tenant.id) if is_wanted else ()
    return UnrecordedRuns(queued or (), queued is not None)


class RunList(NamedTuple):
    """Recorded runs, which `session` reads, and unrecorded ones."""

    unrecorded: UnrecordedRuns
    session: AsyncSession
    run_filter: RunFilter

    async def part(self, limit: int) -> tuple[list[RunRecord], str | None]:
        """Up to `limit` recorded runs with the queued ones, and the next page's place."""
        status, kind, after = self.run_filter
        records = await recent_runs(self.session, limit + 1, after, status, kind)
        recorded, queued = records[:limit], self.unrecorded.runs
        goes_on = str(recorded[-1].run_id) if records[limit:] else None
        return newest_runs(recorded, queued, len(recorded) + len(queued)), goes_on


# Temporal is asked before the scope of a route is opened, so that no connection is held meanwhile.
async def _all_runs(
    unrecorded: Annotated[UnrecordedRuns, Depends(_unrecorded)], scope: AllTenants, question: RequestedRuns
) -> RunList:
    return RunList(unrecorded, scope.session, question)


async def _runs_of_tenant(
    unrecorded: Annotated[UnrecordedRuns, Depends(_unrecorded_of)], scope: OneTenant, question: RequestedRuns
) -> RunList:
    return RunList(unrecorded, scope.session, question)


AllRuns = Annotated[RunList, Depends(_all_runs)]
RunsOfTenant = Annotated[RunList, Depends(_runs_of_tenant)]


@router.get("/runs", response_class=HTMLResponse, include_in_schema=False)
async def all_runs_page(request: Request, runs: AllRuns, tenants: Visible) -> HTMLResponse:
    names = tenants.names()
    return await _runs_page(request, runs, names=names)


@router.get("/tenants/{tenant_id}/runs", response_class=HTMLResponse, include_in_schema=False)
async def runs_page(request: Request, runs: RunsOfTenant, tenant: Named) -> HTMLResponse:
    return await _runs_page(request, runs, names={}, tenant=tenant)


async def _runs_page(request: Request, listed: RunList, **context: Any) -> HTMLResponse:
    runs, goes_on = await listed.part(PAGE)
    return page(
        request,
        "runs/runs.html",
        runs=runs,
        is_queue_known=listed.unrecorded.is_known,
        is_later=listed.run_filter.after is not None,
        status=listed.run_filter.status,
        statuses=list(RunStatus),
        kind=listed.run_filter.kind,
        selections={run.run_id: _selection_name(run) for run in runs},
        same_query=query_with(request, after=None),
        next_query=goes_on and query_with(request, after=goes_on),
        **context,
    )


@router.get("/api/runs")
async def all_run_records(
    request: Request, response: Response, runs: AllRuns, limit: Limit = PAGE
) -> Sequence[RunRecord]:
    """The newest runs of all tenants; the first part has also some 50 that no worker has taken up, or the header
    `Queued-Runs: unknown` where Temporal, which knows of these, does not answer.
    """
    return await _records(request, response, runs, limit)


@router.get("/api/tenants/{tenant_id}/runs")
async def run_records(
    request: Request, response: Response, runs: RunsOfTenant, limit: Limit = PAGE
) -> Sequence[RunRecord]:
    """The newest runs of a tenant; the first part has also some 50 that no worker has taken up, or the header
    `Queued-Runs: unknown` where Temporal, which knows of these, does not answer.
    """
    return await _records(request, response, runs, limit)


async def _records(request: Request, response: Response, listed: RunList, limit: int) -> Sequence[RunRecord]:
    runs, goes_on = await listed.part(limit)
    say_next(response, request, goes_on)
    say_queue(response, is_known=listed.unrecorded.is_known)
    return runs


def say_queue(response: Response, *, is_known: bool) -> None:
    if not is_known:
        response.headers["Queued-Runs"] = "unknown"


@router.get("/runs.csv", include_in_schema=False)
async def all_runs_csv(runs: AllRuns, limit: Limit = 1000) -> Response:
    return await _csv(runs, limit)


@router.get("/tenants/{tenant_id}/runs.csv", include_in_schema=False)
async def runs_csv(runs: RunsOfTenant, limit: Limit = 1000) -> Response:
    return await _csv(runs, limit)


async def _csv(listed: RunList, limit: int) -> Response:
    runs, _ = await listed.part(limit)
    response = csv_file("runs", RunRecord, runs)
    say_queue(response, is_known=listed.unrecorded.is_known)
    return response


@router.get("/tenants/{tenant_id}/runs/{run_id}", response_class=HTMLResponse, include_in_schema=False)
async def run_page(request: Request, tenant: Named, run_id: UUID, site: TheSite) -> HTMLResponse:
    return page(request, "runs/run.html", **_values_of(site, tenant, await site.live_runs.look(tenant.id, run_id)))


@router.get("/api/tenants/{tenant_id}/runs/{run_id}")
async def one_run_record(tenant: Named, run_id: UUID, site: TheSite) -> RunRecord:
    """One run of a tenant; while it is under way, with its workflow's counts."""
    return (await site.live_runs.look(tenant.id, run_id)).record


def _values_of(site: Site, tenant: TenantConfig, live: LiveRun) -> dict[str, Any]:
    run = live.record
    title_of = load_catalog().title_of
    collections = sorted(
        run.collections.items(),
        key=lambda entry: (entry[0] in live.reading, ORDER.index(entry[1].outcome), title_of(entry[0]).casefold()),
    )
    return {
        "tenant": tenant,
        "run": run,
        "live": live,
        "selection": _selection_name(run),
        "collections": collections,
        "title_of": title_of,
        "explanations": EXPLANATIONS,
        "workflow_url": site.workflow_url(run.workflow_id, run.run_id),
    }


def _selection_name(run: RunRecord) -> str:
    return run.selection_name or load_catalog().name_of(run.selection.type_keys)


async def _first_look(tenant: Named, run_id: UUID, site: TheSite) -> LiveRun:
    """Looks before the stream begins, so that an unknown run is an error."""
    return await site.live_runs.look(tenant.id, run_id, within=LOOK_SECONDS)


@router.get("/tenants/{tenant_id}/runs/{run_id}/live", response_class=EventSourceResponse, include_in_schema=False)
async def live_run(
    request: Request, tenant: Named, first: Annotated[LiveRun, Depends(_first_look)], site: TheSite
) -> AsyncIterator[ServerSentEvent]:
    def part(live: LiveRun) -> LivePart:
        html = fragment(request, "runs/progress.html", **_values_of(site, tenant, live))
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
    """Starts a run, or joins the one that is under way."""
    refuse_disabled(tenant)
    name = load_catalog().name_of(selection.type_keys)
    action = Action.DEEP_READ_REQUESTED if deep else Action.SYNC_REQUESTED

    async def request(client: Client) -> StartedRun:
        sync_request = SyncRequest(tenant_id=tenant.id, selection=selection, deep=deep)
        return await start_sync(client, site.settings.temporal_task_queue, sync_request, tenant.name)

    started = await carry_out(site, Act(person, action, name, once, reason, tenant.id), request)
    if started is None:
        return RedirectResponse(f"/tenants/{tenant.id}/runs", 303)
    is_known = await _is_soon_known(site, tenant, started.run_id)
    return RedirectResponse(f"/tenants/{tenant.id}/runs{f'/{started.run_id}' if is_known else ''}", 303)


async def _is_soon_known(site: Site, tenant: TenantConfig, run_id: UUID) -> bool:
    """Waits until Temporal lists a new run, so that its page finds it; False if that takes too long."""
    with suppress(UnknownRunError):
        await site.live_runs.look(tenant.id, run_id)
        return True
    return False


@router.post("/tenants/{tenant_id}/runs/{run_id}/cancel", include_in_schema=False)
async def cancel(
    tenant: Named, run_id: UUID, person: Operator, site: TheSite, once: ConfirmedOnce, reason: Reason
) -> Response:
    """Keeps the items that the run has merged."""
    run = (await site.live_runs.look(tenant.id, run_id)).record

    async def request(client: Client) -> None:
        await cancel_run(client, site.settings.temporal_task_queue, run, reason, person.name)

    subject = f"run {run_id}: {_selection_name(run)}"
    await carry_out(site, Act(person, Action.SYNC_CANCELLED, subject, once, reason, tenant.id), request)
    return RedirectResponse(f"/tenants/{tenant.id}/runs/{run_id}", 303)
