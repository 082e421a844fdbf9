from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Annotated, NamedTuple
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import HTMLResponse

from answers.assignments import answer
from answers.assignments.answer import AssignmentPage, FirstAssignments, NothingAssignableError
from answers.assignments.records import ItemAssignment
from answers.coverage.answer import tenant_coverage
from answers.dependencies.answer import reason_in_words
from answers.dependencies.records import CannotSayRecord
from answers.item_kinds import title_of
from answers.oldest_listing import OldestListing, oldest_first
from answers.pages import grouped
from answers.status.answer import status
from answers.status.records import TenantStatus
from answers.unanswered_tenant import UnansweredTenant
from graph.catalog import load_catalog
from graph.tenants import TenantConfig
from inventory.coverage import NEVER_READ
from inventory.user_errors import NeverReadError
from web.addresses import query_with
from web.layout import page
from web.page_size import fitting_page
from web.scope import EachTenant, NoSuchPageError, OneTenant, TenantScope
from web.tenants_in_turn import TENANTS_AT_A_TIME, TenantRecords, by_name, records_in_turn, tenants_by_name
from web.twins import say_next, whole_csv_file

router = APIRouter()

PAGE = 50

OF_A_TENANT = 8
"""Items of each tenant on a page over tenants."""

MOST_OF_AN_ITEM = 20
"""Assignments of one item that a page names."""

TypeKey = Annotated[str, Query(alias="type", description="Only items of this collection.", max_length=100)]
Item = Annotated[str, Query(alias="item", description="Only the items of this id or name.", max_length=1000)]
Tag = Annotated[str, Query(description="Only tenants with this tag.", max_length=64)]
AfterTenant = Annotated[str, Query(alias="after", description="Go on after the tenant of this id.", max_length=100)]
AfterInTurn = Annotated[str, Query(alias="after", description="Go on here, as the header Link says.", max_length=2100)]
After = Annotated[
    str, Query(description="Go on after this item, TYPE/ID: the last one of the page before.", max_length=2000)
]
Limit = Annotated[int, Query(description="How many items.", ge=1, le=1000)]

AssignmentRecord = ItemAssignment | CannotSayRecord | OldestListing


@router.get("/tenants/{tenant_id}/assignments", response_class=HTMLResponse, include_in_schema=False)
async def assignments_page(
    request: Request, scope: OneTenant, type_key: TypeKey = "", item: Item = "", after: After = ""
) -> HTMLResponse:
    assignment_page, problem = AssignmentPage([], [], None, None), ""
    try:
        assignment_page = await _assignments(scope, type_key, item.strip(), after, PAGE)
    except NothingAssignableError as error:
        problem = str(error)
    return page(
        request,
        "assignments/assignments.html",
        tenant=scope.tenant,
        coverage=await tenant_coverage(scope.session),
        choices=_choices(),
        type_key=type_key,
        item=item,
        by_item=grouped(assignment_page.assignments, lambda record: (record.type_key, record.external_id)),
        most=MOST_OF_AN_ITEM,
        problem=problem,
        open_reasons=grouped(assignment_page.cannot_say, reason_in_words),
        oldest=assignment_page.oldest,
        next_query=query_with(request, after=_text(assignment_page.goes_on)) if assignment_page.goes_on else None,
        csv=f"{request.url.path}.csv{query_with(request, after=None)}",
        title_of=title_of,
    )


class TenantAssignments(NamedTuple):
    tenant_id: UUID
    name: str
    status: TenantStatus
    by_item: list[tuple[tuple[str, str], list[ItemAssignment]]]
    first: FirstAssignments


@router.get("/assignments", response_class=HTMLResponse, include_in_schema=False)
async def all_assignments_page(
    request: Request,
    each: EachTenant,
    type_key: TypeKey = "",
    item: Item = "",
    tag: Tag = "",
    after: AfterTenant = "",
) -> HTMLResponse:
    chosen = tenants_by_name(each.tenants, tag, after, TENANTS_AT_A_TIME)
    async with each.portfolio() as session:
        found_statuses = await status(session, [tenant.id for tenant in chosen.tenants])
    statuses = {first.tenant_id: first for first in found_statuses}
    parts = []
    for tenant in chosen.tenants:
        try:
            async with each.session_of(tenant.id) as session:
                first = await answer.first_assignments(
                    session, tenant.id, item.strip() or None, [type_key] if type_key else None, OF_A_TENANT
                )
        except Exception as error:  # noqa: BLE001 - the other tenants are shown
            await each.failures.add(tenant.id, error)
            continue
        by_item = grouped(first.assignments, lambda record: (record.type_key, record.external_id))
        parts.append(TenantAssignments(tenant.id, tenant.name, statuses[tenant.id], by_item, first))
    return fitting_page(
        request,
        "assignments/all_assignments.html",
        [{"most": most} for most in (MOST_OF_AN_ITEM, 5, 1)],
        parts_of_tenants=parts,
        failures=each.failures.tenants,
        names=each.tenants.names(),
        statuses=list(statuses.values()),
        oldest=oldest_first(part.first.oldest for part in parts),
        chosen=chosen,
        choices=_choices(),
        type_key=type_key,
        item=item,
        tag=tag,
        tags=each.tenants.all_tags(),
        next_query=query_with(request, after=chosen.goes_on) if chosen.goes_on else None,
        same_query=query_with(request, after=None),
        title_of=title_of,
    )


