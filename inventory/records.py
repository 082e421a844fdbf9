"""What the command line prints as JSON: run records and items. Fixed contracts; field names never change."""

from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from inventory.error_codes import ErrorCode
from inventory.missing import Confidence, State
from inventory.outcomes import ContextValue, Counts, Outcome, RunStatus
from inventory.selection import Selection


class CollectionRecord(BaseModel):
    """One collection of a run record."""

    model_config = ConfigDict(frozen=True)

    outcome: Outcome
    pages: int
    items: int
    error_code: ErrorCode | None
    context: dict[str, ContextValue]


class RunRecord(BaseModel):
    """What one run covered and what it did not."""

    model_config = ConfigDict(frozen=True)

    run_id: UUID
    tenant_id: UUID
    selection_hash: str
    selection: Selection
    workflow_id: str
    status: RunStatus
    queued_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    counts: Counts
    error_codes: list[ErrorCode]
    collections: dict[str, CollectionRecord]


class ItemRecord(BaseModel):
    """One item as last observed; the last three fields are null where no completed run of the selection covers it."""

    model_config = ConfigDict(frozen=True)

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
