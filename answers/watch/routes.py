from collections.abc import Sequence
from datetime import timedelta
from typing import Annotated, NamedTuple

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import HTMLResponse

from answers.item_kinds import title_of
from answers.runs.answer import recent_runs
from answers.watch.answer import watched_logs
from answers.watch.records import WatchedLogRecord
from control.live_runs import PAGE_WAITS_SECONDS
from control.portfolio_words import tenants_in_words
from control.watch import WatchRecord, WatchSchedule
from graph.catalog import load_catalog
from graph.tenants import Tenants
from inventory.error_codes import EXPLANATIONS
from inventory.outcomes import RunKind
from inventory.user_errors import UnavailableError
from web.addresses import query_with
from web.layout import page
from web.scope import AllTenants, TheSite, Visible, name_for
from web.site import Site
from web.sorted_pages import After, sorted_page
from web.temporal import ANSWER_SECONDS
from web.twins import Limit, csv_file, say_next

router = APIRouter()

PAGE = 100

RUNS = 5

LATE_AFTER = timedelta(hours=1)
"""A working watch reads each log at least so often."""


class _State(NamedTuple):
    """`record` is None, with a reason, if Temporal does not tell."""

    record: WatchRecord | None
    trouble: str = ""


async def _state(visible: Visible, site: TheSite) -> _State:
    try:
        return _State(await _watch(visible, site, PAGE_WAITS_SECONDS))
    except UnavailableError as error:
        return _State(None, str(error))


@router.get("/watch", response_class=HTMLResponse, include_in_schema=False)
async def watch_page(
    request: Request,
    state: Annotated[_State, Depends(_state)],  # before a connection is held
    scope: AllTenants,
    visible: Visible,
    site: TheSite,
    after: After = "",
) -> HTMLResponse:
    logs = await watched_logs(scope.session, name_for(visible, site))
    runs = await recent_runs(scope.session, RUNS, kind=RunKind.WATCH)
    log_page = sorted_page(logs, _place, after, PAGE)
    return page(
        request,
        "watch/watch.html",
        state=state.record,
        trouble=state.trouble,
        logs=logs,
        log_page=log_page,
        runs=runs,
        late_after=LATE_AFTER,
        names=scope.tenants.names(),
        title_of=title_of,
        explanations=EXPLANATIONS,
        permissions={log.log: load_catalog().collections[log.log].permission for log in log_page.rows},
        next_query=query_with(request, after=log_page.goes_on) if log_page.goes_on else None,
    )


@router.get("/api/watch")
async def watch_record(visible: Visible, site: TheSite) -> WatchRecord:
    """Whether and how tenants are watched, as Temporal has it."""
    return await _watch(visible, site, ANSWER_SECONDS)


async def _watch(visible: Tenants, site: Site, seconds: float) -> WatchRecord:
    async with site.temporal.answering(seconds) as client:
        stored = await WatchSchedule(client, site.settings.temporal_task_queue).stored()
    if stored is None:
        return WatchRecord(on=False)
    watched = stored.chosen.resolve(site.tenants().tags())
    is_theirs = any(visible.get(tenant_id) is not None for tenant_id in watched)
    tenants = tenants_in_words(stored.chosen, name_for(visible, site)) if is_theirs else "tenants that you do not see"
    return stored.record.model_copy(update={"tenants": tenants})


@router.get("/api/watched-logs")
async def watched_log_records(
    request: Request,
    response: Response,
    scope: AllTenants,
    visible: Visible,
    site: TheSite,
    after: After = "",
    limit: Limit = PAGE,
) -> Sequence[WatchedLogRecord]:
    """The watched audit logs of all tenants, unreadable ones first."""
    logs = await watched_logs(scope.session, name_for(visible, site))
    shown = sorted_page(logs, _place, after, limit)
    say_next(response, request, shown.goes_on)
    return shown.rows


@router.get("/watch.csv", include_in_schema=False)
async def watched_logs_csv(scope: AllTenants, visible: Visible, site: TheSite) -> Response:
    logs = sorted(await watched_logs(scope.session, name_for(visible, site)), key=_place)
    return csv_file("watch", WatchedLogRecord, logs)


def _place(log: WatchedLogRecord) -> tuple[str, ...]:
    return str(int(log.error_code is None)), log.tenant.casefold(), str(log.tenant_id), log.log