@router.get("/api/assignments")
async def all_assignment_records(
    request: Request,
    response: Response,
    each: EachTenant,
    type_key: TypeKey = "",
    item: Item = "",
    tag: Tag = "",
    after: AfterInTurn = "",
    limit: Limit = 100,
) -> list[AssignmentRecord | UnansweredTenant]:
    """Assignments of up to `limit` items, tenant by tenant; each part ends with the unknown ones, and the oldest
    listing if the newest run did not read it. A tenant without an answer has a record that says why.
    """

    async def ask(tenant: TenantConfig, within: str, most: int) -> TenantRecords[AssignmentRecord]:
        async with each.session_of(tenant.id) as session:
            try:
                in_turn = await _assignments(TenantScope(tenant, session), type_key, item.strip(), within, most)
            except NothingAssignableError as error:
                if within:
                    raise NoSuchPageError(str(error)) from None
                return TenantRecords([*error.unread], 0, None)
            except NeverReadError:
                return TenantRecords([_nothing_known(tenant.id)], 0, None)
        items = {(record.type_key, record.external_id) for record in in_turn.assignments}
        return TenantRecords(_records(in_turn), len(items), _text(in_turn.goes_on))

    in_turn = await records_in_turn(each.tenants, tag, after, limit, ask, each.failures)
    say_next(response, request, in_turn.goes_on)
    return in_turn.records


@router.get("/assignments.csv", include_in_schema=False)
async def all_assignments_csv(each: EachTenant, type_key: TypeKey = "", item: Item = "", tag: Tag = "") -> Response:
    chosen = [type_key] if type_key else None

    async def assignments() -> AsyncIterator[AssignmentRecord]:
        for tenant in by_name(each.tenants, tag):
            try:
                async with each.session_of(tenant.id) as session:
                    with suppress(NothingAssignableError, NeverReadError):
                        records = answer.assignments(session, tenant.id, item.strip() or None, chosen)
                        async for record in records:
                            yield record
            except Exception as error:  # noqa: BLE001 - the tenant is named
                await each.failures.refuse(tenant.id, error)

    return await whole_csv_file("assignments", ItemAssignment, assignments())


def _nothing_known(tenant_id: UUID) -> CannotSayRecord:
    return CannotSayRecord(tenant_id=tenant_id, type_key="", reason=NEVER_READ, references=None)


@router.get("/api/tenants/{tenant_id}/assignments")
async def assignment_records(
    request: Request,
    response: Response,
    scope: OneTenant,
    type_key: TypeKey = "",
    item: Item = "",
    after: After = "",
    limit: Limit = 100,
) -> list[AssignmentRecord]:
    """Assignments of so many items, by collection and name; at the end the unknown ones, and the oldest listing if the
    newest run did not read it.
    """
    assignments = await _assignments(scope, type_key, item.strip(), after, limit)
    say_next(response, request, _text(assignments.goes_on))
    return _records(assignments)


@router.get("/tenants/{tenant_id}/assignments.csv", include_in_schema=False)
async def assignments_csv(scope: OneTenant, type_key: TypeKey = "", item: Item = "") -> Response:
    chosen = [type_key] if type_key else None
    assignments = answer.assignments(scope.session, scope.tenant.id, item.strip() or None, chosen)
    return await whole_csv_file(f"assignments-{scope.tenant.name}", ItemAssignment, assignments)


async def _assignments(scope: TenantScope, type_key: str, item: str, after: str, limit: int) -> AssignmentPage:
    place = None
    if after:
        key, slash, external_id = after.partition("/")
        if not slash:
            raise NoSuchPageError("a place in the list is TYPE/ID")
        place = (key, external_id)
    chosen = [type_key] if type_key else None
    tenant_id = scope.tenant.id
    return await answer.assignment_page(scope.session, tenant_id, item or None, chosen, after=place, most=limit)


def _records(assignment_page: AssignmentPage) -> list[AssignmentRecord]:
    oldest = [] if assignment_page.oldest is None else [assignment_page.oldest]
    return [*assignment_page.assignments, *assignment_page.cannot_say, *oldest]


def _text(place: tuple[str, str] | None) -> str | None:
    return None if place is None else "/".join(place)


def _choices() -> list[tuple[str, str]]:
    assignable = [key for key, collection in load_catalog().collections.items() if collection.assignable]
    return sorted(((key, title_of(key)) for key in assignable), key=lambda choice: choice[1].casefold())
