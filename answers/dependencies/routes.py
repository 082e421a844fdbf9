"""The pages of references. They write nothing, so name references that wait for the next run."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from enum import StrEnum
from typing import Annotated, NamedTuple
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import HTMLResponse
from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncSession

from answers.coverage.answer import tenant_coverage
from answers.dependencies import answer
from answers.dependencies.picture import picture_of
from answers.dependencies.records import (
    CannotSayRecord,
    DanglingRecord,
    DependencyRecord,
    Direction,
    ObjectRecord,
    ReachRecord,
    UnassignedRecord,
)
from answers.dependencies.tenant_coverage import TenantCoverage
from answers.dependencies.tenants_together import Question, TenantsTogether
from answers.ids import GUID
from answers.item_kinds import title_of
from answers.items.answer import UnknownItemError, find_item
from answers.oldest_listing import OldestListing, oldest_first
from answers.pages import MOST, grouped
from answers.status.answer import status
from answers.status.records import TenantStatus
from answers.unanswered_tenant import UnansweredTenant
from graph.catalog import load_catalog
from graph.tenants import TenantConfig
from inventory.coverage import NEVER_READ
from inventory.item_ids import item_key
from inventory.name_key import list_place
from web.addresses import query_with
from web.layout import page
from web.page_size import fitting_page
from web.scope import (
    EachTenant,
    OneTenant,
    TenantScope,
    TenantSessions,
)
from web.sorted_pages import After, SortedPage, sorted_page
from web.tenants_in_turn import (
    TENANTS_AT_A_TIME,
    RecordsInTurn,
    TenantRecords,
    asked_in_turn,
    by_name,
    records_in_turn,
    tenants_by_name,
)
from web.twins import Limit, say_next, whole_csv_file

router = APIRouter()

PAGE = 100
"""Rows on a page, some 50 KB of HTML."""

MAX_DEPTH = 5

NEIGHBOURS = 100
"""References of one item that a page follows."""

DRAWN = ((20, 100), (20, 50), (8, 20))
"""Objects in a column of the picture, and rows of a table; fewer if the page gets too long."""

OF_A_TENANT = 8
"""Rows of each tenant on a page over tenants."""

TypeKey = Annotated[str, Query(alias="type", description="Only references of this collection's items.", max_length=100)]
Tag = Annotated[str, Query(description="Only tenants with this tag.", max_length=64)]
AfterTenant = Annotated[str, Query(alias="after", description="Go on after the tenant of this id.", max_length=100)]
AfterInTurn = Annotated[str, Query(alias="after", description="Go on here, as the header Link says.", max_length=2100)]
ItemType = Annotated[str, Query(alias="type", description="The item's collection.", max_length=100)]
Item = Annotated[str, Query(alias="item", description="The item's id or name.", max_length=1000)]
Group = Annotated[str, Query(alias="reaches", description="A group's id or name.", max_length=1000)]
Everyone = Annotated[bool, Query(description="Also items for all users or all devices that do not name the group.")]
Depth = Annotated[int, Query(description="How many references to follow.", ge=1, le=MAX_DEPTH)]


class Neighbours(NamedTuple):
    start: ObjectRecord
    needs: list[DependencyRecord]
    needed_by: list[DependencyRecord]
    is_cut: bool
    cannot_say: list[CannotSayRecord]


class Reach(NamedTuple):
    rows: SortedPage[ReachRecord]
    reached: int
    cannot_say: list[CannotSayRecord]


Record = DanglingRecord | UnassignedRecord | answer.BasisRecord


class ReferenceQuestion(StrEnum):
    DANGLING = "dangling"
    UNASSIGNED = "unassigned"


class TenantPart(NamedTuple):
    tenant_id: UUID
    name: str
    status: TenantStatus
    rows: Sequence[DanglingRecord | UnassignedRecord]
    total: int
    cannot_say: list[CannotSayRecord]
    oldest: OldestListing | None


@router.get("/tenants/{tenant_id}/dependencies", response_class=HTMLResponse, include_in_schema=False)
async def dependencies_page(
    request: Request,
    scope: OneTenant,
    type_key: ItemType = "",
    item: Item = "",
    reaches: Group = "",
    everyone: Everyone = False,
    depth: Depth = 1,
    after: After = "",
) -> HTMLResponse:
    key, sought = (answer.GROUPS, reaches) if reaches else (type_key or answer.GROUPS, item)
    neighbours, reach, problem = None, None, ""
    if sought.strip():
        try:
            external_id = await _id_of(scope.session, key, sought.strip())
            neighbours = await _neighbours(scope, key, external_id, depth)
            if key == answer.GROUPS:
                reach = await _reach(scope, external_id, after, PAGE, everyone=everyone)
        except UnknownItemError as error:
            problem = str(error)
    around = [] if neighbours is None else [*neighbours.needed_by, *neighbours.needs]
    return fitting_page(
        request,
        "dependencies/dependencies.html",
        [
            {"drawn": neighbours and picture_of(neighbours.start, around, boxes), "most_rows": rows}
            for boxes, rows in DRAWN
        ],
        tenant=scope.tenant,
        coverage=await tenant_coverage(scope.session),
        choices=_choices(),
        type_key=key,
        item=sought,
        everyone=everyone,
        depth=depth,
        neighbourhood=neighbours,
        reach=reach,
        problem=problem,
        max_depth=MAX_DEPTH,
        neighbours_shown=NEIGHBOURS,
        open_reasons=_open_reasons([] if neighbours is None else neighbours.cannot_say),
        next_query=query_with(request, after=reach.rows.goes_on) if reach and reach.rows.goes_on else None,
        title_of=title_of,
    )


@router.get("/api/tenants/{tenant_id}/dependencies")
async def dependency_records(
    scope: OneTenant, type_key: ItemType, item: Item, depth: Depth = 1
) -> list[DependencyRecord | CannotSayRecord]:
    """Dependencies and dependants of an item, nearest first, then the unknown ones. Up to 100 of each item."""
    found = await _neighbours(scope, type_key, await _id_of(scope.session, type_key, item), depth)
    return [*found.needs, *found.needed_by, *found.cannot_say]


@router.get("/api/tenants/{tenant_id}/reach")
async def reach_records(
    request: Request,
    response: Response,
    scope: OneTenant,
    reaches: Group,
    everyone: Everyone = False,
    after: After = "",
    limit: Limit = PAGE,
) -> list[ReachRecord | CannotSayRecord]:
    """Items that reach a group, by collection and name; at the end the unknown ones."""
    group_id = await _id_of(scope.session, answer.GROUPS, reaches)
    found = await _reach(scope, group_id, after, limit, everyone=everyone)
    say_next(response, request, found.rows.goes_on)
    return [*found.rows.rows, *found.cannot_say]


def _add_tenant_routes(question: ReferenceQuestion, subject: str, record: type[BaseModel]) -> None:
    @router.get(f"/tenants/{{tenant_id}}/{question}", response_class=HTMLResponse, include_in_schema=False)
    async def list_page(request: Request, scope: OneTenant, type_key: TypeKey = "", after: After = "") -> HTMLResponse:
        return await _list_page(request, scope, question, type_key, after)

    @router.get(
        f"/api/tenants/{{tenant_id}}/{question}",
        name=f"{question}_records",
        description=f"{subject}, by collection and name of the items; at the end what is not known, and the oldest"
        " listing if the newest run did not read it.",
    )
    async def records(
        request: Request,
        response: Response,
        scope: OneTenant,
        type_key: TypeKey = "",
        after: After = "",
        limit: Limit = PAGE,
    ) -> list[Record]:
        every_record = await _records(scope.session, scope.tenant.id, question, type_key)
        records = _part([record async for record in every_record], after, limit)
        say_next(response, request, records.goes_on)
        return [*records.records]

    @router.get(f"/tenants/{{tenant_id}}/{question}.csv", include_in_schema=False)
    async def whole_csv(scope: OneTenant, type_key: TypeKey = "") -> Response:
        records = await _records(scope.session, scope.tenant.id, question, type_key)
        return await whole_csv_file(f"{question}-{scope.tenant.name}", record, records)


def _add_portfolio_routes(question: ReferenceQuestion, subject: str, record: type[BaseModel]) -> None:
    @router.get(f"/{question}", response_class=HTMLResponse, include_in_schema=False)
    async def list_page(request: Request, each: EachTenant, tag: Tag = "", after: AfterTenant = "") -> HTMLResponse:
        return await _tenants_page(request, each, question, tag, after)

    @router.get(
        f"/api/{question}",
        name=f"all_{question}_records",
        description=f"{subject}, of one tenant after the other; after each tenant's what is not known of it,"
        " and the oldest listing if the newest run did not read it; for a tenant without an answer a record that says"
        " why.",
    )
    async def records(
        request: Request,
        response: Response,
        each: EachTenant,
        type_key: TypeKey = "",
        tag: Tag = "",
        after: AfterInTurn = "",
        limit: Limit = PAGE,
    ) -> list[Record | UnansweredTenant]:
        found = await _in_turn(each, question, type_key, tag, after, limit)
        say_next(response, request, found.goes_on)
        return found.records

    @router.get(f"/{question}.csv", include_in_schema=False)
    async def whole_csv(each: EachTenant, type_key: TypeKey = "", tag: Tag = "") -> Response:
        return await whole_csv_file(f"{question}", record, _of_all(each, question, type_key, tag))


for _add_routes in (_add_tenant_routes, _add_portfolio_routes):
    _add_routes(ReferenceQuestion.DANGLING, "References to objects that are not there", DanglingRecord)
    _add_routes(ReferenceQuestion.UNASSIGNED, "Items that are assigned to nobody", UnassignedRecord)


async def _of_all(each: TenantSessions, question: ReferenceQuestion, type_key: str, tag: str) -> AsyncIterator[Record]:
    async for _, records in _of_each(each, by_name(each.tenants, tag), question, type_key, each.failures.refuse):
        for record in records:
            yield record


async def _of_each(
    each: TenantSessions,
    tenants: Sequence[TenantConfig],
    question: ReferenceQuestion,
    type_key: str,
    on_failure: Callable[[UUID, Exception], Awaitable[object]],
) -> AsyncIterator[tuple[TenantConfig, Sequence[Record]]]:
    """Many tenants share one query; those with unread references are queried alone."""
    together = TenantsTogether([tenant.id for tenant in tenants], _asked_together(question, type_key))
    for tenant in tenants:
        try:
            records = await _of_one(each, together, tenant, question, type_key)
        except Exception as error:  # noqa: BLE001 - the other tenants are asked
            await on_failure(tenant.id, error)
            continue
        yield tenant, records


async def _of_one(
    each: TenantSessions,
    together: TenantsTogether[Record],
    tenant: TenantConfig,
    question: ReferenceQuestion,
    type_key: str,
) -> Sequence[Record]:
    tenant_answer = await together.answer(each.portfolio, tenant.id)
    if tenant_answer is None:
        async with each.session_of(tenant.id) as session:
            return [record async for record in await _records(session, tenant.id, question, type_key)]
    return tenant_answer.records if tenant_answer.coverage.collections else [_unread(tenant.id)]


def _asked_together(question: ReferenceQuestion, type_key: str) -> Question[Record]:
    chosen = [type_key] if type_key else None

    async def ask(session: AsyncSession, tenants: Mapping[UUID, TenantCoverage]) -> Mapping[UUID, Sequence[Record]]:
        if question is ReferenceQuestion.DANGLING:
            return await answer.dangling_of_tenants(session, tenants, chosen)
        return await answer.unassigned_of_tenants(session, tenants, chosen)

    return ask


async def _in_turn(
    each: TenantSessions, question: ReferenceQuestion, type_key: str, tag: str, after: str, limit: int
) -> RecordsInTurn[Record | UnansweredTenant]:
    """Queries the first tenant alone, since it may fill the part, and later ones together."""
    rest = [tenant.id for tenant in asked_in_turn(each.tenants, tag, after)[1:]]
    together = TenantsTogether(rest, _asked_together(question, type_key))

    async def ask(tenant: TenantConfig, within: str, most: int) -> TenantRecords[Record]:
        return _part(await _of_one(each, together, tenant, question, type_key), within, most)

    return await records_in_turn(each.tenants, tag, after, limit, ask, each.failures)


def _part(records: Sequence[Record], after: str, limit: int) -> TenantRecords[Record]:
    found = _answer_of(records, None)
    shown = sorted_page(found.rows, _place, after, limit)
    basis = [record for record in records if isinstance(record, answer.BasisRecord)]
    return TenantRecords([*shown.rows, *basis], len(shown.rows), shown.goes_on)


class _Answer(NamedTuple):
    rows: list[DanglingRecord | UnassignedRecord]
    total: int
    cannot_say: list[CannotSayRecord]
    oldest: OldestListing | None


def _answer_of(records: Sequence[Record], most: int | None) -> _Answer:
    rows = [record for record in records if not isinstance(record, answer.BasisRecord)]
    cannot_say = [record for record in records if isinstance(record, CannotSayRecord)]
    oldest = next((record for record in records if isinstance(record, OldestListing)), None)
    return _Answer(rows[:most], len(rows), cannot_say, oldest)


async def _records(
    session: AsyncSession, tenant_id: UUID, question: ReferenceQuestion, type_key: str
) -> AsyncIterator[Record]:
    coverage = await answer.coverage_as_read(session, tenant_id)
    if not coverage.collections:
        return _nothing_known(tenant_id)
    chosen = [type_key] if type_key else None
    if question is ReferenceQuestion.DANGLING:
        return answer.dangling(session, coverage, chosen)
    return answer.unassigned(session, coverage, chosen)


async def _nothing_known(tenant_id: UUID) -> AsyncIterator[CannotSayRecord]:
    yield _unread(tenant_id)


def _unread(tenant_id: UUID) -> CannotSayRecord:
    return CannotSayRecord(tenant_id=tenant_id, type_key="", reason=NEVER_READ, references=None)


async def _list_page(
    request: Request, scope: TenantScope, question: ReferenceQuestion, type_key: str, after: str
) -> HTMLResponse:
    records = await _records(scope.session, scope.tenant.id, question, type_key)
    answer = _answer_of([record async for record in records], MOST)
    rows = sorted_page(answer.rows, _place, after, PAGE)
    return page(
        request,
        f"dependencies/{question}.html",
        tenant=scope.tenant,
        coverage=await tenant_coverage(scope.session),
        choices=_choices(),
        type_key=type_key,
        by_collection=grouped(rows.rows, _collection_of),
        total=answer.total,
        most=MOST,
        open_reasons=_open_reasons(answer.cannot_say),
        oldest=answer.oldest,
        next_query=query_with(request, after=rows.goes_on) if rows.goes_on else None,
        csv=f"{request.url.path}.csv{query_with(request, after=None)}",
        title_of=title_of,
    )


async def _tenants_page(
    request: Request, each: TenantSessions, question: ReferenceQuestion, tag: str, after: str
) -> HTMLResponse:
    chosen = tenants_by_name(each.tenants, tag, after, TENANTS_AT_A_TIME)
    tenants = chosen.tenants
    async with each.portfolio() as session:
        statuses = {answer.tenant_id: answer for answer in await status(session, [tenant.id for tenant in tenants])}
    parts = []
    async for tenant, records in _of_each(each, tenants, question, "", each.failures.add):
        answer = _answer_of(records, MOST)
        rows = sorted_page(answer.rows, _place, "", OF_A_TENANT).rows
        of_tenant = rows, answer.total, answer.cannot_say, answer.oldest
        parts.append(TenantPart(tenant.id, tenant.name, statuses[tenant.id], *of_tenant))
    return fitting_page(
        request,
        f"dependencies/all_{question}.html",
        [{"most": most} for most in (OF_A_TENANT, 3, 0)],
        parts_of_tenants=parts,
        failures=each.failures.tenants,
        names=each.tenants.names(),
        statuses=list(statuses.values()),
        oldest=oldest_first(part.oldest for part in parts),
        chosen=chosen,
        tag=tag,
        tags=each.tenants.all_tags(),
        next_query=query_with(request, after=chosen.goes_on) if chosen.goes_on else None,
        title_of=title_of,
    )


async def _neighbours(scope: TenantScope, type_key: str, external_id: str, depth: int) -> Neighbours:
    coverage = await answer.coverage_as_read(scope.session, scope.tenant.id)
    key = (type_key, external_id)
    found = await answer.neighbourhood(scope.session, coverage, key, depth=depth, most=NEIGHBOURS)
    start = await answer.item_record(scope.session, coverage, key)
    needs, needed_by = map(found.of, Direction)
    return Neighbours(start, needs, needed_by, found.is_cut, found.cannot_say)


async def _reach(scope: TenantScope, group_id: str, after: str, limit: int, *, everyone: bool) -> Reach:
    coverage = await answer.coverage_as_read(scope.session, scope.tenant.id)
    rows, cannot_say = list[ReachRecord](), list[CannotSayRecord]()
    async for record in answer.reaching(scope.session, coverage, group_id, everyone=everyone):
        if isinstance(record, ReachRecord):
            rows.append(record)
        else:
            cannot_say.append(record)
    shown = sorted_page(rows, lambda row: _place_of(row.item), after, limit)
    return Reach(shown, sum(row.reaches for row in rows), cannot_say)


async def _id_of(session: AsyncSession, type_key: str, sought: str) -> str:
    """`sought` is an id, perhaps never seen, or a name. Raises `UnknownItemError`."""
    return item_key(sought) if GUID.fullmatch(sought) else await find_item(session, type_key, sought)


def _open_reasons(records: Sequence[CannotSayRecord]) -> list[tuple[str, list[CannotSayRecord]]]:
    return grouped(records, answer.reason_in_words)


def _choices() -> list[tuple[str, str]]:
    known = load_catalog().collections.items()
    return sorted(((key, collection.title) for key, collection in known), key=lambda choice: choice[1].casefold())


def _collection_of(row: DanglingRecord | UnassignedRecord) -> str:
    return row.type_key if isinstance(row, UnassignedRecord) else row.item.type_keys[0]


def _place(row: DanglingRecord | UnassignedRecord) -> tuple[str, ...]:
    if isinstance(row, UnassignedRecord):
        return list_place(row.type_key, row.display_name, row.external_id)
    return (*_place_of(row.item), row.path, row.target.external_id)


def _place_of(end: ObjectRecord) -> tuple[str, ...]:
    return list_place(end.type_keys[0], end.display_name, end.external_id)
