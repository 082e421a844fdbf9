from collections.abc import Sequence
from functools import partial
from typing import Annotated, Literal, NamedTuple

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import HTMLResponse

from answers.coverage.answer import tenant_coverage
from answers.item_kinds import title_of, told_kind
from answers.items import answer
from answers.items.answer import MissingList
from answers.items.facets import MOST_COUNTED, Facets, facets
from answers.pages import grouped
from answers.search.answer import Sought
from graph.catalog import kinds_in
from inventory.missing import Confidence, EvidenceKind
from inventory.records import ItemRecord, MissingRecord
from web.addresses import query_with
from web.item_choice import CHOICE_ERRORS, ItemChoice, TypeKey, item_choice
from web.layout import page
from web.scope import NoSuchPageError, OneTenant, TenantScope
from web.twins import Limit, csv_file, say_next, whole_csv_file

router = APIRouter()

PAGE = 100
"""Rows on a page; some 40 KB of HTML."""

LOOKED_FOR = (EvidenceKind.CONFIRMED, EvidenceKind.NOT_LISTED)

After = Annotated[
    str, Query(description="Go on after this item, TYPE/ID: the last one of the page before.", max_length=2000)
]
Choice = Annotated[ItemChoice, Depends(item_choice)]


class MissingChoice(NamedTuple):
    """An empty parameter filters nothing."""

    type_key: str | None
    evidence: EvidenceKind | Literal[""]
    confidence: Confidence | Literal[""]


async def _missing_choice(
    type_key: TypeKey = None,
    evidence: Annotated[EvidenceKind | Literal[""], Query(description="Only items of this evidence.")] = "",
    confidence: Annotated[Confidence | Literal[""], Query(description="Only items that are missing this surely.")] = "",
) -> MissingChoice:
    return MissingChoice(type_key, evidence, confidence)


RequestedMissing = Annotated[MissingChoice, Depends(_missing_choice)]


class ListPage(NamedTuple):
    """`after`: the next page's place, None on the last one."""

    collections: list[tuple[str, list[ItemRecord]]]
    after: str | None


@router.get("/tenants/{tenant_id}/items", response_class=HTMLResponse, include_in_schema=False)
async def items_page(request: Request, scope: OneTenant, choice: Choice, after: After = "") -> HTMLResponse:
    sizes = await answer.collection_sizes(scope.session)
    try:
        item_list = await answer.items(
            scope.session, None, choice.type_keys, sought=choice.sought, limit=PAGE + 1, after=_place(after)
        )
        items, problem = [item async for item in item_list.items], ""
        sought = (choice.sought or Sought())._replace(type_keys=choice.type_keys)
        counted = await facets(scope.session, sought)
    except CHOICE_ERRORS as error:
        items, problem, counted = [], str(error), Facets([], is_cut=False)
    row_page = _page(items)
    return page(
        request,
        "items/items.html",
        tenant=scope.tenant,
        coverage=await tenant_coverage(scope.session),
        row_page=row_page,
        problem=problem,
        facets=counted,
        most_counted=MOST_COUNTED,
        choice=choice,
        chosen=[name for name, value in choice._asdict().items() if value],
        sizes=sorted(sizes, key=lambda size: title_of(size.type_key).casefold()),
        categories=answer.category_sizes(sizes),
        kinds=kinds_in(choice.type_key),
        next_query=query_with(request, after=row_page.after) if row_page.after else None,
        query_with=partial(query_with, request, after=None),
        csv=f"/tenants/{scope.tenant.id}/items.csv{query_with(request, after=None)}",
        title_of=title_of,
        kind_of=told_kind,
    )


@router.get("/tenants/{tenant_id}/missing", response_class=HTMLResponse, include_in_schema=False)
async def missing_page(
    request: Request, scope: OneTenant, missing_choice: RequestedMissing, after: After = ""
) -> HTMLResponse:
    missing_list = await _missing(scope, missing_choice, LOOKED_FOR, after, PAGE)
    row_page = _page([] if missing_list is None else [item async for item in missing_list.items])
    coverage = await tenant_coverage(scope.session)
    return page(
        request,
        "items/missing.html",
        tenant=scope.tenant,
        coverage=coverage,
        row_page=row_page,
        not_read=[] if missing_list is None else missing_list.not_read,
        **missing_choice._asdict(),
        chosen=any(missing_choice),
        choices=sorted(
            ((record.type_key, record.title) for record in coverage.collections),
            key=lambda choice: choice[1].casefold(),
        ),
        next_query=query_with(request, after=row_page.after) if row_page.after else None,
        csv=f"{request.url.path}.csv{query_with(request, after=None)}",
        title_of=title_of,
        kind_of=told_kind,
    )


@router.get("/api/tenants/{tenant_id}/items")
async def item_records(
    request: Request, response: Response, scope: OneTenant, choice: Choice, after: After = "", limit: Limit = PAGE
) -> list[ItemRecord]:
    """Items by type key and name. The tenant's `coverage` has the collections that were not read."""
    item_list = await answer.items(
        scope.session, None, choice.type_keys, sought=choice.sought, limit=limit + 1, after=_place(after)
    )
    items = [item async for item in item_list.items]
    say_next(response, request, _place_after(items, limit))
    return items[:limit]


@router.get("/tenants/{tenant_id}/items.csv", include_in_schema=False)
async def items_csv(scope: OneTenant, choice: Choice) -> Response:
    item_list = await answer.items(scope.session, None, choice.type_keys, sought=choice.sought)
    return await whole_csv_file(f"items-{scope.tenant.name}", ItemRecord, item_list.items)


@router.get("/api/tenants/{tenant_id}/missing")
async def missing_records(
    request: Request,
    response: Response,
    scope: OneTenant,
    missing_choice: RequestedMissing,
    after: After = "",
    limit: Limit = PAGE,
) -> list[MissingRecord]:
    """Missing items, also of collections that were not read; empty before any completed run."""
    missing_list = await _missing(scope, missing_choice, tuple(EvidenceKind), after, limit)
    items = [] if missing_list is None else [item async for item in missing_list.items]
    say_next(response, request, _place_after(items, limit))
    return items[:limit]


@router.get("/tenants/{tenant_id}/missing.csv", include_in_schema=False)
async def missing_csv(scope: OneTenant, missing_choice: RequestedMissing) -> Response:
    missing_list = await _missing(scope, missing_choice, LOOKED_FOR, "", None)
    if missing_list is None:
        return csv_file("missing", MissingRecord, [])
    return await whole_csv_file(f"missing-{scope.tenant.name}", MissingRecord, missing_list.items)


async def _missing(
    scope: TenantScope, choice: MissingChoice, usual: tuple[EvidenceKind, ...], after: str, limit: int | None
) -> MissingList | None:
    return await answer.missing(
        scope.session,
        None,
        [choice.type_key] if choice.type_key else None,
        evidence=(choice.evidence,) if choice.evidence else usual,
        confidence=choice.confidence or None,
        limit=None if limit is None else limit + 1,
        after=_place(after),
    )


def _place(after: str) -> tuple[str, str] | None:
    if not after:
        return None
    type_key, slash, external_id = after.partition("/")
    if not slash:
        raise NoSuchPageError("a place in the list is TYPE/ID")
    return type_key, external_id


def _page(items: list[ItemRecord]) -> ListPage:
    return ListPage(grouped(items[:PAGE], lambda item: item.type_key), _place_after(items, PAGE))


def _place_after(items: Sequence[ItemRecord], limit: int) -> str | None:
    last = items[limit - 1] if len(items) > limit else None
    return None if last is None else f"{last.type_key}/{last.external_id}"
