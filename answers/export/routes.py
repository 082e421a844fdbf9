import asyncio
from datetime import UTC
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Form, Query, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse, StreamingResponse
from sqlalchemy.ext.asyncio import AsyncSession

from answers.coverage.answer import tenant_coverage
from answers.export import answer
from answers.export.archive import Archive
from answers.runs.answer import moment_of
from answers.times import TIME_FORMS
from graph.catalog import load_catalog
from inventory.people import Action
from storage import audit
from web.forms import ConfirmedOnce, typed
from web.layout import page
from web.roles import Operator
from web.scope import EachTenant, OneTenant, TooSlowError
from web.twins import as_download, blocks

router = APIRouter()

EXPORT_SECONDS = 120
"""The time limit of an archive, whose transaction stays open."""

STATEMENT_SECONDS = 60
"""The time limit for finding all items' versions."""


@router.get("/tenants/{tenant_id}/export", response_class=HTMLResponse, include_in_schema=False)
async def export_page(
    request: Request, scope: OneTenant, _person: Operator, used: Annotated[bool, Query()] = False
) -> HTMLResponse:
    return page(
        request,
        "export/export.html",
        tenant=scope.tenant,
        coverage=await tenant_coverage(scope.session),
        categories=load_catalog().categories(),
        used=used,
        forms=TIME_FORMS,
        minutes=EXPORT_SECONDS // 60,
    )


@router.post("/tenants/{tenant_id}/export", include_in_schema=False)
async def export(
    tenant_id: UUID,
    each: EachTenant,
    person: Operator,
    once: ConfirmedOnce,
    category: Annotated[str, Form(max_length=100)] = "",
    at: Annotated[str, Form(max_length=100)] = "",
    decoded: Annotated[bool, Form()] = False,
) -> Response:
    """Sends the archive only if the audit log records it."""
    tenant = each.named(tenant_id)
    chosen = frozenset(load_catalog().in_categories([category])) if category else None
    when = typed(at, "as of")
    subject = f"{category or 'all collections'}{f', as of {when}' if when else ''}"
    archive = Archive(tenant_id, decoded=decoded)
    try:
        async with (
            asyncio.timeout(EXPORT_SECONDS),
            each.turn(),
            each.writing_session_of(tenant_id, snapshot=True, seconds=STATEMENT_SECONDS) as session,
        ):
            if not await audit.record(
                session, person, Action.EXPORTED, tenant_id=tenant_id, subject=subject, request_id=once
            ):
                archive.discard()
                return RedirectResponse(f"/tenants/{tenant_id}/export?used=true", 303)
            basis = await _export(session, when, chosen, archive)
        file = archive.close(basis)
    except TimeoutError:
        archive.discard()
        raise TooSlowError(
            f"the archive was not written within {EXPORT_SECONDS // 60} minutes; choose a category, or use"
            " python starter.py export"
        ) from None
    except BaseException:
        archive.discard()
        raise
    headers = as_download(f"{tenant.name}{f'-{category}' if category else ''}.zip")
    return StreamingResponse(blocks(file), media_type="application/zip", headers=headers)


async def _export(
    session: AsyncSession, when: str | None, type_keys: frozenset[str] | None, archive: Archive
) -> answer.ExportBasis:
    moment = None if when is None else await moment_of(session, when, UTC)
    return await answer.export(session, moment, type_keys, archive.keep)
