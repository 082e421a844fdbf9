"""The tables. Every tenant table has `tenant_id` first in its primary key and row-level security on it.

`portfolio_run` belongs to no tenant, and names some: a transaction that is bound to a tenant sees none of its rows.

`tenant_id` defaults to the tenant that the transaction is bound to (`current_tenant()`), so statements never name
it. The migrations hold what SQLAlchemy's metadata does not: policies, grants, the role-bound view on staging.
"""

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    BigInteger,
    CheckConstraint,
    DateTime,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    Text,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from inventory.drift import BaselineKind, Decision, FindingKind
from inventory.error_codes import ErrorCode
from inventory.outcomes import Outcome, RunStatus
from inventory.references import ReferenceRole
from inventory.severity import Severity
from storage.counts import COUNT_NAMES, PORTFOLIO_COUNT_NAMES

CURRENT_TENANT = text("current_tenant()")
CLOCK = text("clock_timestamp()")


def one_of(column: str, values: type[StrEnum]) -> str:
    """The SQL condition that `column` holds a value of the enumeration."""
    return f"{column} IN ({', '.join(repr(str(value)) for value in values)})"


class Base(DeclarativeBase):
    """The metadata of all tables."""

    type_annotation_map = {  # noqa: RUF012 - SQLAlchemy's own convention
        datetime: DateTime(timezone=True),
        dict[str, Any]: JSONB,
        list[str]: ARRAY(Text),
        UUID: Uuid(),
        bytes: LargeBinary,
        str: Text,
        int: BigInteger,
    }


class Tenant(Base):
    """A tenant that has been synced at least once."""

    __tablename__ = "tenant"

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True, server_default=CURRENT_TENANT)
    name: Mapped[str] = mapped_column(comment="as the tenants file calls it")
    created_at: Mapped[datetime] = mapped_column(server_default=CLOCK)


class SyncRun(Base):
    """One run: its selection, its status, its counts."""

    __tablename__ = "sync_run"
    __table_args__ = (
        CheckConstraint(one_of("status", RunStatus), name="status_known"),
        CheckConstraint("(finished_at IS NULL) = (status IN ('queued', 'running'))", name="finished_iff_ended"),
        CheckConstraint("(lease_expires_at IS NULL) = (finished_at IS NOT NULL)", name="lease_iff_open"),
        CheckConstraint("status <> 'running' OR started_at IS NOT NULL", name="running_has_started"),
        CheckConstraint("selection_hash ~ '^[0-9a-f]{64}$'", name="selection_hash_is_sha256"),
        CheckConstraint(" AND ".join(f"{name} >= 0" for name in COUNT_NAMES), name="counts_not_negative"),
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
        Index("sync_run_by_id", "run_id", unique=True),
        Index("sync_run_recent", "tenant_id", "queued_at"),
        Index("sync_run_recent_overall", "queued_at"),
        Index("sync_run_open_lease", "lease_expires_at", postgresql_where=text("finished_at IS NULL")),
    )

    tenant_id: Mapped[UUID] = mapped_column(
        ForeignKey("tenant.tenant_id"), primary_key=True, server_default=CURRENT_TENANT
    )
    run_id: Mapped[UUID] = mapped_column(primary_key=True, comment="the workflow's first execution run id")
    workflow_id: Mapped[str]
    selection_hash: Mapped[str] = mapped_column(comment="SHA-256 of the canonical selection, hexadecimal")
    selection: Mapped[dict[str, Any]] = mapped_column(comment="the canonical selection")
    status: Mapped[str] = mapped_column(server_default=RunStatus.QUEUED)
    queued_at: Mapped[datetime] = mapped_column(server_default=CLOCK)
    started_at: Mapped[datetime | None] = mapped_column(comment="when the run got its slot; null if it never did")
    finished_at: Mapped[datetime | None]
    lease_expires_at: Mapped[datetime | None] = mapped_column(
        comment="an open run past this moment is taken for abandoned"
    )
    error_codes: Mapped[list[str]] = mapped_column(server_default=text("'{}'"))
    cancel_requested_by: Mapped[str | None]
    cancel_reason: Mapped[str | None]
    pages: Mapped[int] = mapped_column(server_default=text("0"))
    requests: Mapped[int] = mapped_column(server_default=text("0"))
    throttled: Mapped[int] = mapped_column(server_default=text("0"))
    observed: Mapped[int] = mapped_column(server_default=text("0"))
    created: Mapped[int] = mapped_column(server_default=text("0"))
    changed: Mapped[int] = mapped_column(server_default=text("0"))
    unchanged: Mapped[int] = mapped_column(server_default=text("0"))
    missing: Mapped[int] = mapped_column(server_default=text("0"))
    invalid: Mapped[int] = mapped_column(server_default=text("0"))
    errors: Mapped[int] = mapped_column(server_default=text("0"))


