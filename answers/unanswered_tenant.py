"""A tenant that an answer about several leaves out."""

from typing import Literal
from uuid import UUID

from pydantic import BaseModel


class UnansweredTenant(BaseModel, frozen=True):
    """The answer lacks this tenant, for `reason` in words for people. It holds for the other tenants."""

    answer: Literal["no_answer"] = "no_answer"
    tenant_id: UUID
    reason: str
