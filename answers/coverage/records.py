"""Coverage as JSON; field names never change."""

from datetime import datetime
from uuid import UUID

from pydantic import BaseModel

from inventory.error_codes import ErrorCode
from inventory.outcomes import Outcome


class CollectionCoverageRecord(BaseModel, frozen=True):
    """One collection, by the latest completed run that covers it.

    `listed_at`: when a run last read it to its end, if ever. `permissions` are the catalog's, if Graph refused the read
    for want of one. `failing_since`: when the first of the latest failing runs began; null if the latest run read it,
    or the answer does not say.
    """

    type_key: str
    title: str
    category: str
    outcome: Outcome
    error_code: ErrorCode | None
    remedy: str | None
    permissions: list[str]
    run_id: UUID
    run_started_at: datetime
    listed_at: datetime | None
    failing_since: datetime | None = None


class CoverageRecord(BaseModel, frozen=True):
    """The collections that completed runs of a tenant cover, unread ones first.

    `never_selected`: no completed run has selected them.
    """

    collections: list[CollectionCoverageRecord]
    never_selected: list[str]
