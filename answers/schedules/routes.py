from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated, Literal, NamedTuple
from urllib.parse import urlencode
from uuid import UUID

from fastapi import APIRouter, Depends, Form, Query, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from temporalio.client import Client

from answers.schedules.rules import Rights, StartTimes, rights, timing
from control.durations import in_short
from control.live_runs import PAGE_WAITS_SECONDS
from control.progress import no_worker
from control.schedules import (
    CATCH_UP,
    ScheduleRecord,
    Schedules,
    StoredSchedule,
    UnknownScheduleError,
    catch_up_window,
    schedule_spec,
    valid_name,
)
from inventory.bounds import TENANTS_AT_ONCE
from inventory.people import Action
from inventory.portfolio import TenantChoice
from inventory.user_errors import UnavailableError, UserError
from web.acts import Act, carry_out
from web.forms import ConfirmedOnce, Once, Reason, typed
from web.layout import page
from web.roles import Operator
from web.scope import NoSuchPageError, TheSite, Visible, name_for
from web.selection_form import FormSelection, selection_choices
from web.site import Site
from web.temporal import ANSWER_SECONDS
from web.twins import csv_file
from workflows.messages import PortfolioInput

router = APIRouter()

Name = Annotated[str, Form(max_length=100)]
ShortField = Annotated[str, Form(max_length=200)]


class NotTheirsError(UserError):
    """The person may not choose these tenants, or change this schedule."""


class ScheduleAct(StrEnum):
    """Acts on a schedule, beside changing it."""

    PAUSE = "pause"
    RESUME = "resume"
    TRIGGER = "trigger"
    DELETE = "delete"


class ShownSchedule(NamedTuple):
    record: ScheduleRecord
    may_change: bool


class ScheduleView:
    def __init__(self, site: TheSite, visible: Visible) -> None:
        self._configured = site.tenants()
        self._task_queue = site.settings.temporal_task_queue
        self._visible = visible
        self.sees_all = len(visible) == len(self._configured)
        self.name_of = name_for(visible, site)

    def schedules(self, client: Client) -> Schedules:
        return Schedules(client, self._task_queue, self.name_of)

    def rights(self, chosen: TenantChoice) -> Rights:
        covered = chosen.resolve(self._configured.tags())
        return rights(chosen, covered, {tenant.id for tenant in self._visible}, sees_all=self.sees_all)

    def visible(self, stored: StoredSchedule) -> ShownSchedule | None:
        """None if the person may not see it."""
        allowed = self.rights(stored.input.chosen)
        return ShownSchedule(stored.record, allowed.may_change) if allowed.may_see else None


View = Annotated[ScheduleView, Depends()]


@router.get("/schedules", response_class=HTMLResponse, include_in_schema=False)
async def schedules_page(request: Request, view: View, site: TheSite) -> HTMLResponse:
    """Shows no schedule if Temporal does not answer soon."""
    stored, left_out, trouble, silence = list[StoredSchedule](), list[str](), None, ""
    try:
        async with site.temporal.answering(PAGE_WAITS_SECONDS) as client:
            trouble = await no_worker(client, site.settings.temporal_task_queue)
        async with site.temporal.answering() as client:  # Each schedule is a question.
            stored, left_out = await view.schedules(client).all()
    except UnavailableError as error:
        silence = str(error)
    shown = [schedule for found in stored if (schedule := view.visible(found)) is not None]
    return page(
        request, "schedules/schedules.html", schedules=shown, left_out=left_out, trouble=trouble, silence=silence
    )


@router.get("/api/schedules")
async def schedule_records(view: View, site: TheSite) -> Sequence[ScheduleRecord]:
    """The schedules, by name."""
    async with site.temporal.answering() as client:
        stored, _ = await view.schedules(client).all()
    return [schedule.record for found in stored if (schedule := view.visible(found)) is not None]


@router.get("/schedules.csv", include_in_schema=False)
async def schedules_csv(view: View, site: TheSite) -> Response:
    return csv_file("schedules", ScheduleRecord, await schedule_records(view, site))


@router.get("/schedules/edit", response_class=HTMLResponse, include_in_schema=False)
async def schedule_form(
    request: Request,
    view: View,
    visible: Visible,
    _person: Operator,
    site: TheSite,
    name: Annotated[str, Query(max_length=100, description="The schedule to change; none makes a new one.")] = "",
) -> HTMLResponse:
    stored = await _stored(site, view, name, PAGE_WAITS_SECONDS) if name else None
    schedule = None if stored is None else view.visible(stored)
    return page(
        request,
        "schedules/edit.html",
        schedule=schedule,
        input=None if stored is None else stored.input,
        timing=StartTimes() if stored is None else _timing(stored),
        time_zone="" if stored is None else stored.spec.time_zone_name or "",
        choices=selection_choices(None if stored is None else stored.input.selection),
        tenants=sorted(visible, key=lambda tenant: tenant.name.casefold()),
        tags=visible.all_tags(),
        sees_all=view.sees_all,
        catch_up=CATCH_UP,
        most_at_once=TENANTS_AT_ONCE,
    )


def _timing(stored: StoredSchedule) -> StartTimes:
    spec = stored.spec
    comment = next((calendar.comment or "" for calendar in spec.calendars), "")
    return timing(in_short(spec.intervals[0].every) if spec.intervals else None, comment)


