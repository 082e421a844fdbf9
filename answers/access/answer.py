"""Access rules, changed with audit records in sessions of no tenant."""

from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from inventory.access_rules import AccessRule
from inventory.bounds import NAMED_IDS
from inventory.people import Action, KnownPerson, Person, Role
from inventory.plurals import first_of
from inventory.user_errors import UserError
from storage import access_rules, audit, web_sessions

Subject = access_rules.Subject


class AccessError(UserError):
    """The rule or the person is unknown."""


class AccessOverview(NamedTuple):
    rules: Sequence[AccessRule]
    people: Sequence[KnownPerson]


class AccessRequest(NamedTuple):
    """`once` is the form's id; None for a command."""

    person: Person
    reason: str | None = None
    once: UUID | None = None
    tenant_name: str | None = None


async def access(session: AsyncSession) -> AccessOverview:
    return AccessOverview(await access_rules.rules(session), await access_rules.people(session))


def find_person(people: Sequence[KnownPerson], sought: str) -> str:
    """The id of a person by name or id; before the first sign-in, only by `<tenant id>/<object id>` of Entra ID. Raises
    `AccessError`.
    """
    folded = sought.strip().casefold()
    ids = {person.person_id for person in people if folded in (person.person_id.casefold(), person.name.casefold())}
    if len(ids) == 1:
        return ids.pop()
    if ids:
        raise AccessError(
            f"{sought!r} is the name of several people; name one by id: {first_of(sorted(ids), NAMED_IDS)}"
        )
    tenant_id, _, object_id = folded.partition("/")
    try:
        return f"{UUID(tenant_id)}/{UUID(object_id)}"
    except ValueError:
        raise AccessError(
            f"nobody called {sought!r} has signed in; name the person by id: TENANT-ID/OBJECT-ID of Entra ID"
        ) from None


async def set_rule(
    session: AsyncSession, subject: Subject, request: AccessRequest, *, is_excluded: bool = False
) -> AccessRule | None:
    """An exclusion wins over other rules. None if the form was received before."""
    words = f"{'exclude' if is_excluded else 'grant'}: {in_words(subject)}"
    if not await _record(session, request, words, subject.tenant_id):
        return None
    return await access_rules.set_rule(
        session, subject, is_excluded=is_excluded, set_by=request.person.name, reason=request.reason
    )


async def revoke(session: AsyncSession, subject: Subject, request: AccessRequest) -> AccessRule | None:
    """None if the form was received before. Raises `AccessError` if there is no such rule."""
    if not await _record(session, request, f"revoke: {in_words(subject)}", subject.tenant_id):
        return None
    rule = await access_rules.delete_rule(session, subject)
    if rule is None:
        raise AccessError(f"there is no rule about {in_words(subject, request.tenant_name)}")
    return rule


async def end_sessions(session: AsyncSession, person_id: str, request: AccessRequest) -> int | None:
    """The number of sessions; None if the form was received before."""
    if not await _record(session, request, f"end sessions: {person_id}", None):
        return None
    return await web_sessions.end_sessions(session, person_id)


async def _record(session: AsyncSession, request: AccessRequest, subject: str, tenant_id: UUID | None) -> bool:
    return await audit.record(
        session,
        request.person,
        Action.ACCESS_CHANGED,
        tenant_id=tenant_id,
        subject=subject,
        reason=request.reason,
        request_id=request.once,
    )


def subject_of(rule: AccessRule) -> Subject:
    return Subject(rule.person_id, rule.role, rule.tenant_id, rule.tag)


def in_words(subject: Subject, tenant: str | None = None) -> str:
    """`tenant`: the tenant's name, for people. Audit records have its id, which does not change."""
    grantee = f"the role {Role(subject.role)}" if subject.role else str(subject.person_id)
    if subject.tenant_id is not None:
        return f"{grantee}, tenant {tenant or subject.tenant_id}"
    return f"{grantee}, {'all tenants' if subject.tag is None else f'tag {subject.tag}'}"
