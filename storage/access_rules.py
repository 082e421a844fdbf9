"""Access rules, and people who have signed in; in sessions of no tenant."""

from typing import NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, delete, func, or_, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from inventory.access_rules import AccessRule
from inventory.people import KnownPerson, Person, Role
from storage.models.base import table
from storage.models.web import AccessRuleRow, WebPerson
from storage.rows import fetch, fetch_one

_RULE, _PERSON = table(AccessRuleRow), table(WebPerson)


class Subject(NamedTuple):
    """A rule's people, one person or a role, and its tenants: one, those of a tag, or all."""

    person_id: str | None
    role: Role | None
    tenant_id: UUID | None = None
    tag: str | None = None


async def rules_about(session: AsyncSession, person: Person) -> list[AccessRule]:
    about = or_(_RULE.c.person_id == person.person_id, _RULE.c.role == person.role)
    return await fetch(session, select(_RULE).where(about), AccessRule)


async def rules(session: AsyncSession) -> list[AccessRule]:
    """Rules of roles first, then those of persons."""
    ordered = select(_RULE).order_by(_RULE.c.person_id.nulls_first(), _RULE.c.role, _RULE.c.is_excluded, _RULE.c.set_at)
    return await fetch(session, ordered, AccessRule)


async def set_rule(
    session: AsyncSession, subject: Subject, *, is_excluded: bool, set_by: str, reason: str | None
) -> AccessRule:
    """Replaces a rule about the same people and tenants."""
    new = insert(_RULE).values(**subject._asdict(), is_excluded=is_excluded, set_by=set_by, reason=reason)
    replaced = {name: new.excluded[name] for name in ("is_excluded", "set_by", "reason")}
    statement = new.on_conflict_do_update(
        index_elements=["person_id", "role", "tenant_id", "tag"],
        set_={**replaced, "set_at": func.clock_timestamp()},
    )
    (rule,) = await fetch(session, statement.returning(_RULE), AccessRule)
    return rule


async def delete_rule(session: AsyncSession, subject: Subject) -> AccessRule | None:
    same: list[ColumnElement[bool]] = [
        _RULE.c[name].is_not_distinct_from(value) for name, value in subject._asdict().items()
    ]
    return await fetch_one(session, delete(_RULE).where(*same).returning(_RULE), AccessRule)


async def people(session: AsyncSession) -> list[KnownPerson]:
    """Everybody who has signed in, by name."""
    return await fetch(session, select(_PERSON).order_by(_PERSON.c.name, _PERSON.c.person_id), KnownPerson)
