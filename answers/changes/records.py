"""Changes as JSON; field names never change."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from pydantic import BaseModel, Field

from answers.changes.audit import Attribution, AuditAction, AuditStatus
from answers.field_labels import FieldChange
from answers.old_details import OldDetailsRecord
from answers.oldest_listing import OldestListing
from answers.stale_items import StaleItem
from answers.titled_record import TitledRecord
from inventory.missing import Confidence
from inventory.records import DamagedRecord
from inventory.stale import Staleness


class ChangeKind(StrEnum):
    APPEARED = "appeared"
    """An earlier complete listing did not show the item."""
    RECREATED = "recreated"
    """The item has a missing item's content, under another id."""
    CHANGED = "changed"
    RENAMED = "renamed"
    """Other fields may have changed, too."""
    MISSING = "missing"
    """A complete listing no longer shows the item."""
    CAME_BACK = "came_back"

    @property
    def audit_action(self) -> AuditAction:
        """The action that an audit log shows for such a change."""
        if self in (ChangeKind.CHANGED, ChangeKind.RENAMED):
            return AuditAction.CHANGED
        return AuditAction.GONE if self is ChangeKind.MISSING else AuditAction.APPEARED


class ChangeRecord(TitledRecord):
    """A change of an item between `seen_before_at`, when it was last seen unchanged (null if unrecorded, or there was
    no item), and `noticed_at`.

    `evidence`: `observed` if a run has read the item, `not_listed_before` if its collection's first complete listing
    did not show it, `confirmed` or `not_listed` if it is missing. `created_at` is Graph's, of an item that appeared.
    `fields` is null without two documents: for example, retention deleted the earlier one, or one is damaged
    (`damaged_versions`). `was_incomplete`: the earlier document lacked details, which are not compared. Whether `stale`
    details changed is unknown.
    """

    tenant_id: UUID
    run_id: UUID
    noticed_at: datetime
    seen_before_at: datetime | None
    type_key: str
    external_id: str
    display_name: str | None
    item_kind: str
    kind: ChangeKind
    confidence: Confidence
    evidence: str
    version: int | None = None
    renamed_from: str | None = None
    recreates_external_id: str | None = None
    returns_to_version: int | None = None
    damaged_versions: list[int] = Field(default_factory=list)
    created_at: str | None = None
    was_incomplete: bool = False
    fields: list[FieldChange] | None = None
    audit: Attribution = Attribution(status=AuditStatus.NOT_AUDITED)
    stale: Staleness | None = None


class UnlistedCollection(BaseModel, frozen=True):
    """A collection whose changes may still come: its latest run did not list it to its end, for `reason`, which is
    `never_read` if the question names it and no run has selected it.

    `listed_at`: when a run last did, if ever.
    """

    type_key: str
    reason: str
    listed_at: datetime | None


class AuditLogCoverage(BaseModel, frozen=True):
    """`read_from` is the start of the log's latest whole reading, null without one. `not_read` counts changes whose
    events it may still bring.
    """

    read_from: datetime | None
    not_read: int


class ChangesSummary(BaseModel, frozen=True):
    """The basis of a list of changes.

    `listed` counts collections that their latest run listed to their end; changes of those in `not_read` and
    `old_details` may still come. `goes_on_after` names the last change if there are more. `audit_log_read_from` is
    Intune's. `damaged` versions could not be compared. `stale` items may have changed in details that cannot be read
    now. `oldest_listing` is null if the newest run has read all of the `listed`.
    """

    tenant_id: UUID
    since: datetime
    until: datetime
    run_id: UUID | None
    changes: dict[ChangeKind, int]
    listed: int
    not_read: list[UnlistedCollection]
    goes_on_after: str | None = None
    audit: dict[AuditStatus, int]
    audit_log_read_from: datetime | None
    audit_logs: dict[str, AuditLogCoverage] = {}
    damaged: list[DamagedRecord] = []
    old_details: list[OldDetailsRecord] = []
    stale: list[StaleItem] = []
    oldest_listing: OldestListing | None = None