class SyncRunCollection(Base):
    """What became of one collection in one run. Until the run ends, its outcome reads `incomplete`."""

    __tablename__ = "sync_run_collection"
    __table_args__ = (
        ForeignKeyConstraint(["tenant_id", "run_id"], ["sync_run.tenant_id", "sync_run.run_id"], ondelete="CASCADE"),
        CheckConstraint(one_of("outcome", Outcome), name="outcome_known"),
        CheckConstraint(f"error_code IS NULL OR {one_of('error_code', ErrorCode)}", name="error_code_known"),
    )

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True, server_default=CURRENT_TENANT)
    run_id: Mapped[UUID] = mapped_column(primary_key=True)
    type_key: Mapped[str] = mapped_column(primary_key=True)
    outcome: Mapped[str] = mapped_column(server_default=Outcome.INCOMPLETE)
    pages: Mapped[int] = mapped_column(server_default=text("0"))
    items: Mapped[int] = mapped_column(server_default=text("0"))
    error_code: Mapped[str | None]
    context: Mapped[dict[str, Any]] = mapped_column(
        server_default=text("'{}'"), comment="HTTP status, Graph code, request id, named bad objects"
    )


class StagedItem(Base):
    """An observation on its way into the inventory. Unlogged: a crash loses it, and its wave is read again.

    PostgreSQL refuses COPY into a table with row-level security, so this one has none. The worker's role can only
    insert here, without naming a tenant, and reads through the view `staged_item_of_tenant`.
    """

    __tablename__ = "staged_item"
    __table_args__ = {"prefixes": ["UNLOGGED"]}  # noqa: RUF012 - SQLAlchemy's own convention

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True, server_default=CURRENT_TENANT)
    run_id: Mapped[UUID] = mapped_column(primary_key=True)
    fetch_token: Mapped[UUID] = mapped_column(primary_key=True, comment="one attempt at fetching one wave")
    type_key: Mapped[str] = mapped_column(primary_key=True)
    external_id: Mapped[str] = mapped_column(primary_key=True)
    display_name: Mapped[str | None]
    meta: Mapped[dict[str, Any]]
    content_hash: Mapped[bytes]
    document: Mapped[bytes] = mapped_column(comment="canonical JSON, zstd")
    document_size: Mapped[int]
    likeness_hash: Mapped[bytes | None] = mapped_column(comment="written by workers of 0.3.0")
    list_hash: Mapped[bytes | None]
    is_whole: Mapped[bool] = mapped_column(comment="false for what a list shows of an item that has details")
    staged_at: Mapped[datetime] = mapped_column(server_default=CLOCK)


