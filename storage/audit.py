"""Audit records: an act of a person, written in the transaction of the act."""

from uuid import UUID

from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from inventory.people import Action, Person
from storage.models.base import table
from storage.models.web import AuditRecord

_AUDIT = table(AuditRecord)


async def record(
    session: AsyncSession,
    person: Person,
    action: Action,
    *,
    tenant_id: UUID | None = None,
    subject: str | None = None,
    reason: str | None = None,
    request_id: UUID | None = None,
) -> bool:
    """Records an act; False if the form with this request id was received before, so that its act is not done twice.

    Works in a session of this tenant or of no tenant. Of two requests at once, the second waits for the first.
    """
    added = (
        insert(_AUDIT)
        .values(
            person_id=person.person_id,
            person=person.name,
            role=person.role,
            action=action,
            tenant_id=tenant_id,
            subject=subject,
            reason=reason,
            request_id=request_id,
        )
        .on_conflict_do_nothing()
    )
    result = await session.execute(added.returning(_AUDIT.c.audit_id))
    return result.one_or_none() is not None
