"""The arguments and results of the activities that tell people of events."""

from datetime import timedelta
from uuid import UUID

from activities.messages.base import Message
from inventory.notifications import TargetName


class NoteEvents(Message):
    """Note the events of some ended runs of a tenant and, with `expiring`, its expiries.

    `look_id` names the workflow that asks, as the source of events that no run brought.
    """

    tenant_id: UUID
    look_id: UUID
    run_ids: list[UUID] = []
    expiring: bool = False


class NoteResult(Message):
    """The targets for which events of the tenant wait."""

    targets: list[TargetName] = []


class DeliverEvents(Message):
    """Send the waiting messages for one target of one tenant."""

    tenant_id: UUID
    target: TargetName


class DeliveryResult(Message):
    """How many messages were sent, and how many were given up; `wait` is when to try the first of the others again.

    None if no other waits.
    """

    sent: int = 0
    failed: int = 0
    wait: timedelta | None = None


class LookForEvents(Message):
    """Look at all tenants for events that no run has noted. `look_id` names the look."""

    look_id: UUID


class TenantToTell(Message):
    """A tenant with runs to note, with things that may expire, or with events that wait."""

    tenant_id: UUID
    run_ids: list[UUID] = []
    expiring: bool = False


class TenantsToTell(Message):
    """The tenants with events, expiries or waiting messages."""

    tenants: list[TenantToTell] = []
