import re
from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import HTMLResponse
from pydantic import BeforeValidator

from answers.audit import answer
from answers.audit.answer import ActFilter
from answers.audit.records import ActRecord
from inventory.people import Action
from inventory.user_errors import UserError
from web.addresses import query_with
from web.layout import page
from web.scope import NoTenant
from web.sign_in import SignedIn
from web.twins import MOST_ROWS, csv_file, say_next

router = APIRouter()

PAGE = 100

_DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)


class AfterError(UserError):
    """The address's `after` is no act of a list."""


def _after(
    after: Annotated[str, Query(max_length=100, description="Go on after this act: the last one before.")] = "",
) -> tuple[datetime, UUID] | None:
    at, _, audit_id = after.partition("/")
    try:
        return (datetime.fromisoformat(at).astimezone(UTC), UUID(audit_id)) if after else None
    except (ValueError, OverflowError):
        raise AfterError("after is not an act of this list; begin at its first page") from None


def _is_day(value: object) -> object:
    """Refuses numbers, which pydantic would take for seconds since 1970."""
    if isinstance(value, str) and value and _DAY.fullmatch(value) is None:
        raise ValueError("not a day, such as 2026-06-30")
    return value


Day = Annotated[date | Literal[""], BeforeValidator(_is_day)]


def _act_filter(
    after: Annotated[tuple[datetime, UUID] | None, Depends(_after)],
    person: Annotated[str, Query(max_length=300, description="Only acts of the person with this id.")] = "",
    tenant: Annotated[UUID | Literal[""], Query(description="Only acts about this tenant.")] = "",
    action: Annotated[Action | Literal[""], Query(description="Only acts of this kind.")] = "",
    since: Annotated[Day, Query(description="Only acts of this day (UTC) or later.")] = "",
    until: Annotated[Day, Query(description="Only acts of this day (UTC) or earlier.")] = "",
) -> ActFilter:
    return ActFilter(
        person.strip() or None,
        tenant or None,
        action or None,
        _midnight(since) if since else None,
        _midnight(until + timedelta(days=1)) if until and until < date.max else None,
        after,
    )


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)


RequestedActs = Annotated[ActFilter, Depends(_act_filter)]


@router.get("/audit", response_class=HTMLResponse, include_in_schema=False)
async def audit_page(request: Request, scope: NoTenant, person: SignedIn, act_filter: RequestedActs) -> HTMLResponse:
    records = await answer.acts(scope.session, person, act_filter, PAGE + 1)
    return page(
        request,
        "audit/audit.html",
        acts=records[:PAGE],
        act_filter=act_filter,
        until=(act_filter.until - timedelta(days=1)).date() if act_filter.until else "",
        actions=list(Action),
        tenants_by_id=scope.tenants.names(),
        next_query=query_with(request, after=_place_of(records[PAGE - 1])) if len(records) > PAGE else None,
        csv=f"/audit.csv{query_with(request, after=None)}",
    )


@router.get("/api/audit")
async def audit_records(
    request: Request,
    response: Response,
    scope: NoTenant,
    person: SignedIn,
    act_filter: RequestedActs,
    limit: Annotated[int, Query(ge=1, le=1000, description="How many, newest first.")] = PAGE,
) -> Sequence[ActRecord]:
    """Acts of people, newest first: the person's own, or everybody's for an administrator."""
    records = await answer.acts(scope.session, person, act_filter, limit + 1)
    say_next(response, request, _place_of(records[limit - 1]) if len(records) > limit else None)
    return records[:limit]


@router.get("/audit.csv", include_in_schema=False)
async def audit_csv(scope: NoTenant, person: SignedIn, act_filter: RequestedActs) -> Response:
    """The newest acts, as many as a file holds."""
    return csv_file("audit", ActRecord, await answer.acts(scope.session, person, act_filter, MOST_ROWS))


def _place_of(act: ActRecord) -> str:
    return f"{act.at.isoformat()}/{act.audit_id}"
