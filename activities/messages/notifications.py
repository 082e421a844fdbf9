"""The arguments and results of the activities that tell people of events."""

from datetime import timedelta
from uuid import UUID

from activities.messages.base import Message
from inventory.notifications import TargetName


class NoteRun(Message):
    """Note the events of a run that has ended."""

    tenant_id: UUID
    run_id: UUID


class NoteResult(Message):
    """The targets for which events of the tenant wait."""

    targets: list[TargetName] = []


class DeliverEvents(Message):
    """Send what waits for one target of one tenant."""

    tenant_id: UUID
    target: TargetName


class DeliveryResult(Message):
    """How many messages were sent, and how many were given up; `wait` is when to try the first of the others again.

    None if no other waits.
    """

    sent: int = 0
    failed: int = 0
    wait: timedelta | None = None
