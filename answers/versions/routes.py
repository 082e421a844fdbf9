from collections.abc import Iterator, Sequence
from itertools import accumulate, takewhile
from typing import Annotated, Any, NamedTuple

import orjson
from fastapi import APIRouter, Form, Query, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse

from answers.assignments.answer import NothingAssignableError, assignments
from answers.assignments.records import ItemAssignment
from answers.changes.answer import authors
from answers.dependencies.answer import coverage_as_read, neighbourhood, reason_in_words
from answers.dependencies.records import DependencyRecord, Direction
from answers.drift.answer import drift_of_item
from answers.item_kinds import title_of
from answers.page_values import visible
from answers.pages import grouped
from answers.versions import answer
from answers.versions.answer import ComparedVersions
from answers.versions.records import DifferenceRecord, not_compared_in_words, version_in_words
from graph.catalog import load_catalog
from inventory.people import Action
from inventory.records import VersionRecord
from web.acts import recorded
from web.forms import ConfirmedOnce, Why
from web.page_size import fitting_page
from web.roles import Approver
from web.scope import NoSuchPageError, OneTenant, TenantScope, TenantToChange
from web.site import item_path
from web.twins import as_download, csv_file

router = APIRouter()

VERSIONS = 50
"""Versions on the page; `/api` has all."""

NEIGHBOURS = 25
"""References in each direction that the page shows."""

ATTEMPTS = tuple(
    {"most_bytes": size, "most_fields": fields, "most_lines": lines, "most": most}
    for size, fields, lines, most in (
        (30_000, 40, 40, VERSIONS),
        (10_000, 20, 20, 20),
        (3_000, 8, 8, 10),
        (800, 3, 3, 5),
    )
)
"""The page shows less if it gets too long."""

LONGEST_LINE = 2_000
"""Characters shown of a document's line."""

Number = Annotated[int | None, Query(ge=1, le=1_000_000)]
Older = Annotated[int | None, Query(alias="from", ge=1, le=1_000_000, description="By default the one before.")]

ITEM = "{type_key}/{external_id:path}"


class ItemNeighbours(NamedTuple):
    """`unknown`: where more may be, in words."""

    needs: list[DependencyRecord]
    needed_by: list[DependencyRecord]
    is_cut: bool
    unknown: list[tuple[str, int]]


@router.get("/tenants/{tenant_id}/items/" + ITEM, response_class=HTMLResponse, include_in_schema=False)
async def item_page(
    request: Request, scope: OneTenant, type_key: str, external_id: str, version: Number = None, older: Older = None
) -> HTMLResponse:
    history = await answer.history(scope.session, type_key, external_id)
    if not history:
        raise NoSuchPageError("this tenant's inventory has no document of such an item")
    record, document = await answer.show(scope.session, type_key, external_id, version)
    compared = await _compared(scope, history, record.version, older)
    lines = [visible(line)[:LONGEST_LINE] for line in await answer.readable(scope.session, type_key, document)]
    return fitting_page(
        request,
        "versions/item.html",
        ATTEMPTS,
        tenant=scope.tenant,
        item=record,
        lines=lines,
        first_lines=_first_lines,
        size=len(document),
        history=history,
        compared=compared,
        authors=await authors(scope.session, type_key, external_id, history[: VERSIONS + 1]),
        assignments=await _assignments(scope, type_key, external_id),
        findings=await drift_of_item(scope.session, scope.tenant.id, type_key, external_id),
        around=await _around(scope, type_key, external_id),
        title_of=title_of,
        version_in_words=version_in_words,
        not_compared_in_words=not_compared_in_words,
    )


@router.get("/tenants/{tenant_id}/documents/" + ITEM, include_in_schema=False)
async def document_file(scope: OneTenant, type_key: str, external_id: str, version: Number = None) -> Response:
    """The document as it is stored."""
    shown, document = await answer.show(scope.session, type_key, external_id, version)
    headers = as_download(f"{type_key}-{external_id}-{shown.version}.json")
    return Response(document, media_type="application/json", headers=headers)


@router.get("/api/tenants/{tenant_id}/documents/" + ITEM, response_class=JSONResponse, response_model=dict[str, Any])
async def document_record(scope: OneTenant, type_key: str, external_id: str, version: Number = None) -> Response:
    """A version of an item, by default the current one, with its document."""
    shown, document = await answer.show(scope.session, type_key, external_id, version)
    record = {**shown.model_dump(mode="json"), "document": orjson.Fragment(document)}
    return Response(orjson.dumps(record), media_type="application/json")