class CollectionCoverage(Base):
    """How far one collection has been read: by the latest completed run that selected it, by the latest that could."""

    __tablename__ = "collection_coverage"
    __table_args__ = (
        CheckConstraint(one_of("outcome", Outcome), name="outcome_known"),
        CheckConstraint(
            "num_nulls(first_listed_at, listed_run_id, listed_from, listed_at, listed_cleanly) IN (0, 5)",
            name="listed_as_a_whole",
        ),
        {"postgresql_with": {"fillfactor": "50"}, "comment": "how far each collection has been read"},
    )

    tenant_id: Mapped[UUID] = mapped_column(
        ForeignKey("tenant.tenant_id"), primary_key=True, server_default=CURRENT_TENANT
    )
    type_key: Mapped[str] = mapped_column(primary_key=True)
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
    """A wave that has been merged, and what the merge did: the answer for an attempt that comes late."""

    __tablename__ = "merged_wave"
    __table_args__ = (
        ForeignKeyConstraint(["tenant_id", "run_id"], ["sync_run.tenant_id", "sync_run.run_id"], ondelete="CASCADE"),
    )

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True, server_default=CURRENT_TENANT)
    run_id: Mapped[UUID] = mapped_column(primary_key=True)
    fetch_token: Mapped[UUID] = mapped_column(primary_key=True)
    result: Mapped[dict[str, Any] | None] = mapped_column(comment="null only inside the merging transaction")


class RequestPace(Base):
    """When Graph may be asked again for one throttle family of the tenant, whichever run or worker asks."""

    __tablename__ = "request_pace"
    __table_args__ = {  # noqa: RUF012 - SQLAlchemy's own convention
        "postgresql_with": {"fillfactor": "50"},
        "comment": "when Graph may be asked again, by throttle family",
    }

    tenant_id: Mapped[UUID] = mapped_column(
        ForeignKey("tenant.tenant_id"), primary_key=True, server_default=CURRENT_TENANT
    )
    throttle_family: Mapped[str] = mapped_column(primary_key=True)
    not_before: Mapped[datetime] = mapped_column(
        server_default=CLOCK, comment="no request of the family before this moment"
    )
    held_until: Mapped[datetime] = mapped_column(
        server_default=CLOCK, comment="a request that has its turn is under way until this moment, at most"
    )


class Document(Base):
    """What a document said, by content: immutable, shared by all versions of a tenant that say the same."""

    __tablename__ = "document"
    __table_args__ = (CheckConstraint("octet_length(content_hash) = 32", name="content_hash_is_sha256"),)

    tenant_id: Mapped[UUID] = mapped_column(
        ForeignKey("tenant.tenant_id"), primary_key=True, server_default=CURRENT_TENANT
    )
    content_hash: Mapped[bytes] = mapped_column(primary_key=True, comment="SHA-256 of the body before compression")
    body: Mapped[bytes] = mapped_column(comment="canonical JSON, zstd")
    size: Mapped[int] = mapped_column(comment="bytes of the body before compression")


class InventoryItem(Base):
    """One item as last observed."""

    __tablename__ = "inventory_item"
    __table_args__ = (
        CheckConstraint("octet_length(content_hash) = 32", name="content_hash_is_sha256"),
        CheckConstraint("version_number >= 0", name="version_number_from_zero"),
        CheckConstraint("first_seen_at <= last_seen_at", name="seen_in_order"),
        CheckConstraint(
            "(missing_confirmed_at IS NULL) = (missing_confirmed_run_id IS NULL)", name="missing_confirmed_by_a_run"
        ),
        Index(
            "inventory_item_absent",
            "tenant_id",
            "type_key",
            "external_id",
            postgresql_where=text("absent_from IS NOT NULL"),
        ),
        Index(
            "inventory_item_recreation",
            "tenant_id",
            "type_key",
            "recreates_external_id",
            postgresql_where=text("recreates_external_id IS NOT NULL"),
        ),
        {"postgresql_with": {"fillfactor": "50"}},
    )

    tenant_id: Mapped[UUID] = mapped_column(
        ForeignKey("tenant.tenant_id"), primary_key=True, server_default=CURRENT_TENANT
    )
    type_key: Mapped[str] = mapped_column(primary_key=True)
    external_id: Mapped[str] = mapped_column(primary_key=True, comment="the Graph id; a name is never an identity")
    display_name: Mapped[str | None]
    meta: Mapped[dict[str, Any]] = mapped_column(comment="whitelisted keys only")
    content_hash: Mapped[bytes]
    version_number: Mapped[int] = mapped_column(comment="of the current version; 0 where no document has been read yet")
    first_seen_at: Mapped[datetime]
    first_seen_run_id: Mapped[UUID]
    content_changed_at: Mapped[datetime] = mapped_column(comment="when the current version was first observed")
    last_seen_at: Mapped[datetime]
    last_seen_run_id: Mapped[UUID]
    missing_confirmed_at: Mapped[datetime | None] = mapped_column(comment="when a GET by id last answered 404")
    missing_confirmed_run_id: Mapped[UUID | None] = mapped_column(comment="the run that asked")
    likeness_hash: Mapped[bytes | None] = mapped_column(comment="written by workers of 0.3.0")
    list_hash: Mapped[bytes | None] = mapped_column(comment="of the list's document whose details were last read")
    details_read_at: Mapped[datetime | None]
    details_complete: Mapped[bool] = mapped_column(
        server_default=text("true"), comment="the current version holds all details of what the list shows"
    )
    content_observed_at: Mapped[datetime | None] = mapped_column(
        comment="when the current version was last observed, where that is not when the item was last seen"
    )
    content_observed_run_id: Mapped[UUID | None]
    recreates_external_id: Mapped[str | None] = mapped_column(
        comment="an item that was gone when this one came, the same but for its id"
    )
    absent_from: Mapped[datetime | None] = mapped_column(
        comment="start of the run whose complete listing first did not show it; null while it is listed"
    )


