from datetime import datetime
from uuid import UUID

from pydantic import BaseModel

from inventory.people import Action, Role


class ActRecord(BaseModel, frozen=True):
    """An act of a person; `tenant_id` is null if it is about no single tenant."""

    audit_id: UUID
    at: datetime
    person_id: str | None
    person: str
    role: Role
    action: Action
    tenant_id: UUID | None
    subject: str | None
    reason: str | None
