"""The tables. Every tenant table has `tenant_id` first in its primary key and row-level security on it.

`tenant_id` defaults to the tenant that the transaction is bound to (`current_tenant()`), so statements never name
it. The migrations hold what SQLAlchemy's metadata does not: policies, grants, the role-bound view on staging.
"""

from datetime import datetime
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
    LargeBinary,
    Text,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from inventory.error_codes import ErrorCode
from inventory.outcomes import Counts, Outcome, RunStatus

CURRENT_TENANT = text("current_tenant()")
CLOCK = text("clock_timestamp()")
COUNT_NAMES: tuple[str, ...] = tuple(Counts.model_fields)


def one_of(column: str, values: type[RunStatus | Outcome | ErrorCode]) -> str:
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
    document: Mapped[str]
    staged_at: Mapped[datetime] = mapped_column(server_default=CLOCK)


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


class Document(Base):
    """What a document said, by content: immutable, shared by all versions of a tenant that say the same."""

    __tablename__ = "document"
    __table_args__ = (CheckConstraint("octet_length(content_hash) = 32", name="content_hash_is_sha256"),)

    tenant_id: Mapped[UUID] = mapped_column(
        ForeignKey("tenant.tenant_id"), primary_key=True, server_default=CURRENT_TENANT
    )
    content_hash: Mapped[bytes] = mapped_column(primary_key=True, comment="SHA-256 of the body")
    body: Mapped[str] = mapped_column(comment="canonical JSON")


class InventoryItem(Base):
    """One item as last observed."""

    __tablename__ = "inventory_item"
    __table_args__ = (
        CheckConstraint("octet_length(content_hash) = 32", name="content_hash_is_sha256"),
        CheckConstraint("version_number >= 1", name="version_number_from_one"),
        CheckConstraint("first_seen_at <= last_seen_at", name="seen_in_order"),
        {"postgresql_with": {"fillfactor": "80"}},
    )

    tenant_id: Mapped[UUID] = mapped_column(
        ForeignKey("tenant.tenant_id"), primary_key=True, server_default=CURRENT_TENANT
    )
    type_key: Mapped[str] = mapped_column(primary_key=True)
    external_id: Mapped[str] = mapped_column(primary_key=True, comment="the Graph id; a name is never an identity")
    display_name: Mapped[str | None]
    meta: Mapped[dict[str, Any]] = mapped_column(comment="whitelisted keys only")
    content_hash: Mapped[bytes]
    version_number: Mapped[int] = mapped_column(comment="of the current version")
    first_seen_at: Mapped[datetime]
    first_seen_run_id: Mapped[UUID]
    content_changed_at: Mapped[datetime] = mapped_column(comment="when the current version was first observed")
    last_seen_at: Mapped[datetime]
    last_seen_run_id: Mapped[UUID]


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
    )

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True, server_default=CURRENT_TENANT)
    type_key: Mapped[str] = mapped_column(primary_key=True)
    external_id: Mapped[str] = mapped_column(primary_key=True)
    version_number: Mapped[int] = mapped_column(primary_key=True)
    content_hash: Mapped[bytes]
    observed_at: Mapped[datetime]
    run_id: Mapped[UUID]