class ItemAbsence(Base):
    """From when to when a complete listing did not show an item: one row each time it went missing."""

    __tablename__ = "item_absence"
    __table_args__ = (
        ForeignKeyConstraint(
            ["tenant_id", "type_key", "external_id"],
            ["inventory_item.tenant_id", "inventory_item.type_key", "inventory_item.external_id"],
        ),
        CheckConstraint("evidence IN ('confirmed', 'not_listed')", name="evidence_known"),
        CheckConstraint("confidence IN ('high', 'low')", name="confidence_known"),
        CheckConstraint("(came_back_at IS NULL) = (came_back_run_id IS NULL)", name="came_back_in_a_run"),
        CheckConstraint("last_seen_at < absent_from", name="seen_before_absent"),
        Index("item_absence_noticed", "tenant_id", "noticed_at"),
        Index(
            "item_absence_came_back",
            "tenant_id",
            "came_back_at",
            postgresql_where=text("came_back_at IS NOT NULL"),
        ),
        Index(
            "item_absence_recreated_as",
            "tenant_id",
            "type_key",
            "recreated_as",
            postgresql_where=text("recreated_as IS NOT NULL"),
        ),
        Index("item_absence_recreated", "tenant_id", "noticed_at", postgresql_where=text("recreated_as IS NOT NULL")),
        {"comment": "from when to when a complete listing did not show an item"},
    )

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True, server_default=CURRENT_TENANT)
    type_key: Mapped[str] = mapped_column(primary_key=True)
    external_id: Mapped[str] = mapped_column(primary_key=True)
    absent_from: Mapped[datetime] = mapped_column(
        primary_key=True, comment="start of the run whose complete listing first did not show it"
    )
    run_id: Mapped[UUID]
    noticed_at: Mapped[datetime] = mapped_column(server_default=CLOCK, comment="when that run ended")
    last_seen_at: Mapped[datetime]
    evidence: Mapped[str]
    confidence: Mapped[str]
    came_back_at: Mapped[datetime | None]
    came_back_run_id: Mapped[UUID | None]
    recreated_as: Mapped[str | None] = mapped_column(
        comment="the id under which it was made again, where a run before this one had seen that already"
    )