@router.get("/api/tenants/{tenant_id}/versions/" + ITEM)
async def version_records(scope: OneTenant, type_key: str, external_id: str) -> list[VersionRecord]:
    """The kept versions of an item, newest first."""
    return await answer.history(scope.session, type_key, external_id)


@router.get("/tenants/{tenant_id}/versions.csv/" + ITEM, include_in_schema=False)
async def versions_csv(scope: OneTenant, type_key: str, external_id: str) -> Response:
    return csv_file("versions", VersionRecord, await version_records(scope, type_key, external_id))


@router.get(
    "/api/tenants/{tenant_id}/differences/" + ITEM, response_class=JSONResponse, response_model=list[DifferenceRecord]
)
async def difference_records(
    scope: OneTenant, type_key: str, external_id: str, version: Number = None, older: Older = None
) -> Response:
    """Fields that differ between two versions, by default the current one and the one before."""
    compared = await answer.compare(scope.session, type_key, external_id, older, version)
    rows = [] if compared is None else [answer.with_all_digits(found) for found in compared.differences]
    return Response(b"[" + b",".join(rows) + b"]", media_type="application/json")


@router.post("/tenants/{tenant_id}/pins/" + ITEM, include_in_schema=False)
async def pin(
    scope: TenantToChange,
    person: Approver,
    once: ConfirmedOnce,
    type_key: str,
    external_id: str,
    version: Annotated[int, Form(ge=1, le=1_000_000)],
    reason: Why,
) -> RedirectResponse:
    subject = f"version {version} of {type_key} {external_id}"
    if await recorded(scope, person, Action.PINNED, subject, once, reason):
        await answer.pin(scope.session, type_key, external_id, version, person.name, reason)
    return _to_item(scope, type_key, external_id, version)


@router.post("/tenants/{tenant_id}/unpins/" + ITEM, include_in_schema=False)
async def unpin(
    scope: TenantToChange,
    person: Approver,
    once: ConfirmedOnce,
    type_key: str,
    external_id: str,
    version: Annotated[int, Form(ge=1, le=1_000_000)],
) -> RedirectResponse:
    subject = f"version {version} of {type_key} {external_id}"
    if await recorded(scope, person, Action.UNPINNED, subject, once):
        await answer.unpin(scope.session, type_key, external_id, version, person.name)
    return _to_item(scope, type_key, external_id, version)


async def _compared(
    scope: TenantScope, history: Sequence[VersionRecord], number: int, older: int | None
) -> ComparedVersions | None:
    kept = [version.version for version in history if version.version < number]
    before = older if older is not None else max(kept, default=None)
    if before is None:
        return None
    first = history[0]
    return await answer.compare(scope.session, first.type_key, first.external_id, before, number)


def _first_lines(lines: Sequence[str], most_bytes: int) -> Iterator[str]:
    sizes = accumulate(len(line.encode()) + 1 for line in lines)
    fitting = sum(1 for _ in takewhile(lambda size: size <= most_bytes, sizes))
    yield from lines[: max(1, fitting)]


async def _assignments(scope: TenantScope, type_key: str, external_id: str) -> list[ItemAssignment] | None:
    """None if the item cannot be assigned, or its assignments are unknown."""
    collection = load_catalog().collections.get(type_key)
    if collection is None or not collection.assignable:
        return None
    try:
        found = assignments(scope.session, scope.tenant.id, external_id, [type_key])
        records = [record async for record in found if isinstance(record, ItemAssignment)]
    except NothingAssignableError:
        return None
    return [record for record in records if record.external_id == external_id] or None


async def _around(scope: TenantScope, type_key: str, external_id: str) -> ItemNeighbours:
    coverage = await coverage_as_read(scope.session, scope.tenant.id)
    item = (type_key, external_id)
    found = await neighbourhood(scope.session, coverage, item, most=NEIGHBOURS)
    it_needs, needs_it = map(found.of, Direction)
    reasons = grouped(found.cannot_say, reason_in_words)
    return ItemNeighbours(it_needs, needs_it, found.is_cut, [(reason, len(records)) for reason, records in reasons])


def _to_item(scope: TenantScope, type_key: str, external_id: str, version: int) -> RedirectResponse:
    return RedirectResponse(f"{item_path(scope.tenant.id, type_key, external_id)}?version={version}#versions", 303)
