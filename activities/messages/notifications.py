"""Messages of the activities that tell people of events."""

from datetime import timedelta
from uuid import UUID

from activities.messages.base import Message
from inventory.notifications import TargetName


class NoteEvents(Message):
    """Notes a tenant's events of ended runs and, with `expiring`, its expiries.

    `look_id` is the source of events without a run.
    """

    tenant_id: UUID
    look_id: UUID
    run_ids: list[UUID] = []
    expiring: bool = False


class NoteResult(Message):
    targets: list[TargetName] = []


class DeliverEvents(Message):
    tenant_id: UUID
    target: TargetName


class DeliveryResult(Message):
    """Messages sent and given up. `wait`: until the next is due; None if none waits."""

    sent: int = 0
    failed: int = 0
    wait: timedelta | None = None


class LookForEvents(Message):
    look_id: UUID


class TenantToTell(Message):
    tenant_id: UUID
    run_ids: list[UUID] = []
    expiring: bool = False


class TenantsToTell(Message):
    tenants: list[TenantToTell] = []
