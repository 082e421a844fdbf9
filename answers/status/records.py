"""Tenants' states as JSON; field names never change."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from pydantic import BaseModel

from inventory.error_codes import ErrorCode
from inventory.outcomes import RunStatus


class Attention(StrEnum):
    """Why somebody should look at a tenant, the most urgent first."""

    NEVER_READ = "never_read"
    """No run has completed."""
    RUN_FAILED = "run_failed"
    """The latest completed run. Collections' reasons are in `not_read`."""
    NOT_READ = "not_read"
    """Collections' latest runs did not read them to their end, though something is read or the latest run did not fail.
    """
    OLD = "old"
    """A collection's last complete listing is older than the caller allows."""
    NOT_WATCHED = "not_watched"
    STALE = "stale"
    HIGH_DRIFT = "high_drift"
    """Findings of high severity are open, by the baselines' latest evaluations."""
    MISSING = "missing"


class NotReadReason(BaseModel, frozen=True):
    """How many collections were not read to their end for one reason: `failed:graph_permission_missing`."""

    reason: str
    collections: int


class UnwatchedLog(BaseModel, frozen=True):
    """An audit log that `watch` cannot read, why, and when it last could (null if never)."""

    log: str
    error_code: ErrorCode
    read_at: datetime | None


class TenantStatus(BaseModel, frozen=True):
    """Each collection counts by the latest completed run that covers it, without logs.

    `collections` counts those that the tenant can have, `read` those read to their end; `oldest` is the beginning of
    the earliest of these readings; if none was, of what earlier runs read (null without any). `never_selected` counts
    collections that no completed run has selected, without opt-in ones. A `disabled` tenant is not read, so it needs no
    attention. `missing` counts items, `stale` items with unreadable details, `high_drift` open findings without a
    decision. The `run_` fields are of the latest completed run.
    """

    tenant_id: UUID
    run_id: UUID | None
    run_status: RunStatus | None
    run_started_at: datetime | None
    oldest: datetime | None
    collections: int
    read: int
    not_read: list[NotReadReason]
    missing: int
    stale: int
    high_drift: int
    not_watched: list[UnwatchedLog] = []
    never_selected: int = 0
    disabled: bool = False
    attention: list[Attention]
