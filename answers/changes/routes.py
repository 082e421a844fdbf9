from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC
from typing import Annotated, Literal, NamedTuple
from urllib.parse import urlencode
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import HTMLResponse
from sqlalchemy.ext.asyncio import AsyncSession

from answers.changes import answer
from answers.changes.answer import DEFAULT_DAYS, ChangeFeed, ChangeFilter, ChangePage, Event, OnFailure, Window
from answers.changes.records import ChangeKind, ChangeRecord
from answers.coverage.answer import Extent, tenant_coverage, unread_collections
from answers.item_kinds import title_of
from answers.oldest_listing import OldestListing, oldest_listings
from answers.runs.answer import moment_of
from answers.status.answer import status
from answers.times import TIME_FORMS
from answers.unanswered_tenant import UnansweredTenant
from graph.catalog import load_catalog
from web.page_size import fitting_page
from web.scope import EachTenant, OneTenant, TenantScope, TenantSessions
from web.twins import Limit, say_next, whole_csv_file

router = APIRouter()

PAGE = 50

PAGE_OF_MANY = 19
"""A page and the change after it fill one batch, whose tenants are queried one by one."""

MOST_AT_ONCE = 1000
"""Changes read at once for a file."""

ATTEMPTS = (
    {"most_fields": 5, "most_lines": 8},
    {"most_fields": 2, "most_lines": 4},
    {"most_fields": 0, "most_lines": 0},
)
"""Limits of a shown change; lower ones if the page gets too long."""


class ChangeQuestion(NamedTuple):
    type_key: str | None = None
    kind: ChangeKind | None = None
    since: str = ""
    by: str = ""
    run_id: UUID | None = None
    after: str = ""

    @property
    def change_filter(self) -> ChangeFilter:
        return ChangeFilter(frozenset() if self.kind is None else frozenset({self.kind}), self.by)

    @property
    def place(self) -> Event | None:
        """The event after which the page begins. Raises `UnknownPlaceError`."""
        return answer.event_among_tenants(self.after) if self.after else None

    def query(self, **more: object) -> str:
        parameters = {
            "type": self.type_key, "kind": self.kind, "since": self.since, "by": self.by, "run": self.run_id, **more
        }  # fmt: skip
        return urlencode({name: str(value) for name, value in parameters.items() if value})


def _question(
    type_key: Annotated[str, Query(alias="type", description="Only this collection.", max_length=100)] = "",
    kind: Annotated[ChangeKind | Literal[""], Query(description="Only changes of this kind.")] = "",
    since: Annotated[
        str, Query(description=f"After this time ({TIME_FORMS}, in UTC) or this run. Default: 7 days.", max_length=100)
    ] = "",
    by: Annotated[str, Query(description="By somebody whose name or id has this text.", max_length=200)] = "",
    run: Annotated[UUID | None, Query(description="Only changes that this run noticed.")] = None,
    after: Annotated[
        str, Query(description="Go on here: the address of the next page, in the header Link, has it.", max_length=2000)
    ] = "",
) -> ChangeQuestion:
    return ChangeQuestion(type_key or None, kind or None, since.strip(), by.strip(), run, after)


RequestedChanges = Annotated[ChangeQuestion, Depends(_question)]
Tag = Annotated[str | None, Query(description="Only tenants with this tag.", max_length=64)]


@router.get("/tenants/{tenant_id}/changes", response_class=HTMLResponse, include_in_schema=False)
async def changes_page(request: Request, scope: OneTenant, question: RequestedChanges) -> HTMLResponse:
    window = await _window(scope.session, question)
    change_page = await _of_tenant(scope, question, window, PAGE)
    feed = ChangeFeed(scope.session, scope.tenant.id, window)
    for change in change_page.changes:
        feed.count(change)
    summary = await feed.summary()
    covered = await tenant_coverage(scope.session)
    return _page(
        request,
        question,
        window,
        change_page,
        path=f"/tenants/{scope.tenant.id}/changes",
        tenant=scope.tenant,
        coverage=covered,
        choices=sorted(((record.type_key, record.title) for record in covered.collections), key=_title_of_choice),
        old_details=summary.old_details,
        stale=summary.stale,
        oldest=[] if summary.oldest_listing is None else [summary.oldest_listing],
        title_of=title_of,
        failures=[],
    )


@router.get("/changes", response_class=HTMLResponse, include_in_schema=False)
async def all_changes_page(
    request: Request, each: EachTenant, question: RequestedChanges, tag: Tag = None
) -> HTMLResponse:
    tenant_ids = _tenant_ids(each, tag)
    async with each.portfolio() as session:
        window = await _window(session, question)
        statuses = await status(session, tenant_ids)
        unread = []
        if question.type_key is not None:
            unread = await unread_collections(session, tenant_ids, Extent.of([question.type_key]))
        oldest = await _oldest(session, tenant_ids, window)
    change_page = await _of_tenants(each, tenant_ids, question, window, PAGE_OF_MANY, each.failures.add)
    collections = load_catalog().collections
    return _page(
        request,
        question,
        window,
        change_page,
        path="/changes",
        tag=tag or "",
        tags=each.tenants.all_tags(),
        names=each.tenants.names(),
        statuses=statuses,
        choices=sorted(((key, collection.title) for key, collection in collections.items()), key=_title_of_choice),
        old_details=[],
        stale=[],
        oldest=oldest,
        failures=each.failures.tenants,
        unread=unread,
        title_of=title_of,
    )


