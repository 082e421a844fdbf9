from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Form, Query, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from sqlalchemy.ext.asyncio import AsyncSession

from answers.item_kinds import title_of
from answers.notifications.outbox import end_snooze, notifications, snooze, snoozes
from answers.notifications.records import (
    NotificationPlace,
    NotificationRecord,
    PlacedNotification,
    SnoozeRecord,
)
from answers.times import typed_time
from graph.catalog import load_catalog
from inventory.notifications import NotificationKind, NotificationState
from inventory.people import Action
from inventory.user_errors import UserError
from web.acts import recorded
from web.addresses import query_with
from web.forms import ConfirmedOnce, Why, typed
from web.layout import page
from web.roles import Operator
from web.scope import AllTenants, OneTenant, TenantScope, TenantToChange
from web.twins import MOST_ROWS, Limit, TooManyRowsError, csv_file, say_next

router = APIRouter()

PAGE = 100

OF_TENANT = "/tenants/{tenant_id}/notifications"

ShortField = Annotated[str, Form(max_length=200)]


class SnoozeFormError(UserError):
    """A field of the snooze form, or a list's place, is invalid."""


def _after(
    after: Annotated[str, Query(max_length=300, description="Go on after this one: the last one before.")] = "",
) -> NotificationPlace | None:
    if not after:
        return None
    try:
        noted_at, tenant_id, target, event_hash = after.split("/")
        place = NotificationPlace(
            datetime.fromisoformat(noted_at).astimezone(UTC), UUID(tenant_id), target, bytes.fromhex(event_hash).hex()
        )
    except (ValueError, OverflowError):
        raise SnoozeFormError("after is no notification of this list; begin at its first page") from None
    return place


After = Annotated[NotificationPlace | None, Depends(_after)]
State = Annotated[NotificationState | Literal[""], Query(description="Only what has this state.")]


@router.get("/notifications", response_class=HTMLResponse, include_in_schema=False)
async def all_notifications_page(request: Request, scope: AllTenants, after: After, state: State = "") -> HTMLResponse:
    found = await notifications(scope.session, PAGE + 1, state or None, after)
    return _page(request, found, state, names=scope.tenants.names(), snoozed=[])


@router.get(OF_TENANT, response_class=HTMLResponse, include_in_schema=False)
async def notifications_page(request: Request, scope: OneTenant, after: After, state: State = "") -> HTMLResponse:
    found = await notifications(scope.session, PAGE + 1, state or None, after)
    return _page(
        request, found, state, names={}, snoozed=await snoozes(scope.session), tenant=scope.tenant,
        kinds=list(NotificationKind),
        collections=sorted(
            ((title_of(key), key) for key in load_catalog().collections), key=lambda choice: choice[0].casefold()
        ),
    )  # fmt: skip


def _page(
    request: Request,
    placed_records: Sequence[PlacedNotification],
    state: NotificationState | Literal[""],
    **context: Any,
) -> HTMLResponse:
    return page(
        request,
        "notifications/notifications.html",
        notifications=[placed.record for placed in placed_records[:PAGE]],
        state=state,
        states=list(NotificationState),
        title_of=title_of,
        is_from_start="after" not in request.query_params,
        next_query=query_with(request, after=_named(placed_records[PAGE - 1])) if placed_records[PAGE:] else None,
        **context,
    )


def _named(placed: PlacedNotification) -> str:
    place = placed.place
    return f"{place.noted_at.isoformat()}/{place.tenant_id}/{place.target}/{place.event_hash}"


async def _records(
    request: Request, response: Response, session: AsyncSession, limit: int, state: str, after: NotificationPlace | None
) -> Sequence[NotificationRecord]:
    chosen_state = NotificationState(state) if state else None
    found = await notifications(session, limit + 1, chosen_state, after)
    say_next(response, request, _named(found[limit - 1]) if found[limit:] else None)
    return [placed.record for placed in found[:limit]]


