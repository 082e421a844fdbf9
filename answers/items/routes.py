"""The pages of a tenant's inventory: the list, what is missing, and one item with its versions."""

from typing import Annotated, NamedTuple

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse

from answers.coverage.answer import tenant_coverage
from answers.items import answer
from answers.items.records import ItemsBasis, UnreadCollection
from answers.pages import grouped
from answers.search.answer import Sought
from answers.versions import answer as versions
from answers.versions.answer import ComparedVersions
from graph.catalog import kind_of, load_catalog
from inventory.missing import EvidenceKind
from inventory.records import ItemRecord, MissingRecord, VersionRecord
from web.layout import page
from web.scope import NoSuchPageError, OneTenant

router = APIRouter()

PAGE = 100
"""Rows of a page, some 40 KB of HTML."""

LOOKED_FOR = (EvidenceKind.CONFIRMED, EvidenceKind.NOT_LISTED)

TypeKey = Annotated[str | None, Query(alias="type", description="Only this collection.", max_length=100)]
After = Annotated[
    str, Query(description="Go on after this item, TYPE/ID: the last one of the page before.", max_length=2000)
]
Words = Annotated[str, Query(alias="name", description="Words that the name has.", max_length=200)]
Number = Annotated[int | None, Query(ge=1, le=1_000_000)]


class ListPage(NamedTuple):
    """One page of items by collection; `after` is where the next page begins, None on the last one."""

    collections: list[tuple[str, list[ItemRecord]]]
    after: str | None


@router.get("/tenants/{tenant_id}/items", response_class=HTMLResponse, include_in_schema=False)
async def items_page(
    request: Request, scope: OneTenant, type_key: TypeKey = None, name: Words = "", after: After = ""
) -> HTMLResponse:
    """The inventory, or the items with these words in their names, each with its state."""
    found = await answer.items(
        scope.session, None, _chosen(type_key), sought=_sought(name), limit=PAGE + 1, after=_place(after)
    )
    shown = _page([item async for item in found.items])
    choices = [record.type_key for record in (await tenant_coverage(scope.session)).collections]
    return page(
        request,
        "items/items.html",
        tenant=scope.tenant,
        basis=found.basis,
        shown=shown,
        type_key=type_key,
        name=name,
        choices=sorted(choices, key=_title),
        title_of=_title,
        kind_of=_kind,
    )


@router.get("/tenants/{tenant_id}/missing", response_class=HTMLResponse, include_in_schema=False)
async def missing_page(request: Request, scope: OneTenant, type_key: TypeKey = None, after: After = "") -> HTMLResponse:
    """What was looked for and not found, and what was not read."""
    found = await answer.missing(
        scope.session, None, _chosen(type_key), evidence=LOOKED_FOR, limit=PAGE + 1, after=_place(after)
    )
    shown = _page([] if found is None else [item async for item in found.items])
    not_read: list[UnreadCollection] = [] if found is None else found.not_read
    basis: ItemsBasis | None = None if found is None else found.basis
    return page(
        request,
        "items/missing.html",
        tenant=scope.tenant,
        basis=basis,
        shown=shown,
        not_read=not_read,
        type_key=type_key,
        title_of=_title,
        kind_of=_kind,
    )


@router.get(
    "/tenants/{tenant_id}/items/{type_key}/{external_id:path}", response_class=HTMLResponse, include_in_schema=False
)
async def item_page(
    request: Request,
    scope: OneTenant,
    type_key: str,
    external_id: str,
    version: Number = None,
    older: Annotated[int | None, Query(alias="from", ge=1, le=1_000_000)] = None,
) -> HTMLResponse:
    """One item: its state, its document, its versions, and the difference of two of them."""
    history = await versions.history(scope.session, type_key, external_id)
    if not history:
        raise NoSuchPageError("this tenant's inventory has no document of such an item")
    shown, document = await versions.show(scope.session, type_key, external_id, version)
    compared = await _compared(scope, history, shown.version, older)
    return page(
        request,
        "items/item.html",
        tenant=scope.tenant,
        item=shown,
        lines=await versions.readable(scope.session, type_key, document),
        history=history,
        compared=compared,
        title_of=_title,
    )


@router.get("/api/tenants/{tenant_id}/items")
async def item_records(
    scope: OneTenant,
    type_key: TypeKey = None,
    name: Words = "",
    after: After = "",
    limit: Annotated[int, Query(ge=1, le=1000)] = PAGE,
) -> list[ItemRecord]:
    """Items by type key and id."""
    found = await answer.items(
        scope.session, None, _chosen(type_key), sought=_sought(name), limit=limit, after=_place(after)
    )
    return [item async for item in found.items]


@router.get("/api/tenants/{tenant_id}/missing")
async def missing_records(
    scope: OneTenant, type_key: TypeKey = None, after: After = "", limit: Annotated[int, Query(ge=1, le=1000)] = PAGE
) -> list[MissingRecord]:
    """Missing items, also of collections that were not read; empty before any completed run."""
    found = await answer.missing(scope.session, None, _chosen(type_key), limit=limit, after=_place(after))
    return [] if found is None else [item async for item in found.items]


@router.get("/api/tenants/{tenant_id}/versions/{type_key}/{external_id:path}")
async def version_records(scope: OneTenant, type_key: str, external_id: str) -> list[VersionRecord]:
    """The versions of an item that are kept, newest first."""
    return await versions.history(scope.session, type_key, external_id)


async def _compared(
    scope: OneTenant, history: list[VersionRecord], number: int, older: int | None
) -> ComparedVersions | None:
    """The shown version and an older one, by default its predecessor; None where there is none."""
    kept = [version.version for version in history if version.version < number]
    before = older if older is not None else max(kept, default=None)
    if before is None:
        return None
    first = history[0]
    return await versions.compare(scope.session, first.type_key, first.external_id, before, number)


def _chosen(type_key: str | None) -> list[str] | None:
    return [type_key] if type_key else None


def _sought(name: str) -> Sought | None:
    return Sought(words=name) if name.strip() else None


def _place(after: str) -> tuple[str, str]:
    """The type key and id of a place in the list. Raises `NoSuchPageError`."""
    if not after:
        return "", ""
    type_key, slash, external_id = after.partition("/")
    if not slash:
        raise NoSuchPageError("a place in the list is TYPE/ID")
    return type_key, external_id


def _page(items: list[ItemRecord]) -> ListPage:
    shown = items[:PAGE]
    after = f"{shown[-1].type_key}/{shown[-1].external_id}" if len(items) > PAGE else None
    return ListPage(grouped(shown, lambda item: item.type_key), after)


def _title(type_key: str) -> str:
    collection = load_catalog().collections.get(type_key)
    return type_key if collection is None else collection.title


def _kind(item: ItemRecord) -> str:
    """The kind, where it says more than the collection's title does."""
    kind = kind_of(item.type_key, item.meta)
    return "" if kind == _title(item.type_key) else kind
