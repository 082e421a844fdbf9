"""Notifications as JSON; field names never change."""

from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from pydantic import BaseModel

from inventory.notifications import NotificationKind, NotificationState
from inventory.severity import Severity


class NotifyTestRecord(BaseModel, frozen=True):
    """A test message to one target: whether the target took it, and the beginning of its answer."""

    target: str
    kind: str
    delivered: bool
    answer: str
    body: str


class NotificationRecord(BaseModel, frozen=True):
    """An event for a target, and its state. Events with the same `delivery_id` went in one message.

    `run_id` is the run that noticed it, null where no run did. `ended_at` is null while it waits; `answer` is the
    target's answer to the last attempt.
    """

    tenant_id: UUID
    target: str
    kind: NotificationKind
    severity: Severity
    text: str
    type_key: str | None
    external_id: str | None
    run_id: UUID | None
    delivery_id: UUID
    state: NotificationState
    noted_at: datetime
    ended_at: datetime | None
    attempts: int
    answer: str | None


class NotificationPlace(NamedTuple):
    """The values after which a list of notifications goes on."""

    noted_at: datetime
    tenant_id: UUID
    target: str
    event_hash: str


class PlacedNotification(NamedTuple):
    place: NotificationPlace
    record: NotificationRecord


class SnoozeRecord(BaseModel, frozen=True):
    """Events of a tenant that nobody is told until a moment. A null field fits all."""

    tenant_id: UUID
    snooze_id: UUID
    kind: NotificationKind | None
    type_key: str | None
    external_id: str | None
    until: datetime
    reason: str
    snoozed_by: str
    snoozed_at: datetime
