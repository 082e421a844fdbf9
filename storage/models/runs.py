"""Runs: their selection, coverage, staged rows and waits."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    JSON,
    CheckConstraint,
    ForeignKeyConstraint,
    Index,
    SmallInteger,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from inventory.data_keys import DataKeyKind
from inventory.error_codes import ErrorCode
from inventory.outcomes import COUNT_NAMES, Outcome, RunKind, RunStatus
from storage.models.base import Base, Count, RecordedTenantKey, TenantKey, TextKey, UuidKey, WrittenAt, one_of


class Tenant(Base):
    """A tenant of which a run was recorded."""

    __tablename__ = "tenant"
    __table_args__ = (CheckConstraint(one_of("data_key_kind", DataKeyKind), name="data_key_kind_known"),)

    tenant_id: Mapped[TenantKey]
    name: Mapped[str] = mapped_column(comment="as the tenants file calls it")
    created_at: Mapped[WrittenAt]
    data_key: Mapped[bytes | None] = mapped_column(
        comment="what its sensitive values are marked under, wrapped by SENSITIVE_FIELDS_KEY"
    )
    data_key_kind: Mapped[str | None] = mapped_column(
        comment="whose values the data key marks; null before the first one"
    )


class SyncRun(Base):
    __tablename__ = "sync_run"
    __table_args__ = (
        CheckConstraint(one_of("status", RunStatus), name="status_known"),
        CheckConstraint("(finished_at IS NULL) = (status IN ('queued', 'running'))", name="finished_iff_ended"),
        CheckConstraint("(lease_expires_at IS NULL) = (finished_at IS NOT NULL)", name="lease_iff_open"),
        CheckConstraint("status <> 'running' OR started_at IS NOT NULL", name="running_has_started"),
        CheckConstraint("selection_hash ~ '^[0-9a-f]{64}$'", name="selection_hash_is_sha256"),
        CheckConstraint(
            " AND ".join(f"{name} >= 0" for name in COUNT_NAMES if name not in ("not_read", "stale")),
            name="counts_not_negative",
        ),
        CheckConstraint("stale >= 0", name="stale_not_negative"),
        CheckConstraint("not_read >= 0", name="not_read_not_negative"),
        CheckConstraint(one_of("kind", RunKind), name="kind_known"),
        Index(
            "sync_run_one_open_per_selection",
            "tenant_id",
            "selection_hash",
            unique=True,
            postgresql_where=text("finished_at IS NULL"),
        ),
        Index(
            "sync_run_latest_completed",
            "tenant_id",
            "selection_hash",
            "started_at",
            postgresql_where=text("status IN ('success', 'partial', 'failed') AND started_at IS NOT NULL"),
        ),
        Index("sync_run_by_run_id", "run_id"),
        Index("sync_run_recent", "tenant_id", "queued_at"),
        Index("sync_run_recent_overall", "queued_at"),
        Index("sync_run_recent_of_watch", "queued_at", postgresql_where=text("kind = 'watch'")),
        Index("sync_run_ended", "tenant_id", "finished_at"),
        Index("sync_run_open_lease", "lease_expires_at", postgresql_where=text("finished_at IS NULL")),
    )

    tenant_id: Mapped[RecordedTenantKey]
    run_id: Mapped[UuidKey] = mapped_column(comment="the workflow's first execution run id")
    workflow_id: Mapped[str]
    selection_hash: Mapped[str] = mapped_column(comment="SHA-256 of the canonical selection, hexadecimal")
    selection: Mapped[dict[str, Any]] = mapped_column(comment="the canonical selection")
    selection_name: Mapped[str | None] = mapped_column(
        comment="what its starter called the selection; null without a name"
    )
    status: Mapped[str] = mapped_column(server_default=RunStatus.QUEUED)
    queued_at: Mapped[WrittenAt]
    started_at: Mapped[datetime | None] = mapped_column(comment="when the run got its slot; null if it never did")
    finished_at: Mapped[datetime | None]
    lease_expires_at: Mapped[datetime | None] = mapped_column(
        comment="an open run past this moment is taken for abandoned"
    )
    error_codes: Mapped[list[str]] = mapped_column(server_default=text("'{}'"))
    cancel_requested_by: Mapped[str | None]
    cancel_reason: Mapped[str | None]
    pages: Mapped[Count]
    requests: Mapped[Count]
    throttled: Mapped[Count]
    observed: Mapped[Count]
    created: Mapped[Count]
    changed: Mapped[Count]
    unchanged: Mapped[Count]
    missing: Mapped[Count]
    not_read: Mapped[Count] = mapped_column(
        comment="items not seen, of collections that the run did not read to their end"
    )
    stale: Mapped[Count] = mapped_column(comment="items whose current version is not all current")
    invalid: Mapped[Count]
    errors: Mapped[Count]
    kind: Mapped[str] = mapped_column(
        server_default=RunKind.SYNC,
        comment="a full run of its selection, or a run of watch, which reads single objects and covers no collection",
    )


class SyncRunCollection(Base):
    """The outcome is `incomplete` until the run ends."""

    __tablename__ = "sync_run_collection"
    __table_args__ = (
        ForeignKeyConstraint(["tenant_id", "run_id"], ["sync_run.tenant_id", "sync_run.run_id"], ondelete="CASCADE"),
        CheckConstraint(one_of("outcome", Outcome), name="outcome_known"),
        CheckConstraint(f"error_code IS NULL OR {one_of('error_code', ErrorCode)}", name="error_code_known"),
    )

    tenant_id: Mapped[TenantKey]
    run_id: Mapped[UuidKey]
    type_key: Mapped[TextKey]
    outcome: Mapped[str] = mapped_column(server_default=Outcome.INCOMPLETE)
    pages: Mapped[Count]
    items: Mapped[Count]
    error_code: Mapped[str | None]
    context: Mapped[dict[str, Any]] = mapped_column(
        server_default=text("'{}'"), comment="HTTP status, Graph code, request id, named bad objects"
    )


class StagedItem(Base):
    """Unlogged: waves whose rows a crash loses are read again.

    PostgreSQL refuses COPY into a table with row-level security, so the worker's role can only insert, never names a
    tenant, and reads through the view `staged_observation`.
    """

    __tablename__ = "staged_item"
    __table_args__ = {
        "prefixes": ["UNLOGGED"],
        "postgresql_with": {"toast_tuple_target": "8160"},
    }

    tenant_id: Mapped[TenantKey]
    run_id: Mapped[UuidKey]
    fetch_token: Mapped[UuidKey] = mapped_column(comment="one attempt at fetching one wave")
    type_key: Mapped[TextKey]
    external_id: Mapped[TextKey]
    display_name: Mapped[str | None]
    meta: Mapped[dict[str, Any]]
    content_hash: Mapped[bytes]
    document: Mapped[bytes] = mapped_column(comment="canonical JSON, zstd")
    document_size: Mapped[int]
    likeness_hash: Mapped[bytes | None] = mapped_column(comment="written by workers of 0.3.0")
    list_hash: Mapped[bytes | None]
    is_whole: Mapped[bool] = mapped_column(comment="false for what a list shows of an item that has details")
    staged_at: Mapped[WrittenAt]
    read_references: Mapped[Any | None] = mapped_column(
        JSON, comment="what it refers to, as item_reference has it; null where that has not been read"
    )
    rules_hash: Mapped[bytes | None] = mapped_column(comment="of the rules that it was read by")
    body_hash: Mapped[bytes | None] = mapped_column(
        comment="SHA-256 of the document before compression; null from workers of 0.3.0"
    )
    stale_parts: Mapped[list[dict[str, Any]] | None] = mapped_column(
        JSONB, comment="the details that could not be read; null where all were"
    )
    graph_id: Mapped[str | None] = mapped_column(comment="the id as Graph spells it, where that is not external_id")
    raw_digest: Mapped[bytes | None] = mapped_column(
        comment="see inventory_item; null where the item was not read from its list"
    )
    same_items: Mapped[int | None] = mapped_column(
        comment="of a page, which has a row without an id: how many items are the same, byte for byte, as when they"
        " were last read"
    )
    same_ids: Mapped[str | None] = mapped_column(comment="their ids, with a separator")
    same_digests: Mapped[bytes | None] = mapped_column(comment="their raw digests, one after another")
    settings: Mapped[str | None] = mapped_column(
        comment="what it sets, as item_settings has it; null where it sets nothing"
    )


class PendingItem(Base):
    """The end of the run deletes the row, also that of an item whose details cannot be read (`failure`)."""

    __tablename__ = "pending_item"
    __table_args__ = (
        ForeignKeyConstraint(["tenant_id", "run_id"], ["sync_run.tenant_id", "sync_run.run_id"], ondelete="CASCADE"),
        {"comment": "items of a run whose details are still to be read"},
    )

    tenant_id: Mapped[TenantKey]
    run_id: Mapped[UuidKey]
    type_key: Mapped[TextKey]
    external_id: Mapped[TextKey]
    shard: Mapped[int] = mapped_column(
        SmallInteger, comment="from 0 to 15, so that several waves can share a collection"
    )
    list_hash: Mapped[bytes]
    list_document: Mapped[bytes] = mapped_column(comment="what the list shows of the item: canonical JSON, zstd")
    list_document_size: Mapped[int]
    progress: Mapped[bytes | None] = mapped_column(
        comment="the answers so far, and what is still to be asked: JSON, zstd"
    )
    attempts: Mapped[Count]
    failure: Mapped[dict[str, Any] | None] = mapped_column(comment="why its details cannot be read")
    list_body_hash: Mapped[bytes | None] = mapped_column(comment="SHA-256 of the list_document before compression")


class CollectionCoverage(Base):
    __tablename__ = "collection_coverage"
    __table_args__ = (
        CheckConstraint(one_of("outcome", Outcome), name="outcome_known"),
        CheckConstraint(
            "num_nulls(first_listed_at, listed_run_id, listed_from, listed_at, listed_cleanly) IN (0, 5)",
            name="listed_as_a_whole",
        ),
        {"postgresql_with": {"fillfactor": "50"}, "comment": "how far each collection has been read"},
    )

    tenant_id: Mapped[RecordedTenantKey]
    type_key: Mapped[TextKey]
    run_id: Mapped[UUID] = mapped_column(comment="the latest completed run that selected the collection")
    run_started_at: Mapped[datetime]
    outcome: Mapped[str]
    error_code: Mapped[str | None]
    first_listed_at: Mapped[datetime | None] = mapped_column(comment="when a run first had listed it to its end")
    listed_run_id: Mapped[UUID | None] = mapped_column(comment="the latest run that listed it to its end")
    listed_from: Mapped[datetime | None] = mapped_column(comment="when that run started")
    listed_at: Mapped[datetime | None] = mapped_column(comment="when that run ended")
    listed_cleanly: Mapped[bool | None] = mapped_column(comment="that run was a success without an error")


class MergedWave(Base):
    """A late attempt gets the recorded result."""

    __tablename__ = "merged_wave"
    __table_args__ = (
        ForeignKeyConstraint(["tenant_id", "run_id"], ["sync_run.tenant_id", "sync_run.run_id"], ondelete="CASCADE"),
    )

    tenant_id: Mapped[TenantKey]
    run_id: Mapped[UuidKey]
    fetch_token: Mapped[UuidKey]
    result: Mapped[dict[str, Any] | None] = mapped_column(comment="null only inside the merging transaction")


class ListedPage(Base):
    """Only pages that lead to an end prove a listing."""

    __tablename__ = "listed_page"
    __table_args__ = (
        ForeignKeyConstraint(["tenant_id", "run_id"], ["sync_run.tenant_id", "sync_run.run_id"], ondelete="CASCADE"),
        {"comment": "the pages that open runs have read"},
    )

    tenant_id: Mapped[TenantKey]
    run_id: Mapped[UuidKey]
    type_key: Mapped[TextKey]
    fetch_token: Mapped[UuidKey]
    position: Mapped[UUID] = mapped_column(
        comment="the beginning of the SHA-256 of its URL; all zeros where the listing begins"
    )
    opens: Mapped[list[UUID]] = mapped_column(ARRAY(Uuid), comment="the positions of the pages that it links to")
    error_code: Mapped[str | None] = mapped_column(
        comment="why the tenant cannot have the collection, where the page said that"
    )
    is_merged: Mapped[bool] = mapped_column(comment="whether its items are in the inventory")


class RequestPace(Base):
    """All runs and workers of the tenant share it."""

    __tablename__ = "request_pace"
    __table_args__ = {
        "postgresql_with": {"fillfactor": "50"},
        "comment": "when Graph may be asked again, by throttle family",
    }

    tenant_id: Mapped[RecordedTenantKey]
    throttle_family: Mapped[TextKey]
    not_before: Mapped[WrittenAt] = mapped_column(comment="no request of the family before this moment")
    held_until: Mapped[WrittenAt] = mapped_column(
        comment="a request that has its turn is under way until this moment, at most"
    )


class AuditLogPosition(Base):
    __tablename__ = "audit_log_position"
    __table_args__ = {"comment": "how far watch has followed the audit logs of a tenant"}

    tenant_id: Mapped[RecordedTenantKey]
    type_key: Mapped[TextKey] = mapped_column(comment="the collection of the audit log")
    tried_at: Mapped[WrittenAt] = mapped_column(comment="when the log was last asked for")
    read_at: Mapped[datetime | None] = mapped_column(comment="when the log was last read; null if it never was")
    handled: Mapped[list[str]] = mapped_column(
        server_default=text("'{}'"), comment="events that the next look may meet again and that need nothing more"
    )
    unknown_events: Mapped[Count] = mapped_column(
        comment="events so far that named no item that watch can read: full runs see what they changed"
    )
    error_code: Mapped[str | None] = mapped_column(comment="why the log could not be read; null if it was")