class AuditedObject(Base):
    """That an audit event is about an object: a trigger notes it when the event is merged."""

    __tablename__ = "audited_object"
    __table_args__ = {  # noqa: RUF012 - SQLAlchemy's own convention
        "comment": "which objects an audit event is about, kept by a trigger on the events"
    }

    tenant_id: Mapped[UUID] = mapped_column(
        ForeignKey("tenant.tenant_id"), primary_key=True, server_default=CURRENT_TENANT
    )
    object_id: Mapped[str] = mapped_column(primary_key=True)
    activity_at: Mapped[datetime] = mapped_column(primary_key=True, comment="when it happened, by the clock of Graph")
    event_id: Mapped[str] = mapped_column(primary_key=True, comment="external_id of the audit event")


class ItemVersion(Base):
    """One version of an item: immutable. A document that returns makes a new version of an old document."""

    __tablename__ = "item_version"
    __table_args__ = (
        ForeignKeyConstraint(
            ["tenant_id", "type_key", "external_id"],
            ["inventory_item.tenant_id", "inventory_item.type_key", "inventory_item.external_id"],
        ),
        ForeignKeyConstraint(["tenant_id", "content_hash"], ["document.tenant_id", "document.content_hash"]),
        Index("item_version_by_document", "tenant_id", "content_hash"),
        Index("item_version_observed", "tenant_id", "first_observed_at"),
    )

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True, server_default=CURRENT_TENANT)
    type_key: Mapped[str] = mapped_column(primary_key=True)
    external_id: Mapped[str] = mapped_column(primary_key=True)
    version_number: Mapped[int] = mapped_column(primary_key=True)
    content_hash: Mapped[bytes]
    display_name: Mapped[str | None]
    details_complete: Mapped[bool] = mapped_column(server_default=text("true"))
    first_observed_at: Mapped[datetime]
    first_observed_run_id: Mapped[UUID]
    last_observed_at: Mapped[datetime | None] = mapped_column(
        comment="null for the current version, which was last observed when its item was,"
        " and where 0.2.0 did not record it"
    )
    last_observed_run_id: Mapped[UUID | None]


class ItemVersionPin(Base):
    """A version that somebody needs, and that retention leaves alone."""

    __tablename__ = "item_version_pin"
    __table_args__ = (
        ForeignKeyConstraint(
            ["tenant_id", "type_key", "external_id", "version_number"],
            [
                "item_version.tenant_id",
                "item_version.type_key",
                "item_version.external_id",
                "item_version.version_number",
            ],
        ),
        Index("item_version_pin_by_whom", "tenant_id", "pinned_by", "type_key", "external_id"),
        {"comment": "versions that retention leaves alone"},
    )

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True, server_default=CURRENT_TENANT)
    type_key: Mapped[str] = mapped_column(primary_key=True)
    external_id: Mapped[str] = mapped_column(primary_key=True)
    version_number: Mapped[int] = mapped_column(primary_key=True)
    pinned_by: Mapped[str] = mapped_column(primary_key=True, comment="who or what needs it: a user, a baseline")
    reason: Mapped[str | None]
    pinned_at: Mapped[datetime] = mapped_column(server_default=CLOCK)


class ItemReference(Base):
    """One reference of an item's current version. No foreign key: see migration 0007."""

    __tablename__ = "item_reference"
    __table_args__ = (
        CheckConstraint(one_of("role", ReferenceRole), name="role_known"),
        Index("item_reference_by_target", "tenant_id", "target_id", "target_type_keys"),
        {"comment": "what the current versions of items refer to"},
    )

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True, server_default=CURRENT_TENANT)
    type_key: Mapped[str] = mapped_column(primary_key=True)
    external_id: Mapped[str] = mapped_column(primary_key=True)
    position: Mapped[int] = mapped_column(
        Integer, primary_key=True, comment="its place among the references of the item"
    )
    version_number: Mapped[int] = mapped_column(comment="the version that it was read from")
    path: Mapped[str] = mapped_column(comment="where it stands, as the rule of the catalog says")
    role: Mapped[str]
    target_type_keys: Mapped[list[str]] = mapped_column(
        comment="the collections that the target may belong to; none where it is an audience and no object"
    )
    target_id: Mapped[str]