@router.get("/api/notifications")
async def all_notification_records(
    request: Request, response: Response, scope: AllTenants, after: After, state: State = "", limit: Limit = PAGE
) -> Sequence[NotificationRecord]:
    """The newest notifications of all tenants."""
    return await _records(request, response, scope.session, limit, state, after)


@router.get(f"/api{OF_TENANT}")
async def notification_records(
    request: Request, response: Response, scope: OneTenant, after: After, state: State = "", limit: Limit = PAGE
) -> Sequence[NotificationRecord]:
    """The newest notifications of a tenant."""
    return await _records(request, response, scope.session, limit, state, after)


@router.get("/notifications.csv", include_in_schema=False)
async def all_notifications_csv(scope: AllTenants, state: State = "") -> Response:
    return await _csv(scope.session, state)


@router.get(f"{OF_TENANT}.csv", include_in_schema=False)
async def notifications_csv(scope: OneTenant, state: State = "") -> Response:
    return await _csv(scope.session, state)


async def _csv(session: AsyncSession, state: str) -> Response:
    placed_records = await notifications(session, MOST_ROWS + 1, NotificationState(state) if state else None, None)
    if placed_records[MOST_ROWS:]:
        raise TooManyRowsError(
            f"the file would have more than {MOST_ROWS:,} rows; choose a state, or read a tenant's own"
        )
    return csv_file("notifications", NotificationRecord, [placed.record for placed in placed_records])


@router.get("/api/tenants/{tenant_id}/snoozes")
async def snooze_records(scope: OneTenant) -> Sequence[SnoozeRecord]:
    """The snoozes of a tenant, the first to end first."""
    return await snoozes(scope.session)


@router.get("/tenants/{tenant_id}/snoozes.csv", include_in_schema=False)
async def snoozes_csv(scope: OneTenant) -> Response:
    return csv_file("snoozes", SnoozeRecord, await snoozes(scope.session))


@router.post("/tenants/{tenant_id}/snoozes", include_in_schema=False)
async def begin_snooze(
    scope: TenantToChange,
    person: Operator,
    once: ConfirmedOnce,
    until: ShortField,
    reason: Why,
    kind: Annotated[NotificationKind | Literal[""], Form()] = "",
    type_key: Annotated[str, Form(alias="type", max_length=100)] = "",
    item: ShortField = "",
) -> RedirectResponse:
    moment = typed_time(until, datetime.now(UTC), UTC, is_ahead=True)
    if moment is None:
        raise SnoozeFormError(f"{until!r} is not a time; write friday, 30d, 2026-06-30 or ISO 8601")
    if type_key and type_key not in load_catalog().collections:
        raise SnoozeFormError(f"there is no collection {type_key!r}")
    why, external_id = typed(reason, "reason") or "", typed(item, "item")
    about = " ".join(filter(None, [kind, type_key, external_id])) or "all events"
    if await recorded(scope, person, Action.SNOOZED, f"{about} until {moment.ends.isoformat()}", once, why):
        await snooze(
            scope.session, moment.ends, why, person.name,
            kind=kind or None, type_key=type_key or None, external_id=external_id,
        )  # fmt: skip
    return _back(scope)


@router.post("/tenants/{tenant_id}/snoozes/end", include_in_schema=False)
async def end_a_snooze(
    scope: TenantToChange, person: Operator, once: ConfirmedOnce, snooze_id: Annotated[UUID, Form()]
) -> RedirectResponse:
    """A snooze that has ended already is no error."""
    holds = snooze_id in {record.snooze_id for record in await snoozes(scope.session)}
    if holds and await recorded(scope, person, Action.SNOOZE_ENDED, str(snooze_id), once):
        await end_snooze(scope.session, str(snooze_id))
    return _back(scope)


def _back(scope: TenantScope) -> RedirectResponse:
    return RedirectResponse(f"/tenants/{scope.tenant.id}/notifications", 303)
