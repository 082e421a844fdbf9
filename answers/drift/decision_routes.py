"""The pages of decisions about drift."""

from collections.abc import Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated

from fastapi import APIRouter, Form, Query, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse

from answers.drift.answer import findings_called
from answers.drift.decision_scope import LONGEST_FIELD, DecisionScope
from answers.drift.decisions import (
    UnknownFindingError,
    decide_findings,
    decide_scope,
    decided_scope,
    decisions,
)
from answers.drift.records import DriftDecisionRecord
from answers.drift.routes import by_item
from answers.drift.rules import Decision, NewDecision
from answers.drift.triage import weakens
from answers.times import typed_time
from inventory.people import Action
from inventory.plurals import counted
from inventory.user_errors import UserError
from web.acts import recorded
from web.forms import ConfirmedOnce, Why
from web.layout import page
from web.roles import Approver
from web.scope import OneTenant, TenantScope, TenantToChange
from web.twins import Limit, csv_file

router = APIRouter()

MOST_FINDINGS = 100

PAGE = 100

Fingerprint = Annotated[str, Query(pattern="^[0-9a-f]{64}$")]
After = Annotated[int, Query(ge=0, le=1_000_000, description="Leave out so many, the latest ones.")]
Everything = Annotated[bool, Query(alias="all", description="Also what was taken back or replaced.")]


class DecisionSubject(StrEnum):
    """The ticked findings, their items, or a field in their collections."""

    FINDINGS = "findings"
    ITEMS = "items"
    FIELD = "field"


class UndecidedError(UserError):
    """The form is incomplete or has an unreadable time."""


@router.get("/tenants/{tenant_id}/drift/decide", response_class=HTMLResponse, include_in_schema=False)
async def decide_page(
    request: Request,
    scope: OneTenant,
    _person: Approver,
    fingerprints: Annotated[list[Fingerprint], Query(alias="finding", max_length=MOST_FINDINGS)] = [],  # noqa: B006
) -> HTMLResponse:
    if not fingerprints:
        raise UndecidedError("no finding is ticked; go back and tick those that you decide about")
    found = await findings_called(scope.session, scope.tenant.id, fingerprints)
    if not found:
        raise UnknownFindingError("none of these findings deviates any more")
    shown = {"found": found, "by_item": by_item, "weakens": weakens, "most": LONGEST_FIELD}
    return page(request, "drift/decide.html", tenant=scope.tenant, **shown)


@router.post("/tenants/{tenant_id}/drift/decisions", include_in_schema=False)
async def decide(
    scope: TenantToChange,
    person: Approver,
    once: ConfirmedOnce,
    fingerprints: Annotated[list[Fingerprint], Form(alias="finding", min_length=1, max_length=MOST_FINDINGS)],
    decision: Annotated[Decision, Form()],
    reason: Why,
    subject: Annotated[DecisionSubject, Form(alias="about")] = DecisionSubject.FINDINGS,
    field: Annotated[str, Form(max_length=LONGEST_FIELD)] = "",
    until: Annotated[str, Form(max_length=100)] = "",
) -> RedirectResponse:
    if decision is Decision.OPEN:
        raise UndecidedError("a decision is taken back where decisions are listed")
    new = NewDecision(decision, person.name, reason, _end(until))
    found = await findings_called(scope.session, scope.tenant.id, fingerprints)
    if not found:
        raise UnknownFindingError("none of these findings deviates any more")
    items = {(finding.type_key, finding.external_id): finding.display_name for finding in found}
    scopes: list[DecisionScope] = []
    if subject is DecisionSubject.ITEMS:
        scopes = [DecisionScope(type_key=type_key, external_id=external_id) for type_key, external_id in items]
    elif subject is DecisionSubject.FIELD:
        if not field.strip():
            raise UndecidedError("the pattern of a field is empty; settings.* is all within settings")
        scopes = [DecisionScope(type_key=type_key, field=field.strip()) for type_key in {key for key, _ in items}]
    about = ", ".join(name or external_id for (_, external_id), name in items.items())
    if subject is DecisionSubject.FIELD:
        about = f"{field.strip()} of {', '.join(sorted({type_key for type_key, _ in items}))}"
    act = f"{decision}: {counted(len(found), 'finding')} ({subject}) of {about}"
    if await recorded(scope, person, Action.DECIDED, act, once, reason):
        if scopes:
            for decided in scopes:
                await decide_scope(scope.session, scope.tenant.id, decided, new)
        else:
            await decide_findings(scope.session, [finding.fingerprint for finding in found], new)
    return _to_decisions(scope)


@router.post("/tenants/{tenant_id}/drift/withdraw", include_in_schema=False)
async def withdraw(
    scope: TenantToChange,
    person: Approver,
    once: ConfirmedOnce,
    decision_id: Annotated[str, Form(alias="decision", pattern="^[0-9a-f]{64}$")],
    reason: Why,
) -> RedirectResponse:
    if await recorded(scope, person, Action.DECISION_WITHDRAWN, f"decision {decision_id[:12]}", once, reason):
        new = NewDecision(Decision.OPEN, person.name, reason)
        decided = await decided_scope(scope.session, decision_id)
        if decided is None:
            await decide_findings(scope.session, [decision_id], new)
        else:
            await decide_scope(scope.session, scope.tenant.id, decided, new)
    return _to_decisions(scope)


@router.get("/tenants/{tenant_id}/drift/decisions", response_class=HTMLResponse, include_in_schema=False)
async def decisions_page(
    request: Request, scope: OneTenant, everything: Everything = False, after: After = 0
) -> HTMLResponse:
    found = await decisions(scope.session, scope.tenant.id, with_earlier=everything)
    return page(
        request,
        "drift/decisions.html",
        tenant=scope.tenant,
        shown=found[after : after + PAGE],
        after=after + PAGE if len(found) > after + PAGE else None,
        everything=everything,
    )


@router.get("/api/tenants/{tenant_id}/decisions")
async def decision_records(
    scope: OneTenant, everything: Everything = False, after: After = 0, limit: Limit = PAGE
) -> Sequence[DriftDecisionRecord]:
    """The decisions about a tenant's drift, the latest first."""
    found = await decisions(scope.session, scope.tenant.id, with_earlier=everything)
    return found[after : after + limit]


@router.get("/tenants/{tenant_id}/decisions.csv", include_in_schema=False)
async def decisions_csv(scope: OneTenant, everything: Everything = False) -> Response:
    found = await decisions(scope.session, scope.tenant.id, with_earlier=everything)
    return csv_file("decisions", DriftDecisionRecord, found)


def _end(until: str) -> datetime | None:
    """A day means its end. Raises `UndecidedError`."""
    if not until.strip():
        return None
    typed = typed_time(until, datetime.now(UTC), UTC, is_ahead=True)
    if typed is None:
        raise UndecidedError(f"{until!r} is not a time; write friday, 30d, 2026-06-30 or ISO 8601")
    return typed.ends


def _to_decisions(scope: TenantScope) -> RedirectResponse:
    return RedirectResponse(f"/tenants/{scope.tenant.id}/drift/decisions", 303)