async def _stored(
    site: Site, view: ScheduleView, name: str, seconds: float = ANSWER_SECONDS, *, to_change: bool = False
) -> StoredSchedule:
    async with site.temporal.answering(seconds) as client:
        try:
            stored = await view.schedules(client).stored(valid_name(name))
        except UnknownScheduleError:
            raise NoSuchPageError(f"there is no schedule {name!r}") from None
    allowed = view.rights(stored.input.chosen)
    if not allowed.may_see:
        raise NoSuchPageError(f"there is no schedule {name!r}")
    if to_change and not allowed.may_change:
        raise NotTheirsError("this schedule also reads tenants that are not yours; ask somebody who sees all tenants")
    return stored


def _tenants(
    view: View,
    visible: Visible,
    whom: Annotated[Literal["everyone", "some"], Form()],
    tags: Annotated[list[str], Form(alias="tag", max_length=1000)] = [],  # noqa: B006 - FastAPI copies it
    tenant_ids: Annotated[list[UUID], Form(alias="tenant", max_length=10_000)] = [],  # noqa: B006 - FastAPI copies it
) -> TenantChoice:
    if whom == "everyone":
        chosen = TenantChoice(everyone=True)
    elif not tags and not tenant_ids:
        raise NotTheirsError("choose all tenants, or some by name or tag")
    else:
        if unknown := set(tags) - {tag for tenant in visible for tag in tenant.tags}:
            raise NotTheirsError(f"no tenant of yours has the tag {min(unknown)!r}")
        chosen = TenantChoice(tenant_ids=tuple(tenant_ids), tags=tuple(tags))
    if not view.rights(chosen).may_change or any(visible.get(tenant_id) is None for tenant_id in tenant_ids):
        raise NotTheirsError("you see some tenants only, so choose tenants of yours by name")
    return chosen


def label(field: str) -> str:
    return {"every": "Interval", "calendar": "Time of day", "cron": "Cron", "jitter": "Random delay"}.get(
        field, field.replace("-", " ").capitalize()
    )


@router.post("/schedules", include_in_schema=False)
async def save(
    view: View,
    person: Operator,
    site: TheSite,
    selection: FormSelection,
    chosen: Annotated[TenantChoice, Depends(_tenants)],
    once: Once,
    reason: Reason,
    name: Name,
    how: Annotated[Literal["every", "calendar", "cron"], Form()],
    every: ShortField = "",
    calendar: ShortField = "",
    cron: ShortField = "",
    time_zone: ShortField = "",
    jitter: ShortField = "0s",
    catch_up: ShortField = CATCH_UP,
    at_once: Annotated[int | Literal[""], Form()] = "",
    note: Annotated[str, Form()] = "",
    deep: Annotated[bool, Form()] = False,
    is_new: Annotated[bool, Form()] = False,
) -> RedirectResponse:
    valid_name(name)
    if not is_new:
        await _stored(site, view, name, to_change=True)
    times = {"every": every.strip(), "calendar": calendar.strip(), "cron": cron.strip()}
    chosen_times = {field: times[field] if field == how else None for field in times}
    zone = time_zone.strip() or None
    spec = schedule_spec(chosen_times["every"], chosen_times["cron"], chosen_times["calendar"], zone, jitter, label)
    if at_once != "" and not 1 <= at_once <= TENANTS_AT_ONCE:
        raise NotTheirsError(f"tenants at a time: write a number from 1 to {TENANTS_AT_ONCE}")
    portfolio_input = PortfolioInput(
        selection=selection, chosen=chosen, deep=deep, at_once=None if at_once == "" else at_once, schedule=name
    )
    window = catch_up_window(catch_up, label)
    kept_note = typed(note, "note") or ("" if not is_new else None)

    async def request(client: Client) -> None:
        schedules = view.schedules(client)
        if is_new:
            await schedules.refuse_existing(name)
        await schedules.keep(name, portfolio_input, spec, window, kept_note)

    subject = f"schedule {name}: {'made' if is_new else 'changed'}"
    await carry_out(site, Act(person, Action.SCHEDULE_CHANGED, subject, once, reason), request)
    return RedirectResponse("/schedules", 303)


@router.post("/schedules/act", include_in_schema=False)
async def act(
    view: View,
    person: Operator,
    site: TheSite,
    once: ConfirmedOnce,
    reason: Reason,
    name: Name,
    act: Annotated[ScheduleAct, Form()],
) -> RedirectResponse:
    await _stored(site, view, name, to_change=True)

    async def request(client: Client) -> None:
        schedules = view.schedules(client)
        match act:
            case ScheduleAct.PAUSE:
                await schedules.pause(name, reason)
            case ScheduleAct.RESUME:
                await schedules.resume(name, reason)
            case ScheduleAct.TRIGGER:
                await schedules.trigger(name)
            case ScheduleAct.DELETE:
                await schedules.delete(name)

    action = Action.SCHEDULE_DELETED if act is ScheduleAct.DELETE else Action.SCHEDULE_CHANGED
    await carry_out(site, Act(person, action, f"schedule {name}: {act}", once, reason), request)
    is_gone = act is ScheduleAct.DELETE
    return RedirectResponse("/schedules" if is_gone else f"/schedules/edit?{urlencode({'name': name})}", 303)