class UnreadItem(Base):
    """An item with a version whose references have not been read yet."""

    __tablename__ = "unread_item"
    __table_args__ = {  # noqa: RUF012 - SQLAlchemy's own convention
        "comment": "items with a version whose references have not been read yet"
    }

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True, server_default=CURRENT_TENANT)
    type_key: Mapped[str] = mapped_column(primary_key=True)
    external_id: Mapped[str] = mapped_column(primary_key=True)


class ReferenceRulesOfType(Base):
    """By which rules the references of a collection's items have last been read."""

    __tablename__ = "reference_rules"
    __table_args__ = {  # noqa: RUF012 - SQLAlchemy's own convention
        "comment": "the rules of the catalog that references have last been read by"
    }

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True, server_default=CURRENT_TENANT)
    type_key: Mapped[str] = mapped_column(primary_key=True)
    rules_hash: Mapped[bytes] = mapped_column(comment="SHA-256: where it differs, all items are read again")


class PendingItem(Base):
    """An item of a run whose details are still to be read, or cannot be; it is gone when the run ends."""

    __tablename__ = "pending_item"
    __table_args__ = (
        ForeignKeyConstraint(["tenant_id", "run_id"], ["sync_run.tenant_id", "sync_run.run_id"], ondelete="CASCADE"),
        {"comment": "items of a run whose details are still to be read"},
    )

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True, server_default=CURRENT_TENANT)
    run_id: Mapped[UUID] = mapped_column(primary_key=True)
    type_key: Mapped[str] = mapped_column(primary_key=True)
    external_id: Mapped[str] = mapped_column(primary_key=True)
    shard: Mapped[int] = mapped_column(
        SmallInteger, comment="from 0 to 15, so that several waves can share a collection"
    )
    list_hash: Mapped[bytes]
    list_document: Mapped[bytes] = mapped_column(comment="what the list shows of the item: canonical JSON, zstd")
    list_document_size: Mapped[int]
    progress: Mapped[bytes | None] = mapped_column(
        comment="the answers so far, and what is still to be asked: JSON, zstd"
    )
    attempts: Mapped[int] = mapped_column(server_default=text("0"))
    failure: Mapped[dict[str, Any] | None] = mapped_column(comment="why its details cannot be read")


class Baseline(Base):
    """What a tenant is held against: its own inventory at a moment, whose versions are pinned, or another tenant's."""

    __tablename__ = "baseline"
    __table_args__ = (
        CheckConstraint(one_of("kind", BaselineKind), name="kind_known"),
        CheckConstraint("(run_id IS NOT NULL) = (kind = 'run')", name="run_iff_run"),
        CheckConstraint("(other_tenant_id IS NOT NULL) = (kind = 'tenant')", name="tenant_iff_tenant"),
        CheckConstraint("other_tenant_id <> tenant_id", name="another_tenant"),
        {"comment": "what a tenant is held against; the versions of then are pinned"},
    )

    tenant_id: Mapped[UUID] = mapped_column(
        ForeignKey("tenant.tenant_id"), primary_key=True, server_default=CURRENT_TENANT
    )
    name: Mapped[str] = mapped_column(primary_key=True)
    kind: Mapped[str]
    at: Mapped[datetime] = mapped_column(comment="the moment; of a run its end; of a tenant when it was set")
    run_id: Mapped[UUID | None]
    other_tenant_id: Mapped[UUID | None] = mapped_column(
        comment="the tenant whose inventory, as it is, this one is held against"
    )
    set_by: Mapped[str]
    set_at: Mapped[datetime] = mapped_column(server_default=CLOCK)
    reason: Mapped[str | None]


class BaselineCollection(Base):
    """How far a collection had been read at a baseline's moment. Complete ones are covered."""

    __tablename__ = "baseline_collection"
    __table_args__ = (
        ForeignKeyConstraint(["tenant_id", "baseline"], ["baseline.tenant_id", "baseline.name"], ondelete="CASCADE"),
        CheckConstraint(one_of("outcome", Outcome), name="outcome_known"),
        {"comment": "how far each collection had been read; complete ones are covered"},
    )

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True, server_default=CURRENT_TENANT)
    baseline: Mapped[str] = mapped_column(primary_key=True)
    type_key: Mapped[str] = mapped_column(primary_key=True)
    outcome: Mapped[str]
    error_code: Mapped[str | None]
    run_id: Mapped[UUID] = mapped_column(comment="the latest completed run by then that selected the collection")
    read_at: Mapped[datetime] = mapped_column(comment="when that run ended")


