"""The arguments and results of the activities of `watch`."""

from uuid import UUID

from activities.messages.base import Message, WorkflowId
from inventory.error_codes import ErrorCode
from inventory.portfolio import RequestedTenants


class WatchChoice(Message):
    """The tenants of a watch: all, or by tag or id."""

    chosen: RequestedTenants


class WatchedTenants(Message):
    """The tenants, as the tenants file now stands."""

    tenant_ids: list[UUID]


class WatchTenants(Message):
    """Look at these tenants' audit logs, and read the items that were changed. `look_id` names the look."""

    look_id: UUID
    workflow_id: WorkflowId
    tenant_ids: list[UUID]


class WatchTenantsResult(Message):
    """The number of tenants that were looked at, and the counts of all looks together.

    `failed` has the tenants that could not be looked at, with the code.
    """

    looked: int = 0
    requests: int = 0
    read: int = 0
    created: int = 0
    changed: int = 0
    gone: int = 0
    unknown_events: int = 0
    failed: dict[UUID, ErrorCode] = {}
