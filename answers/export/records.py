"""An export as JSON. Fixed contracts; field names never change."""

from datetime import datetime
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from inventory.records import DamagedRecord
from inventory.stale import StaleItem


class ForgottenRecord(BaseModel):
    """An item that was there at the asked moment, and whose version of then is forgotten."""

    model_config = ConfigDict(frozen=True)

    type_key: str
    external_id: str
    display_name: str | None


class ExportRecord(BaseModel):
    """What an export did, and what it could not know.

    `incomplete` documents lack details. `presumed` items were seen before and after the asked moment, and whether they
    were there at it is not recorded; they are written. `unread` items had been seen and no document of theirs read.
    `types_not_read` names the collections that the latest completed run did not read to their end, and those that none
    has read: no item of theirs is taken for gone by that run. `damaged` versions have no file.
    The files of `stale` items say of some details what was read of them before, if anything.
    """

    model_config = ConfigDict(frozen=True)

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