class BaselineGap(Base):
    """An item of which a baseline does not know all."""

    __tablename__ = "baseline_gap"
    __table_args__ = (
        ForeignKeyConstraint(["tenant_id", "baseline"], ["baseline.tenant_id", "baseline.name"], ondelete="CASCADE"),
        CheckConstraint("why IN ('forgotten', 'unread', 'presumed', 'ambiguous', 'undecided')", name="why_known"),
        {"comment": "items of which the baseline does not know all"},
    )

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True, server_default=CURRENT_TENANT)
    baseline: Mapped[str] = mapped_column(primary_key=True)
    type_key: Mapped[str] = mapped_column(primary_key=True)
    external_id: Mapped[str] = mapped_column(primary_key=True)
    why: Mapped[str] = mapped_column(
        comment="its version of then is forgotten; no document had been read; whether it was there is not recorded;"
        " another tenant has several of its name; what it says cannot be compared with what another tenant's says"
    )


class DriftFinding(Base):
    """What deviates from a baseline: one row each time it began to."""

    __tablename__ = "drift_finding"
    __table_args__ = (
        ForeignKeyConstraint(["tenant_id", "baseline"], ["baseline.tenant_id", "baseline.name"], ondelete="CASCADE"),
        CheckConstraint("fingerprint ~ '^[0-9a-f]{64}$'", name="fingerprint_is_sha256"),
        CheckConstraint("octet_length(value_hash) = 32", name="value_hash_is_sha256"),
        CheckConstraint(one_of("kind", FindingKind), name="kind_known"),
        CheckConstraint(one_of("severity", Severity), name="severity_known"),
        CheckConstraint("NOT hidden OR before IS NULL AND after IS NULL", name="hidden_not_shown"),
        Index(
            "drift_finding_one_open",
            "tenant_id",
            "fingerprint",
            unique=True,
            postgresql_where=text("resolved_at IS NULL"),
        ),
        Index("drift_finding_by_baseline", "tenant_id", "baseline", "type_key", "external_id"),
        {"comment": "what deviates from a baseline: one row each time it began to"},
    )

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True, server_default=CURRENT_TENANT)
    fingerprint: Mapped[str] = mapped_column(
        primary_key=True, comment="SHA-256 of tenant, baseline, item, field and kind"
    )
    period: Mapped[int] = mapped_column(primary_key=True, comment="from 1: how often it has begun to deviate")
    baseline: Mapped[str]
    type_key: Mapped[str]
    external_id: Mapped[str]
    display_name: Mapped[str | None]
    item_kind: Mapped[str]
    path: Mapped[str] = mapped_column(comment="the field; empty for the item as a whole")
    kind: Mapped[str]
    before: Mapped[str | None] = mapped_column(comment="in the baseline: canonical JSON, sensitive values hidden")
    after: Mapped[str | None]
    hidden: Mapped[bool]
    value_hash: Mapped[bytes] = mapped_column(comment="SHA-256 of both values; a decision is about them")
    severity: Mapped[str]
    evidence: Mapped[str]
    first_seen_at: Mapped[datetime] = mapped_column(comment="when the first version that deviates was first observed")
    last_seen_at: Mapped[datetime] = mapped_column(comment="when the item was last seen to deviate")
    resolved_at: Mapped[datetime | None] = mapped_column(comment="when it was noticed that it no longer deviates")


