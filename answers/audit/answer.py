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


class WantedActs(NamedTuple):
    """None filters nothing. `until` is exclusive; `after` is the last act of the page before."""

    person_id: str | None = None
    tenant_id: UUID | None = None
    action: Action | None = None
    since: datetime | None = None
    until: datetime | None = None
    after: tuple[datetime, UUID] | None = None


async def acts(session: AsyncSession, person: Person, wanted: WantedActs, limit: int) -> list[ActRecord]:
    """Newest first. Only an administrator sees other people's acts."""
    if not person.may(Role.ADMIN):
        wanted = wanted._replace(person_id=person.person_id)
    found = select(*(_AUDIT.c[name] for name in ActRecord.model_fields))
    for name in ("person_id", "tenant_id", "action"):
        value = getattr(wanted, name)
        if value is not None:
            found = found.where(_AUDIT.c[name] == value)
    if wanted.since is not None:
        found = found.where(_AUDIT.c.at >= wanted.since)
    if wanted.until is not None:
        found = found.where(_AUDIT.c.at < wanted.until)
    if wanted.after is not None:
        found = found.where(tuple_(_AUDIT.c.at, _AUDIT.c.audit_id) < wanted.after)
    newest = found.order_by(_AUDIT.c.at.desc(), _AUDIT.c.audit_id.desc()).limit(limit)
    return await fetch(session, newest, ActRecord)
