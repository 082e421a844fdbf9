"""Notifications: the outbox, how far events have been told, and snoozes."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKeyConstraint, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from inventory.notifications import NotificationState
from storage.models.base import Base, Count, RecordedTenantKey, TenantKey, TextKey, UuidKey, WrittenAt, one_of


class NotificationRow(Base):
    __tablename__ = "notification"
    __table_args__ = (
        CheckConstraint("octet_length(event_hash) = 32", name="event_hash_is_sha256"),
        CheckConstraint(one_of("state", NotificationState), name="state_known"),
        CheckConstraint("(ended_at IS NULL) = (state = 'pending')", name="ended_iff_not_pending"),
        Index("notification_pending", "tenant_id", "target", "delivery_id", postgresql_where=text("state = 'pending'")),
        Index("notification_recent", "tenant_id", "noted_at"),
        Index("notification_by_time", "noted_at", "tenant_id", "target", "event_hash"),
        {"comment": "one event for one target: what is to be sent, and what became of it"},
    )

    tenant_id: Mapped[RecordedTenantKey]
    target: Mapped[TextKey]
    event_hash: Mapped[bytes] = mapped_column(
        primary_key=True, comment="SHA-256 of what identifies the event: it is told once"
    )
    delivery_id: Mapped[UUID] = mapped_column(
        comment="of the message: its events go together, and every attempt has the same id"
    )
    run_id: Mapped[UUID | None] = mapped_column(comment="the run that noticed the event; null where no run did")
    kind: Mapped[str]
    severity: Mapped[str]
    event: Mapped[dict[str, Any]] = mapped_column(
        comment="what the message says of the event: names and labels, no value"
    )
    state: Mapped[str] = mapped_column(server_default=NotificationState.PENDING)
    noted_at: Mapped[WrittenAt]
    not_before: Mapped[WrittenAt] = mapped_column(
        comment="no attempt before this moment: one is under way, or has failed"
    )
    attempts: Mapped[Count]
    ended_at: Mapped[datetime | None]
    answer: Mapped[str | None] = mapped_column(comment="what came back from the last attempt")


class NotificationPosition(Base):
    __tablename__ = "notification_position"
    __table_args__ = {"comment": "how far the events of a collection, a baseline, or the runs have been told"}

    tenant_id: Mapped[RecordedTenantKey]
    subject: Mapped[TextKey]
    quiet_until: Mapped[WrittenAt] = mapped_column(comment="nothing from before this moment is told")
    told_until: Mapped[WrittenAt]


class ToldRun(Base):
    __tablename__ = "told_run"
    __table_args__ = (
        ForeignKeyConstraint(["tenant_id", "run_id"], ["sync_run.tenant_id", "sync_run.run_id"], ondelete="CASCADE"),
        {"comment": "runs whose events have been noted"},
    )

    tenant_id: Mapped[TenantKey]
    run_id: Mapped[UuidKey]
    told_at: Mapped[WrittenAt]


class SnoozeRow(Base):
    __tablename__ = "notification_snooze"
    __table_args__ = {"comment": "events of a tenant that nobody is told until a moment; null fits all"}

    tenant_id: Mapped[RecordedTenantKey]
    snooze_id: Mapped[UuidKey]
    kind: Mapped[str | None]
    type_key: Mapped[str | None]
    external_id: Mapped[str | None]
    until: Mapped[datetime]
    reason: Mapped[str]
    snoozed_by: Mapped[str]
    snoozed_at: Mapped[WrittenAt]
    ended_at: Mapped[datetime | None]
