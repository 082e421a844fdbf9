"""A watched audit log as JSON; field names never change."""

from datetime import datetime
from uuid import UUID

from pydantic import BaseModel

from inventory.error_codes import ErrorCode


class WatchedLogRecord(BaseModel, frozen=True):
    """One audit log of a tenant after the last look.

    `read_at`: when it was last read, null if never; `error_code`: why the last look could not. `unknown_events` counts
    events that named no item readable by its id.
    """

    tenant_id: UUID
    tenant: str
    log: str
    tried_at: datetime
    read_at: datetime | None
    unknown_events: int
    error_code: ErrorCode | None
