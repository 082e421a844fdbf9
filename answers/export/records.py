"""An export as JSON; field names never change."""

from datetime import datetime
from uuid import UUID

from pydantic import BaseModel

from answers.stale_items import StaleItem
from answers.titled_record import TitledRecord
from inventory.records import DamagedRecord


class ForgottenRecord(TitledRecord):
    """An item that existed at the requested moment, and whose version of then retention has deleted."""

    type_key: str
    external_id: str
    display_name: str | None
    kind: str


class ExportRecord(BaseModel, frozen=True):
    """The result of an export, and its gaps.

    `incomplete` documents lack details. `presumed` items, seen before and after the moment without a record of their
    presence then, are written. `unread` items had no document. `types_not_read` names collections that the latest
    completed run did not read to their end, or that no run has read; their files stay. `damaged` versions have no file.
    The files of `stale` items have earlier content in some details.
    """

    tenant_id: UUID
    folder: str
    at: datetime | None
    written: int
    unchanged: int
    removed: int
    incomplete: int
    presumed: int
    unread: int
    forgotten: list[ForgottenRecord]
    types_not_read: list[str]
    damaged: list[DamagedRecord] = []
    stale: list[StaleItem] = []
