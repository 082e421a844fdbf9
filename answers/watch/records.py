"""One watched audit log as JSON. Fixed contracts; field names never change."""

from datetime import datetime
from uuid import UUID

from pydantic import BaseModel

from inventory.error_codes import ErrorCode


class WatchedLogRecord(BaseModel, frozen=True):
    """One audit log of a tenant, as the last look left it.

    `read_at` is when the log was last read, null if it never was; `error_code` says why the last look could not read
    it. `unknown_events` counts events so far that named no item that can be read by its id.
    """

    tenant_id: UUID
    tenant: str
    log: str
    tried_at: datetime
    read_at: datetime | None
    unknown_events: int
    error_code: ErrorCode | None
