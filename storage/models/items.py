"""Items, versions, documents, absences."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    CheckConstraint,
    ForeignKeyConstraint,
    Index,
    SmallInteger,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from storage.models.base import Base, RecordedTenantKey, TenantKey, TextKey, WrittenAt


class Document(Base):
    """Immutable; shared by a tenant's versions of the same content."""

    __tablename__ = "document"
    __table_args__ = (CheckConstraint("octet_length(content_hash) = 32", name="content_hash_is_sha256"),)

    tenant_id: Mapped[RecordedTenantKey]
    content_hash: Mapped[bytes] = mapped_column(
        primary_key=True, comment="SHA-256 of the normal form; of the body where body_hash is null"
    )
    body: Mapped[bytes] = mapped_column(
        comment="JSON as Graph served it, secrets and volatile fields aside, keys sorted, zstd"
    )
    size: Mapped[int] = mapped_column(comment="bytes of the body before compression")
    body_hash: Mapped[bytes | None] = mapped_column(
        comment="SHA-256 of the body before compression; null in normal form 0, which was stored itself"
    )


class InventoryItem(Base):
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
        Index("inventory_item_stale", "tenant_id", "type_key", postgresql_where=text("stale_since IS NOT NULL")),
        Index("inventory_item_form", "tenant_id", "type_key", "external_id", postgresql_where=text("form < 1")),
        {"postgresql_with": {"fillfactor": "50"}},
    )

    tenant_id: Mapped[RecordedTenantKey]
    type_key: Mapped[TextKey]
    external_id: Mapped[TextKey] = mapped_column(
        comment="the Graph id, in lower case if it is made of GUIDs; a name is never an identity"
    )
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
    stale_since: Mapped[datetime | None] = mapped_column(
        comment="since when details of the current version are not known to be current; null where they all are"
    )
    stale_parts: Mapped[list[dict[str, Any]] | None] = mapped_column(
        JSONB, comment="the details that could not be read, and why"
    )
    stale_asks: Mapped[int] = mapped_column(
        SmallInteger,
        server_default=text("0"),
        comment="how often in a row details that cannot be read were asked for",
    )
    stale_asked_at: Mapped[datetime | None] = mapped_column(comment="when they were last asked for")
    form: Mapped[int] = mapped_column(
        SmallInteger, server_default=text("0"), comment="number of the normal form that content_hash is of"
    )
    graph_id: Mapped[str | None] = mapped_column(
        comment="the id as Graph last spelled it, where that is not external_id"
    )
    found_by_id_run_id: Mapped[UUID | None] = mapped_column(
        comment="the latest run whose GET by id found it though its listing did not show it"
    )
    raw_digest: Mapped[bytes | None] = mapped_column(
        comment="keyed hash of the object as its list last showed it, and of the rules it was read by"
    )
    raw_digest_at: Mapped[datetime | None] = mapped_column(
        comment="of which observation raw_digest is: it counts only while that is the last one"
    )


class ItemAbsence(Base):
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

    tenant_id: Mapped[TenantKey]
    type_key: Mapped[TextKey]
    external_id: Mapped[TextKey]
    absent_from: Mapped[datetime] = mapped_column(
        primary_key=True, comment="start of the run whose complete listing first did not show it"
    )
    run_id: Mapped[UUID]
    noticed_at: Mapped[WrittenAt] = mapped_column(comment="when that run ended")
    last_seen_at: Mapped[datetime]
    evidence: Mapped[str]
    confidence: Mapped[str]
    came_back_at: Mapped[datetime | None]
    came_back_run_id: Mapped[UUID | None]
    recreated_as: Mapped[str | None] = mapped_column(
        comment="the id under which it was made again, where a run before this one had seen that already"
    )


class AuditedObject(Base):
    """A trigger writes the row when the event is merged."""

    __tablename__ = "audited_object"
    __table_args__ = {"comment": "which objects an audit event is about, kept by a trigger on the events"}

    tenant_id: Mapped[RecordedTenantKey]
    object_id: Mapped[TextKey]
    activity_at: Mapped[datetime] = mapped_column(primary_key=True, comment="when it happened, by the clock of Graph")
    event_id: Mapped[TextKey] = mapped_column(comment="external_id of the audit event")


class ItemVersion(Base):
    """Immutable. A document that returns makes a new version.

    It has no foreign key to the item: one statement writes both, and only a purge deletes items.
    """

    __tablename__ = "item_version"
    __table_args__ = (
        ForeignKeyConstraint(["tenant_id", "content_hash"], ["document.tenant_id", "document.content_hash"]),
        Index("item_version_by_document", "tenant_id", "content_hash"),
        Index("item_version_observed", "tenant_id", "first_observed_at"),
    )

    tenant_id: Mapped[TenantKey]
    type_key: Mapped[TextKey]
    external_id: Mapped[TextKey]
    version_number: Mapped[int] = mapped_column(primary_key=True)
    content_hash: Mapped[bytes]
    display_name: Mapped[str | None]
    details_complete: Mapped[bool] = mapped_column(server_default=text("true"))
    stale_parts: Mapped[list[dict[str, Any]] | None] = mapped_column(
        JSONB,
        comment="the details that could not be read when it was first observed: it says what was read of them before,"
        " if anything",
    )
    first_observed_at: Mapped[datetime]
    first_observed_run_id: Mapped[UUID]
    last_observed_at: Mapped[datetime | None] = mapped_column(
        comment="null for the current version, which was last observed when its item was,"
        " and where 0.2.0 did not record it"
    )
    last_observed_run_id: Mapped[UUID | None]


class ItemVersionPin(Base):
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

    tenant_id: Mapped[TenantKey]
    type_key: Mapped[TextKey]
    external_id: Mapped[TextKey]
    version_number: Mapped[int] = mapped_column(primary_key=True)
    pinned_by: Mapped[TextKey] = mapped_column(comment="who or what needs it: a user, a baseline")
    reason: Mapped[str | None]
    pinned_at: Mapped[WrittenAt]
