"""Audit records: acts of persons, each written in the act's transaction."""

from uuid import UUID

from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.sql.dml import ReturningInsert

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
    """Records an act; False if the form with this request id was received before: do not repeat the act.

    The second of two simultaneous requests waits. The session is of this tenant or of none.
    """
    added = added_record(person, action, tenant_id=tenant_id, subject=subject, reason=reason, request_id=request_id)
    return (await session.execute(added)).one_or_none() is not None


def added_record(
    person: Person,
    action: Action,
    *,
    tenant_id: UUID | None,
    subject: str | None,
    reason: str | None,
    request_id: UUID | None,
) -> ReturningInsert[tuple[UUID]]:
    """The statement returns no row if the form was received before."""
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
    return added.returning(_AUDIT.c.audit_id)