@router.get("/api/tenants/{tenant_id}/changes")
async def change_records(
    request: Request, response: Response, scope: OneTenant, question: RequestedChanges, limit: Limit = 100
) -> Sequence[ChangeRecord | OldestListing]:
    """Changes that runs noticed in a tenant, newest first; after the last, the oldest listing if the newest run did not
    read it.
    """
    window = await _window(scope.session, question)
    found = await _of_tenant(scope, question, window, limit)
    say_next(response, request, found.goes_on)
    oldest = [] if found.goes_on else await _oldest(scope.session, [scope.tenant.id], window)
    return [*found.changes, *oldest]


@router.get("/api/changes")
async def all_change_records(
    request: Request,
    response: Response,
    each: EachTenant,
    question: RequestedChanges,
    tag: Tag = None,
    limit: Limit = 100,
) -> Sequence[ChangeRecord | OldestListing | UnansweredTenant]:
    """Changes that runs noticed in all tenants, or in those of a tag, newest first; after the last, each tenant's
    oldest listing if its newest run did not read it; then tenants without an answer.
    """
    tenant_ids = _tenant_ids(each, tag)
    async with each.portfolio() as session:
        window = await _window(session, question)
    found = await _of_tenants(each, tenant_ids, question, window, limit, each.failures.add)
    say_next(response, request, found.goes_on)
    oldest: Sequence[OldestListing] = []
    if found.goes_on is None:
        async with each.portfolio() as session:
            oldest = await _oldest(session, tenant_ids, window)
    return [*found.changes, *oldest, *each.failures.tenants]


@router.get("/tenants/{tenant_id}/changes.csv", include_in_schema=False)
async def changes_csv(scope: OneTenant, question: RequestedChanges) -> Response:
    window = await _window(scope.session, question)
    found = _all(question, lambda part: _of_tenant(scope, part, window, MOST_AT_ONCE))
    return await whole_csv_file("changes", ChangeRecord, found)


@router.get("/changes.csv", include_in_schema=False)
async def all_changes_csv(each: EachTenant, question: RequestedChanges, tag: Tag = None) -> Response:
    async with each.portfolio() as session:
        window = await _window(session, question)
    tenant_ids = _tenant_ids(each, tag)
    found = _all(question, lambda part: _of_tenants(each, tenant_ids, part, window, MOST_AT_ONCE, each.failures.refuse))
    return await whole_csv_file("changes", ChangeRecord, found)


async def _all(
    question: ChangeQuestion, part_of: Callable[[ChangeQuestion], Awaitable[ChangePage]]
) -> AsyncIterator[ChangeRecord]:
    while True:
        part = await part_of(question)
        for change in part.changes:
            yield change
        if part.goes_on is None:
            return
        question = question._replace(after=part.goes_on)


def _page(
    request: Request, question: ChangeQuestion, window: Window, change_page: ChangePage, *, path: str, **context: object
) -> HTMLResponse:
    tag = context.get("tag")
    query = question.query(tag=tag)
    return fitting_page(
        request,
        "changes/changes.html",
        ATTEMPTS,
        changes=change_page.changes,
        goes_on=question.query(tag=tag, after=change_page.goes_on) if change_page.goes_on else None,
        wider=question.query(tag=tag, since="90d"),
        api=f"/api{path}?{query}",
        csv=f"{path}.csv?{query}",
        window=window,
        kinds=list(ChangeKind),
        days=DEFAULT_DAYS,
        type_key=question.type_key,
        kind=question.kind,
        since=question.since,
        by=question.by,
        run_id=question.run_id,
        **context,
    )


async def _window(session: AsyncSession, question: ChangeQuestion) -> Window:
    since = None if question.run_id or not question.since else await moment_of(session, question.since, UTC)
    type_keys = None if question.type_key is None else (question.type_key,)
    return await answer.window_of(session, type_keys, since=since, run_id=question.run_id)


async def _oldest(session: AsyncSession, tenant_ids: Sequence[UUID], window: Window) -> Sequence[OldestListing]:
    return [] if window.run_id is not None else await oldest_listings(session, tenant_ids, window.type_keys)


async def _of_tenant(scope: TenantScope, question: ChangeQuestion, window: Window, limit: int) -> ChangePage:
    @asynccontextmanager
    async def the_session(_tenant_id: UUID | None = None) -> AsyncIterator[AsyncSession]:
        yield scope.session

    return await answer.newest_changes(
        the_session, the_session, window, change_filter=question.change_filter, limit=limit, before=question.place
    )


async def _of_tenants(
    each: TenantSessions,
    tenant_ids: Sequence[UUID],
    question: ChangeQuestion,
    window: Window,
    limit: int,
    on_failure: OnFailure,
) -> ChangePage:
    return await answer.newest_changes(
        each.portfolio,
        each.session_of,
        window,
        change_filter=question.change_filter,
        limit=limit,
        before=question.place,
        tenant_ids=tenant_ids,
        on_failure=on_failure,
    )


def _tenant_ids(each: TenantSessions, tag: str | None) -> list[UUID]:
    return [tenant.id for tenant in each.tenants if not tag or tag in tenant.tags]


def _title_of_choice(choice: tuple[str, str]) -> str:
    return choice[1].casefold()
