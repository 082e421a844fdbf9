"""Runs, items and versions as JSON. Fixed contracts; field names never change."""

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from pydantic import BaseModel

from inventory.error_codes import ErrorCode
from inventory.missing import Confidence, State
from inventory.outcomes import ContextValue, Counts, Outcome, RunKind, RunStatus
from inventory.selection import Selection
from inventory.stale import Staleness


class CollectionRecord(BaseModel, frozen=True):
    """The outcome of one collection in a run."""

    outcome: Outcome
    pages: int
    items: int
    error_code: ErrorCode | None
    context: dict[str, ContextValue]


class RunRecord(BaseModel, frozen=True):
    """The coverage and the gaps of one run. `selection_name` is its starter's (`--name`).

    A run of the kind `watch` has read single items, of the collections of its selection, and covers none of these.
    """

    run_id: UUID
    tenant_id: UUID
    selection_hash: str
    selection: Selection
    selection_name: str | None = None
    workflow_id: str
    status: RunStatus
    queued_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    counts: Counts
    error_codes: list[ErrorCode]
    collections: dict[str, CollectionRecord]
    kind: RunKind = RunKind.SYNC


class SyncRecord(RunRecord):
    """The record that `sync` prints of its run.

    `compares_hidden_values` is false where SENSITIVE_FIELDS_KEY is `none`, so that changes of hidden values are not
    seen; null where the key is set for workers alone.
    """

    compares_hidden_values: bool | None = None


class ItemRecord(BaseModel, frozen=True):
    """One item as last observed; its state is null if no completed run of the selection covers it.

    `details_read_at`: the last reading of details that its list does not show, null if it has none. `stale` is null if
    all details are current.
    """

    tenant_id: UUID
    type_key: str
    external_id: str
    display_name: str | None
    meta: dict[str, Any]
    content_hash: str
    first_seen_at: datetime
    last_seen_at: datetime
    last_seen_run_id: UUID
    state: State | None
    confidence: Confidence | None
    evidence: str | None
    details_read_at: datetime | None = None
    stale: Staleness | None = None
    graph_id: str | None = None
    """Graph's latest spelling of the id, if it is not `external_id`."""
    kind: str | None = None
    """The kind's name, by OData type or collection; null in answers about other things."""
    title: str | None = None
    """The display name or, without one, kind and short id. Null if `kind` is."""


class MissingRecord(ItemRecord):
    """A missing item, and when and by which run it was first missed.

    Both are null where no complete listing has omitted it since it was last seen.
    """

    first_missed_at: datetime | None
    first_missed_run_id: UUID | None


class VersionChange(StrEnum):
    """A version's kind, compared with the one before."""

    FIRST = "first"
    CHANGED = "changed"
    RETURNED = "returned"
    """The version has the content of an earlier one."""
    COMPLETED = "completed"
    """The version adds details that the one before lacks; no change is known."""
    REREAD = "reread"
    """The version was read by other rules, such as a later release's; no change is known."""


class PinRecord(BaseModel, frozen=True):
    """Who needs a version, and why."""

    pinned_by: str
    reason: str | None
    pinned_at: datetime


class VersionRecord(BaseModel, frozen=True):
    """One version of an item.

    `last_observed_at` is null if release 0.2.0 did not record it, `renamed_from` if the name is the same or retention
    has deleted the version before. `stale` tells of unreadable details: of the current version now, of others when
    first observed.
    """

    tenant_id: UUID
    type_key: str
    external_id: str
    version: int
    is_current: bool
    display_name: str | None
    change: VersionChange
    renamed_from: str | None
    returns_to_version: int | None
    recreates_external_id: str | None
    details_complete: bool
    first_observed_at: datetime
    first_observed_run_id: UUID
    last_observed_at: datetime | None
    last_observed_run_id: UUID | None
    content_hash: str
    size_bytes: int
    pins: list[PinRecord]
    stale: Staleness | None = None

    @property
    def tells_change(self) -> bool:
        """Whether the version shows a change in the tenant, or a new item."""
        return self.change not in (VersionChange.COMPLETED, VersionChange.REREAD)


class DamagedRecord(BaseModel, frozen=True):
    """A version whose stored document does not match its hash, so its content is unknown.

    `tenant_id` is present if the answer is about several tenants.
    """

    type_key: str
    external_id: str
    version: int
    tenant_id: UUID | None = None

    @property
    def in_words(self) -> str:
        whose = "" if self.tenant_id is None else f" of tenant {self.tenant_id}"
        return f"damaged: the stored document of version {self.version} of {self.type_key} {self.external_id}{whose}"