class DriftDecision(Base):
    """What has been decided about a finding; the latest counts. It outlives a baseline that is set again."""

    __tablename__ = "drift_decision"
    __table_args__ = (
        CheckConstraint(one_of("decision", Decision), name="decision_known"),
        CheckConstraint("octet_length(value_hash) = 32", name="value_hash_is_sha256"),
        {"comment": "what has been decided about findings; the latest of each counts"},
    )

    tenant_id: Mapped[UUID] = mapped_column(
        ForeignKey("tenant.tenant_id"), primary_key=True, server_default=CURRENT_TENANT
    )
    fingerprint: Mapped[str] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    decision: Mapped[str]
    value_hash: Mapped[bytes] = mapped_column(comment="of the values that it is about; of others it is none")
    decided_by: Mapped[str]
    decided_at: Mapped[datetime] = mapped_column(server_default=CLOCK)
    reason: Mapped[str]
    until: Mapped[datetime | None] = mapped_column(comment="it holds before this moment; for good where null")


class PortfolioRunRow(Base):
    """One portfolio run: a selection over many tenants. It belongs to no tenant, and none of them sees it."""

    __tablename__ = "portfolio_run"
    __table_args__ = (
        CheckConstraint(one_of("status", RunStatus), name="status_known"),
        CheckConstraint("(finished_at IS NULL) = (status = 'running')", name="finished_iff_ended"),
        CheckConstraint("selection_hash ~ '^[0-9a-f]{64}$'", name="selection_hash_is_sha256"),
        CheckConstraint(" AND ".join(f"{name} >= 0" for name in PORTFOLIO_COUNT_NAMES), name="counts_not_negative"),
        CheckConstraint("success + partial + failed + cancelled <= tenants", name="outcomes_of_its_tenants"),
        Index("portfolio_run_recent", "started_at"),
        {"comment": "one selection over many tenants"},
    )

    portfolio_run_id: Mapped[UUID] = mapped_column(primary_key=True, comment="the workflow's first execution run id")
    workflow_id: Mapped[str]
    schedule: Mapped[str | None] = mapped_column(comment="the schedule that started it, if one did")
    selection_hash: Mapped[str]
    selection: Mapped[dict[str, Any]] = mapped_column(comment="the canonical selection")
    chosen: Mapped[dict[str, Any]] = mapped_column(comment="which tenants: all, ids, tags")
    status: Mapped[str] = mapped_column(server_default=RunStatus.RUNNING)
    started_at: Mapped[datetime] = mapped_column(server_default=CLOCK)
    finished_at: Mapped[datetime | None]
    error_codes: Mapped[list[str]] = mapped_column(server_default=text("'{}'"))
    cancel_requested_by: Mapped[str | None]
    cancel_reason: Mapped[str | None]
    tenants: Mapped[int] = mapped_column(server_default=text("0"))
    success: Mapped[int] = mapped_column(server_default=text("0"))
    partial: Mapped[int] = mapped_column(server_default=text("0"))
    failed: Mapped[int] = mapped_column(server_default=text("0"))
    cancelled: Mapped[int] = mapped_column(server_default=text("0"))
    joined: Mapped[int] = mapped_column(server_default=text("0"))


class PortfolioRunTenant(Base):
    """What became of one tenant in one portfolio run, copied from its run's record when that ended."""

    __tablename__ = "portfolio_run_tenant"
    __table_args__ = (
        ForeignKeyConstraint(["portfolio_run_id"], ["portfolio_run.portfolio_run_id"], ondelete="CASCADE"),
        CheckConstraint(one_of("status", RunStatus), name="status_known"),
        Index("portfolio_run_tenant_by_run", "portfolio_run_id"),
        {"comment": "what became of one tenant in one portfolio run"},
    )

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True, server_default=CURRENT_TENANT)
    portfolio_run_id: Mapped[UUID] = mapped_column(primary_key=True)
    run_id: Mapped[UUID | None] = mapped_column(comment="null where no run of the tenant could be started")
    status: Mapped[str] = mapped_column(comment="running where the run was not waited for")
    joined: Mapped[bool] = mapped_column(comment="the run was under way already")
    error_codes: Mapped[list[str]] = mapped_column(server_default=text("'{}'"))
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
