"""Acts of people, in sessions without a tenant."""

from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from answers.audit.records import ActRecord
from inventory.people import Action, Person, Role
from storage.models.base import table
from storage.models.web import AuditRecord
from storage.rows import fetch

_AUDIT = table(AuditRecord)


class ActFilter(NamedTuple):
    """None filters nothing. `until` is exclusive; `after` is the last act of the page before."""

    person_id: str | None = None
    tenant_id: UUID | None = None
    action: Action | None = None
    since: datetime | None = None
    until: datetime | None = None
    after: tuple[datetime, UUID] | None = None


async def acts(session: AsyncSession, person: Person, act_filter: ActFilter, limit: int) -> list[ActRecord]:
    """Newest first. Only an administrator sees other people's acts."""
    if not person.may(Role.ADMIN):
        act_filter = act_filter._replace(person_id=person.person_id)
    statement = select(*(_AUDIT.c[name] for name in ActRecord.model_fields))
    for name in ("person_id", "tenant_id", "action"):
        value = getattr(act_filter, name)
        if value is not None:
            statement = statement.where(_AUDIT.c[name] == value)
    if act_filter.since is not None:
        statement = statement.where(_AUDIT.c.at >= act_filter.since)
    if act_filter.until is not None:
        statement = statement.where(_AUDIT.c.at < act_filter.until)
    if act_filter.after is not None:
        statement = statement.where(tuple_(_AUDIT.c.at, _AUDIT.c.audit_id) < act_filter.after)
    newest = statement.order_by(_AUDIT.c.at.desc(), _AUDIT.c.audit_id.desc()).limit(limit)
    return await fetch(session, newest, ActRecord)
