from collections.abc import Sequence
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Form, Request
from fastapi.responses import HTMLResponse, RedirectResponse

from answers.access import answer
from answers.access.answer import AccessError, AccessRequest, Subject
from inventory.access_rules import AccessRule
from inventory.people import Role
from web.forms import ConfirmedOnce, Reason
from web.layout import page
from web.roles import Admin
from web.scope import NoTenant, NoTenantToChange

router = APIRouter()


EVERYTHING = "all"
"""The form's word for all tenants."""

Who = Annotated[str, Form(max_length=300, description="A role, or a person's name or id.")]
What = Annotated[str, Form(max_length=100, description="`all`, `tag:TAG` or `tenant:ID`.")]


@router.get("/access", response_class=HTMLResponse, include_in_schema=False)
async def access_page(request: Request, scope: NoTenant, _admin: Admin) -> HTMLResponse:
    access = await answer.access(scope.session)
    return page(
        request,
        "access/access.html",
        rules=access.rules,
        people=access.people,
        roles=list(Role),
        names={person.person_id: person.name for person in access.people},
        tenants_by_id=scope.tenants.names(),
        tags=scope.tenants.all_tags(),
        ruled={rule.person_id or rule.role for rule in access.rules if not rule.is_excluded},
    )


@router.get("/api/access")
async def access_records(scope: NoTenant, _admin: Admin) -> Sequence[AccessRule]:
    """The rules about which tenants people see."""
    return (await answer.access(scope.session)).rules


@router.post("/access", include_in_schema=False)
async def set_rule(
    scope: NoTenantToChange,
    admin: Admin,
    once: ConfirmedOnce,
    reason: Reason,
    who: Who,
    what: What,
    is_excluded: Annotated[bool, Form()] = False,
) -> RedirectResponse:
    """Replaces an earlier rule about the same people and tenants."""
    subject = await _subject(scope, who, what)
    await answer.set_rule(scope.session, subject, AccessRequest(admin, reason, once), is_excluded=is_excluded)
    return RedirectResponse("/access", 303)


@router.post("/access/revoke", include_in_schema=False)
async def revoke_rule(
    scope: NoTenantToChange, admin: Admin, once: ConfirmedOnce, rule_id: Annotated[UUID, Form()]
) -> RedirectResponse:
    """A missing rule is no error."""
    rules = {rule.access_rule_id: rule for rule in (await answer.access(scope.session)).rules}
    if rule_id in rules:
        await answer.revoke(scope.session, answer.subject_of(rules[rule_id]), AccessRequest(admin, once=once))
    return RedirectResponse("/access", 303)


@router.post("/access/end-sessions", include_in_schema=False)
async def end_sessions(scope: NoTenantToChange, admin: Admin, once: ConfirmedOnce, who: Who) -> RedirectResponse:
    person_id = answer.find_person((await answer.access(scope.session)).people, who)
    await answer.end_sessions(scope.session, person_id, AccessRequest(admin, once=once))
    return RedirectResponse("/access", 303)


async def _subject(scope: NoTenantToChange, name_or_role: str, what: str) -> Subject:
    role = Role(name_or_role) if name_or_role in set(Role) else None
    person_id = None if role else answer.find_person((await answer.access(scope.session)).people, name_or_role)
    kind, _, name = what.partition(":")
    if what == EVERYTHING:
        return Subject(person_id, role)
    if kind == "tag" and any(name in tenant.tags for tenant in scope.tenants):
        return Subject(person_id, role, tag=name)
    if kind == "tenant":
        found = [tenant.id for tenant in scope.tenants if str(tenant.id) == name]
        if found:
            return Subject(person_id, role, tenant_id=found[0])
    raise AccessError("there is no such tenant or tag that you see")
