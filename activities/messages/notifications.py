"""The messages of notifications."""

from datetime import timedelta
from uuid import UUID

from activities.messages.base import Message
from inventory.notifications import TargetName


class NoteEvents(Message):
    """Notes a tenant's events of runs and, with `expiring`, its expiries, of which `look_id` is the source."""

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
    """The numbers of messages sent and given up. `wait`: the time until the next; None if none waits."""

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
